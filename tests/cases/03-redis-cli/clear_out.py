import fnmatch

from tests.cases import right, wrong


def look(r, pattern, most):
    found = sorted(set(r.scan_iter(match=pattern, count=1000)))
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit {pattern}, more than {most}")
    return found


@right
def look_and_unlink_in_pieces(r, pattern, most):
    found = look(r, pattern, most)
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@right
def one_unlink_each_in_pipelines(r, pattern, most):
    names, cursor = set(), None
    while cursor != 0:
        cursor, some = r.scan(cursor or 0, match=pattern, count=500)
        names.update(some)
    if len(names) > most:
        raise ValueError(f"{len(names):,} keys fit, {most:,} may be removed")
    removed = 0
    names = sorted(names)
    for start in range(0, len(names), 500):
        with r.pipeline(transaction=False) as pipe:
            for name in names[start : start + 500]:
                pipe.unlink(name)
            removed += sum(pipe.execute())
    return removed


@right
def unlink_in_a_script(r, pattern, most):
    unlink = r.register_script("return redis.call('UNLINK', unpack(KEYS))")
    found = look(r, pattern, most)
    removed = 0
    while found:
        removed += unlink(keys=found[:300])
        del found[:300]
    return removed


@right
def plain_commands(r, pattern, most):
    found = look(r, pattern, most)
    pipe = r.pipeline()
    for start in range(0, len(found), 1000):
        pipe.execute_command("UNLINK", *found[start : start + 1000])
    return sum(pipe.execute())


@wrong(says="KEYS goes through all keys in one step")
def keys(r, pattern, most):
    found = r.keys(pattern)
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="a guard decides before the first key is removed")
def deletes_on_the_way(r, pattern, most):
    fit, removed, cursor = 0, 0, None
    while cursor != 0:
        cursor, some = r.scan(cursor or 0, match=pattern, count=1000)
        fit += len(set(some))
        if fit > most:
            raise ValueError(f"{fit} keys fit")
        if some:
            removed += r.unlink(*some)
    return removed


@wrong(says="a guard decides before the first key is removed")
def counts_what_it_removed(r, pattern, most):
    removed = 0
    found = sorted(set(r.scan_iter(match=pattern, count=1000)))
    for start in range(0, len(found), 1000):
        removed += r.unlink(*found[start : start + 1000])
    if removed > most:
        raise ValueError(f"{removed} keys were removed")
    return removed


@wrong(says="it looks a second time to delete")
def looks_twice(r, pattern, most):
    look(r, pattern, most)
    removed, cursor = 0, None
    while cursor != 0:
        cursor, some = r.scan(cursor or 0, match=pattern, count=1000)
        if some:
            removed += r.unlink(*some)
    return removed


@wrong(says="UNLINK without a name is an error")
def unlinks_nothing(r, pattern, most):
    found = look(r, pattern, most)
    removed = r.unlink(*found[:1000])
    for start in range(1000, len(found), 1000):
        removed += r.unlink(*found[start : start + 1000])
    return removed


@wrong(says="One command carried 3,000 names")
def one_giant_unlink(r, pattern, most):
    found = look(r, pattern, most)
    return r.unlink(*found) if found else 0


@wrong(says="DEL frees the memory of what it removes before it answers")
def delete(r, pattern, most):
    found = look(r, pattern, most)
    return sum(r.delete(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="a command for each key is a trip for each key")
def a_trip_for_each_key(r, pattern, most):
    return sum(r.unlink(name) for name in look(r, pattern, most))


def look_by(r, pattern, most, count):
    found = sorted(set(r.scan_iter(match=pattern, count=count)))
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="ask for 1,000 at most")
def one_giant_step(r, pattern, most):
    return look_by(r, pattern, most, 1_000_000)


@wrong(says="ask for 1,000 at most")
def half_of_the_keys_in_a_step(r, pattern, most):
    return look_by(r, pattern, most, max(1, r.dbsize() // 2))


@wrong(says="In this check DBSIZE tells of ten million")
def fifty_steps_whatever_the_size(r, pattern, most):
    return look_by(r, pattern, most, r.dbsize() // 50 + 10)


@wrong(says="ask for 1,000 at most")
def two_large_steps(r, pattern, most):
    return look_by(r, pattern, most, 2000)


@wrong(says="`fnmatch` and `re` read others")
def the_pattern_in_python(r, pattern, most):
    found = sorted(name for name in set(r.scan_iter(count=1000)) if fnmatch.fnmatch(name, pattern))
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="Without COUNT a step of SCAN looks at 10 keys")
def the_default_count(r, pattern, most):
    found = sorted(set(r.scan_iter(match=pattern)))
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="go on counting to the end")
def stops_counting_at_the_guard(r, pattern, most):
    found = set()
    for name in r.scan_iter(match=pattern, count=1000):
        found.add(name)
        if len(found) > most:
            raise ValueError(f"more than {most} keys fit")
    found = sorted(found)
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="more than `most` are too many")
def refuses_exactly_most(r, pattern, most):
    found = sorted(set(r.scan_iter(match=pattern, count=1000)))
    if found and len(found) >= most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="each counted once")
def counts_what_comes_twice(r, pattern, most):
    found = list(r.scan_iter(match=pattern, count=1000))
    if len(found) > most:
        raise ValueError(f"{len(found)} keys fit")
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="UNLINK answers how many there still were")
def returns_how_many_it_found(r, pattern, most):
    found = look(r, pattern, most)
    for start in range(0, len(found), 1000):
        r.unlink(*found[start : start + 1000])
    return len(found)


@wrong(says="raised no ValueError")
def no_guard(r, pattern, most):
    found = sorted(set(r.scan_iter(match=pattern, count=1000)))
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="raised no ValueError")
def returns_instead_of_raising(r, pattern, most):
    try:
        found = look(r, pattern, most)
    except ValueError:
        return 0
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found), 1000))


@wrong(says="the last piece has to go, too")
def forgets_the_last_piece(r, pattern, most):
    found = look(r, pattern, most)
    return sum(r.unlink(*found[start : start + 1000]) for start in range(0, len(found) - 999, 1000))


@wrong(says="that do not fit")
def flushes(r, pattern, most):
    found = look(r, pattern, most)
    r.flushdb()
    return len(found)


@wrong(says="KEYS by another name")
def one_script_for_all(r, pattern, most):
    script = """
    local found, removed, cursor = {}, 0, '0'
    repeat
        local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
        cursor = step[1]
        for _, name in ipairs(step[2]) do found[#found + 1] = name end
    until cursor == '0'
    if #found > tonumber(ARGV[2]) then return -#found end
    for _, name in ipairs(found) do removed = removed + redis.call('UNLINK', name) end
    return removed
    """
    got = r.eval(script, 0, pattern, most)
    if got < 0:
        raise ValueError(f"{-got} keys fit")
    return got
