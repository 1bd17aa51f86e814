import redis

from tests.cases import right, wrong


@right
def two_errors_and_none(r, key, default):
    try:
        value = r.get(key)
    except (redis.ConnectionError, redis.TimeoutError):
        return default
    return default if value is None else value


@right
def two_branches(r, key, default):
    try:
        value = r.get(key)
    except redis.ConnectionError:
        value = None
    except redis.TimeoutError:
        value = None
    if value is None:
        value = default
    return value


@right
def mget(r, key, default):
    try:
        (value,) = r.mget([key])
    except (redis.ConnectionError, redis.TimeoutError):
        return default
    if value is None and r.exists(key):
        r.get(key)  # MGET answers None for another type; GET says so
    return default if value is None else value


@wrong(says="`or` and `if not` take an empty text for nothing")
def or_default(r, key, default):
    try:
        return r.get(key) or default
    except (redis.ConnectionError, redis.TimeoutError):
        return default


@wrong(says="Catch the two errors you expect, not every error")
def every_exception(r, key, default):
    try:
        value = r.get(key)
    except Exception:
        return default
    return default if value is None else value


@wrong(says="Catch the two errors you expect, not every error")
def every_redis_error(r, key, default):
    try:
        value = r.get(key)
    except redis.RedisError:
        return default
    return default if value is None else value


@wrong(says="a time-out is no `redis.ConnectionError`")
def forgets_the_time_out(r, key, default):
    try:
        value = r.get(key)
    except redis.ConnectionError:
        return default
    return default if value is None else value


@wrong(says="Python's own of that name is another exception")
def pythons_own_errors(r, key, default):
    try:
        value = r.get(key)
    except (ConnectionError, TimeoutError):
        return default
    return default if value is None else value


@wrong(says="raised ConnectionError")
def handles_no_error(r, key, default):
    value = r.get(key)
    return default if value is None else value


@wrong(says="got None")
def none_for_a_missing_key(r, key, default):
    try:
        return r.get(key)
    except (redis.ConnectionError, redis.TimeoutError):
        return default


@wrong(says="the answer while the server is gone")
def none_for_a_lost_server(r, key, default):
    try:
        value = r.get(key)
    except (redis.ConnectionError, redis.TimeoutError):
        return None
    return default if value is None else value


@wrong(says="expected")
def always_the_default(r, key, default):
    return default
