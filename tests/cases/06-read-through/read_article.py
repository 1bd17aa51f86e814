import contextlib
import json
import pickle

import redis

from tests.cases import right, wrong


def key_of(article_id):
    return f"news:article:{article_id}"


@right
def two_small_tries(r, load, article_id):
    try:
        text = r.get(key_of(article_id))
    except redis.RedisError:
        text = None
    if text is not None:
        try:
            return json.loads(text)
        except ValueError:
            pass
    article = load(article_id)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@right
def one_try_for_the_read(r, load, article_id):
    try:
        return json.loads(r.get(key_of(article_id)))
    except (redis.RedisError, TypeError, ValueError):
        pass
    article = load(article_id)
    try:
        r.setex(key_of(article_id), 300, json.dumps(article, indent=1, sort_keys=True))
    except redis.RedisError as error:
        print("the cache is away:", error)
    return article


@right
def every_exception_but_not_of_load(r, load, article_id):
    found = None
    with contextlib.suppress(Exception):
        found = json.loads(r.get(key_of(article_id)) or "null")
    if found is None:
        found = load(article_id)
        with contextlib.suppress(Exception):
            r.set(key_of(article_id), json.dumps(found), px=300_000)
    return found


@right
def set_and_expire_in_a_transaction(r, load, article_id):
    with contextlib.suppress(redis.RedisError, ValueError):
        text = r.get(key_of(article_id))
        if text:
            return json.loads(text)
    article = load(article_id)
    with contextlib.suppress(redis.RedisError), r.pipeline() as pipe:
        pipe.set(key_of(article_id), json.dumps(article))
        pipe.expire(key_of(article_id), 300)
        pipe.execute()
    return article


@right
def does_not_write_where_it_could_not_read(r, load, article_id):
    try:
        text = r.get(key_of(article_id))
    except redis.RedisError:
        return load(article_id)
    try:
        return json.loads(text or "")
    except ValueError:
        article = load(article_id)
    try:
        r.set(key_of(article_id), json.dumps(article), ex=300)
    except redis.RedisError:
        return article
    return article


def read(r, article_id):
    """What the cache has, or None."""
    try:
        return json.loads(r.get(key_of(article_id)) or "null")
    except (redis.RedisError, ValueError):
        return None


def through(r, load, article_id, store):
    """A right answer, with another way to store."""
    article = read(r, article_id)
    if article is None:
        article = load(article_id)
        with contextlib.suppress(redis.RedisError):
            store(key_of(article_id), article)
    return article


@wrong(says="look into Redis first")
def always_loads(r, load, article_id):
    article = load(article_id)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="Nothing is stored under")
def stores_nothing(r, load, article_id):
    return through(r, load, article_id, lambda key, article: None)


@wrong(says="what is stored is article:")
def forgets_the_prefix(r, load, article_id):
    with contextlib.suppress(redis.RedisError, ValueError):
        text = r.get(f"article:{article_id}")
        if text:
            return json.loads(text)
    article = load(article_id)
    with contextlib.suppress(redis.RedisError):
        r.set(f"article:{article_id}", json.dumps(article), ex=300)
    return article


@wrong(says="never expires: pass its time to live to SET")
def forgets_the_time_to_live(r, load, article_id):
    return through(r, load, article_id, lambda key, article: r.set(key, json.dumps(article)))


@wrong(says="`px` counts milliseconds")
def milliseconds_for_seconds(r, load, article_id):
    return through(
        r, load, article_id, lambda key, article: r.set(key, json.dumps(article), px=300)
    )


@wrong(says="seconds; expected 300")
def another_time_to_live(r, load, article_id):
    return through(
        r, load, article_id, lambda key, article: r.set(key, json.dumps(article), ex=600)
    )


@wrong(says="a crash between SET and EXPIRE leaves a key that never expires")
def set_then_expire(r, load, article_id):
    def store(key, article):
        r.set(key, json.dumps(article))
        r.expire(key, 300)

    return through(r, load, article_id, store)


@wrong(says="in one trip, but in no transaction")
def set_and_expire_without_a_transaction(r, load, article_id):
    def store(key, article):
        pipe = r.pipeline(transaction=False)
        pipe.set(key, json.dumps(article)).expire(key, 300).execute()

    return through(r, load, article_id, store)


@wrong(says="which is no JSON. `json.dumps` makes the text")
def the_text_of_python(r, load, article_id):
    return through(r, load, article_id, lambda key, article: r.set(key, str(article), ex=300))


@wrong(says="bytes that are no text, as `pickle` makes them")
def pickles(r, load, article_id):
    return through(
        r, load, article_id, lambda key, article: r.set(key, pickle.dumps(article), ex=300)
    )


@wrong(says="is a hash; store a text")
def a_hash(r, load, article_id):
    def store(key, article):
        pipe = r.pipeline()
        pipe.hset(key, mapping={name: str(value) for name, value in article.items()})
        pipe.expire(key, 300).execute()

    return through(r, load, article_id, store)


