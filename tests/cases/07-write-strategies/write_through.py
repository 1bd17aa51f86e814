import contextlib
import json

import redis

from tests.cases import right, wrong

WRITING = "writing"


def key_of(article_id):
    return f"news:article:{article_id}"


@right
def as_it_is_told(r, db, article_id, article, ttl):
    key, text = key_of(article_id), json.dumps(article)
    r.set(key, WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key, text, ex=ttl)


@right
def setex_and_milliseconds(r, db, article_id, article, ttl):
    text = json.dumps(article, separators=(",", ":"))
    r.psetex(key_of(article_id), 30_000, WRITING)
    db.save(article_id, json.loads(text))
    try:
        r.setex(key_of(article_id), ttl, text)
    except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError):
        return


@right
def only_over_its_mark(r, db, article_id, article, ttl):
    text = json.dumps(article)
    with r.pipeline() as pipe:
        pipe.set(key_of(article_id), WRITING).expire(key_of(article_id), 30).execute()
    db.save(article_id, article)
    try:
        r.set(key_of(article_id), text, ex=ttl, xx=True)
    except redis.RedisError as error:
        print("not cached:", error)


@right
def a_script_over_its_mark(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.eval("return redis.call('SET', KEYS[1], ARGV[1], 'EX', 30)", 1, key_of(article_id), WRITING)
    db.save(article_id, article)
    replace = r.register_script("""
        if redis.call('GET', KEYS[1]) == ARGV[1] then
            redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
        end
    """)
    with contextlib.suppress(redis.RedisError):
        replace(keys=[key_of(article_id)], args=[WRITING, text, ttl])


@wrong(says="held the old article. If the program stops before the last SET")
def marks_only_where_nothing_is(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30, nx=True)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="was missing: a reader who has loaded the old article stores it there")
def deletes_in_place_of_marking(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.delete(key_of(article_id))
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="held the old article. If the program stops before the last SET")
def writes_the_database_first(r, db, article_id, article, ttl):
    text = json.dumps(article)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="held the new article already")
def writes_the_cache_first(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), text, ex=ttl)
    db.save(article_id, article)


@wrong(says="and the database the old one: write the database first")
def takes_the_cache_back_on_an_error(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), text, ex=ttl)
    try:
        db.save(article_id, article)
    except BaseException:
        r.set(key_of(article_id), WRITING, ex=30)
        raise


@wrong(says="Call `json.dumps` in the first line")
def encodes_after_the_mark(r, db, article_id, article, ttl):
    r.set(key_of(article_id), WRITING, ex=30)
    text = json.dumps(article)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="the database was written before that was known")
def encodes_at_the_end(r, db, article_id, article, ttl):
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), json.dumps(article), ex=ttl)


@wrong(says="Readers would get something else than the database has")
def encodes_anything_as_text(r, db, article_id, article, ttl):
    text = json.dumps(article, default=str)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="without the mark the old article stays in the cache")
def writes_on_without_the_mark(r, db, article_id, article, ttl):
    text = json.dumps(article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="never expires: after a crash no reader could ever cache the article again")
def a_mark_for_ever(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="The mark in news:article:")
def a_mark_of_30_milliseconds(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=300)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="held while the database was being written: expected 'writing'")
def a_mark_that_nobody_knows(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), "wait", ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="behind")
def a_mark_beside_the_article(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(f"{key_of(article_id)}:mark", WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="Leave the mark where it is: it expires")
def takes_the_mark_away_on_an_error(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    try:
        db.save(article_id, article)
    except BaseException:
        r.delete(key_of(article_id))
        raise
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="Leave the mark where it is: it expires")
def restores_the_old_one_on_an_error(r, db, article_id, article, ttl):
    text = json.dumps(article)
    old = r.set(key_of(article_id), WRITING, ex=30, get=True)
    try:
        db.save(article_id, article)
    except BaseException:
        if old is not None:
            r.set(key_of(article_id), old, ex=ttl)
        raise
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="the edit stands, and is not to be told as a failure")
def tells_a_write_that_stands_as_failed(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    r.set(key_of(article_id), text, ex=ttl)


@wrong(says="the edit stands, and is not to be told as a failure")
def catches_the_connection_error_of_python(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(ConnectionError, TimeoutError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="the edit stands, and is not to be told as a failure")
def cleans_up_on_a_cache_that_is_away(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    try:
        r.set(key_of(article_id), text, ex=ttl)
    except redis.RedisError:
        r.delete(key_of(article_id))


@wrong(says="the caller has to hear that the edit may be lost")
def swallows_the_error_of_the_database(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    try:
        db.save(article_id, article)
        r.set(key_of(article_id), text, ex=ttl)
    except Exception:
        pass


@wrong(says="holds the new article: nothing that the database may not have")
def caches_whatever_the_database_says(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    try:
        db.save(article_id, article)
    finally:
        with contextlib.suppress(redis.RedisError):
            r.set(key_of(article_id), text, ex=ttl)


@wrong(says="`db.save` was called 2 times for one edit")
def tries_the_database_again(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    try:
        db.save(article_id, article)
    except Exception:
        db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="there without a time to live")
def set_then_expire(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    try:
        r.set(key_of(article_id), text)
        r.expire(key_of(article_id), ttl)
    except redis.RedisError:
        pass


@wrong(says="is gone after")
def counts_milliseconds(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, px=ttl)


@wrong(says="never expires")
def forgets_the_time_to_live(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text)


@wrong(says="still holds the mark after your function")
def forgets_the_article(r, db, article_id, article, ttl):
    json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)


@wrong(says="still holds the mark after your function")
def stores_only_where_nothing_is(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl, nx=True)


@wrong(says="Two round trips are all")
def deletes_the_mark_before_the_article(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    try:
        r.delete(key_of(article_id))
        r.set(key_of(article_id), text, ex=ttl)
    except redis.RedisError:
        pass


@wrong(says="The last SET raised Cancelled")
def passes_over_every_error_at_the_end(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(BaseException):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="The last SET raised RuntimeError")
def passes_over_every_exception_at_the_end(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    db.save(article_id, article)
    with contextlib.suppress(Exception):
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="`db.save` raised ConnectionError")
def takes_the_database_for_the_cache(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), WRITING, ex=30)
    with contextlib.suppress(redis.RedisError):
        db.save(article_id, article)
        r.set(key_of(article_id), text, ex=ttl)


@wrong(says="held while the database was being written")
def marks_in_quotes(r, db, article_id, article, ttl):
    text = json.dumps(article)
    r.set(key_of(article_id), json.dumps(WRITING), ex=30)
    db.save(article_id, article)
    with contextlib.suppress(redis.RedisError):
        r.set(key_of(article_id), text, ex=ttl)
