import json

import redis

from tests.cases import right, wrong

NEWER = """
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'value', ARGV[1], 'version', ARGV[2])
redis.call('EXPIRE', KEYS[1], 300)
return 1
"""


@right
def script(r, key, value, version):
    return r.eval(NEWER, 1, key, value, version) == 1


@right
def registered_script(r, key, value, version):
    return bool(r.register_script(NEWER)(keys=[key], args=[value, version]))


@right
def watch_and_look_again(r, key, value, version):
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(key)
                held = pipe.hget(key, "version")
                if held is not None and int(held) >= version:
                    return False
                pipe.multi()
                pipe.hset(key, mapping={"value": value, "version": version})
                pipe.expire(key, 300)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@right
def the_transaction_helper(r, key, value, version):
    def store(pipe):
        held = pipe.hgetall(key)
        newer = int(held.get("version", -1)) < version
        pipe.multi()
        if newer:
            pipe.delete(key)
            pipe.hset(key, "version", str(version))
            pipe.hset(key, "value", value)
            pipe.pexpire(key, 300_000)
        return newer

    return r.transaction(store, key, value_from_callable=True)


@right
def calls_itself_again(r, key, value, version):
    pipe = r.pipeline()
    try:
        pipe.watch(key)
        if int(pipe.hget(key, "version") or -1) >= version:
            pipe.reset()
            return False
        pipe.multi()
        pipe.hset(key, mapping={"version": version, "value": value}).expire(key, 300)
        pipe.execute()
        return True
    except redis.WatchError:
        return calls_itself_again.answer(r, key, value, version)


def held_version(r, key):
    held = r.hget(key, "version")
    return -1 if held is None else int(held)


def put(r, key, value, version):
    with r.pipeline() as pipe:
        pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300).execute()


@wrong(says="Compare and store in one script, or WATCH the key before you read it")
def hget_then_hset(r, key, value, version):
    if held_version(r, key) >= version:
        return False
    put(r, key, value, version)
    return True


@wrong(says="WATCH the key, and before you read it")
def watches_after_the_look(r, key, value, version):
    if held_version(r, key) >= version:
        return False
    with r.pipeline() as pipe:
        pipe.watch(key)
        pipe.multi()
        pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300)
        pipe.execute()
    return True


@wrong(says="WATCH the key, and before you read it")
def watches_another_key(r, key, value, version):
    with r.pipeline() as pipe:
        pipe.watch(f"{key}:version")
        if held_version(pipe, key) >= version:
            return False
        pipe.multi()
        pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300)
        pipe.execute()
    return True


@wrong(says="raised WatchError: Watched variable changed. Nobody else wrote")
def forgets_multi(r, key, value, version):
    with r.pipeline() as pipe:
        pipe.watch(key)
        if held_version(pipe, key) >= version:
            return False
        pipe.hset(key, mapping={"value": value, "version": version})
        pipe.expire(key, 300)
        pipe.execute()
    return True


@wrong(says="expected True, got False. Nobody else wrote")
def meets_its_own_write(r, key, value, version):
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(key)
                if held_version(pipe, key) >= version:
                    return False
                pipe.hset(key, mapping={"value": value, "version": version})
                pipe.expire(key, 300)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@wrong(says="Somebody wrote meanwhile: look again")
def does_not_catch_watch_error(r, key, value, version):
    with r.pipeline() as pipe:
        pipe.watch(key)
        if held_version(pipe, key) >= version:
            return False
        pipe.multi()
        pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300)
        pipe.execute()
    return True


@wrong(says="is the highest, and has to be there in the end: after a WatchError look again")
def gives_up_when_somebody_wrote(r, key, value, version):
    try:
        return does_not_catch_watch_error.answer(r, key, value, version)
    except redis.WatchError:
        return False


@wrong(says="expected False, got True")
def takes_a_write_for_success(r, key, value, version):
    try:
        return does_not_catch_watch_error.answer(r, key, value, version)
    except redis.WatchError:
        return True


