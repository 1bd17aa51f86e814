import contextlib
import json

import redis

from tests.cases import right, wrong


def key_of(article_id):
    return f"news:article:{article_id}"


@right
def delete_in_finally(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.delete(f"news:article:{article_id}")


@right
def unlink_and_raise_again(r, db, article_id, article):
    try:
        db.save(article_id, article)
    except BaseException:
        r.unlink(key_of(article_id))
        raise
    r.unlink(key_of(article_id))


@right
def expire_at_once_on_a_pipeline(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        with r.pipeline() as pipe:
            pipe.expire(key_of(article_id), 0)
            pipe.execute()


@wrong(says="still holds the old article. Delete the key")
def saves_and_leaves_the_copy(r, db, article_id, article):
    db.save(article_id, article)


@wrong(says="Write the database first, and then delete")
def deletes_first(r, db, article_id, article):
    r.delete(key_of(article_id))
    db.save(article_id, article)


@wrong(says="Of two who save at the same moment")
def sets_the_new_one(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.set(key_of(article_id), json.dumps(article), ex=300)


@wrong(says="somebody else saved a newer one")
def deletes_and_sets(r, db, article_id, article):
    db.save(article_id, article)
    r.delete(key_of(article_id))
    r.set(key_of(article_id), json.dumps(article), ex=300)


@wrong(says="The answer was lost and not the write")
def deletes_only_on_success(r, db, article_id, article):
    db.save(article_id, article)
    r.delete(key_of(article_id))


@wrong(says="raised Cancelled after it had written")
def catches_exceptions_only(r, db, article_id, article):
    try:
        db.save(article_id, article)
    except Exception:
        r.delete(key_of(article_id))
        raise
    r.delete(key_of(article_id))


@wrong(says="the caller has to hear that the edit may be lost")
def swallows_the_error_of_the_database(r, db, article_id, article):
    try:
        db.save(article_id, article)
    except Exception:
        pass
    finally:
        r.delete(key_of(article_id))


@wrong(says="the caller has to hear that the edit may be lost")
def returns_in_finally(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.delete(key_of(article_id))
        return  # noqa: B012 - that is the mistake


@wrong(says="Let the error through.")
def swallows_the_error_of_redis(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        with contextlib.suppress(redis.RedisError):
            r.delete(key_of(article_id))


@wrong(says="`db.save` was called 2 times for one edit")
def tries_the_database_again(r, db, article_id, article):
    try:
        try:
            db.save(article_id, article)
        except Exception:
            db.save(article_id, article)
    finally:
        r.delete(key_of(article_id))


@wrong(says="delete the one key by its name")
def deletes_by_a_pattern(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        found = list(r.scan_iter(f"news:article:{article_id}*"))
        if found:
            r.delete(*found)


@wrong(says="delete the one key by its name")
def empties_the_cache(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.flushdb()


@wrong(says="One DEL does it, with no look before it")
def looks_whether_there_is_a_copy(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        if r.exists(key_of(article_id)):
            r.delete(key_of(article_id))


@wrong(says="One DEL does it, with no look before it")
def deletes_before_and_after(r, db, article_id, article):
    r.delete(key_of(article_id))
    try:
        db.save(article_id, article)
    finally:
        r.delete(key_of(article_id))


@wrong(says="still holds the old article")
def deletes_another_key(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.delete(f"article:{article_id}")


@wrong(says="holds ''")
def empties_the_text(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.set(key_of(article_id), "", ex=300)


@wrong(says="still holds the old article")
def lets_it_expire_soon(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        r.expire(key_of(article_id), 10)


@wrong(says="The database was not written")
def deletes_only(r, db, article_id, article):
    r.delete(key_of(article_id))


@wrong(says="behind")
def leaves_a_note(r, db, article_id, article):
    try:
        db.save(article_id, article)
    finally:
        with r.pipeline() as pipe:
            pipe.delete(key_of(article_id)).set("news:last_edit", article_id, ex=60).execute()


@wrong(says="expected None, got 1")
def returns_the_reply(r, db, article_id, article):
    gone = 0
    try:
        db.save(article_id, article)
    finally:
        gone = r.delete(key_of(article_id))
    return gone
