import contextlib
import secrets
import threading
import uuid

import redis
from redis.exceptions import LockError

from tests.cases import right, wrong

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""


def script(r, lock, token):
    r.eval(RELEASE, 1, lock, token)


def once(r, key, load, pause, *, token=None, release=script, take=None, again=True, keep=None):
    """A right answer, with other ways to take the lock, to give it back, and to store."""
    lock = f"{key}:lock"
    token = token or uuid.uuid4().hex
    take = take or (lambda: r.set(lock, token, nx=True, ex=10))
    keep = keep or (lambda value: r.set(key, value, ex=60))
    while True:
        value = r.get(key)
        if value is not None:
            return value
        if take():
            break
        pause()
    try:
        value = r.get(key) if again else None
        if value is None:
            value = load()
            keep(value)
        return value
    finally:
        release(r, lock, token)


@right
def set_nx_and_a_script(r, key, load, pause):
    return once(r, key, load, pause)


@right
def watch_and_compare(r, key, load, pause):
    def release(r, lock, token):
        with r.pipeline() as pipe:
            try:
                pipe.watch(lock)
                if pipe.get(lock) == token:
                    pipe.multi()
                    pipe.delete(lock)
                    pipe.execute()
            except redis.WatchError:
                pass

    return once(r, key, load, pause, token=secrets.token_hex(), release=release)


@right
def the_lock_of_redis_py(r, key, load, pause):
    lock = r.lock(f"{key}:lock", timeout=10)
    while (value := r.get(key)) is None:
        if lock.acquire(blocking=False):
            try:
                value = r.get(key)
                if value is None:
                    value = load()
                    r.setex(key, 60, value)
                return value
            finally:
                with contextlib.suppress(LockError):
                    lock.release()
        pause()
    return value


@right
def again_by_calling_itself(r, key, load, pause):
    value = r.get(key)
    if value is not None:
        return value
    lock, token = f"{key}:lock", str(uuid.uuid4())
    if not r.set(lock, token, nx=True, px=10_000):
        pause()
        return again_by_calling_itself.answer(r, key, load, pause)
    release = r.register_script(RELEASE)
    try:
        value = r.get(key)
        if value is None:
            value = load()
            r.set(key, value, ex=60)
    except BaseException:
        release(keys=[lock], args=[token])
        raise
    release(keys=[lock], args=[token])
    return value


@right
def looks_and_takes_in_one_script(r, key, load, pause):
    look_or_take = """
    local found = redis.call('GET', KEYS[1])
    if found then return {'found', found} end
    if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'EX', 10) then return {'load', ''} end
    return {'wait', ''}
    """
    store_and_release = """
    redis.call('SET', KEYS[1], ARGV[2], 'EX', 60)
    if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
    """
    lock, token = f"{key}:lock", uuid.uuid4().hex
    while True:
        value = r.get(key)
        if value is not None:
            return value
        state, value = r.eval(look_or_take, 2, key, lock, token)
        if state == "found":
            return value
        if state == "load":
            break
        pause()
    try:
        value = load()
    except Exception:
        script(r, lock, token)
        raise
    r.eval(store_and_release, 2, key, lock, token, value)
    return value


@right
def stores_only_while_the_lock_is_its_own(r, key, load, pause):
    store = """
    if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', 60) end
    """
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(
        r,
        key,
        load,
        pause,
        token=token,
        keep=lambda value: r.eval(store, 2, key, lock, token, value),
    )


@wrong(says="16 callers asked at once, and `load` ran")
def no_lock(r, key, load, pause):
    value = r.get(key)
    if value is None:
        value = load()
        r.set(key, value, ex=60)
    return value


