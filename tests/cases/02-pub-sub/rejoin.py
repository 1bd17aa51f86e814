import time

from redis.client import PubSub

from tests.cases import right, wrong


def live(room):
    return f"arcade:{{{room}}}:live"


def stream(room):
    return f"arcade:{{{room}}}:stream"


def pairs(entries):
    return [(int(entry.partition("-")[0]), fields["body"]) for entry, fields in entries]


def behind(r, room, after):
    return pairs(r.xrange(stream(room), min=f"({after}-0"))


def confirmed(r, room):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    line.get_message(timeout=5)
    return line


@right
def subscribes_confirms_and_asks(r, room, after):
    line = confirmed(r, room)
    return behind(r, room, after), line


@right
def takes_the_confirmation_from_listen(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    assert next(line.listen())["type"] == "subscribe"
    return pairs(r.xrange(stream(room), min=f"{after + 1}-0", max="+")), line


@right
def waits_in_a_loop_and_reads_the_stream(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    while line.get_message() is None:
        time.sleep(0.001)
    found = r.xread({stream(room): f"{after}-0"})
    return [(int(entry[:-2]), fields["body"]) for _, es in found for entry, fields in es], line


@right
def a_short_timeout_again_and_again(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    while True:
        message = line.get_message(timeout=0.01)
        if message and message["type"] == "subscribe":
            break
    entries = r.xrevrange(stream(room), max="+", min=f"({after}")
    return pairs(entries)[::-1], line


@right
def asks_for_all_and_filters_numbers(r, room, after):
    line = PubSub(r.connection_pool)
    line.subscribe(live(room))
    line.get_message(timeout=None)
    return [pair for pair in pairs(r.xrange(stream(room))) if pair[0] > after], line


@right
def asks_once_more_when_the_line_is_there(r, room, after):
    missed = behind(r, room, after)
    line = confirmed(r, room)
    return missed + behind(r, room, missed[-1][0] if missed else after), line


@right
def listens_with_a_pattern(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.psubscribe(live(room))
    line.get_message(timeout=5)
    missed, start = [], f"({after}-0"
    while page := r.xrange(stream(room), min=start, count=100):
        missed += pairs(page)
        start = f"({page[-1][0]}"
    return missed, line


@wrong(says="Subscribe first, ask afterwards")
def asks_first(r, room, after):
    missed = behind(r, room, after)
    return missed, confirmed(r, room)


@wrong(says="it was said when the subscription was still on its way")
def does_not_wait_for_the_confirmation(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    return behind(r, room, after), line


@right
def adds_what_has_come_over_the_line(r, room, after):
    line = confirmed(r, room)
    missed = behind(r, room, after)
    while message := line.get_message(timeout=0.01):
        number, _, body = message["data"].partition(" ")
        if int(number) > (missed[-1][0] if missed else after):
            missed.append((int(number), body))
    return missed, line


@wrong(says="The line is not confirmed")
def hides_the_confirmation_and_does_not_wait(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    return behind(r, room, after), line


@wrong(says="`get_message()` without `timeout` looks once")
def looks_once(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    line.get_message()
    return behind(r, room, after), line


@wrong(says="`get_message()` without `timeout` looks once")
def sleeps_and_looks_once(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    time.sleep(0.01)
    line.get_message()
    return behind(r, room, after), line


@wrong(says="it was said when the subscription was still on its way")
def waits_after_it_has_asked(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    missed = behind(r, room, after)
    line.get_message(timeout=5)
    return missed, line


@wrong(says="The line is not confirmed")
def believes_its_own_flag(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    while not line.subscribed:
        line.get_message(timeout=1)
    return behind(r, room, after), line


@wrong(says="Your function waits for ever: the confirmation has come", waits=True)
def waits_for_what_is_hidden(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    next(line.listen())
    return behind(r, room, after), line


@wrong(says="Your function waits for ever: the confirmation has come", waits=True)
def reads_on_for_ever(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    for message in line.listen():
        if message["type"] == "message":
            break
    return behind(r, room, after), line


@wrong(says="XREAD with `block=0` waits until somebody speaks")
def waits_for_somebody_to_speak(r, room, after):
    line = confirmed(r, room)
    found = r.xread({stream(room): f"{after}-0"}, block=0)
    return pairs(found[0][1]), line


@wrong(says="`with r.pubsub() as line:` closes it")
def closes_the_line(r, room, after):
    with r.pubsub() as line:
        line.subscribe(live(room))
        line.get_message(timeout=5)
        return behind(r, room, after), line


@wrong(says="`with r.pubsub() as line:` closes it")
def never_subscribes(r, room, after):
    return behind(r, room, after), r.pubsub()


@wrong(says="your function read it there and threw it away")
def looks_once_more_after_it_has_asked(r, room, after):
    line = confirmed(r, room)
    missed = behind(r, room, after)
    line.get_message(timeout=0.05)
    return missed, line


@wrong(says="your function read it there and threw it away")
def polls_once_more_after_many_pages(r, room, after):
    line = r.pubsub()
    line.subscribe(live(room))
    line.get_message(timeout=5)
    missed, start = [], f"({after}-0"
    while page := r.xrange(stream(room), min=start, count=100):
        missed += pairs(page)
        start = f"({page[-1][0]}"
    line.get_message()
    return missed, line


@wrong(says="your function read it there and threw it away", waits=True)
def empties_the_line_at_the_end(r, room, after):
    line = confirmed(r, room)
    missed = behind(r, room, after)
    r.get(f"arcade:{{{room}}}:last")
    while line.get_message(timeout=0.1):
        pass
    return missed, line


@wrong(says="in an f-string each of them is written twice")
def loses_the_braces_of_the_channel(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(f"arcade:{room}:live")
    line.get_message(timeout=5)
    return behind(r, room, after), line


@wrong(says="and nothing is handed over. The braces belong to the name")
def loses_the_braces_of_the_stream(r, room, after):
    line = confirmed(r, room)
    return pairs(r.xrange(f"arcade:{room}:stream", min=f"({after}-0")), line


@wrong(says="has been seen: a range includes its ends")
def begins_with_what_was_seen(r, room, after):
    line = confirmed(r, room)
    return pairs(r.xrange(stream(room), min=f"{after}-0")), line


@wrong(says="XREVRANGE reads backwards")
def the_newest_first(r, room, after):
    line = confirmed(r, room)
    return pairs(r.xrevrange(stream(room), min=f"({after}-0")), line


@wrong(says="Ask for all of them")
def a_hundred_at_most(r, room, after):
    line = confirmed(r, room)
    return pairs(r.xrange(stream(room), min=f"({after}-0", count=100)), line


@wrong(says="compare numbers, not texts")
def compares_texts(r, room, after):
    line = confirmed(r, room)
    entries = r.xrange(stream(room))
    return [(n, body) for n, body in pairs(entries) if str(n) > str(after)], line


@wrong(says="and everything up to")
def hands_over_the_whole_history(r, room, after):
    line = confirmed(r, room)
    return [pair for pair in pairs(r.xrange(stream(room))) if pair[0] != after], line


@wrong(says="Make it a pair of the number")
def hands_over_entries(r, room, after):
    line = confirmed(r, room)
    return r.xrange(stream(room), min=f"({after}-0"), line


@wrong(says="the number, an int, and the body, as it stands in the entry")
def numbers_as_texts(r, room, after):
    line = confirmed(r, room)
    entries = r.xrange(stream(room), min=f"({after}-0")
    return [(entry.partition("-")[0], fields["body"]) for entry, fields in entries], line


@wrong(says="the number, an int, and the body, as it stands in the entry")
def bodies_alone(r, room, after):
    line = confirmed(r, room)
    return [body for _, body in behind(r, room, after)], line


@wrong(says="The pubsub object comes second")
def the_line_first(r, room, after):
    line = confirmed(r, room)
    return line, behind(r, room, after)


@wrong(says="Return two things, `missed, line`")
def the_line_alone(r, room, after):
    return confirmed(r, room)


@wrong(says="Your function returned list")
def what_was_missed_alone(r, room, after):
    confirmed(r, room)
    return behind(r, room, after)


@wrong(says="not a pubsub object as `r.pubsub()` makes it")
def hands_over_the_generator(r, room, after):
    line = confirmed(r, room)
    return behind(r, room, after), line.listen()


@wrong(says="not a pubsub object as `r.pubsub()` makes it")
def hands_over_a_thread(r, room, after):
    line = r.pubsub()
    line.subscribe(**{live(room): print})
    return behind(r, room, after), line.run_in_thread(sleep_time=0.01, daemon=True)


@wrong(says="subscribe without a handler")
def a_handler_takes_the_messages(r, room, after):
    line = r.pubsub()
    line.subscribe(**{live(room): print})
    line.get_message(timeout=5)
    return behind(r, room, after), line


@wrong(says="A thread reads your line and takes the messages away")
def a_thread_takes_the_messages(r, room, after):
    line = r.pubsub()
    line.subscribe(**{live(room): print})
    line.get_message(timeout=5)
    line.run_in_thread(sleep_time=0.01, daemon=True)
    return behind(r, room, after), line


@wrong(says="What is said in another room comes over the line")
def listens_to_every_room(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.psubscribe("arcade:*:live")
    line.get_message(timeout=5)
    return behind(r, room, after), line


@wrong(says="nobody listens there")
def listens_to_shards(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.ssubscribe(live(room))
    line.get_message(timeout=5)
    return behind(r, room, after), line


@wrong(says="a loop until something comes", waits=True)
def loops_until_what_is_hidden_comes(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    while line.get_message(timeout=1) is None:
        pass
    return behind(r, room, after), line


@wrong(says="a loop until something comes")
def polls_until_what_is_hidden_comes(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    while not line.get_message():
        pass
    return behind(r, room, after), line


@wrong(says="your function read it there and threw it away", waits=True)
def asks_and_then_confirms_with_what_comes(r, room, after):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(live(room))
    line.get_message(timeout=5)
    missed = behind(r, room, after)
    if r.exists(stream(room)):
        line.get_message(timeout=1)
    return missed, line
