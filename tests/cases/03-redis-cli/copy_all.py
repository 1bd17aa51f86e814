from redis.client import NEVER_DECODE

from tests.cases import right, wrong

STEP = """
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 500)
local found = {}
for place, name in ipairs(step[2]) do
    found[place] = {name, redis.call('DUMP', name), redis.call('PTTL', name)}
end
return {step[1], found}
"""


def scan(source, pattern):
    return list(dict.fromkeys(source.scan_iter(match=pattern, count=1000)))


def dumps(source, names):
    """Name, dump and milliseconds left of each."""
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name).pttl(name)
        replies = pipe.execute()
    return list(zip(names, replies[::2], replies[1::2], strict=True))


def restore(target, found, time=lambda left: 0 if left == -1 else max(left, 1), **options):
    options = {"replace": True} | options
    with target.pipeline(transaction=False) as pipe:
        for name, dump, left in found:
            pipe.restore(name, time(left), dump, **options)
        return len(pipe.execute())


def there(found):
    return [entry for entry in found if entry[1] is not None and entry[2] != -2]


@right
def a_pipeline_on_either_side(source, target, pattern):
    return restore(target, there(dumps(source, scan(source, pattern))))


@right
def step_by_step(source, target, pattern):
    copied, cursor = set(), None
    while cursor != 0:
        cursor, names = source.scan(cursor or 0, match=pattern, count=200)
        with target.pipeline() as pipe:
            for name, dump, left in there(dumps(source, names)):
                left = 0 if left == -1 else left or 1
                pipe.execute_command("RESTORE", name, left, dump, "REPLACE")
                copied.add(name)
            pipe.execute()
    return len(copied)


@right
def a_script_at_the_source(source, target, pattern):
    cursor, copied = b"0", set()
    while True:
        cursor, found = source.execute_command(
            "EVAL", STEP, 0, cursor, pattern, **{NEVER_DECODE: []}
        )
        restore(target, there(found))
        copied |= {name for name, _, _ in there(found)}
        if cursor == b"0":
            return len(copied)


@right
def all_dumps_and_then_all_times(source, target, pattern):
    names = scan(source, pattern)
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name)
        values = pipe.execute()
        for name in names:
            pipe.pttl(name)
        left = pipe.execute()
    return restore(target, there(zip(names, values, left, strict=True)))


