import redis

from tests.cases import right, wrong


@right
def set_nx_and_incr_in_one_transaction(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.set(key, 0, nx=True, ex=window)
        pipe.incr(key)
        return pipe.execute()[-1] <= limit


@right
def pipeline_without_a_transaction(r, player, limit, window):
    key = f"arcade:rate:{player}"
    pipe = r.pipeline(transaction=False)
    _, count = pipe.set(key, 0, nx=True, ex=window).incr(key).execute()
    return count <= limit


@right
def script(r, player, limit, window):
    count = r.eval(
        """
        local count = redis.call('INCR', KEYS[1])
        if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
        return count
        """,
        1,
        f"arcade:rate:{player}",
        window,
    )
    return count <= limit


@right
def watch_and_begin_again(r, player, limit, window):
    key = f"arcade:rate:{player}"
    while True:
        with r.pipeline() as pipe:
            try:
                pipe.watch(key)
                count = int(pipe.get(key) or 0) + 1
                pipe.multi()
                if count == 1:
                    pipe.set(key, 1, ex=window)
                else:
                    pipe.incr(key)
                pipe.execute()
            except redis.WatchError:
                continue
            return count <= limit


@right
def script_that_leaves_a_full_counter_alone(r, player, limit, window):
    allow = r.register_script("""
        local count = tonumber(redis.call('GET', KEYS[1]) or 0)
        if count >= tonumber(ARGV[1]) then return 0 end
        if count == 0 then redis.call('SET', KEYS[1], 1, 'EX', ARGV[2])
        else redis.call('INCR', KEYS[1]) end
        return 1
    """)
    return bool(allow(keys=[f"arcade:rate:{player}"], args=[limit, window]))


@wrong(says="INCR and then EXPIRE are two trips")
def incr_then_expire_the_first(r, player, limit, window):
    key = f"arcade:rate:{player}"
    count = r.incr(key)
    if count == 1:
        r.expire(key, window)
    return count <= limit


@wrong(says="The second request made the window longer")
def expire_every_time(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.incr(key)
        pipe.expire(key, window)
        return pipe.execute()[0] <= limit


@wrong(says="Reading the count and then writing it loses")
def get_then_set(r, player, limit, window):
    key = f"arcade:rate:{player}"
    count = int(r.get(key) or 0) + 1
    if count == 1:
        r.set(key, count, ex=window)
    else:
        r.set(key, count, keepttl=True)
    return count <= limit


@wrong(says="The second request took the counter's time to live away")
def set_drops_the_time_to_live(r, player, limit, window):
    key = f"arcade:rate:{player}"
    count = int(r.get(key) or 0) + 1
    r.set(key, count, ex=window if count == 1 else None)
    return count <= limit


@wrong(says="with `<= limit`")
def one_too_few(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.set(key, 0, nx=True, ex=window)
        pipe.incr(key)
        return pipe.execute()[-1] < limit


@wrong(says="with `<= limit`")
def one_too_many(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.set(key, 0, nx=True, ex=window)
        pipe.get(key)
        pipe.incr(key)
        return int(pipe.execute()[1]) <= limit


@wrong(says="so the player is never let in again")
def never_expires(r, player, limit, window):
    return r.incr(f"arcade:rate:{player}") <= limit


@wrong(says="PEXPIRE and `px` count milliseconds")
def milliseconds_for_seconds(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.set(key, 0, nx=True, px=window)
        pipe.incr(key)
        return pipe.execute()[-1] <= limit


@wrong(says="A count kept in Python is one process's own")
def counts_in_python(r, player, limit, window, counts={}):  # noqa: B006
    counts[r, player] = counts.get((r, player), 0) + 1
    return counts[r, player] <= limit


@wrong(says="Every player needs a counter of their own")
def one_key_for_all_players(r, player, limit, window):
    with r.pipeline() as pipe:
        pipe.set("arcade:rate", 0, nx=True, ex=window)
        pipe.incr("arcade:rate")
        return pipe.execute()[-1] <= limit


@wrong(says="The window ended between two of your trips")
def set_nx_and_then_incr(r, player, limit, window):
    key = f"arcade:rate:{player}"
    r.set(key, 0, nx=True, ex=window)
    return r.incr(key) <= limit


@wrong(says="catch WatchError and begin again")
def watch_without_beginning_again(r, player, limit, window):
    key = f"arcade:rate:{player}"
    with r.pipeline() as pipe:
        pipe.watch(key)
        first = not pipe.exists(key)
        pipe.multi()
        pipe.incr(key)
        if first:
            pipe.expire(key, window)
        return pipe.execute()[0] <= limit
