import json

import redis

from tests.cases import right, wrong

SCRIPT = """
local number = redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[2], number .. '-0', 'body', ARGV[1])
redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1])
return number
"""


def names(room):
    return [f"arcade:{{{room}}}:{what}" for what in ("last", "stream", "live")]


def run(r, script, room, member, text, keep):
    body = json.dumps({"member": member, "text": text})
    return r.eval(script, 3, *names(room), body, keep)


@right
def one_script(r, room, member, text, keep):
    return run(r, SCRIPT, room, member, text, keep)


@right
def registered_script_that_makes_json_in_lua(r, room, member, text, keep):
    speak = r.register_script("""
        local body = cjson.encode({member = ARGV[1], text = ARGV[2]})
        local number = (redis.call('GET', KEYS[1]) or 0) + 1
        local id = string.format('%d-0', number)
        redis.call('SET', KEYS[1], number)
        redis.call('PUBLISH', KEYS[3], number .. ' ' .. body)
        redis.call('XADD', KEYS[2], id, 'body', body)
        redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', ARGV[3])
        return number
    """)
    return speak(keys=names(room), args=[member, text, keep])


@right
def watch_and_begin_again(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"text": text, "member": member}, ensure_ascii=False)
    while True:
        with r.pipeline() as pipe:
            try:
                pipe.watch(last)
                number = int(pipe.get(last) or 0) + 1
                pipe.multi()
                pipe.set(last, number)
                pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
                pipe.publish(live, f"{number} {body}")
                pipe.execute()
            except redis.WatchError:
                continue
            return number


@right
def the_transaction_helper(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})

    def speak(pipe):
        number = int(pipe.get(last) or 0) + 1
        pipe.multi()
        pipe.incr(last)
        pipe.xadd(stream, {"body": body}, id=f"{number}-0")
        pipe.xtrim(stream, maxlen=keep, approximate=False)
        pipe.publish(live, f"{number} {body}")
        return number

    return r.transaction(speak, last, value_from_callable=True)