@wrong(says="Let one command look and take")
def looks_at_the_lock_and_then_sets_it(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        return r.get(lock) is None and r.set(lock, token, ex=10)

    return once(r, key, load, pause, token=token, take=take)


@wrong(says="who was loading, and your function called `load` too")
def overwrites_the_lock(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(r, key, load, pause, token=token, take=lambda: r.set(lock, token, ex=10))


@wrong(says="Let the SET that takes it carry `ex=10`")
def a_lock_that_never_expires(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(r, key, load, pause, token=token, take=lambda: r.setnx(lock, token))


@wrong(says="is there without an expiry")
def setnx_then_expire(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        return r.setnx(lock, token) and r.expire(lock, 10)

    return once(r, key, load, pause, token=token, take=take)


@wrong(says=":lock is gone after 10 milliseconds")
def milliseconds_for_seconds(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(r, key, load, pause, token=token, take=lambda: r.set(lock, token, nx=True, px=10))


@wrong(says="milliseconds; expected 10 seconds")
def a_lock_for_a_minute(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(r, key, load, pause, token=token, take=lambda: r.set(lock, token, nx=True, ex=60))


THE_LOCK = threading.Lock()


@wrong(says="nobody else can see that somebody loads")
def a_lock_of_this_process(r, key, load, pause):
    with THE_LOCK:
        return no_lock.answer(r, key, load, pause)


@wrong(says="took the lock with the same token")
def one_token_for_all(r, key, load, pause):
    return once(r, key, load, pause, token="locked")


@wrong(says="somebody else got it; after your function it is gone")
def deletes_the_lock_unseen(r, key, load, pause):
    return once(r, key, load, pause, release=lambda r, lock, _: r.delete(lock))


@wrong(says="between two of your commands, the lock expired and somebody else got it")
def compares_and_then_deletes(r, key, load, pause):
    def release(r, lock, token):
        if r.get(lock) == token:
            r.delete(lock)

    return once(r, key, load, pause, release=release)


@wrong(says="leave it as it is, and return what you loaded")
def lets_the_watch_error_out(r, key, load, pause):
    def release(r, lock, token):
        with r.pipeline() as pipe:
            pipe.watch(lock)
            if pipe.get(lock) == token:
                pipe.multi()
                pipe.delete(lock)
                pipe.execute()

    return once(r, key, load, pause, release=release)


@wrong(says="leave it as it is, and return what you loaded")
def lets_the_error_of_the_lock_out(r, key, load, pause):
    while (value := r.get(key)) is None:
        lock = r.lock(f"{key}:lock", timeout=10)
        if lock.acquire(blocking=False):
            with contextlib.ExitStack() as stack:
                stack.callback(lock.release)
                value = r.get(key)
                if value is None:
                    value = load()
                    r.set(key, value, ex=60)
                return value
        pause()
    return value


@wrong(says="Give it back in `finally`")
def keeps_the_lock_when_the_load_fails(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    while (value := r.get(key)) is None:
        if r.set(lock, token, nx=True, ex=10):
            value = r.get(key)
            if value is None:
                value = load()
                r.set(key, value, ex=60)
            script(r, lock, token)
            return value
        pause()
    return value


@wrong(says="still stands after your function has returned")
def never_gives_the_lock_back(r, key, load, pause):
    return once(r, key, load, pause, release=lambda *_: None)


@wrong(says="give the lock back then too")
def keeps_the_lock_when_the_text_is_there(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    while (value := r.get(key)) is None:
        if r.set(lock, token, nx=True, ex=10):
            value = r.get(key)
            if value is not None:
                return value
            try:
                value = load()
                r.set(key, value, ex=60)
                return value
            finally:
                script(r, lock, token)
        pause()
    return value


@wrong(says="Once you have the lock, look again")
def does_not_look_again(r, key, load, pause):
    return once(r, key, load, pause, again=False)


@wrong(says="Store first, and then give the lock back")
def gives_the_lock_back_before_it_stores(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    while (value := r.get(key)) is None:
        if r.set(lock, token, nx=True, ex=10):
            try:
                if (value := r.get(key)) is not None:
                    return value
                value = load()
            finally:
                script(r, lock, token)
            r.set(key, value, ex=60)
            return value
        pause()
    return value


@wrong(says="an error of the database has to reach the caller")
def swallows_the_error(r, key, load, pause):
    with contextlib.suppress(OSError):
        return once(r, key, load, pause)


@wrong(says="That is what the holder of the lock stored")
def does_not_wait_at_all(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    if r.get(key) is None and r.set(lock, token, nx=True, ex=10):
        try:
            if r.get(key) is None:
                r.set(key, load(), ex=60)
        finally:
            script(r, lock, token)
    return r.get(key)


@wrong(says="who was loading, and your function called `load` too")
def loses_patience(r, key, load, pause):
    tries = 0
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        nonlocal tries
        tries += 1
        return r.set(lock, token, nx=True, ex=10) or tries > 10

    return once(r, key, load, pause, token=token, take=take)


@wrong(says="each time around, try to take it")
def waits_for_the_text_only(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        if r.set(lock, token, nx=True, ex=10):
            return True
        while r.get(key) is None:
            pause()
        return False

    return once(r, key, load, pause, token=token, take=take)


@wrong(says="look at the key each time around, before you try the lock")
def waits_for_the_lock_only(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        while not r.set(lock, token, nx=True, ex=10):
            pause()
        return True

    return once(r, key, load, pause, token=token, take=take)


@wrong(says="Whoever waits calls `pause()` before the next look")
def goes_round_without_a_pause(r, key, load, pause):
    return once(r, key, load, lambda: None)


@wrong(says="Whoever waits calls `pause()` before the next look")
def the_lock_of_redis_py_waits(r, key, load, pause):
    value = r.get(key)
    if value is not None:
        return value
    with r.lock(f"{key}:lock", timeout=10, sleep=0.0001):
        value = r.get(key)
        if value is None:
            value = load()
            r.set(key, value, ex=60)
    return value


@wrong(says="your function made it live longer")
def who_waits_prolongs_the_lock(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex

    def take():
        pipe = r.pipeline()
        pipe.set(lock, token, nx=True).expire(lock, 10)
        return pipe.execute()[0]

    return once(r, key, load, pause, token=token, take=take)


@wrong(says="Whoever did not get the lock does not touch it")
def who_waited_deletes_the_lock(r, key, load, pause):
    lock = f"{key}:lock"
    token = uuid.uuid4().hex
    try:
        while (value := r.get(key)) is None:
            if r.set(lock, token, nx=True, ex=10):
                value = r.get(key)
                if value is None:
                    value = load()
                    r.set(key, value, ex=60)
                return value
            pause()
        return value
    finally:
        r.delete(lock)


@wrong(says="Where there is a text, one GET is all")
def takes_the_lock_first(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    while not r.set(lock, token, nx=True, ex=10):
        value = r.get(key)
        if value is not None:
            return value
        pause()
    try:
        value = r.get(key)
        if value is None:
            value = load()
            r.set(key, value, ex=60)
        return value
    finally:
        script(r, lock, token)


@wrong(says="the calls of `pause`, with nobody else there")
def takes_none_for_yes(r, key, load, pause):
    lock, token = f"{key}:lock", uuid.uuid4().hex
    return once(
        r, key, load, pause, token=token, take=lambda: r.set(lock, token, nx=True, ex=10) is None
    )


@wrong(says="never expires: pass its time to live to SET")
def keeps_the_text_for_ever(r, key, load, pause):
    return once(r, key, load, pause, keep=lambda value: r.set(key, value))


@wrong(says="is stored and never expires: pass `ex=60`")
def stores_and_then_expires(r, key, load, pause):
    def keep(value):
        r.set(key, value)
        r.expire(key, 60)

    return once(r, key, load, pause, keep=keep)


@wrong(says="is gone after 60 milliseconds")
def keeps_the_text_for_milliseconds(r, key, load, pause):
    return once(r, key, load, pause, keep=lambda value: r.set(key, value, px=60))


@wrong(says="Return what `load()` returned")
def returns_nothing_after_a_load(r, key, load, pause):
    value = r.get(key)
    if value is None:
        once(r, key, load, pause)
    return value
