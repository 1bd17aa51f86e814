import queue
import threading
import time

from tests.cases import right, wrong


def confirmed(line):
    while True:
        message = line.get_message(timeout=5)
        if message is not None and message["type"] == "subscribe":
            return


@right
def with_and_get_message(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@right
def ignored_confirmation_and_finally(r, channel, act, count, patience):
    line = r.pubsub(ignore_subscribe_messages=True)
    try:
        line.subscribe(channel)
        line.get_message(timeout=5)
        act()
        messages = iter(lambda: line.get_message(timeout=patience), None)
        return [message["data"] for _, message in zip(range(count), messages, strict=False)]
    finally:
        line.close()


@right
def unsubscribed_and_not_closed(r, channel, act, count, patience):
    line = r.pubsub()
    line.subscribe(channel)
    try:
        next(line.listen())
        act()
        texts = []
        for _ in range(count):
            message = line.get_message(timeout=patience)
            if not message:
                break
            texts.append(message["data"])
        return texts
    finally:
        line.unsubscribe(channel)


@right
def a_deadline_that_begins_anew(r, channel, act, count, patience):
    with r.pubsub() as line:
        line.subscribe(channel)
        while not (message := line.get_message()) or message["type"] != "subscribe":
            pass
        act()
        texts = []
        deadline = time.monotonic() + patience
        while len(texts) < count and time.monotonic() < deadline:
            message = line.get_message(timeout=0.05)
            if message and message["type"] == "message":
                texts.append(message["data"])
                deadline = time.monotonic() + patience
        return texts


@right
def a_thread_and_a_queue(r, channel, act, count, patience):
    texts, heard, is_confirmed = [], queue.Queue(), threading.Event()
    line = r.pubsub()
    line.subscribe(channel)

    def read():
        for message in line.listen():
            if message["type"] == "subscribe":
                is_confirmed.set()
            elif message["type"] == "message":
                heard.put(message["data"])

    thread = threading.Thread(target=read)
    thread.start()
    try:
        is_confirmed.wait(5)
        act()
        while len(texts) < count:
            texts.append(heard.get(timeout=patience))
    except queue.Empty:
        pass
    finally:
        line.unsubscribe()
        thread.join()
        line.close()
    return texts


@right
def callback_and_run_in_thread(r, channel, act, count, patience):
    heard = queue.Queue()
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{channel: lambda message: heard.put(message["data"])})
    line.get_message(timeout=5)
    thread = line.run_in_thread(sleep_time=0.02)
    try:
        act()
        texts = []
        while len(texts) < count:
            try:
                texts.append(heard.get(timeout=patience))
            except queue.Empty:
                break
        return texts
    finally:
        thread.stop()
        thread.join()


@wrong(says="before the server had confirmed the subscription", waits=True)
def does_not_wait_for_the_confirmation(r, channel, act, count, patience):
    texts = []
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="before the server had confirmed the subscription", waits=True)
def skips_the_confirmation_afterwards(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            if message["type"] == "message":
                texts.append(message["data"])
    return texts


@wrong(says="before the server had confirmed the subscription", waits=True)
def looks_once_without_waiting(r, channel, act, count, patience):
    texts = []
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        line.get_message()
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="It may take a second", waits=True)
def waits_a_moment_for_the_confirmation(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        time.sleep(0.05)
        line.get_message(timeout=0.1)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="before the server had confirmed the subscription", waits=True)
def acts_before_it_subscribes(r, channel, act, count, patience):
    texts = []
    act()
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        line.get_message(timeout=5)
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="the 1 is the server's confirmation, not a text", waits=True)
def takes_the_confirmation_for_a_text(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="do not take it for silence", waits=True)
def takes_an_ignored_confirmation_for_silence(r, channel, act, count, patience):
    texts = []
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        act()
        while message := line.get_message(timeout=patience):
            texts.append(message["data"])
            if len(texts) == count:
                break
    return texts


@wrong(says="`listen()` knows no time-out", waits=True)
def listens_for_ever(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        for message in line.listen():
            if message["type"] == "subscribe":
                act()
                continue
            texts.append(message["data"])
            if len(texts) == count:
                break
    return texts


@wrong(says="`patience=0.2` your function waited for ever", waits=True)
def asks_again_and_again(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is not None:
                texts.append(message["data"])
    return texts


@wrong(says="`patience=0.2` your function waited for ever", waits=True)
def a_queue_without_a_time_out(r, channel, act, count, patience):
    heard = queue.Queue()
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{channel: lambda message: heard.put(message["data"])})
    line.get_message(timeout=5)
    thread = line.run_in_thread(sleep_time=0.02)
    try:
        act()
        return [heard.get() for _ in range(count)]
    finally:
        thread.stop()
        thread.join()


@wrong(says="do not take it for silence", waits=True)
def does_not_wait_for_texts(r, channel, act, count, patience):
    texts = []
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        act()
        while message := line.get_message():
            texts.append(message["data"])
    return texts[:count]


@wrong(says="never calls `act`. A confirmation comes once", waits=True)
def waits_for_an_ignored_confirmation(r, channel, act, count, patience):
    texts = []
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        while line.get_message(timeout=1) is None:
            pass
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="went on waiting: stop at `count`", waits=True)
def zip_asks_for_one_more(r, channel, act, count, patience):
    with r.pubsub(ignore_subscribe_messages=True) as line:
        line.subscribe(channel)
        line.get_message(timeout=5)
        act()
        messages = iter(lambda: line.get_message(timeout=patience), None)
        pairs = zip(messages, range(count), strict=False)
        return [message["data"] for message, _ in pairs]