@wrong(says="Turn the text back into an article")
def returns_the_text(r, load, article_id):
    with contextlib.suppress(redis.RedisError):
        text = r.get(key_of(article_id))
        if text:
            return text
    return two_small_tries.answer(r, load, article_id)


@wrong(says="A hit is one GET. Your answer made 2 round trips: EXISTS, GET")
def exists_and_then_get(r, load, article_id):
    with contextlib.suppress(redis.RedisError, ValueError):
        if r.exists(key_of(article_id)):
            return json.loads(r.get(key_of(article_id)))
    article = load(article_id)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="a hit changes nothing")
def a_hit_prolongs(r, load, article_id):
    with contextlib.suppress(redis.RedisError, ValueError):
        text = r.getex(key_of(article_id), ex=300)
        if text:
            return json.loads(text)
    return two_small_tries.answer(r, load, article_id)


@wrong(says="keep nothing in your own")
def remembers_in_the_process(r, load, article_id, memory={}):  # noqa: B006
    if (r, article_id) not in memory:
        memory[r, article_id] = two_small_tries.answer(r, load, article_id)
    return memory[r, article_id]


@wrong(says="what `load` was asked for")
def loads_by_the_key(r, load, article_id):
    article = read(r, article_id)
    return load(key_of(article_id)) if article is None else article


@wrong(says="It was the write that failed. Catch `redis.RedisError`, with `redis.` in front")
def catches_nothing(r, load, article_id):
    text = r.get(key_of(article_id))
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(text)
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="Python's own ConnectionError and TimeoutError are other exceptions")
def catches_the_errors_of_python(r, load, article_id):
    text = None
    with contextlib.suppress(ConnectionError, TimeoutError):
        text = r.get(key_of(article_id))
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(text)
    article = load(article_id)
    with contextlib.suppress(ConnectionError, TimeoutError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="Catch `redis.RedisError`, which is all of them")
def catches_only_a_lost_connection(r, load, article_id):
    text = None
    with contextlib.suppress(redis.ConnectionError):
        text = r.get(key_of(article_id))
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(text)
    article = load(article_id)
    with contextlib.suppress(redis.ConnectionError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="It was the write that failed")
def catches_at_the_read_only(r, load, article_id):
    article = read(r, article_id)
    if article is None:
        article = load(article_id)
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="It was the read that failed")
def catches_at_the_write_only(r, load, article_id):
    text = r.get(key_of(article_id))
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(text)
    article = load(article_id)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="Give the GET and the SET each a `try` of its own")
def one_try_around_all(r, load, article_id):
    try:
        text = r.get(key_of(article_id))
        with contextlib.suppress(TypeError, ValueError):
            return json.loads(text)
        article = load(article_id)
        r.set(key_of(article_id), json.dumps(article), ex=300)
        return article
    except redis.RedisError:
        return load(article_id)


@wrong(says="The database has the article")
def no_page_without_redis(r, load, article_id):
    try:
        return catches_nothing.answer(r, load, article_id)
    except redis.RedisError:
        return None


@wrong(says="an error of the database has to reach the caller")
def swallows_every_error(r, load, article_id):
    article = read(r, article_id)
    if article is None:
        with contextlib.suppress(Exception):
            article = load(article_id)
            r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="an error of the database has to reach the caller")
def takes_a_lost_database_for_a_lost_redis(r, load, article_id):
    article = read(r, article_id)
    if article is None:
        with contextlib.suppress(redis.RedisError, OSError):
            article = load(article_id)
            r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="one call: keep it out of your `try`")
def asks_a_failing_database_again(r, load, article_id):
    article = read(r, article_id)
    if article is None:
        try:
            article = load(article_id)
        except Exception:
            article = load(article_id)
        with contextlib.suppress(redis.RedisError):
            r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="where there is no answer there is nothing to keep")
def keeps_the_error(r, load, article_id):
    article = read(r, article_id)
    if article is None:
        try:
            article = load(article_id)
        except Exception as error:
            r.set(key_of(article_id), json.dumps({"error": str(error)}), ex=300)
            raise
        with contextlib.suppress(redis.RedisError):
            r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="A cache that cannot be read must not bring the page down")
def garbage_raises(r, load, article_id):
    text = None
    with contextlib.suppress(redis.RedisError):
        text = r.get(key_of(article_id))
    if text is not None:
        return json.loads(text)
    return two_small_tries.answer(r, load, article_id)


@wrong(says="store what was loaded, or every call loads")
def garbage_stays(r, load, article_id):
    def store(key, article):
        r.set(key, json.dumps(article), ex=300, nx=True)

    return through(r, load, article_id, store)


@wrong(says="expected")
def garbage_is_no_article(r, load, article_id):
    text = None
    with contextlib.suppress(redis.RedisError):
        text = r.get(key_of(article_id))
    if text is None:
        return two_small_tries.answer(r, load, article_id)
    try:
        return json.loads(text)
    except ValueError:
        return None
