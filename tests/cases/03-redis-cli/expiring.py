import redis

from tests.cases import right, wrong


def ask(r, names):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(name)
        return pipe.execute()


def scan(r, pattern):
    return list(dict.fromkeys(r.scan_iter(match=pattern, count=1000)))


@right
def one_pipeline(r, pattern, within):
    names = scan(r, pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@right
def a_transaction_for_each_step(r, pattern, within):
    found, cursor = {}, None
    while cursor != 0:
        cursor, names = r.scan(cursor or 0, match=pattern, count=500)
        pipe = r.pipeline()
        for name in names:
            pipe.pttl(name)
        found |= dict(zip(names, pipe.execute(), strict=True))
    soon = {name: left for name, left in found.items() if 0 <= left <= within * 1000}
    return sorted(soon, key=soon.get)


@right
def a_script_for_each_step(r, pattern, within):
    look = r.register_script("""
        local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
        local left = {}
        for place, name in ipairs(step[2]) do left[place] = redis.call('PTTL', name) end
        return {step[1], step[2], left}
    """)
    found, cursor = {}, "0"
    while True:
        cursor, names, left = look(args=[cursor, pattern])
        found |= dict(zip(names, left, strict=True))
        if cursor == "0":
            break
    soon = [name for name in found if 0 <= found[name] <= within * 1000]
    return sorted(soon, key=found.get)


@right
def moments_of_expiry(r, pattern, within):
    names = scan(r, pattern)
    seconds, microseconds = r.execute_command("TIME")
    latest = seconds * 1000 + microseconds // 1000 + within * 1000
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.execute_command("PEXPIRETIME", name)
        moments = dict(zip(names, pipe.execute(), strict=True))
    return sorted((name for name in names if 0 < moments[name] <= latest), key=moments.get)


@wrong(says="PTTL answers -1 of such a key")
def takes_never_for_soon(r, pattern, within):
    names = scan(r, pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if left != -2 and left <= within * 1000]


@wrong(says="PTTL, which answers -2 of a key that is not there")
def takes_gone_for_soon(r, pattern, within):
    names = scan(r, pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if left != -1 and left <= within * 1000]


@wrong(says="TTL rounds to whole seconds")
def whole_seconds(r, pattern, within):
    names = scan(r, pattern)
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name)
        pairs = sorted(zip(pipe.execute(), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within]


@wrong(says="TTL rounds to whole seconds")
def cuts_milliseconds_off(r, pattern, within):
    names = scan(r, pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if left >= 0 and left // 1000 <= within]


@wrong(says="compare with `within * 1000`")
def seconds_for_milliseconds(r, pattern, within):
    names = scan(r, pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within]


@wrong(says="in the order of the alphabet")
def by_name(r, pattern, within):
    names = sorted(scan(r, pattern))
    return [
        name for name, left in zip(names, ask(r, names), strict=True) if 0 <= left <= within * 1000
    ]


@wrong(says="The latest stands first")
def latest_first(r, pattern, within):
    return one_pipeline.answer(r, pattern, within)[::-1]


@wrong(says="Sort the names by what PTTL answers")
def as_they_come(r, pattern, within):
    # Reversed, as SCAN of fakeredis goes by the alphabet.
    names = scan(r, pattern)[::-1]
    return [
        name for name, left in zip(names, ask(r, names), strict=True) if 0 <= left <= within * 1000
    ]


@wrong(says="is a journey for each key")
def one_by_one(r, pattern, within):
    left = {name: r.pttl(name) for name in scan(r, pattern)}
    return sorted((name for name in left if 0 <= left[name] <= within * 1000), key=left.get)


@wrong(says="pass `count=1000`")
def ten_keys_a_step(r, pattern, within):
    names = list(r.scan_iter(match=pattern))
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@wrong(says="holds everybody up as KEYS does")
def all_keys_in_one_step(r, pattern, within):
    names = list(set(r.scan_iter(match=pattern, count=10**6)))
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@wrong(says="one that goes through all keys is KEYS by another name")
def a_script_for_all_steps(r, pattern, within):
    look = r.register_script("""
        local cursor, found, left = '0', {}, {}
        repeat
            local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
            cursor = step[1]
            for _, name in ipairs(step[2]) do
                found[#found + 1] = name
                left[#left + 1] = redis.call('PTTL', name)
            end
        until cursor == '0'
        return {found, left}
    """)
    names, left = look(args=[pattern])
    found = dict(zip(names, left, strict=True))
    soon = [name for name in found if 0 <= found[name] <= within * 1000]
    return sorted(soon, key=found.get)


@wrong(says="SCAN may give a name twice")
def twice_where_scan_gives_twice(r, pattern, within):
    names = list(r.scan_iter(match=pattern, count=1000))
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@wrong(says="KEYS goes through every key of the server in one go")
def keys(r, pattern, within):
    names = r.keys(pattern)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@wrong(says="KEYS goes through every key of the server in one go")
def keys_in_a_script(r, pattern, within):
    look = """
        local names, left = redis.call('KEYS', ARGV[1]), {}
        for place, name in ipairs(names) do left[place] = redis.call('PTTL', name) end
        return {names, left}
    """
    names, left = r.eval(look, 0, pattern)
    return [
        name for time, name in sorted(zip(left, names, strict=True)) if 0 <= time <= within * 1000
    ]


@wrong(says="Your answer changed keys")
def expires_them_to_see(r, pattern, within):
    names = one_pipeline.answer(r, pattern, within)
    with r.pipeline() as pipe:
        for name in names:
            pipe.expire(name, within)
        pipe.execute()
    return names


@wrong(says="does not fit the pattern")
def all_keys(r, pattern, within):
    return one_pipeline.answer(r, "*", within)


@wrong(says="until its cursor is 0 again")
def the_first_step(r, pattern, within):
    _, names = r.scan(match=pattern, count=60)
    pairs = sorted(zip(ask(r, names), names, strict=True))
    return [name for left, name in pairs if 0 <= left <= within * 1000]


@wrong(says="Return a list of names")
def with_their_times(r, pattern, within):
    names = scan(r, pattern)
    return [
        (name, left) for left, name in sorted(zip(ask(r, names), names, strict=True)) if left > 0
    ]


@wrong(says="not None")
def none_for_nothing(r, pattern, within):
    return one_pipeline.answer(r, pattern, within) or None


@wrong(says="ResponseError")
def stumbles_over_a_hash(r, pattern, within):
    try:
        r.mget(scan(r, pattern))
        return [name for name in scan(r, pattern) if r.get(name)]
    except redis.DataError:
        return []
