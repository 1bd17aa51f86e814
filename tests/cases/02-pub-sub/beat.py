import time

from tests.cases import right, wrong

SCRIPT = """
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


def name(room):
    return f"arcade:{{{room}}}:people"


@right
def a_pipeline(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        *_, people = pipe.execute()
    return sorted(people)


@right
def removes_first_and_reads_by_score(r, room, member, now, seconds):
    key = name(room)
    pipe = r.pipeline(transaction=True)
    pipe.zremrangebyscore(key, 0, now).zadd(key, {member: now + seconds})
    pipe.zrangebyscore(key, f"({now}", "+inf", withscores=True)
    return sorted(person for person, _ in pipe.execute()[2])


@right
def a_script(r, room, member, now, seconds):
    return sorted(r.eval(SCRIPT, 1, name(room), member, now + seconds, now))


@right
def a_registered_script_that_sorts(r, room, member, now, seconds):
    script = r.register_script("""
        redis.call('ZADD', KEYS[1], ARGV[2] + ARGV[3], ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
        local people = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf')
        table.sort(people)
        return people
    """)
    return script(keys=[name(room)], args=[member, now, seconds])


def piped(r, room, member, until, now, upto=None):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: until})
        pipe.zremrangebyscore(key, "-inf", now if upto is None else upto)
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])


@wrong(says="Everybody in the room sends this every few seconds")
def three_trips(r, room, member, now, seconds):
    key = name(room)
    r.zadd(key, {member: now + seconds})
    r.zremrangebyscore(key, "-inf", now)
    return sorted(r.zrange(key, 0, -1))


@wrong(says="in no transaction")
def a_plain_pipeline(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline(transaction=False) as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])


@wrong(says="it grows for ever")
def hides_who_has_gone(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zrangebyscore(key, f"({now}", "+inf")
        return sorted(pipe.execute()[-1])


@wrong(says="your list has the name")
def lists_who_has_gone(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zrange(key, 0, -1)
        pipe.zremrangebyscore(key, "-inf", now)
        return sorted(pipe.execute()[1])


@wrong(says="who is there until `now` or less has gone")
def until_now_is_still_there(r, room, member, now, seconds):
    return piped(r, room, member, now + seconds, now, f"({now}")


@wrong(says="the set still has the name")
def the_list_is_right_and_the_set_is_not(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", f"({now}")
        pipe.zrangebyscore(key, f"({now}", "+inf")
        return sorted(pipe.execute()[-1])


@wrong(says="The score is `now + seconds`")
def notes_when_it_was(r, room, member, now, seconds):
    return piped(r, room, member, now, now, now - seconds)


@wrong(says="The score is `now + seconds`")
def notes_for_how_long(r, room, member, now, seconds):
    return piped(r, room, member, seconds, 0)


@wrong(says="the clocks of two servers differ")
def asks_its_own_clock(r, room, member, now, seconds):
    return piped(r, room, member, time.time() + seconds, time.time())


@wrong(says="would be gone in a moment")
def notes_only_the_first(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds}, nx=True)
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])


@wrong(says="also where it moves the time back")
def only_ever_later(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds}, gt=True)
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])


@wrong(says="Read all of them")
def a_hundred_at_most(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, 99)
        return sorted(pipe.execute()[-1])


@wrong(says="until when")
def adds_seconds_each_time(r, room, member, now, seconds):
    key = name(room)
    script = """
    if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    end
    redis.call('ZINCRBY', KEYS[1], ARGV[3], ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
    return redis.call('ZRANGE', KEYS[1], 0, -1)
    """
    return sorted(r.eval(script, 1, key, member, now, seconds))


@wrong(says="ZRANGE orders by time")
def in_order_of_time(r, room, member, now, seconds):
    return r.eval(SCRIPT, 1, name(room), member, now + seconds, now)


@wrong(says="in an f-string each of them is written twice")
def loses_the_braces(r, room, member, now, seconds):
    key = f"arcade:{room}:people"
    return sorted(r.eval(SCRIPT, 1, key, member, now + seconds, now))


@wrong(says="is a hash; it should be a zset")
def a_hash(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.hset(key, member, now + seconds)
        pipe.hgetall(key)
        people = pipe.execute()[-1]
    return sorted(person for person, until in people.items() if float(until) > now)


@wrong(says="a key expires as one")
def lets_the_whole_set_expire(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.expire(key, int(seconds))
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])


@wrong(says="note it before you read")
def reads_before_it_notes(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1)
        pipe.zadd(key, {member: now + seconds})
        return sorted(pipe.execute()[1])


@wrong(says="the set has lost the name")
def removes_by_rank(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zrangebyscore(key, f"({now}", "+inf")
        pipe.zremrangebyrank(key, 0, 2)
        return sorted(pipe.execute()[1])


@wrong(says="the set has lost the name")
def cuts_the_time_to_whole_seconds(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", int(now) + 1)
        pipe.zrangebyscore(key, f"({now}", "+inf")
        return sorted(pipe.execute()[-1])


@wrong(says="expected [")
def names_with_their_times(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.zadd(key, {member: now + seconds})
        pipe.zremrangebyscore(key, "-inf", now)
        pipe.zrange(key, 0, -1, withscores=True)
        return sorted(pipe.execute()[-1])


@wrong(says="got None, as from a function that ends without `return`")
def returns_nothing(r, room, member, now, seconds):
    piped(r, room, member, now + seconds, now)


@wrong(says="expected [")
def returns_every_reply(r, room, member, now, seconds):
    key = name(room)
    pipe = r.pipeline().zadd(key, {member: now + seconds})
    return pipe.zremrangebyscore(key, "-inf", now).zrange(key, 0, -1).execute()


@wrong(says="Nothing is stored")
def only_says_so(r, room, member, now, seconds):
    r.publish(name(room), member)
    return [member]


@wrong(says="Everybody in the room sends this")
def watches_and_changes(r, room, member, now, seconds):
    key = name(room)
    with r.pipeline() as pipe:
        pipe.watch(key)
        gone = pipe.zrangebyscore(key, "-inf", now)
        pipe.multi()
        if gone:
            pipe.zrem(key, *gone)
        pipe.zadd(key, {member: now + seconds})
        pipe.zrange(key, 0, -1)
        return sorted(pipe.execute()[-1])
