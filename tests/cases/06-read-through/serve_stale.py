import contextlib
import json
import time

from tests.cases import right, wrong


@right
def keeps_the_time_it_has(r, key, load, now):
    text = r.get(key)
    entry = None if text is None else json.loads(text)
    if entry is not None and now() < entry["fresh_until"]:
        return entry["value"]
    try:
        value = load()
    except OSError:
        if entry is None:
            raise
        entry["fresh_until"] = now() + 5
        r.set(key, json.dumps(entry), xx=True, keepttl=True)
        return entry["value"]
    r.set(key, json.dumps({"value": value, "fresh_until": now() + 60}), ex=3660)
    return value


@right
def takes_the_time_along(r, key, load, now):
    text = r.get(key)
    if text is None:
        value = load()
    else:
        entry = json.loads(text)
        if entry["fresh_until"] > now():
            return entry["value"]
        try:
            value = load()
        except (ConnectionError, TimeoutError, OSError):
            left = r.pttl(key)
            if left > 0:
                entry = {"fresh_until": int(now()) + 5, "value": entry["value"]}
                r.psetex(key, left, json.dumps(entry, indent=1))
            return entry["value"]
    with r.pipeline() as pipe:
        pipe.set(key, json.dumps({"fresh_until": int(now()) + 60, "value": value}))
        pipe.expire(key, 3660).execute()
    return value


@right
def a_script_that_moves_the_moment(r, key, load, now):
    def store(value):
        entry = json.dumps({"value": value, "fresh_until": now() + 60, "failed": False})
        r.setex(key, 60 + 3600, entry)
        return value

    entry = json.loads(r.get(key) or "null")
    if entry and now() < entry["fresh_until"]:
        return entry["value"]
    if not entry:
        return store(load())
    try:
        return store(load())
    except OSError:
        entry = json.dumps(entry | {"fresh_until": now() + 5, "failed": True})
        script = (
            "if redis.call('EXISTS', KEYS[1]) == 1 then "
            "redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') end"
        )
        r.eval(script, 1, key, entry)
        return json.loads(entry)["value"]


@right
def looks_again_when_the_load_failed(r, key, load, now):
    text = r.get(key)
    if text and now() < json.loads(text)["fresh_until"]:
        return json.loads(text)["value"]
    try:
        value = load()
    except OSError as error:
        text = r.get(key)
        if text is None:
            raise error
        entry = json.loads(text)
        entry["fresh_until"] = now() + 5
        r.set(key, json.dumps(entry), keepttl=True, xx=True)
        return entry["value"]
    r.set(key, json.dumps({"value": value, "fresh_until": now() + 60}), px=3_660_000)
    return value


def served(  # `keeps_the_time_it_has`, with something else in one place
    r,
    key,
    load,
    now,
    *,
    is_fresh=lambda entry, now: now() < entry["fresh_until"],
    store=lambda r, key, text: r.set(key, text, ex=3660),
    keep=lambda r, key, text: r.set(key, text, xx=True, keepttl=True),
    rest=lambda entry, now: now() + 5,
    caught=OSError,
):
    text = r.get(key)
    entry = None if text is None else json.loads(text)
    if entry is not None and is_fresh(entry, now):
        return entry["value"]
    try:
        value = load()
    except caught:
        if entry is None:
            raise
        entry["fresh_until"] = rest(entry, now)
        keep(r, key, json.dumps(entry))
        return entry["value"]
    store(r, key, json.dumps({"value": value, "fresh_until": now() + 60}))
    return value


@wrong(says="Redis still has the old value: catch OSError and return it")
def lets_every_error_out(r, key, load, now):
    return served(r, key, load, now, caught=())


@wrong(says="Redis still has the old value: catch OSError and return it")
def catches_one_kind_of_oserror(r, key, load, now):
    return served(r, key, load, now, caught=(FileNotFoundError, InterruptedError))


@wrong(says="but a bug that nobody would notice")
def catches_everything(r, key, load, now):
    return served(r, key, load, now, caught=Exception)


@wrong(says="there will be no old value when the database is away")
def forgets_when_it_is_no_longer_fresh(r, key, load, now):
    return served(r, key, load, now, store=lambda r, key, text: r.set(key, text, ex=60))


@wrong(says="has a time to live of 3600 seconds; expected 3660")
def an_hour_from_when_it_was_loaded(r, key, load, now):
    return served(r, key, load, now, store=lambda r, key, text: r.set(key, text, ex=3600))


@wrong(says="never expires: pass its time to live to SET")
def no_time_to_live(r, key, load, now):
    return served(r, key, load, now, store=lambda r, key, text: r.set(key, text))


@wrong(says="leaves a key that never expires. Let SET carry")
def set_and_then_expire(r, key, load, now):
    def store(r, key, text):
        r.set(key, text)
        r.expire(key, 3660)

    return served(r, key, load, now, store=store)


@wrong(says="in one trip, but in no transaction")
def set_and_expire_without_a_transaction(r, key, load, now):
    def store(r, key, text):
        r.pipeline(transaction=False).set(key, text).expire(key, 3660).execute()

    return served(r, key, load, now, store=store)


@wrong(says="`px` counts milliseconds")
def milliseconds_for_seconds(r, key, load, now):
    return served(r, key, load, now, store=lambda r, key, text: r.set(key, text, px=3660))


@wrong(says="never expires: a SET without a time to live takes away the one that was there")
def a_plain_set_after_a_failure(r, key, load, now):
    return served(r, key, load, now, keep=lambda r, key, text: r.set(key, text))


@wrong(says="with each failure the old value would live on, for ever")
def a_whole_hour_more_after_a_failure(r, key, load, now):
    return served(r, key, load, now, keep=lambda r, key, text: r.set(key, text, ex=3660))


