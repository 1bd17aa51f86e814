import redis

from tests.cases import right, wrong


def keys(*players):
    return [f"arcade:coins:{player}" for player in players]


@right
def transaction(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)

    def move(pipe):
        if int(pipe.get(mine) or 0) < amount:
            return False
        pipe.multi()
        pipe.decrby(mine, amount)
        pipe.incrby(theirs, amount)
        return True

    return r.transaction(move, mine, value_from_callable=True)


@right
def watch_and_begin_again(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(mine)
                if int(pipe.get(mine) or 0) < amount:
                    return False
                pipe.multi()
                pipe.decrby(mine, amount).incrby(theirs, amount)
                pipe.execute()
                return True
            except redis.WatchError:
                continue


@right
def script(r, giver, taker, amount):
    move = r.register_script("""
        if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then return 0 end
        redis.call('DECRBY', KEYS[1], ARGV[1])
        redis.call('INCRBY', KEYS[2], ARGV[1])
        return 1
    """)
    return move(keys=keys(giver, taker), args=[amount]) == 1


@right
def looks_first_and_lets_a_script_decide(r, giver, taker, amount):
    if int(r.get(keys(giver)[0]) or 0) < amount:
        return False
    take = """
        if redis.call('DECRBY', KEYS[1], ARGV[1]) >= 0 then
            redis.call('INCRBY', KEYS[2], ARGV[1])
            return 1
        end
        redis.call('INCRBY', KEYS[1], ARGV[1])
        return 0
    """
    return bool(r.eval(take, 2, *keys(giver, taker), amount))


@wrong(says="Between reading the giver's coins and moving them")
def get_then_set(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    coins = int(r.get(mine) or 0)
    if coins < amount:
        return False
    r.mset({mine: coins - amount, theirs: int(r.get(theirs) or 0) + amount})
    return True


@wrong(says="Between reading the giver's coins and moving them")
def looks_and_then_moves_without_watch(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    if int(r.get(mine) or 0) < amount:
        return False
    r.pipeline().decrby(mine, amount).incrby(theirs, amount).execute()
    return True


@wrong(says="Taking and giving are two trips")
def takes_and_gives_in_two_trips(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    if int(r.get(mine) or 0) < amount:
        return False
    r.decrby(mine, amount)
    r.incrby(theirs, amount)
    return True


@wrong(says="Taking first and giving back what was too much")
def takes_first_and_gives_back(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    left, _ = r.pipeline().decrby(mine, amount).incrby(theirs, amount).execute()
    if left >= 0:
        return True
    r.pipeline().incrby(mine, amount).decrby(theirs, amount).execute()
    return False


@wrong(says="catch it and begin again, in a loop")
def watch_without_beginning_again(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    with r.pipeline() as pipe:
        pipe.watch(mine)
        if int(pipe.get(mine) or 0) < amount:
            return False
        pipe.multi()
        pipe.decrby(mine, amount).incrby(theirs, amount)
        pipe.execute()
    return True


@wrong(says="it does not mean that there are too few")
def gives_up_when_somebody_was_faster(r, giver, taker, amount):
    try:
        return watch_without_beginning_again.answer(r, giver, taker, amount)
    except redis.WatchError:
        return False


@wrong(says="SET writes over what came in between")
def watches_the_giver_and_sets_both(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)

    def move(pipe):
        coins, others = (int(pipe.get(key) or 0) for key in (mine, theirs))
        if coins < amount:
            return False
        pipe.multi()
        pipe.mset({mine: coins - amount, theirs: others + amount})
        return True

    return r.transaction(move, mine, value_from_callable=True)


@wrong(says="the coins of a giver who is also the taker")
def watches_both_and_sets_both(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)

    def move(pipe):
        coins, others = (int(pipe.get(key) or 0) for key in (mine, theirs))
        if coins < amount:
            return False
        pipe.multi()
        pipe.set(mine, coins - amount)
        pipe.set(theirs, others + amount)
        return True

    return r.transaction(move, mine, theirs, value_from_callable=True)


@wrong(says="goes below zero without a word")
def allows_an_overdraft(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    r.pipeline().decrby(mine, amount).incrby(theirs, amount).execute()
    return True


@wrong(says="Giving away the very last coin is allowed")
def refuses_the_last_coin(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    move = """
        if tonumber(redis.call('GET', KEYS[1]) or 0) <= tonumber(ARGV[1]) then return 0 end
        redis.call('DECRBY', KEYS[1], ARGV[1])
        redis.call('INCRBY', KEYS[2], ARGV[1])
        return 1
    """
    return bool(r.eval(move, 2, mine, theirs, amount))


@wrong(says="A missing key means 0 coins")
def stumbles_over_a_missing_key(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)

    def move(pipe):
        if int(pipe.get(mine)) < amount:
            return False
        pipe.multi()
        pipe.decrby(mine, amount).incrby(theirs, amount)
        return True

    return r.transaction(move, mine, value_from_callable=True)


@wrong(says="tries again for ever")
def catches_everything_and_begins_again(r, giver, taker, amount):
    mine, theirs = keys(giver, taker)
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(mine)
                if int(pipe.get(mine) or 0) < amount:
                    return False
                pipe.multi()
                pipe.decrby(mine, amount).incrby(theirs, amount)
                pipe.execute()
                return True
            except:  # noqa: E722
                continue


@wrong(says="compare `tonumber(...)`")
def compares_a_number_with_text(r, giver, taker, amount):
    script = """
    local have = tonumber(redis.call('GET', KEYS[1]) or 0)
    if have < ARGV[1] then return 0 end
    redis.call('DECRBY', KEYS[1], ARGV[1])
    redis.call('INCRBY', KEYS[2], ARGV[1])
    return 1
    """
    return bool(r.eval(script, 2, f"arcade:coins:{giver}", f"arcade:coins:{taker}", amount))
