import contextlib
import json
import pickle

from tests.cases import right, wrong


@right
def get_or_load_and_set(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        try:
            return json.loads(text)
        except ValueError:
            pass
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@right
def setex_in_place_of_set(r, key, seconds, load):
    with contextlib.suppress(TypeError, json.JSONDecodeError):
        return json.loads(r.get(key))
    value = load()
    r.setex(key, seconds, json.dumps(value, sort_keys=True, indent=1))
    return value


@right
def set_and_expire_in_one_transaction(r, key, seconds, load):
    text = r.get(key)
    try:
        return json.loads(text or "")
    except ValueError:
        value = load()
    with r.pipeline() as pipe:
        pipe.set(key, json.dumps(value)).expire(key, seconds).execute()
    return value


@right
def milliseconds(r, key, seconds, load):
    missing = object()

    def read():
        try:
            return json.loads(r.get(key) or "")
        except json.JSONDecodeError:
            return missing

    value = read()
    if value is missing:
        value = load()
        r.set(key, json.dumps(value, separators=(",", ":")), px=1000 * seconds)
    return value


@right
def a_script_that_writes(r, key, seconds, load):
    text = r.eval("return redis.call('GET', KEYS[1])", 1, key)
    if text is not None:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    value = load()
    script = "return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])"
    r.eval(script, 1, key, json.dumps(value), seconds)
    return value


def cached(r, key, load, store):
    """`get_or_load_and_set`, with another way to store."""
    text = r.get(key)
    if text is not None:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    value = load()
    store(value)
    return value


@wrong(says="a crash between SET and EXPIRE leaves a key that never expires")
def set_then_expire(r, key, seconds, load):
    def store(value):
        r.set(key, json.dumps(value))
        r.expire(key, seconds)

    return cached(r, key, load, store)


@wrong(says="in one trip, but in no transaction")
def set_and_expire_without_a_transaction(r, key, seconds, load):
    def store(value):
        pipe = r.pipeline(transaction=False)
        pipe.set(key, json.dumps(value)).expire(key, seconds).execute()

    return cached(r, key, load, store)


@wrong(says="never expires: pass its time to live to SET")
def forgets_the_time_to_live(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, json.dumps(value)))


@wrong(says="`px` counts milliseconds")
def milliseconds_for_seconds(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, json.dumps(value), px=seconds))


@wrong(says="seconds; expected")
def a_time_to_live_of_its_own(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, json.dumps(value), ex=60))


@wrong(says="None is a value: JSON writes it `null`")
def does_not_store_none(r, key, seconds, load):
    def store(value):
        if value is not None:
            r.set(key, json.dumps(value), ex=seconds)

    return cached(r, key, load, store)


@wrong(says="only for a missing key GET answers None")
def empty_values_as_misses(r, key, seconds, load):
    text = r.get(key)
    with contextlib.suppress(ValueError):
        value = json.loads(text or "null")
        if value:
            return value
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="only for a missing key GET answers None")
def null_as_a_miss(r, key, seconds, load):
    with contextlib.suppress(ValueError):
        value = json.loads(r.get(key) or "null")
        if value is not None:
            return value
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="A hit is one GET. Your answer made 2 round trips: EXISTS, GET")
def exists_and_then_get(r, key, seconds, load):
    if r.exists(key):
        with contextlib.suppress(ValueError):
            return json.loads(r.get(key))
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="A hit is one GET. Your answer made 2 round trips: GET, GET")
def reads_again_after_storing(r, key, seconds, load):
    try:
        json.loads(r.get(key) or "")
    except ValueError:
        r.set(key, json.dumps(load()), ex=seconds)
    return json.loads(r.get(key))


@wrong(says="A hit is one GET. Your answer made 2 round trips: GET, EXPIRE")
def a_hit_prolongs_with_expire(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            r.expire(key, seconds)
            return value
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="a hit changes nothing")
def a_hit_prolongs(r, key, seconds, load):
    text = r.getex(key, ex=seconds)
    if text is not None:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="which is no JSON. `json.dumps(value)` makes the text")
def the_text_of_python(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, str(value), ex=seconds))


@wrong(says="bytes that are no text, as `pickle` makes them")
def pickles(r, key, seconds, load):
    try:
        return pickle.loads(r.get(key))
    except Exception:
        value = load()
        r.set(key, pickle.dumps(value), ex=seconds)
        return value


@wrong(says="raised DataError")
def stores_the_value_itself(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, value, ex=seconds))


@wrong(says="Turn the text back into a value with `json.loads`")
def returns_the_text(r, key, seconds, load):
    text = r.get(key)
    if text is None:
        value = load()
        r.set(key, json.dumps(value), ex=seconds)
        return value
    return text


@wrong(says="On a miss, return what `load()` returned")
def returns_nothing_on_a_miss(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    r.set(key, json.dumps(load()), ex=seconds)
    return None


@wrong(says="A cache that cannot be read must not bring the page down")
def garbage_raises(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        return json.loads(text)
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="cut off. Load, as on a miss")
def garbage_is_nothing(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        try:
            return json.loads(text)
        except ValueError:
            return None
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="store what was loaded, or every call loads anew")
def garbage_stays(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        try:
            return json.loads(text)
        except ValueError:
            return load()
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="store what was loaded, or every call loads anew")
def stores_only_where_nothing_is(r, key, seconds, load):
    return cached(r, key, load, lambda value: r.set(key, json.dumps(value), ex=seconds, nx=True))


@wrong(says="how often `load` ran: expected 1, got 2")
def loads_twice(r, key, seconds, load):
    text = r.get(key)
    if text is not None:
        with contextlib.suppress(ValueError):
            return json.loads(text)
    r.set(key, json.dumps(load()), ex=seconds)
    return load()


@wrong(says="Look into Redis first")
def always_loads(r, key, seconds, load):
    value = load()
    r.set(key, json.dumps(value), ex=seconds)
    return value


@wrong(says="A miss takes two round trips")
def deletes_before_it_stores(r, key, seconds, load):
    def store(value):
        r.delete(key)
        r.set(key, json.dumps(value), ex=seconds)

    return cached(r, key, load, store)


@wrong(says="Look into Redis first")
def remembers_in_the_process(r, key, seconds, load, memory={}):  # noqa: B006
    if (r, key) not in memory:
        value = memory[r, key] = load()
        r.set(key, json.dumps(value), ex=seconds)
    return memory[r, key]


@wrong(says="Nothing is stored under")
def a_key_of_its_own(r, key, seconds, load):
    return get_or_load_and_set.answer(r, f"cache:{key}", seconds, load)