@right
def deletes_before_in_a_transaction(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    with target.pipeline() as pipe:
        for name, dump, left in found:
            pipe.delete(name).restore(name, 0 if left == -1 else max(left, 1), dump)
        pipe.execute()
    return len(found)


@wrong(says="GET reads strings alone")
def get_and_set(source, target, pattern):
    names = scan(source, pattern)
    for name in names:
        target.set(name, source.get(name))
    return len(names)


@wrong(says="GET reads strings alone")
def strings_and_hashes(source, target, pattern):
    names = scan(source, pattern)
    for name in names:
        if source.type(name) == "hash":
            target.delete(name)
            target.hset(name, mapping=source.hgetall(name))
    return len(names)


@wrong(says="its copy never expires: DUMP holds the value alone")
def forgets_the_time_to_live(source, target, pattern):
    return restore(target, there(dumps(source, scan(source, pattern))), time=lambda _: 0)


@wrong(says="PTTL answers -1 of a key that never expires, where RESTORE wants 0")
def passes_minus_one(source, target, pattern):
    return restore(target, there(dumps(source, scan(source, pattern))), time=lambda left: left)


@wrong(says="PTTL says -1 for never and RESTORE says 0")
def one_for_minus_one(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    return restore(target, found, time=lambda left: max(left, 100_000))


@wrong(says="RESTORE replaces it with `replace=True`")
def without_replace(source, target, pattern):
    return restore(target, there(dumps(source, scan(source, pattern))), replace=False)


@wrong(says="is at the target what it was there before")
def leaves_what_is_there(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    restore(target, [entry for entry in found if not target.exists(entry[0])])
    return len(found)


@wrong(says="DUMP answers None of a key that is gone by now")
def restores_none(source, target, pattern):
    return restore(target, dumps(source, scan(source, pattern)))


@wrong(says="and its copy lives for ever")
def makes_a_lost_key_immortal(source, target, pattern):
    names = scan(source, pattern)
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name)
        found = [entry for entry in zip(names, pipe.execute(), strict=True) if entry[1] is not None]
        for name, _ in found:
            pipe.pttl(name)
        left = pipe.execute()
    found = [(*entry, time) for entry, time in zip(found, left, strict=True)]
    return restore(target, found, time=lambda left: 0 if left < 0 else max(left, 1))


@wrong(says="SCAN may give a name twice")
def counts_twice_what_scan_gives_twice(source, target, pattern):
    names = list(source.scan_iter(match=pattern, count=1000))
    return restore(target, there(dumps(source, names)))


@wrong(says="Count what was restored")
def counts_what_scan_found(source, target, pattern):
    names = scan(source, pattern)
    restore(target, there(dumps(source, names)))
    return len(names)


@wrong(says="FLUSHDB takes away what others have there")
def flushes_the_target(source, target, pattern):
    target.flushdb()
    return a_pipeline_on_either_side.answer(source, target, pattern)


@wrong(says="RESTORE counts milliseconds")
def seconds_for_milliseconds(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    return restore(target, found, time=lambda left: max(left, 0) // 1000)


@wrong(says="RESTORE takes 0 for never")
def makes_the_last_millisecond_last(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    return restore(target, found, time=lambda left: max(left, 0))


@wrong(says="TTL rounds them to whole seconds")
def whole_seconds(source, target, pattern):
    names = scan(source, pattern)
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name).ttl(name)
        replies = pipe.execute()
    found = there(zip(names, replies[::2], replies[1::2], strict=True))
    return restore(target, found, time=lambda left: 0 if left == -1 else max(1, left * 1000))


@wrong(says="TTL rounds them to whole seconds")
def a_second_for_what_was_cut_off(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    return restore(target, found, time=lambda left: 0 if left == -1 else left // 1000 * 1000 + 1000)


@wrong(says="ms later. RESTORE takes the milliseconds")
def a_thousand_times_too_long(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    return restore(target, found, time=lambda left: max(left, 0) * 1000)


@wrong(says="ms later. RESTORE takes the milliseconds")
def a_moment_for_a_duration(source, target, pattern):
    names = scan(source, pattern)
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.dump(name).execute_command("PEXPIRETIME", name)
        replies = pipe.execute()
    return restore(target, there(zip(names, replies[::2], replies[1::2], strict=True)))


@wrong(says="pass `transaction=False`")
def dumps_in_a_transaction(source, target, pattern):
    names = scan(source, pattern)
    with source.pipeline() as pipe:
        for name in names:
            pipe.dump(name).pttl(name)
        replies = pipe.execute()
    return restore(target, there(zip(names, replies[::2], replies[1::2], strict=True)))


@wrong(says="At the source: One DUMP a trip")
def reads_one_by_one(source, target, pattern):
    found = [(name, source.dump(name), source.pttl(name)) for name in scan(source, pattern)]
    return restore(target, there(found))


@wrong(says="At the target: One RESTORE a trip")
def writes_one_by_one(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    for name, dump, left in found:
        target.restore(name, 0 if left == -1 else max(left, 1), dump, replace=True)
    return len(found)


@wrong(says="pass `count=1000`")
def ten_keys_a_step(source, target, pattern):
    return restore(target, there(dumps(source, list(source.scan_iter(match=pattern)))))


@wrong(says="holds everybody up as KEYS does")
def all_keys_in_one_step(source, target, pattern):
    names = set(source.scan_iter(match=pattern, count=10**6))
    return restore(target, there(dumps(source, names)))


@wrong(says="one that goes through all keys is KEYS by another name")
def a_script_for_all_steps(source, target, pattern):
    look = """
        local cursor, found = '0', {}
        repeat
            local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
            cursor = step[1]
            for _, name in ipairs(step[2]) do
                found[#found + 1] = {name, redis.call('DUMP', name), redis.call('PTTL', name)}
            end
        until cursor == '0'
        return found
    """
    found = source.execute_command("EVAL", look, 0, pattern, **{NEVER_DECODE: []})
    return restore(target, there({entry[0]: entry for entry in found}.values()))


@wrong(says="KEYS goes through every key of the server in one go")
def keys(source, target, pattern):
    return restore(target, there(dumps(source, source.keys(pattern))))


@wrong(says="DUMP and RESTORE copy between any two")
def copies_within_the_server(source, target, pattern):
    names = scan(source, pattern)
    database = target.connection_pool.connection_kwargs["db"]
    with source.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.copy(name, name, destination_db=database, replace=True)
        return sum(pipe.execute())


@wrong(says="The source is not as it was")
def moves(source, target, pattern):
    found = there(dumps(source, scan(source, pattern)))
    source.delete(*[name for name, _, _ in found])
    return restore(target, found)


@wrong(says="though it does not fit")
def copies_all_keys(source, target, pattern):
    found = there(dumps(source, scan(source, "*")))
    restore(target, found)
    return len(scan(source, pattern))


@wrong(says="Return how many keys were copied")
def returns_nothing(source, target, pattern):
    a_pipeline_on_either_side.answer(source, target, pattern)
