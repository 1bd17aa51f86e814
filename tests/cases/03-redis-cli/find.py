import fnmatch

from tests.cases import right, wrong


@right
def scan_iter_into_a_set(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=1000, _type=kind)))


@right
def the_cursor_by_hand(r, pattern, kind):
    names, cursor = set(), None
    while cursor != 0:
        cursor, some = r.scan(cursor or 0, match=pattern, count=500, _type=kind)
        names.update(some)
    return sorted(names)


@right
def plain_commands(r, pattern, kind):
    names, cursor = {}, 0
    while True:
        cursor, some = r.execute_command(
            "SCAN", cursor, "TYPE", kind, "COUNT", "1000", "MATCH", pattern
        )
        names.update(dict.fromkeys(some))
        if int(cursor) == 0:
            return sorted(names)


@right
def a_script_for_each_step(r, pattern, kind):
    step = "return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 800, 'TYPE', ARGV[3])"
    names, cursor = set(), "0"
    while True:
        cursor, some = r.eval(step, 0, cursor, pattern, kind)
        names |= set(some)
        if cursor == "0":
            return sorted(names)


@wrong(says="KEYS goes through all keys in one step")
def keys(r, pattern, kind):
    names = sorted(r.keys(pattern))
    pipe = r.pipeline(transaction=False)
    for name in names:
        pipe.type(name)
    return [name for name, found in zip(names, pipe.execute(), strict=True) if found == kind]


@wrong(says="A name is in the list twice")
def a_list_of_what_comes(r, pattern, kind):
    return sorted(r.scan_iter(match=pattern, count=1000, _type=kind))


@wrong(says="A name is in the list twice")
def a_set_for_each_step(r, pattern, kind):
    names, cursor = [], None
    while cursor != 0:
        cursor, some = r.scan(cursor or 0, match=pattern, count=1000, _type=kind)
        names += set(some)
    return sorted(names)


@wrong(says="only the cursor 0 says that it has ended")
def the_first_step_alone(r, pattern, kind):
    return sorted(set(r.scan(0, match=pattern, count=1000, _type=kind)[1]))


@wrong(says="only the cursor 0 says that it has ended")
def ends_at_an_empty_step(r, pattern, kind):
    cursor, some = r.scan(0, match=pattern, count=1000, _type=kind)
    names = set(some)
    while some and cursor:
        cursor, some = r.scan(cursor, match=pattern, count=1000, _type=kind)
        names.update(some)
    return sorted(names)


@wrong(says="Without COUNT a step of SCAN looks at 10 keys")
def the_default_count(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, _type=kind)))


@right
def a_count_that_is_bounded(r, pattern, kind):
    count = min(1000, r.dbsize() // 10 + 1)
    return sorted(set(r.scan_iter(match=pattern, count=count, _type=kind)))


@wrong(says="ask for 1,000 at most")
def one_giant_step(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=1_000_000, _type=kind)))


@wrong(says="ask for 1,000 at most")
def all_but_one_in_a_step(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=max(1, r.dbsize() - 1), _type=kind)))


@wrong(says="In this check DBSIZE tells of ten million")
def fifty_steps_whatever_the_size(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=r.dbsize() // 50 + 10, _type=kind)))


@wrong(says="ask for 1,000 at most")
def half_of_five_thousand(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=2500, _type=kind)))


@wrong(says="KEYS by another name")
def a_script_for_each_giant_step(r, pattern, kind):
    step = "return redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 2500, 'TYPE', ARGV[3])"
    names, cursor = set(), "0"
    while True:
        cursor, some = r.eval(step, 0, cursor, pattern, kind)
        names |= set(some)
        if cursor == "0":
            return sorted(names)


@wrong(says="KEYS by another name")
def keys_in_a_script(r, pattern, kind):
    script = """
    local names = {}
    for _, name in ipairs(redis.call('KEYS', ARGV[1])) do
        if redis.call('TYPE', name).ok == ARGV[2] then names[#names + 1] = name end
    end
    return names
    """
    return sorted(r.eval(script, 0, pattern, kind))


@wrong(says="A TYPE for each key")
def a_type_for_each_key(r, pattern, kind):
    return sorted({name for name in r.scan_iter(match=pattern, count=1000) if r.type(name) == kind})


@wrong(says="A TYPE for each key")
def types_in_a_pipeline(r, pattern, kind):
    names = sorted(set(r.scan_iter(match=pattern, count=1000)))
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
        kinds = pipe.execute()
    return [name for name, found in zip(names, kinds, strict=True) if found == kind]


@wrong(says="read others")
def the_pattern_in_python(r, pattern, kind):
    names = set(r.scan_iter(count=1000, _type=kind))
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


@wrong(says="the server sends none of the others")
def fetches_more_than_is_asked_for(r, pattern, kind):
    fitting = set(r.scan_iter(match=pattern, count=1000))
    return sorted(fitting.intersection(r.scan_iter(count=1000, _type=kind)))


@wrong(says="which is not asked for")
def any_type(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=1000)))


@wrong(says="KEYS by another name")
def a_script_that_goes_through_all(r, pattern, kind):
    script = """
    local names, cursor = {}, '0'
    repeat
        local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000, 'TYPE', ARGV[2])
        cursor = step[1]
        for _, name in ipairs(step[2]) do names[#names + 1] = name end
    until cursor == '0'
    return names
    """
    return sorted(set(r.register_script(script)(args=[pattern, kind])))


@wrong(says="are not sorted")
def unsorted(r, pattern, kind):
    return sorted(set(r.scan_iter(match=pattern, count=1000, _type=kind)), reverse=True)


@wrong(says="A set has no order")
def a_set(r, pattern, kind):
    return set(r.scan_iter(match=pattern, count=1000, _type=kind))


@wrong(says="a generator runs nothing")
def a_generator(r, pattern, kind):
    yield from sorted(set(r.scan_iter(match=pattern, count=1000, _type=kind)))
