from tests.cases import right, wrong


def answer(top, rank):
    return {"top": top, "rank": None if rank is None else rank + 1}


@right
def range_and_rank_in_one_pipeline(r, board, player, n):
    key = f"arcade:board:{board}"
    with r.pipeline() as pipe:
        pipe.zrange(key, 0, n - 1, desc=True, withscores=True)
        pipe.zrevrank(key, player)
        return answer(*pipe.execute())


@right
def zrevrange_without_a_transaction(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline(transaction=False)
    pipe.zrevrank(key, player)
    pipe.zrevrange(key, 0, n - 1, withscores=True)
    rank, top = pipe.execute()
    return answer(top, rank)


@right
def the_last_n_turned_round(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline()
    pipe.zrange(key, -n, -1, withscores=True).zrank(key, player).zcard(key)
    top, rank, size = pipe.execute()
    return {"top": top[::-1], "rank": None if rank is None else size - rank}


@right
def by_score_with_a_limit(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline()
    pipe.zrevrangebyscore(key, "+inf", "-inf", start=0, num=n, withscores=True)
    pipe.zrevrank(key, player)
    return answer(*pipe.execute())


@right
def script(r, board, player, n):
    ask = r.register_script("""
        return {
            redis.call('ZREVRANGE', KEYS[1], 0, ARGV[2] - 1, 'WITHSCORES'),
            redis.call('ZREVRANK', KEYS[1], ARGV[1])
        }
    """)
    flat, rank = ask(keys=[f"arcade:board:{board}"], args=[player, n])
    top = [(name, float(score)) for name, score in zip(flat[::2], flat[1::2], strict=True)]
    return answer(top, rank)


@wrong(says="counted from the lowest score")
def counts_from_the_lowest(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True, withscores=True).zrank(key, player)
    return answer(*pipe.execute())


@wrong(says="Redis counts from 0, players from 1")
def counts_from_zero(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True, withscores=True).zrevrank(key, player)
    top, rank = pipe.execute()
    return {"top": top, "rank": rank}


@wrong(says="`if rank` takes 0 for nothing")
def takes_the_best_for_a_stranger(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True, withscores=True).zrevrank(key, player)
    top, rank = pipe.execute()
    return {"top": top, "rank": rank + 1 if rank else None}


@wrong(says="60 entries of the board travel where 3 are asked for")
def fetches_the_whole_board(r, board, player, n):
    entries = r.zrange(f"arcade:board:{board}", 0, -1, desc=True, withscores=True)
    names = [name for name, _ in entries]
    return {"top": entries[:n], "rank": names.index(player) + 1 if player in names else None}


@wrong(says="4 entries of the board travel where 3 are asked for")
def fetches_one_more_than_it_answers(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n, desc=True, withscores=True).zrevrank(key, player)
    top, rank = pipe.execute()
    return answer(top[:n], rank)


@wrong(says="The top and the rank are two trips")
def asks_twice(r, board, player, n):
    key = f"arcade:board:{board}"
    return answer(
        r.zrange(key, 0, n - 1, desc=True, withscores=True),
        r.zrevrank(key, player),
    )


@wrong(says="a range includes its last rank")
def one_too_many(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n, desc=True, withscores=True).zrevrank(key, player)
    return answer(*pipe.execute())


@wrong(says="`top` begins with the lowest score")
def lowest_first(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, withscores=True).zrevrank(key, player)
    return answer(*pipe.execute())


@wrong(says="with the best one last")
def best_last(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, -n, -1, withscores=True).zrevrank(key, player)
    return answer(*pipe.execute())


@wrong(says="pass `withscores=True`")
def names_without_scores(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True).zrevrank(key, player)
    return answer(*pipe.execute())


@wrong(says="look before you add 1")
def adds_one_to_none(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True, withscores=True).zrevrank(key, player)
    top, rank = pipe.execute()
    return {"top": top, "rank": rank + 1}


@wrong(says="ZPOPMAX takes away what it answers")
def takes_the_best_off_the_board(r, board, player, n):
    key = f"arcade:board:{board}"
    rank, top = r.pipeline().zrevrank(key, player).zpopmax(key, n).execute()
    return answer(top, rank)


@wrong(says="Return a dictionary with the keys `top` and `rank`")
def returns_a_pair(r, board, player, n):
    key = f"arcade:board:{board}"
    pipe = r.pipeline().zrange(key, 0, n - 1, desc=True, withscores=True).zrevrank(key, player)
    return tuple(answer(*pipe.execute()).values())