@wrong(says="a gap for good")
def three_steps(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    number = r.incr(last)
    r.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
    r.publish(live, f"{number} {body}")
    return number


@wrong(says="a stream only grows at its end, and your entry is refused")
def counts_and_then_a_transaction(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    number = r.incr(last)
    with r.pipeline(transaction=True) as pipe:
        pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
        pipe.publish(live, f"{number} {body}")
        pipe.execute()
    return number


@wrong(says="somebody came between your entry and your PUBLISH")
def publishes_after_the_script(r, room, member, text, keep):
    script = SCRIPT.replace("redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1])\n", "")
    number = run(r, script, room, member, text, keep)
    r.publish(names(room)[2], f"{number} {json.dumps({'member': member, 'text': text})}")
    return number


@wrong(says="nobody who listens was told")
def publishes_after_the_transaction(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})

    def keep_it(pipe):
        number = int(pipe.get(last) or 0) + 1
        pipe.multi()
        pipe.incr(last)
        pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
        return number

    number = r.transaction(keep_it, last, value_from_callable=True)
    r.publish(live, f"{number} {body}")
    return number


@wrong(says="and your entry is refused")
def reads_the_number_first(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    number = int(r.get(last) or 0) + 1
    with r.pipeline(transaction=True) as pipe:
        pipe.set(last, number)
        pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
        pipe.publish(live, f"{number} {body}")
        pipe.execute()
    return number


@wrong(says="and your entry is refused")
def a_lock_that_nobody_else_takes(r, room, member, text, keep):
    with r.lock(f"arcade:{{{room}}}:lock", timeout=10):
        return reads_the_number_first.answer(r, room, member, text, keep)


@wrong(says="catch WatchError and begin again")
def does_not_catch_watch_error(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    with r.pipeline() as pipe:
        pipe.watch(last)
        number = int(pipe.get(last) or 0) + 1
        pipe.multi()
        pipe.incr(last)
        pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
        pipe.publish(live, f"{number} {body}")
        pipe.execute()
    return number


@wrong(says="and your entry is refused")
def watches_the_stream_only_after_reading(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    number = int(r.get(last) or 0) + 1
    with r.pipeline() as pipe:
        pipe.watch(last)
        pipe.multi()
        pipe.incr(last)
        pipe.xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep, approximate=False)
        pipe.publish(live, f"{number} {body}")
        pipe.execute()
    return number


@wrong(says="the stream holds all: it grows for ever")
def keeps_everything(r, room, member, text, keep):
    return run(r, SCRIPT.replace("'MAXLEN', ARGV[2], ", ""), room, member, text, keep)


@wrong(says="only when there is a whole block to drop")
def cuts_about_there(r, room, member, text, keep):
    return run(r, SCRIPT.replace("'MAXLEN'", "'MAXLEN', '~'"), room, member, text, keep)


@wrong(says="only when there is a whole block to drop")
def forgets_that_redis_py_cuts_about_there(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})

    def speak(pipe):
        number = int(pipe.get(last) or 0) + 1
        pipe.multi()
        pipe.incr(last).xadd(stream, {"body": body}, id=f"{number}-0", maxlen=keep)
        pipe.publish(live, f"{number} {body}")
        return number

    return r.transaction(speak, last, value_from_callable=True)


@wrong(says="Cut the stream after adding, to the newest")
def keeps_one_too_many(r, room, member, text, keep):
    return run(r, SCRIPT, room, member, text, keep + 1)


@wrong(says="Cut the stream after adding, to the newest")
def cuts_before_it_adds(r, room, member, text, keep):
    script = SCRIPT.replace("'MAXLEN', ARGV[2], ", "")
    script = "redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[2])\n" + script
    return run(r, script, room, member, text, keep)


@wrong(says="Cut the stream after adding, to the newest")
def drops_one_when_there_are_too_many(r, room, member, text, keep):
    script = SCRIPT.replace("'MAXLEN', ARGV[2], ", "").replace(
        "return number",
        """
        if redis.call('XLEN', KEYS[2]) > tonumber(ARGV[2]) then
            redis.call('XDEL', KEYS[2], redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1][1])
        end
        return number
        """,
    )
    return run(r, script, room, member, text, keep)


@wrong(says="INCR it, once for each message")
def the_length_of_the_stream_is_the_number(r, room, member, text, keep):
    script = SCRIPT.replace(
        "redis.call('INCR', KEYS[1])",
        "redis.call('XLEN', KEYS[2]) + 1\nredis.call('SET', KEYS[1], number)",
    )
    return run(r, script, room, member, text, keep)


@wrong(says="There is no arcade:{")
def the_newest_entry_tells_the_number(r, room, member, text, keep):
    script = SCRIPT.replace(
        "redis.call('INCR', KEYS[1])",
        """(function()
            local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
            return newest and tonumber(string.match(newest[1], '%d+')) + 1 or 1
        end)()""",
    )
    return run(r, script, room, member, text, keep)


@wrong(says="in an f-string each of them is written twice")
def loses_the_braces(r, room, member, text, keep):
    keys = [f"arcade:{room}:{what}" for what in ("last", "stream", "live")]
    body = json.dumps({"member": member, "text": text})
    return r.eval(SCRIPT, 3, *keys, body, keep)


@wrong(says="the room's channel is arcade:{")
def loses_the_braces_of_the_channel(r, room, member, text, keep):
    body = json.dumps({"member": member, "text": text})
    return r.eval(SCRIPT, 3, *names(room)[:2], f"arcade:{room}:live", body, keep)


@wrong(says="in an f-string each of them is written twice")
def braces_and_no_room(r, room, member, text, keep):
    keys = [f"arcade:{{room}}:{what}" for what in ("last", "stream", "live")]
    body = json.dumps({"member": member, "text": text})
    return r.eval(SCRIPT, 3, *keys, body, keep)


@wrong(says="Name the id yourself")
def lets_the_server_choose_the_id(r, room, member, text, keep):
    return run(r, SCRIPT.replace("number .. '-0'", "'*'"), room, member, text, keep)


@wrong(says="it should have one, `body`")
def a_field_for_each(r, room, member, text, keep):
    script = """
    local number = redis.call('INCR', KEYS[1])
    redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], number .. '-0', 'member', ARGV[1],
      'text', ARGV[2])
    redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1] .. ': ' .. ARGV[2])
    return number
    """
    return r.eval(script, 3, *names(room), member, text, keep)


@wrong(says="Make it with `json.dumps`")
def writes_the_dictionary_as_python_would(r, room, member, text, keep):
    body = str({"member": member, "text": text})
    return r.eval(SCRIPT, 3, *names(room), body, keep)


@wrong(says="Make it with `json.dumps`")
def puts_the_json_together_by_hand(r, room, member, text, keep):
    body = '{"member": "%s", "text": "%s"}' % (member, text)  # noqa: UP031
    return r.eval(SCRIPT, 3, *names(room), body, keep)


@wrong(says="texts come as arguments, ARGV, and not in its source")
def writes_the_text_into_the_script(r, room, member, text, keep):
    body = json.dumps({"member": member, "text": text}, ensure_ascii=False)
    script = SCRIPT.replace("ARGV[1]", f"'{body}'").replace("ARGV[2]", str(keep))
    return r.eval(script, 3, *names(room))


@wrong(says="Nothing was published")
def publishes_nothing(r, room, member, text, keep):
    script = SCRIPT.replace("redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1])\n", "")
    return run(r, script, room, member, text, keep)


@wrong(says="Without its number nobody can tell whether one is missing")
def publishes_the_body_alone(r, room, member, text, keep):
    return run(r, SCRIPT.replace("number .. ' ' .. ARGV[1]", "ARGV[1]"), room, member, text, keep)


@wrong(says="the number, a space, and the body as the stream has it")
def publishes_the_text_for_people(r, room, member, text, keep):
    script = SCRIPT.replace("number .. ' ' .. ARGV[1]", "number .. ' ' .. ARGV[3]")
    body = json.dumps({"member": member, "text": text})
    return r.eval(script, 3, *names(room), body, keep, f"{member}: {text}")


@wrong(says="Return the number of the message")
def returns_nothing(r, room, member, text, keep):
    run(r, SCRIPT, room, member, text, keep)


@wrong(says="Return the number of the message")
def returns_how_many_listened(r, room, member, text, keep):
    script = SCRIPT.replace("return number", "").replace(
        "redis.call('PUBLISH'", "return redis.call('PUBLISH'"
    )
    return run(r, script, room, member, text, keep)


@wrong(says="Return the number of the message")
def returns_the_id(r, room, member, text, keep):
    return run(
        r, SCRIPT.replace("return number", "return number .. '-0'"), room, member, text, keep
    )


@wrong(says="which was 0: expected '1', got '2'")
def counts_twice(r, room, member, text, keep):
    script = SCRIPT.replace("return number", "return redis.call('INCR', KEYS[1])")
    return run(r, script, room, member, text, keep)


@wrong(says="The message is out, and the stream was not cut")
def cuts_afterwards(r, room, member, text, keep):
    number = run(r, SCRIPT.replace("'MAXLEN', ARGV[2], ", ""), room, member, text, keep)
    r.xtrim(names(room)[1], maxlen=keep, approximate=False)
    return number


@wrong(says="An old message is gone, and no new one has come")
def makes_room_beforehand(r, room, member, text, keep):
    r.xtrim(names(room)[1], maxlen=keep - 1, approximate=False)
    return run(r, SCRIPT, room, member, text, keep)


@wrong(says="forgets its number, begins with 1 again")
def lets_the_room_expire(r, room, member, text, keep):
    script = SCRIPT.replace("return number", "redis.call('EXPIRE', KEYS[1], 3600)\nreturn number")
    return run(r, script, room, member, text, keep)


@wrong(says="There is no arcade:{")
def a_room_for_all(r, room, member, text, keep):
    return run(r, SCRIPT, "lobby", member, text, keep)


@wrong(says="a gap for good")
def counts_and_then_a_script(r, room, member, text, keep):
    last, stream, live = names(room)
    body = json.dumps({"member": member, "text": text})
    number = r.incr(last)
    script = """
    redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], ARGV[1] .. '-0', 'body', ARGV[2])
    redis.call('PUBLISH', KEYS[2], ARGV[1] .. ' ' .. ARGV[2])
    """
    r.eval(script, 2, stream, live, number, body, keep)
    return number