@wrong(says="expected False, got True")
def true_although_a_newer_one_came(r, key, value, version):
    with r.pipeline() as pipe:
        first = True
        while True:
            try:
                pipe.watch(key)
                if held_version(pipe, key) >= version:
                    return not first
                first = False
                pipe.multi()
                pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@wrong(says="Compare and store in one script, or WATCH")
def a_lock_that_nobody_else_takes(r, key, value, version):
    with r.lock(f"{key}:lock", timeout=10):
        return hget_then_hset.answer(r, key, value, version)


@wrong(says=": compare numbers")
def compares_texts(r, key, value, version):
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(key)
                if (pipe.hget(key, "version") or "") >= str(version):
                    return False
                pipe.multi()
                pipe.hset(key, mapping={"value": value, "version": version}).expire(key, 300)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@wrong(says=": compare numbers")
def compares_texts_in_lua(r, key, value, version):
    text = NEWER.replace("tonumber(held) >= tonumber(ARGV[2])", "held >= ARGV[2]")
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="0 is a version like any other")
def a_missing_key_has_version_0(r, key, value, version):
    text = NEWER.replace("if held and tonumber(held)", "if tonumber(held or '0')")
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="raised ResponseError")
def compares_with_false(r, key, value, version):
    return r.eval(NEWER.replace("held and ", ""), 1, key, value, version) == 1


@wrong(says="and nothing is stored under")
def only_replaces(r, key, value, version):
    return r.eval(NEWER.replace("if held and", "if not held or"), 1, key, value, version) == 1


@wrong(says="came. news:")
def an_equal_version_too(r, key, value, version):
    return r.eval(NEWER.replace(">=", ">"), 1, key, value, version) == 1


@wrong(says="came. news:")
def the_last_one_wins(r, key, value, version):
    put(r, key, value, version)
    return True


@wrong(says="came. news:")
def only_where_nothing_is(r, key, value, version):
    text = NEWER.replace("if held and tonumber(held) >= tonumber(ARGV[2])", "if held")
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="is a string; expected a hash")
def json_in_a_string(r, key, value, version):
    with r.pipeline() as pipe:
        while True:
            try:
                pipe.watch(key)
                held = json.loads(pipe.get(key) or '{"version": -1}')
                if held["version"] >= version:
                    return False
                pipe.multi()
                pipe.set(key, json.dumps({"value": value, "version": version}), ex=300)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@wrong(says="came. news:")
def does_not_store_the_version(r, key, value, version):
    return r.eval(NEWER.replace(", 'version', ARGV[2])", ")"), 1, key, value, version) == 1


@wrong(says="never expires: EXPIRE it, in the same step")
def no_time_to_live(r, key, value, version):
    text = NEWER.replace("redis.call('EXPIRE', KEYS[1], 300)", "")
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="a crash between HSET and EXPIRE leaves a key that never expires")
def expires_afterwards(r, key, value, version):
    stored = no_time_to_live.answer(r, key, value, version)
    if stored:
        r.expire(key, 300)
    return stored


@wrong(says="a refusal changes nothing")
def a_refusal_prolongs(r, key, value, version):
    text = NEWER.replace("then return 0", "then redis.call('EXPIRE', KEYS[1], 300) return 0")
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="whatever is stored lives for 300 seconds")
def the_time_of_the_first(r, key, value, version):
    text = NEWER.replace(
        "redis.call('EXPIRE', KEYS[1], 300)",
        "if not held then redis.call('EXPIRE', KEYS[1], 300) end",
    )
    return r.eval(text, 1, key, value, version) == 1


@wrong(says="expected True, got 1 (int instead of bool)")
def hands_on_what_the_script_answers(r, key, value, version):
    return r.eval(NEWER, 1, key, value, version)


@wrong(says="expected False, got None, as from a function that ends without `return`")
def returns_nothing_for_no(r, key, value, version):
    return script.answer(r, key, value, version) or None