@wrong(says="went on waiting: stop at `count`", waits=True)
def listens_until_all_is_silent(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while message := line.get_message(timeout=patience):
            texts.append(message["data"])
    return texts[:count]


@wrong(says="Wait `patience` seconds for each text, not a time of your own", waits=True)
def a_patience_of_its_own(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=1)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="Wait `patience` seconds for each text, not a time of your own", waits=True)
def no_patience_at_all(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message()
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="the wait begins anew with every text", waits=True)
def patience_for_all_of_them_together(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        deadline = time.monotonic() + patience
        while len(texts) < count:
            message = line.get_message(timeout=max(0, deadline - time.monotonic()))
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="its subscription goes on", waits=True)
def never_closes(r, channel, act, count, patience):
    texts = []
    line = r.pubsub()
    line.subscribe(channel)
    confirmed(line)
    act()
    while len(texts) < count:
        message = line.get_message(timeout=patience)
        if message is None:
            break
        texts.append(message["data"])
    return texts


@wrong(says="`act` raised, and the subscription goes on", waits=True)
def closes_only_when_all_goes_well(r, channel, act, count, patience):
    texts = []
    line = r.pubsub()
    line.subscribe(channel)
    confirmed(line)
    act()
    while len(texts) < count:
        message = line.get_message(timeout=patience)
        if message is None:
            break
        texts.append(message["data"])
    line.unsubscribe()
    line.close()
    return texts


@wrong(says="`act` raised, and the subscription goes on", waits=True)
def finally_too_late(r, channel, act, count, patience):
    texts = []
    line = r.pubsub()
    line.subscribe(channel)
    confirmed(line)
    act()
    try:
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    finally:
        line.close()
    return texts


@wrong(says="its subscription goes on", waits=True)
def closes_only_at_silence(r, channel, act, count, patience):
    texts = []
    line = r.pubsub()
    line.subscribe(channel)
    confirmed(line)
    try:
        act()
    except BaseException:
        line.close()
        raise
    while message := line.get_message(timeout=patience):
        texts.append(message["data"])
        if len(texts) == count:
            return texts
    line.close()
    return texts


@wrong(says="its subscription goes on", waits=True)
def never_stops_its_thread(r, channel, act, count, patience):
    heard, texts = queue.Queue(), []
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{channel: lambda message: heard.put(message["data"])})
    line.get_message(timeout=5)
    line.run_in_thread(sleep_time=0.02, daemon=True)
    act()
    try:
        while len(texts) < count:
            texts.append(heard.get(timeout=patience))
    except queue.Empty:
        pass
    return texts


@wrong(says="Let it through: the caller has to know", waits=True)
def keeps_the_error_to_itself(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        try:
            act()
        except Exception:
            return texts
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="Let it through: the caller has to know", waits=True)
def return_in_finally_swallows_the_error(r, channel, act, count, patience):
    texts = []
    line = r.pubsub()
    try:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    finally:
        line.close()
        return texts  # noqa: B012


@wrong(says="The list holds messages, not texts", waits=True)
def returns_messages(r, channel, act, count, patience):
    messages = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(messages) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            messages.append(message)
    return messages


@wrong(says="An empty text is a text too", waits=True)
def leaves_empty_texts_out(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            if message["data"]:
                texts.append(message["data"])
    return texts


@wrong(says="An empty text is a text too", waits=True)
def stops_at_an_empty_text(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience) or {}
            if not message.get("data"):
                break
            texts.append(message["data"])
    return texts


@wrong(says="expected ['", waits=True)
def each_text_once(r, channel, act, count, patience):
    texts = {}
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts[message["data"]] = True
    return list(texts)


@wrong(says="Stop after the first ", waits=True)
def one_too_many(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while len(texts) <= count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="`psubscribe` takes the name for a pattern", waits=True)
def hears_more_than_the_channel(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.psubscribe(f"{channel}*")
        line.get_message(timeout=5)
        act()
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="`act` was called ", waits=True)
def acts_before_every_text(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        while len(texts) < count:
            act()
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="Your function never calls `act()`", waits=True)
def never_acts(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        while len(texts) < count:
            message = line.get_message(timeout=patience)
            if message is None:
                break
            texts.append(message["data"])
    return texts


@wrong(says="raised TypeError", waits=True)
def act_called_too_early_as_an_argument(r, channel, act, count, patience):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{channel: act()})
    line.get_message(timeout=5)
    return [line.get_message(timeout=patience)["data"] for _ in range(count)]


@wrong(says="Your function yields, and calling it runs nothing", waits=True)
def yields(r, channel, act, count, patience):
    with r.pubsub() as line:
        line.subscribe(channel)
        confirmed(line)
        act()
        while message := line.get_message(timeout=patience):
            yield message["data"]


@wrong(says="`psubscribe` takes the name for a pattern", waits=True)
def takes_the_name_for_a_pattern(r, channel, act, count, patience):
    texts = []
    with r.pubsub() as line:
        line.psubscribe(channel)
        line.get_message(timeout=5)
        act()
        while len(texts) < count and (message := line.get_message(timeout=patience)):
            texts.append(message["data"])
    return texts
