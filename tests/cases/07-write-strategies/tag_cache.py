import json
import random
import time
from uuid import uuid4

from tests.cases import right, wrong


def generation_of(tag):
    return f"news:tag:{tag}"


def token():
    return uuid4().hex


def envelope(value, generations):
    return json.dumps({"value": value, "generations": generations})


@right
def deletes_the_generation(r):
    def read(key, tags, load):
        names = [f"news:tag:{tag}" for tag in tags]
        text, *now = r.mget([key, *names])
        if text is not None and None not in now:
            entry = json.loads(text)
            if entry["generations"] == now:
                return entry["value"]
        if None in now:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, uuid4().hex, nx=True)
                now = pipe.mget(names).execute()[-1]
        value = load()
        r.set(key, json.dumps({"value": value, "generations": now}), ex=300)
        return value

    def drop(tag):
        r.delete(f"news:tag:{tag}")

    return read, drop


@right
def sets_a_new_random_generation(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        entry = json.loads(text) if text else None
        if entry and None not in now and entry["generations"] == now:
            return entry["value"]
        missing = [name for name, found in zip(names, now, strict=True) if found is None]
        if missing:
            pipe = r.pipeline()
            for name in missing:
                pipe.set(name, token(), nx=True)
            pipe.mget(names)
            now = pipe.execute()[-1]
        value = load()
        r.setex(key, 300, envelope(value, now))
        return value

    return [read, lambda tag: r.set(generation_of(tag), token())]


@right
def one_script_looks_and_makes(r):
    look = r.register_script("""
        local now = {}
        for i = 2, #KEYS do
            redis.call('SET', KEYS[i], ARGV[1], 'NX')
            now[#now + 1] = redis.call('GET', KEYS[i])
        end
        return {redis.call('GET', KEYS[1]), now}
    """)

    def read(key, tags, load):
        text, now = look(keys=[key, *map(generation_of, tags)], args=[token()])
        if text is not None:
            entry = json.loads(text)
            if entry["generations"] == now:
                return entry["value"]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    def drop(tag):
        r.unlink(generation_of(tag))

    return read, drop


@right
def a_class_with_two_methods(r):
    class Tags:
        def read(self, key, tags, load):
            names = [generation_of(tag) for tag in tags]
            with r.pipeline(transaction=False) as pipe:
                text, *now = pipe.get(key).mget([*names, "news:none"]).execute()
                now = now[0][:-1]
            generations = dict(zip(names, now, strict=True))
            if text is not None and all(now):
                entry = json.loads(text)
                if entry["generations"] == generations:
                    return entry["value"]
            if not all(now):
                made = {name: token() for name in names}
                with r.pipeline() as pipe:
                    for name in names:
                        pipe.set(name, made[name], nx=True)
                        pipe.get(name)
                    generations = dict(zip(names, pipe.execute()[1::2], strict=True))
            value = load()
            r.set(key, envelope(value, generations), ex=300)
            return value

        def drop(self, tag):
            r.getdel(generation_of(tag))

    tags = Tags()
    return tags.read, tags.drop


def counters(r, *, first=None, drop=None):
    """A tag cache on counters, as one is often written: a missing one is 0."""

    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        now = [found or first for found in now]
        if text is not None:
            entry = json.loads(text)
            if entry["generations"] == now:
                return entry["value"]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, drop or (lambda tag: r.incr(generation_of(tag)))


@wrong(says="Redis evicted")
def a_missing_counter_is_0(r):
    return counters(r, first="0")


@wrong(says="Redis evicted")
def a_missing_generation_is_none(r):
    return counters(r, drop=lambda tag: r.set(generation_of(tag), token()))


@wrong(says="a random one, not a count from 0")
def counts_from_1_again(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        if text is not None and None not in now:
            entry = json.loads(text)
            if entry["generations"] == now:
                return entry["value"]
        if None in now:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, 1, nx=True)
                now = pipe.mget(names).execute()[-1]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, lambda tag: r.incr(generation_of(tag))


@wrong(says="nothing with the tag")
def nobody_makes_a_new_generation(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        if text is not None:
            entry = json.loads(text)
            if entry["generations"] == now and None not in now:
                return entry["value"]
        value = load()
        if text is None:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, token(), nx=True)
                now = pipe.mget([*names, "news:none"]).execute()[-1][:-1]
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, lambda tag: r.set(generation_of(tag), token())


def tagged(
    r,
    *,
    nx=True,
    again=True,
    after=False,
    ex=300,
    make=token,
    check=lambda held, now: held == now,
):
    """A tag cache that can be made wrong in one place each."""

    def generations(names, now):
        if None not in now:
            return now
        made = [make() for _ in names]
        with r.pipeline() as pipe:
            for name, new, found in zip(names, made, now, strict=True):
                if found is None:
                    pipe.set(name, new, nx=nx)
            if not again:
                pipe.execute()
                return [found or new for found, new in zip(now, made, strict=True)]
            return pipe.mget(names).execute()[-1]

    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        if text is not None and None not in now:
            entry = json.loads(text)
            if check(entry["generations"], now):
                return entry["value"]
        if after:
            value = load()
            found = r.mget([*names, "news:none"])[:-1]
            now = generations(names, found)
        else:
            now = generations(names, now)
            value = load()
        r.set(key, envelope(value, now), ex=ex)
        return value

    def drop(tag):
        r.delete(generation_of(tag))

    return read, drop


@right
def with_helpers(r):
    return tagged(r)


@right
def a_hash_for_each_value(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        with r.pipeline() as pipe:
            pipe.hgetall(key)
            for name in names:
                pipe.get(name)
            held, *now = pipe.execute()
        if held and None not in now and held["under"] == " ".join(now):
            return json.loads(held["value"])
        if None in now:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, time.time_ns(), nx=True)
                now = pipe.mget(names).execute()[-1]
        value = load()
        with r.pipeline() as pipe:
            pipe.hset(key, mapping={"value": json.dumps(value), "under": " ".join(now)})
            pipe.expire(key, 300).execute()
        return value

    def drop(tag):
        r.set(generation_of(tag), time.time_ns())

    return read, drop


@wrong(says="Read the generations before `load()`, and store those")
def reads_the_generations_after_the_load(r):
    return tagged(r, after=True)


@wrong(says="a random one, not a count from 0")
def counts_on_from_a_random_number(r):
    read, _ = tagged(r, make=lambda: random.getrandbits(48))
    return read, lambda tag: r.incr(generation_of(tag))


@wrong(says="make it with `nx=True`")
def overwrites_a_generation(r):
    return tagged(r, nx=False)


@wrong(says="after `nx=True` read what stands there")
def keeps_its_own_generation(r):
    return tagged(r, again=False)


@wrong(says="never expires")
def forgets_the_time_to_live(r):
    return tagged(r, ex=None)


@wrong(says="It counts only if each of its generations is still the one")
def looks_at_the_first_tag_only(r):
    return tagged(r, check=lambda held, now: held[:1] == now[:1])


@wrong(says="It counts only if each of its generations is still the one")
def one_generation_of_all_is_enough(r):
    def check(held, now):
        return not held or any(a == b for a, b in zip(held, now, strict=True))

    return tagged(r, check=check)


@wrong(says="takes 2 positional arguments but 3 were given")
def reads_without_a_load(r):
    read, drop = tagged(r)
    return (lambda key, tags: read(key, tags, None)), drop


@wrong(says="expected two functions: `return read, drop`")
def returns_one_function(r):
    return tagged(r)[0]


@wrong(says="expected two functions: `return read, drop`")
def returns_a_dictionary(r):
    read, drop = tagged(r)
    return {"read": read, "drop": drop}


@wrong(says="Get the value and the generations of its tags with one MGET")
def asks_for_generations_apart(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text = r.get(key)
        now = r.mget([*names, "news:none"])[:-1]
        if text is not None and None not in now:
            entry = json.loads(text)
            if entry["generations"] == now:
                return entry["value"]
        if None in now:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, token(), nx=True)
                now = pipe.mget(names).execute()[-1]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, tagged(r)[1]


@wrong(says="a list of what carries a tag grows with it")
def a_set_of_keys_for_each_tag(r):
    def read(key, tags, load):
        text = r.get(key)
        if text is not None:
            return json.loads(text)
        value = load()
        with r.pipeline() as pipe:
            pipe.set(key, json.dumps(value), ex=300)
            for tag in tags:
                pipe.sadd(f"news:keys:{tag}", key)
            pipe.execute()
        return value

    def drop(tag):
        keys = r.smembers(f"news:keys:{tag}")
        r.delete(f"news:keys:{tag}", *keys)

    return read, drop


@wrong(says="the values need not be found")
def a_set_of_keys_under_the_name_of_the_generation(r):
    def read(key, tags, load):
        text = r.get(key)
        if text is not None:
            return json.loads(text)
        value = load()
        with r.pipeline() as pipe:
            pipe.set(key, json.dumps(value), ex=300)
            for tag in tags:
                pipe.sadd(generation_of(tag), key)
            pipe.execute()
        return value

    def drop(tag):
        keys = r.smembers(generation_of(tag))
        r.delete(generation_of(tag), *keys)

    return read, drop


@wrong(says="its cost grows with the values that carry the tag")
def a_script_that_deletes_them_all(r):
    def read(key, tags, load):
        text = r.get(key)
        if text is not None:
            return json.loads(text)
        value = load()
        with r.pipeline() as pipe:
            pipe.set(key, json.dumps(value), ex=300)
            for tag in tags:
                pipe.sadd(generation_of(tag), key)
            pipe.execute()
        return value

    def drop(tag):
        r.eval(
            "for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do redis.call('DEL', key) end "
            "return redis.call('DEL', KEYS[1])",
            1,
            generation_of(tag),
        )

    return read, drop


@wrong(says="only those with the tag are old")
def empties_the_cache(r):
    read, _ = tagged(r)
    return read, lambda _: r.flushdb()


@wrong(says="One is enough, on the generation")
def scans_for_what_has_the_tag(r):
    read, _ = tagged(r)

    def drop(tag):
        for key in r.scan_iter("news:*"):
            r.delete(key)

    return read, drop


@wrong(says="was answered as before")
def compares_times_of_whole_seconds(r):
    def read(key, tags, load):
        text, *dropped = r.mget([key, *map(generation_of, tags)])
        if text is not None:
            entry = json.loads(text)
            if all(entry["at"] >= int(at or 0) for at in dropped):
                return entry["value"]
        at = int(time.time())
        value = load()
        r.set(key, json.dumps({"value": value, "at": at}), ex=300)
        return value

    return read, lambda tag: r.set(generation_of(tag), int(time.time()))


@wrong(says="nothing was dropped, and the next read loaded again")
def takes_none_for_nothing(r):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        if text is not None and None not in now:
            entry = json.loads(text)
            if entry["generations"] == now and entry["value"]:
                return entry["value"]
        if None in now:
            with r.pipeline() as pipe:
                for name in names:
                    pipe.set(name, token(), nx=True)
                now = pipe.mget(names).execute()[-1]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, tagged(r)[1]


@wrong(says="an error of the database has to reach the caller")
def stores_nothing_for_an_error(r):
    read, drop = tagged(r)

    def careful(key, tags, load):
        try:
            return read(key, tags, load)
        except Exception:
            return None

    return careful, drop


@wrong(says="A hit asked Redis nothing")
def remembers_generations_in_the_process(r):
    held = {}
    read, drop = tagged(r)

    def with_a_copy(key, tags, load):
        if key not in held:
            held[key] = (read(key, tags, load), [*tags])
        return held[key][0]

    def drop_here(tag):
        for key in [key for key, (_, tags) in held.items() if tag in tags]:
            del held[key]
        drop(tag)

    return with_a_copy, drop_here


def in_the_usual_way(r, generation, **how):
    def read(key, tags, load):
        names = [generation_of(tag) for tag in tags]
        text, *now = r.mget([key, *names])
        entry = json.loads(text) if text else None
        if entry and None not in now and entry["generations"] == now:
            return entry["value"]
        if None in now:
            pipe = r.pipeline()
            for name in names:
                pipe.set(name, generation(), nx=True, **how)
            now = pipe.mget(names).execute()[-1]
        value = load()
        r.set(key, envelope(value, now), ex=300)
        return value

    return read, lambda tag: r.delete(generation_of(tag))


@right
def generations_of_the_moment(r):
    return in_the_usual_way(r, time.time_ns)


@wrong(says="one that was there before, or so short that it will be again")
def draws_one_of_a_thousand(r):
    return in_the_usual_way(r, lambda: random.randint(1, 1000))


@wrong(says="A generation has a time to live")
def lets_generations_expire(r):
    return in_the_usual_way(r, token, ex=300)


@wrong(says="leaves news:tag:")
def lets_a_dropped_generation_expire(r):
    read, _ = in_the_usual_way(r, token)
    return read, lambda tag: r.set(generation_of(tag), token(), ex=300)
