import contextlib
import json
import threading

from tests.cases import right, wrong

NEWS = "arcade:news"


def careful(handle):
    def take(message):
        try:
            record = json.loads(message["data"])
            if isinstance(record, dict):
                handle(record)
        except Exception:
            pass

    return take


@right
def callback_and_run_in_thread(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@right
def an_exception_handler(r, handle):
    def take(message):
        record = json.loads(message["data"])
        if type(record) is dict:
            handle(record)

    line = r.pubsub()
    line.subscribe(**{NEWS: take})
    while line.get_message(timeout=1)["type"] != "subscribe":
        pass
    return line.run_in_thread(
        sleep_time=0.01, daemon=True, exception_handler=lambda error, line, thread: None
    )


@right
def a_thread_of_its_own_with_a_flag(r, handle):
    class Listener(threading.Thread):
        def __init__(self):
            super().__init__(daemon=True)
            self.confirmed, self.ended = threading.Event(), threading.Event()

        def run(self):
            with r.pubsub() as line:
                line.subscribe(NEWS)
                while not self.ended.is_set():
                    message = line.get_message(timeout=0.05)
                    if message and message["type"] == "subscribe":
                        self.confirmed.set()
                    elif message:
                        careful(handle)(message)

        def stop(self):
            self.ended.set()

    listener = Listener()
    listener.start()
    assert listener.confirmed.wait(10)
    return listener


@right
def listen_until_unsubscribed(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        for message in line.listen():
            careful(handle)(message)
        line.close()

    thread = threading.Thread(target=run)
    thread.stop = line.unsubscribe
    thread.start()
    return thread


@right
def a_busy_loop_by_default(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.psubscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    return line.run_in_thread()


@wrong(says="was not handled: one bad message has ended the listening", waits=True)
def trusts_every_message(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: lambda message: handle(json.loads(message["data"]))})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="its error has ended the listening", waits=True)
def catches_errors_of_json_alone(r, handle):
    def take(message):
        try:
            record = json.loads(message["data"])
        except json.JSONDecodeError:
            return
        if isinstance(record, dict):
            handle(record)

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="its error has ended the listening", waits=True)
def catches_the_errors_it_thought_of(r, handle):
    def take(message):
        try:
            record = json.loads(message["data"])
            if isinstance(record, dict):
                handle(record)
        except (ValueError, KeyError, TypeError):
            pass

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="one bad message has ended the listening", waits=True)
def catches_errors_of_handle_alone(r, handle):
    def take(message):
        record = json.loads(message["data"])
        with contextlib.suppress(Exception):
            handle(record)

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="That is JSON and no object", waits=True)
def json_of_any_kind(r, handle):
    def take(message):
        with contextlib.suppress(Exception):
            handle(json.loads(message["data"]))

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="That is JSON and no object", waits=True)
def whatever_begins_like_json(r, handle):
    def take(message):
        try:
            record = json.loads(message["data"])
            if record:
                handle(record)
        except Exception:
            pass

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="one bad message has ended the listening", waits=True)
def a_try_around_the_whole_loop(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        try:
            for message in line.listen():
                handle(dict(json.loads(message["data"])))
        except Exception:
            pass

    thread = threading.Thread(target=run, daemon=True)
    thread.stop = line.unsubscribe
    thread.start()
    return thread


@wrong(says="one bad message has ended the listening", waits=True)
def an_exception_handler_that_stops(r, handle):
    def give_up(error, line, thread):
        thread.stop()

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: lambda message: handle(json.loads(message["data"]))})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05, exception_handler=give_up)


@wrong(says="the server had not confirmed the subscription", waits=True)
def does_not_wait_for_the_confirmation(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="the server had not confirmed the subscription", waits=True)
def looks_once_without_waiting(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message()
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="the server had not confirmed the subscription", waits=True)
def subscribes_in_the_thread_some_time(r, handle):
    ended = threading.Event()

    def run():
        with r.pubsub(ignore_subscribe_messages=True) as line:
            line.subscribe(NEWS)
            while not ended.is_set():
                message = line.get_message(timeout=0.05)
                if message:
                    careful(handle)(message)

    thread = threading.Thread(target=run)
    thread.stop = ended.set
    thread.start()
    return thread


