import redis

from tests.cases import right, wrong

MEND = """
local done = {}
for _, name in ipairs(KEYS) do
    if redis.call('PTTL', name) == -1 then
        redis.call('EXPIRE', name, ARGV[1])
        done[#done + 1] = name
    end
end
return done
"""


def expire(r, names, seconds, **options):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.expire(name, seconds, **options)
        return pipe.execute()


@right
def a_pipeline_of_expire_nx(r, names, seconds):
    done = expire(r, names, seconds, nx=True)
    return [name for name, given in zip(names, done, strict=True) if given]


@right
def a_transaction_in_milliseconds(r, names, seconds):
    pipe = r.pipeline()
    for name in names:
        pipe.pexpire(name, seconds * 1000, nx=True)
    return [name for name, given in zip(names, pipe.execute(), strict=True) if given]


@right
def script(r, names, seconds):
    return r.eval(MEND, len(names), *names, seconds)


@right
def words_as_they_are_typed(r, names, seconds):
    if not names:
        return []
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.execute_command("EXPIRE", name, seconds, "NX")
        return [name for name, given in zip(names, pipe.execute(), strict=True) if given]


@right
def sees_what_has_none_in_a_transaction(r, names, seconds):
    with r.pipeline() as pipe:
        for name in names:
            pipe.pttl(name).expire(name, seconds, nx=True)
        left = pipe.execute()[::2]
    return [name for name, each in zip(names, left, strict=True) if each == -1]


@wrong(says="a session that was to end in a minute lives on")
def expire_on_all(r, names, seconds):
    done = expire(r, names, seconds)
    return [name for name, given in zip(names, done, strict=True) if given]


@wrong(says="`nx=True` lets the server look and set in one step")
def looks_and_then_sets(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name)
        immortal = [name for name, left in zip(names, pipe.execute(), strict=True) if left == -1]
    expire(r, immortal, seconds)
    return immortal


@wrong(says="Looking and setting are two trips")
def looks_first_and_sets_with_nx(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name)
        immortal = [name for name, left in zip(names, pipe.execute(), strict=True) if left == -1]
    return a_pipeline_of_expire_nx.answer(r, immortal, seconds)


@wrong(says="name the keys whose EXPIRE with `nx=True` answered True")
def looks_and_names_what_a_rival_mended(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name)
        immortal = [name for name, left in zip(names, pipe.execute(), strict=True) if left == -1]
    expire(r, immortal, seconds, nx=True)
    return immortal


@wrong(says="Others have their turn between two commands, on a pipeline, too")
def looks_on_the_same_pipeline(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.ttl(name).expire(name, seconds, nx=True)
        left = pipe.execute()[::2]
    return [name for name, each in zip(names, left, strict=True) if each == -1]


@wrong(says="Others have their turn between two commands, on a pipeline, too")
def names_what_lives_so_long_now(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.expire(name, seconds, nx=True).ttl(name)
        left = pipe.execute()[1::2]
    return [name for name, each in zip(names, left, strict=True) if each == seconds]


@wrong(says="ask for the keys in `names` alone")
def a_script_that_scans(r, names, seconds):
    mend = r.register_script("""
        local wanted, cursor, done = {}, '0', {}
        for _, name in ipairs(KEYS) do wanted[name] = true end
        repeat
            local step = redis.call('SCAN', cursor, 'COUNT', 1000)
            cursor = step[1]
            for _, name in ipairs(step[2]) do
                if wanted[name] and redis.call('EXPIRE', name, ARGV[1], 'NX') == 1 then
                    done[#done + 1] = name
                end
            end
        until cursor == '0'
        return done
    """)
    done = set(mend(keys=names, args=[seconds]))
    return [name for name in names if name in done]


@wrong(says="is a journey for each key")
def one_by_one(r, names, seconds):
    return [name for name in names if r.expire(name, seconds, nx=True)]


@wrong(says="`lt=True` takes a key without a time to live")
def only_shorter(r, names, seconds):
    done = expire(r, names, seconds, lt=True)
    return [name for name, given in zip(names, done, strict=True) if given]


@wrong(says="`xx=True` and `gt=True` pass them over")
def only_longer(r, names, seconds):
    done = expire(r, names, seconds, gt=True)
    return [name for name, given in zip(names, done, strict=True) if given]


@wrong(says="PEXPIRE counts milliseconds, EXPIRE seconds")
def seconds_for_milliseconds(r, names, seconds):
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pexpire(name, seconds, nx=True)
        return [name for name, given in zip(names, pipe.execute(), strict=True) if given]


@wrong(says="the replies of the pipeline")
def returns_the_replies(r, names, seconds):
    return expire(r, names, seconds, nx=True)


@wrong(says="not how many there are")
def returns_how_many(r, names, seconds):
    return sum(expire(r, names, seconds, nx=True))


@wrong(says="leave them out")
def returns_all_names(r, names, seconds):
    expire(r, names, seconds, nx=True)
    return names


@wrong(says="in the order of `names`")
def sorted_names(r, names, seconds):
    return sorted(a_pipeline_of_expire_nx.answer(r, names, seconds), reverse=True)


@wrong(says="With no names there is nothing to send")
def a_script_without_arguments(r, names, seconds):
    if not names:
        return r.execute_command("EVAL", MEND)
    return script.answer(r, names, seconds)


@wrong(says="not among `names`")
def all_keys(r, names, seconds):
    done = a_pipeline_of_expire_nx.answer(r, names, seconds)
    expire(r, r.scan_iter(count=1000), seconds, nx=True)
    return done


@wrong(says="needs no WATCH")
def watches_and_gives_up(r, names, seconds):
    if not names:
        return []
    with r.pipeline() as pipe:
        pipe.watch(*names)
        immortal = [name for name in names if pipe.ttl(name) == -1]
        pipe.multi()
        for name in immortal:
            pipe.expire(name, seconds)
        pipe.execute()
    return immortal


@wrong(says="are no more as they were")
def makes_what_is_missing(r, names, seconds):
    with r.pipeline() as pipe:
        for name in names:
            pipe.set(name, "", nx=True, ex=seconds)
        pipe.execute()
    try:
        return a_pipeline_of_expire_nx.answer(r, names, seconds)
    except redis.ResponseError:
        return []
