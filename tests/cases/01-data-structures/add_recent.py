from tests.cases import right, wrong


@right
def push_trim_and_read_in_one_pipeline(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lpush(key, game)
        pipe.ltrim(key, 0, keep - 1)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1]


@right
def pipeline_without_a_transaction(r, player, game, keep):
    key = f"arcade:recent:{player}"
    pipe = r.pipeline(transaction=False)
    pipe.lpush(key, game).ltrim(key, 0, keep - 1).lrange(key, 0, keep)
    _, _, games = pipe.execute()
    return games


@right
def script(r, player, game, keep):
    add = r.register_script("""
        redis.call('LPUSH', KEYS[1], ARGV[1])
        redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
        return redis.call('LRANGE', KEYS[1], 0, -1)
    """)
    return add(keys=[f"arcade:recent:{player}"], args=[game, keep])


@right
def read_before_trim(r, player, game, keep):
    key = f"arcade:recent:{player}"
    pipe = r.pipeline()
    pipe.lpush(key, game)
    pipe.lrange(key, 0, keep - 1)
    pipe.ltrim(key, 0, keep - 1)
    return pipe.execute()[1]


@wrong(says="RPUSH puts it at the end, LPUSH in front")
def pushes_to_the_end(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.rpush(key, game)
        pipe.ltrim(key, -keep, -1)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1][::-1]


@wrong(says="LTRIM includes its last index")
def trims_to_one_more(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lpush(key, game)
        pipe.ltrim(key, 0, keep)
        pipe.lrange(key, 0, keep - 1)
        return pipe.execute()[-1]


@wrong(says="leaves the list in Redis growing for ever")
def cuts_in_python_only(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lpush(key, game)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1][:keep]


@wrong(says="LPUSH and then LTRIM are two trips")
def a_trip_for_each_command(r, player, game, keep):
    key = f"arcade:recent:{player}"
    r.lpush(key, game)
    r.ltrim(key, 0, keep - 1)
    return r.lrange(key, 0, -1)


@wrong(says="The oldest game is still there and the newest are not")
def trims_the_wrong_end(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lpush(key, game)
        pipe.ltrim(key, -keep, -1)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1]


@wrong(says="Your function returns nothing")
def returns_nothing(r, player, game, keep):
    key = f"arcade:recent:{player}"
    r.pipeline().lpush(key, game).ltrim(key, 0, keep - 1).lrange(key, 0, -1).execute()


@wrong(says="one reply for each command")
def returns_every_reply(r, player, game, keep):
    key = f"arcade:recent:{player}"
    return r.pipeline().lpush(key, game).ltrim(key, 0, keep - 1).lrange(key, 0, -1).execute()


@wrong(says="returns the pipeline itself")
def forgets_to_execute(r, player, game, keep):
    key = f"arcade:recent:{player}"
    return r.pipeline().lpush(key, game).ltrim(key, 0, keep - 1).lrange(key, 0, -1)


@wrong(says="LPUSH answers the length of the list")
def returns_the_length(r, player, game, keep):
    key = f"arcade:recent:{player}"
    return r.pipeline().lpush(key, game).ltrim(key, 0, keep - 1).execute()[0]


@wrong(says="was played twice, so it is on the list twice")
def removes_doubles(r, player, game, keep):
    key = f"arcade:recent:{player}"
    with r.pipeline() as pipe:
        pipe.lrem(key, 0, game)
        pipe.lpush(key, game)
        pipe.ltrim(key, 0, keep - 1)
        pipe.lrange(key, 0, -1)
        return pipe.execute()[-1]