@wrong(says="`handle` got the text, not a record", waits=True)
def passes_the_text_on(r, handle):
    def take(message):
        with contextlib.suppress(Exception):
            handle(message["data"])

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: take})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="`handle` got the whole message", waits=True)
def handle_as_the_callback(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: handle})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def pairs_in_place_of_a_dictionary(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(lambda record: handle(list(record.items())))})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def handles_the_first_alone(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        careful(handle)(next(line.listen()))

    thread = threading.Thread(target=run)
    thread.stop = line.close
    thread.start()
    return thread


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def hears_all_channels(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.psubscribe(**{"arcade:*": careful(handle)})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def another_channel(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(news=careful(handle))
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="Your function does not return", waits=True)
def listens_itself(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    for message in line.listen():
        careful(handle)(message)


@wrong(says="Your function does not return", waits=True)
def waits_for_its_thread(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    thread = line.run_in_thread(sleep_time=0.05)
    thread.join()
    return thread


@wrong(says="Your function does not return", waits=True)
def runs_in_place_of_start(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        for message in line.listen():
            careful(handle)(message)

    thread = threading.Thread(target=run)
    thread.run()
    return thread


@wrong(says="Your function returns None, not the thread", waits=True)
def returns_nothing(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    line.run_in_thread(sleep_time=0.05)


@wrong(says="Your function returns the pubsub object", waits=True)
def returns_the_line(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    line.run_in_thread(sleep_time=0.05)
    return line


@wrong(says="The thread was never started", waits=True)
def never_starts_it(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        for message in line.listen():
            careful(handle)(message)

    thread = threading.Thread(target=run)
    thread.stop = line.unsubscribe
    return thread


@wrong(says="The thread has no method `stop()`", waits=True)
def cannot_be_stopped(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        for message in line.listen():
            careful(handle)(message)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@wrong(says="nothing more is published, and the thread waits on", waits=True)
def stops_at_the_next_message(r, handle):
    ended = threading.Event()
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        for message in line.listen():
            if ended.is_set():
                break
            careful(handle)(message)
        line.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.stop = ended.set
    thread.start()
    return thread


@wrong(says="nothing more is published, and the thread waits on", waits=True)
def sleeps_for_a_minute(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=60)


@wrong(says="Choose another name", waits=True)
def hides_a_method_of_thread(r, handle):
    class Listener(threading.Thread):
        def __init__(self):
            super().__init__(daemon=True)
            self._stop = threading.Event()

        def run(self):
            while not self._stop.is_set():
                message = line.get_message(timeout=0.05)
                if message:
                    careful(handle)(message)

        def stop(self):
            self._stop.set()

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)
    listener = Listener()
    listener.start()
    return listener


@wrong(says="`stop()` raised TypeError", waits=True)
def stop_wants_an_argument(r, handle):
    ended = threading.Event()
    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(NEWS)
    line.get_message(timeout=5)

    def run():
        while not ended.is_set():
            message = line.get_message(timeout=0.05)
            if message:
                careful(handle)(message)

    def stop(self):
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.stop = stop
    thread.start()
    return thread


@wrong(says="raised PubSubError", waits=True)
def a_thread_without_a_callback(r, handle):
    line = r.pubsub()
    line.subscribe(NEWS)
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="the screen may end with the older one", waits=True)
def a_thread_for_each_record(r, handle):
    def aside(record):
        threading.Thread(target=handle, args=[record], daemon=True).start()

    return callback_and_run_in_thread.answer(r, aside)


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def hears_the_newsletter_too(r, handle):
    line = r.pubsub(ignore_subscribe_messages=True)
    line.psubscribe(**{f"{NEWS}*": careful(handle)})
    line.get_message(timeout=5)
    return line.run_in_thread(sleep_time=0.05)


@wrong(says="what `handle` was called with: expected [{'player'", waits=True)
def records_of_players_alone(r, handle):
    def of_a_player(record):
        print(record["player"])
        handle(record)

    return callback_and_run_in_thread.answer(r, of_a_player)


@wrong(says="its subscription goes on", waits=True)
def leaves_the_line_open(r, handle):
    class Listener(threading.Thread):
        def __init__(self, line):
            super().__init__(daemon=True)
            self.line, self.ended = line, threading.Event()

        def run(self):
            while not self.ended.is_set():
                self.line.get_message(timeout=0.05)

        def stop(self):
            self.ended.set()

    line = r.pubsub(ignore_subscribe_messages=True)
    line.subscribe(**{NEWS: careful(handle)})
    line.get_message(timeout=5)
    thread = Listener(line)
    thread.start()
    return thread