@wrong(says="the old value is needed for as long as the database is away")
def five_seconds_to_live_after_a_failure(r, key, load, now):
    return served(r, key, load, now, keep=lambda r, key, text: r.set(key, text, ex=5))


@wrong(says="`keepttl=True` keeps the time to live in the SET itself")
def set_and_expire_after_a_failure(r, key, load, now):
    def keep(r, key, text):
        left = r.ttl(key)
        r.set(key, text, xx=True)
        r.expire(key, left)

    return served(r, key, load, now, keep=keep)


@wrong(says="`xx=True` stores only where the key is still there")
def keeps_the_time_of_what_is_gone(r, key, load, now):
    return served(r, key, load, now, keep=lambda r, key, text: r.set(key, text, keepttl=True))


@wrong(says="and 0 seconds later your function asked the database again")
def hammers_the_database(r, key, load, now):
    return served(r, key, load, now, keep=lambda *_: None)


@wrong(says="and 4 seconds later your function asked the database again")
def rests_for_a_moment(r, key, load, now):
    return served(r, key, load, now, rest=lambda _, now: now() + 1)


@wrong(says="seconds later your function asked the database again")
def five_seconds_from_when_it_was_fresh(r, key, load, now):
    return served(r, key, load, now, rest=lambda entry, _: entry["fresh_until"] + 5)


@wrong(says="the old value is fresh for 5 seconds and no longer")
def rests_for_a_minute(r, key, load, now):
    return served(r, key, load, now, rest=lambda _, now: now() + 60)


@wrong(says="the 5 seconds begin when it has failed")
def asks_the_time_before_the_load(r, key, load, now):
    began = now()
    return served(r, key, load, now, rest=lambda *_: began + 5)


@wrong(says="A value is fresh while `now() < fresh_until`")
def fresh_at_the_last_moment_too(r, key, load, now):
    return served(r, key, load, now, is_fresh=lambda entry, now: now() <= entry["fresh_until"])


@wrong(says="and compare `fresh_until` with `now()`")
def a_clock_of_its_own(r, key, load, now):
    return served(r, key, load, time.time)


@wrong(says="and compare `fresh_until` with `now()`")
def asks_the_database_first(r, key, load, now):
    try:
        value = load()
    except OSError:
        return served(r, key, load, now)
    r.set(key, json.dumps({"value": value, "fresh_until": now() + 60}), ex=3660)
    return value


@wrong(says="Look into Redis first")
def takes_the_moment_for_seconds_left(r, key, load, now):
    return served(r, key, load, now, is_fresh=lambda entry, now: now() + entry["fresh_until"] < 0)


@wrong(says="It is a moment, 60 seconds after `now()`")
def stores_how_long_it_is_fresh(r, key, load, now):
    def store(r, key, text):
        r.set(key, json.dumps(json.loads(text) | {"fresh_until": 60}), ex=3660)

    return served(r, key, load, now, store=store)


@wrong(says="did not load. A value is fresh while")
def whatever_is_there_is_fresh(r, key, load, now):
    return served(r, key, load, now, is_fresh=lambda *_: True)


@wrong(says="None, 0 and empty values are values")
def empty_values_as_misses(r, key, load, now):
    return served(
        r,
        key,
        load,
        now,
        is_fresh=lambda entry, now: entry["value"] and now() < entry["fresh_until"],
    )


@wrong(says="which is None: a value like any other")
def empty_old_values_are_nothing(r, key, load, now):
    entry = json.loads(r.get(key) or "{}")
    if entry and now() < entry["fresh_until"]:
        return entry["value"]
    try:
        value = load()
    except OSError:
        if not entry.get("value"):
            raise
        entry["fresh_until"] = now() + 5
        r.set(key, json.dumps(entry), xx=True, keepttl=True)
        return entry["value"]
    r.set(key, json.dumps({"value": value, "fresh_until": now() + 60}), ex=3660)
    return value


@wrong(says="there is no old value, so the error has to reach the caller")
def nothing_when_there_is_nothing(r, key, load, now):
    with contextlib.suppress(OSError):
        return served(r, key, load, now)
    return None


@wrong(says='The value stands in the JSON under `"value"`')
def returns_the_whole_entry(r, key, load, now):
    text = r.get(key)
    if text and now() < json.loads(text)["fresh_until"]:
        return json.loads(text)
    return served(r, key, load, now)


@wrong(says='expected a dictionary with "value" and "fresh_until"')
def stores_the_value_alone(r, key, load, now):
    def store(r, key, text):
        r.set(key, json.dumps(json.loads(text)["value"]), ex=3660)

    return served(r, key, load, now, store=store)


@wrong(says="When `load()` succeeds, return what it returned")
def the_old_value_one_last_time(r, key, load, now):
    text = r.get(key)
    new = served(r, key, load, now)
    return json.loads(text)["value"] if text else new


@wrong(says="`load` ran 3 times in one call")
def tries_three_times(r, key, load, now):
    def again():
        for _ in range(2):
            with contextlib.suppress(OSError):
                return load()
        return load()

    return served(r, key, again, now)


@wrong(says="A fresh value takes one GET. Your answer made 2 round trips: EXISTS, GET")
def exists_and_then_get(r, key, load, now):
    if not r.exists(key):
        return served(r, key, load, now)
    return served(r, key, load, now)


@wrong(says="reading it changed what is stored or how long it lives")
def a_hit_prolongs(r, key, load, now):
    text = r.getex(key, ex=3660)
    if text and now() < json.loads(text)["fresh_until"]:
        return json.loads(text)["value"]
    return served(r, key, load, now)
