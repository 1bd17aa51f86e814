"""What lesson 02-pub-sub checks: texts that reach those who listen, and a chatroom's memory."""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import json
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from redis.client import PubSub

from labkit.course.exercise import AnswerRaised, CheckFailed, Outline, Question, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

outline = Outline(
    "02-pub-sub",
    title="Build a chatroom that loses nothing",
    prefix="arcade:",
    needs=("CONFIG",),
)

_NEWS = "arcade:news"

# Far above what a right answer takes: whoever is not done by then waits for ever.
_FOR_EVER = 3.0  # seconds


# -- 1 to 3: announce, hear, listen_in_thread, game_pattern ---------------------------------------


class _Ended(SystemExit):
    """Ends a thread of the answer; of a SystemExit nobody is told on stderr."""


def _until(condition: Callable[[], bool], seconds: float = _FOR_EVER) -> bool:
    """Wait for the condition; whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.005)
    return True


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what a thread dies of to ourselves."""
    thread_dies, never_raised = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda _: None
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = thread_dies, never_raised


def _interrupt(thread: threading.Thread) -> None:
    """Let the thread end as soon as it does something in Python."""
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_Ended))


def _end(thread: threading.Thread, wake: Callable[[], object]) -> None:
    """End a thread that the answer left; `wake` ends its waiting for a message."""
    for _ in range(100):
        with contextlib.suppress(Exception):  # the answer's own Thread may have broken methods
            if not thread.is_alive():
                return
            _interrupt(thread)
            wake()
            thread.join(0.02)


def _in_time(
    trial: Trial,
    function: Callable[[], Any],
    late: Callable[[], str],
    wake: Callable[[], object] = lambda: None,
) -> Any:
    """Call a function that may never return, in a thread.

    Args:
        trial: The trial.
        function: What to call. What it raises is raised here.
        late: What to say when it does not return.
        wake: Ends its waiting for a message.
    """
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # to be raised where somebody waits for it
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join(_FOR_EVER)
        if thread.is_alive():
            trial.fail(late())
    finally:
        with _quietly():
            _end(thread, wake)
    return outcome.result()


class _Line(PubSub):
    """A pubsub object that a stage made for the answer, as slow as the stage says."""

    def __init__(self, stage: _Stage, **options: Any) -> None:
        self._stage = stage
        self._left = 0.0
        self._due = 0
        self._silence = 0.0
        self._held: list[tuple[Any, ...]] = []
        super().__init__(stage.trial.client.connection_pool, **options)

    def reset(self) -> None:
        self._held.clear()
        super().reset()

    def execute_command(self, *args: Any) -> Any:
        if self._stage.confirms_after and args[0] in ("SUBSCRIBE", "PSUBSCRIBE"):
            self._held.append(args)
            self._left = self._stage.confirms_after
            return None
        self._send_held()
        return self._send(*args)

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        self._stage.readers.add(threading.current_thread())
        if self._left > 0 and not self._comes(block, timeout or 0):
            return None
        self._send_held()
        response = self._read(block, timeout or 0)
        if response is not None:
            self._left = self._stage.gap
            self._silence = 0
            if "message" in response[0]:
                self._stage.wants -= self._is_callers()
            else:
                self._due -= 1
        return response

    def _send(self, *args: Any) -> Any:
        self._due += max(1, len(args) - 1)  # as many confirmations will come
        return super().execute_command(*args)

    def _send_held(self) -> None:
        while self._held:
            self._send(*self._held.pop(0))

    def _read(self, block: bool, timeout: float) -> Any:
        if self._due > 0 or not self._is_callers():
            return super().parse_response(block, timeout)
        self._stage.went_on |= self._stage.wants <= 0 and (block or timeout > 0)
        # All that others publish is there when `act` returns: what is not, never comes.
        response = super().parse_response(False, min(timeout, 0.3) if not block else 0.3)
        if response is None:
            self._silence += timeout
            if block or self._silence > self._stage.bears:
                raise _Ended
        return response

    def _is_callers(self) -> bool:
        return threading.get_ident() == self._stage.caller

    def _comes(self, block: bool, timeout: float) -> bool:
        """Whether what is on its way comes before the wait is over."""
        if self._held and not self._is_callers():
            # A thread of the answer's own reads while the answer goes on, and may be done first.
            self._stage.returned.wait(1)
            self._left = 0
            return True
        waits = self._left if block else min(timeout, self._left)
        if self._stage.really:
            threading.Event().wait(waits)
        self._left -= max(waits, 0.01)
        return self._left <= 1e-6


class _Stage:
    """Where an answer that listens is tried out.

    `r.pubsub()` gives it lines that the stage keeps: none ends because Python throws it away, and
    all of them, with the threads that read from them, end with the stage.

    Attributes:
        trial: The trial.
        channel: What the answer listens to.
        witness: A client that publishes.
        confirms_after: How long the server takes to confirm a subscription, in seconds.
        gap: How long each thing takes to come after the one before it, in seconds.
        really: Whether these times pass. Otherwise they end at once, for whoever would wait.
        bears: After how many seconds of silence nobody who ends at all goes on reading.
        wants: How many texts the answer has still to read.
        went_on: Whether it went on waiting when it had them.
        returned: Ends the wait for a confirmation in a thread of the answer's own.
        caller: The thread that called the answer.
        readers: Which threads read.
    """

    def __init__(self, trial: Trial, channel: str) -> None:
        self.trial = trial
        self.channel = channel
        self.witness = trial.another_client()
        self.confirms_after = 0.0
        self.gap = 0.0
        self.really = False
        self.bears = 60.0
        self.wants = 1000
        self.went_on = False
        self.returned = threading.Event()
        self.caller = 0
        self.readers: set[threading.Thread] = set()
        self._lines: list[_Line] = []
        self._wakes = 0

    def __enter__(self) -> _Stage:
        self._quiet = _quietly()
        self._quiet.__enter__()
        setattr(self.trial.client, "pubsub", self._line)  # noqa: B010 - on this one client
        return self

    def __exit__(self, *_: object) -> None:
        self.returned.set()
        for thread in tuple(self.readers):
            _end(thread, self._wake)
        for line in self._lines:
            line.close()
        delattr(self.trial.client, "pubsub")
        self._quiet.__exit__(None, None, None)

    def call(self, *args: Any, late: Callable[[], str]) -> Any:
        """Call the answer; `late` is what to say when it does not return."""

        def call() -> Any:
            self.caller = threading.get_ident()
            return self.trial.call(self.trial.client, *args)

        try:
            return self.run(call, late)
        except AnswerRaised as raised:
            if not isinstance(raised.__cause__, _Ended):
                raise
            self.trial.fail(late())

    def run(self, function: Callable[[], Any], late: Callable[[], str]) -> Any:
        """Call a function that may wait for a message for ever."""
        return _in_time(self.trial, function, late, self._wake)

    def silent(self) -> bool:
        """Wait until nobody listens to the channel any more; whether that came."""
        return _until(lambda: self.witness.publish(self.channel, "anybody?") == 0, 1)

    def _line(self, **options: Any) -> _Line:
        line = _Line(self, **options)
        self._lines.append(line)
        return line

    def _wake(self) -> None:
        """End the answer's waiting: for a message, or later for a thread that reads."""
        self.witness.publish(self.channel, "the check is over")
        self._wakes += 1
        if self._wakes < 10:
            return
        for thread in tuple(self.readers):
            with contextlib.suppress(Exception):
                getattr(thread, "stop", lambda: None)()
            _interrupt(thread)


@contextlib.contextmanager
def _listening(client: redis.Redis, *channels: str, pattern: str = "") -> Iterator[PubSub]:
    """A line of the check's own that is subscribed when the block begins."""
    line = client.pubsub(ignore_subscribe_messages=True)
    if channels:
        line.subscribe(*channels)
    if pattern:
        line.psubscribe(pattern)
    for _ in range(len(channels) + bool(pattern)):
        line.get_message(timeout=5)
    try:
        yield line
    finally:
        line.unsubscribe()
        line.punsubscribe()  # fakeredis keeps a pattern that is merely closed, and grows slow
        line.close()


def _came(
    lines: list[PubSub], client: redis.Redis, channel: str = _NEWS
) -> list[list[tuple[str, str]]]:
    """The channels and texts that have come over each line; all of them hear the channel."""
    mark = uuid.uuid4().hex
    client.publish(channel, mark)
    came: list[list[tuple[str, str]]] = [[] for _ in lines]
    for line, got in zip(lines, came, strict=True):
        while (message := line.get_message(timeout=5)) and message["data"] != mark:
            if not message["channel"].startswith("__key"):  # some servers tell of keys, too
                got.append((message["channel"], message["data"]))
    return came


def _awkward(trial: Trial) -> str:
    """A name with signs that JSON writes in its own way."""
    return f'{trial.word(4)} "{trial.word(3)}" \\ é'


announce = outline.exercise(
    "announce",
    "Announce a record",
    hints=(
        "Two steps: make a text of the record, and publish it. PUBLISH answers the very number "
        "that you are asked for.",
        "`json.dumps` makes JSON of a dictionary. `r.publish(channel, text)` sends a text and "
        "returns how many got it.",
        "Put the three values into a dictionary, under `player`, `game` and `score`; hand it to "
        "`json.dumps`; return what `r.publish` answers for the channel `arcade:news` and that "
        "text.",
    ),
)


@announce.check("publishes the record on arcade:news, as JSON", points=1)
def _publishes(trial: Trial) -> None:
    witness = trial.another_client()
    player, game = _awkward(trial), _awkward(trial)
    score = trial.rng.randrange(1000, 10**7)
    with _listening(witness, pattern="*") as line:
        trial.call(trial.client, player, game, score)
        (came,) = _came([line], witness)
    stored = bool(trial.client.dbsize())
    trial.require(
        bool(came),
        "Nothing was published. "
        + ("A key is stored, and who listens hears nothing of it: " if stored else "Use ")
        + "`r.publish(channel, text)`.",
    )
    trial.require(
        len(came) == 1,
        f"{len(came)} messages were published for one record: every screen shows it so often.",
    )
    trial.require(
        not stored,
        "A key is stored besides, and nobody removes it: a channel needs none, it is only a name.",
    )
    channel, text = came[0]
    trial.equal(channel, _NEWS, "the channel", advice="Nobody listens to another one.")
    trial.equal(
        _record(trial, text), {"player": player, "game": game, "score": score}, "the record"
    )


def _record(trial: Trial, text: str) -> Any:
    try:
        record = json.loads(text)
    except ValueError:
        trial.fail(
            f"What was published is no JSON: {text[:100]}. `json.dumps(record)` writes JSON, with "
            "every sign that needs it escaped; `str(record)` and a text put together by hand do "
            "not."
        )
    trial.require(
        not isinstance(record, str),
        "The text is JSON twice over: reading it gives a text again, not a record. One "
        "`json.dumps` is enough.",
    )
    return record


@announce.check("returns how many listeners got it", points=1)
def _counts_listeners(trial: Trial) -> None:
    few, more = sorted(trial.rng.sample(range(1, 5), 2))
    for number in (0, more, few):
        _count_listeners(trial, number)


def _count_listeners(trial: Trial, number: int) -> None:
    client = trial.another_client()
    with contextlib.ExitStack() as stack:

        def listen(**how: Any) -> PubSub:
            names = () if how else (_NEWS,)
            return stack.enter_context(_listening(client, *names, **how))

        lines = [listen(pattern="arcade:n*") if n == 1 else listen() for n in range(number)]

        def another_comes(trip: int) -> None:
            if trip == 2:
                lines.append(listen())

        got = trial.call(trial.client, _awkward(trial), trial.word(), 900, before=another_comes)
        heard = [bool(came) for came in _came(lines, client)]
    trial.require(
        trial.sent("PUBLISH") or trial.log.round_trips > 0,
        "Your function sends nothing to Redis through `r`, the client that it is given.",
    )
    trial.require(all(heard[:number]), f"{number} listened to {_NEWS}, and nothing came.")
    advice = (
        "PUBLISH itself answers how many got the message. Any other question is asked before or "
        "after, when others listen, and NUMSUB leaves out those who listen by a pattern."
    )
    trial.equal(got, sum(heard), advice=advice if type(got) is int else "")


hear = outline.exercise(
    "hear",
    "Hear all of it",
    hints=(
        "Four steps: subscribe, wait for the confirmation, call `act`, collect. Whatever happens "
        "in between, the subscription has to end: that is what `with` or `finally` is for.",
        "`with r.pubsub() as line:` closes it in any case. The confirmation is the first thing "
        "that `line.get_message(timeout=5)` gives, with the type `subscribe`. Each wait for a text "
        "is `line.get_message(timeout=patience)`, and `None` means that nothing came.",
        "In the `with` block: subscribe; read until a message of the type `subscribe` comes; call "
        "`act()`; while fewer than `count` texts are in the list, get a message with "
        "`timeout=patience`, stop at `None`, append its `data`. Return the list.",
    ),
)


_ELSEWHERE = "of another channel"


class _Act:
    """Makes others publish, as `act` does.

    Attributes:
        calls: How often it was called.
        unheard: Whether nobody got what it published.
    """

    def __init__(self, stage: _Stage, texts: list[str]) -> None:
        self._stage = stage
        self.texts = texts
        self.calls = 0
        self.unheard = False
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.calls += 1
        witness, channel = self._stage.witness, self._stage.channel
        for other in {f"{channel}:other", channel.replace("*", "x")} - {channel}:
            witness.publish(other, _ELSEWHERE)
        for text in self.texts:
            got = witness.publish(channel, text)
            self.unheard = self.unheard or not got
        witness.ping()  # answered when all the texts have left the server
        if self.error is not None:
            raise self.error


def _hear(stage: _Stage, act: _Act, count: int, patience: float) -> Any:
    """Call the answer, and say what can be said before looking at its result."""
    trial = stage.trial
    early = (
        "`act` was called before the server had confirmed the subscription, and what was published "
        "then went to nobody. `subscribe` only sends the request: read until the confirmation has "
        "come. It may take a second."
    )
    enough = f"All {count} texts had come, and your function went on waiting: stop at `count`."

    def late() -> str:
        if not act.calls:
            return (
                "Your function waits for ever and never calls `act`. A confirmation comes once, "
                "and with `ignore_subscribe_messages=True` it shows as `None`."
            )
        if act.unheard:
            return early
        if count <= len(act.texts):
            return enough
        return (
            f"Nothing more came, and with `patience={patience}` your function waited for ever. "
            "`listen()` knows no time-out; `get_message(timeout=patience)` gives `None` when "
            "nothing came."
        )

    stage.bears, stage.wants = 5 * patience, count
    got = stage.call(stage.channel, trial.named("act", act), count, patience, late=late)
    trial.require(
        not inspect.isgenerator(got),
        "Your function yields, and calling it runs nothing. Collect the texts in a list, and "
        "return that.",
    )
    trial.require(act.calls > 0, "Your function never calls `act()`.")
    trial.require(act.calls == 1, f"`act` was called {act.calls} times; call it once.")
    trial.require(not act.unheard, early)
    trial.require(not stage.went_on or got != act.texts[:count], enough)
    return got


def _judge_texts(trial: Trial, got: Any, texts: list[str], count: int) -> None:
    """Demand the first texts; to what is known to go wrong, say so."""
    expected = texts[:count]
    advice = ""
    if isinstance(got, list):
        trial.require(
            not any(isinstance(each, dict) for each in got),
            "The list holds messages, not texts: a message is a dictionary, and its text is under "
            "`data`.",
        )
        trial.require(
            _ELSEWHERE not in got,
            "Your list has a text of another channel: `psubscribe` takes the name for a pattern, "
            "and `*` in it for any text.",
        )
        trial.require(
            1 not in got,
            f"Your list is {got!r}: the 1 is the server's confirmation, not a text. It has the "
            "type `subscribe`, texts have the type `message`.",
        )
        if not got:
            advice = (
                "A confirmation that is ignored still comes, as a `None`: do not take it for "
                "silence."
            )
        elif got == [text for text in texts if text][: len(got)]:
            advice = "An empty text is a text too: what ends the waiting is `None`."
        elif len(got) > count:
            advice = f"Stop after the first {count}."
    trial.equal(got, expected, advice=advice)


@hear.check("returns the first `count` texts, in order", points=1)
def _hears(trial: Trial) -> None:
    texts = [*trial.words(trial.rng.randrange(3, 6)), "", trial.word(), trial.word()]
    texts.insert(2, texts[0])
    count = len(texts) - 1
    with _Stage(trial, f"arcade:{trial.word()}*{trial.word(2)}") as stage:
        got = _hear(stage, _Act(stage, texts), count, 0.5)
    _judge_texts(trial, got, texts, count)


@hear.check("gives up when nothing comes for `patience` seconds, and no sooner", points=1)
def _gives_up(trial: Trial) -> None:
    texts = trial.words(trial.rng.randrange(2, 5))
    channel = f"arcade:{trial.word()}"
    with _Stage(trial, channel) as stage:
        got = _hear(stage, _Act(stage, texts), len(texts) + 2, 0.2)
    _judge_texts(trial, got, texts, len(texts))
    with _Stage(trial, channel) as stage:
        stage.gap = 20
        got = _hear(stage, _Act(stage, texts), len(texts), 30)
    trial.equal(
        got,
        texts,
        "the result for `patience=30`, where 20 seconds pass before each text",
        advice="Wait `patience` seconds for each text, not a time of your own.",
    )
    with _Stage(trial, channel) as stage:
        stage.gap, stage.really = 0.3, True
        got = _hear(stage, _Act(stage, texts[:2]), 2, 0.5)
    trial.equal(
        got,
        texts[:2],
        "the result for `patience=0.5`, where 0.3 seconds pass before each text",
        advice="`patience` is for each silence, not for all of them together: the wait begins anew "
        "with every text.",
    )


@hear.check("calls `act` once the server has confirmed the subscription", points=1)
def _waits_for_confirmation(trial: Trial) -> None:
    texts = trial.words(3)
    with _Stage(trial, f"arcade:{trial.word()}") as stage:
        stage.confirms_after = 1
        got = _hear(stage, _Act(stage, texts), 3, 0.5)
    _judge_texts(trial, got, texts, 3)


@hear.check("leaves no subscription behind, also when `act` raises", points=1)
def _leaves_nothing(trial: Trial) -> None:
    texts = trial.words(2)
    for count, patience in ((1, 0.5), (3, 0.1)):
        with _Stage(trial, f"arcade:{trial.word()}") as stage:
            _hear(stage, _Act(stage, texts), count, patience)
            trial.require(
                stage.silent(),
                "Your function has returned and its subscription goes on: the server sends to it "
                "until Python happens to throw the pubsub object away. Close it: "
                "`with r.pubsub() as line:` does.",
            )
    with _Stage(trial, f"arcade:{trial.word()}") as stage:
        act = _Act(stage, texts)
        act.error = ConnectionAbortedError("the tournament broke off")
        try:
            got = _hear(stage, act, 2, 0.1)
        except AnswerRaised as raised:
            if raised.__cause__ is not act.error:
                raise
        else:
            trial.fail(
                f"`act` raised an error and your function returned {got!r}. Let it through: the "
                "caller has to know."
            )
        trial.require(
            stage.silent(),
            "`act` raised, and the subscription goes on: nothing after the error was run. Close in "
            "`finally`, or open the line by `with`.",
        )


listen_in_thread = outline.exercise(
    "listen_in_thread",
    "Keep listening",
    hints=(
        "A callback of yours stands between the line and `handle`. What must not end the thread "
        "must not leave this callback: neither an error of `json.loads` nor one of `handle`.",
        "Subscribe with the callback, `line.subscribe(**{'arcade:news': take})`, read the "
        "confirmation yourself with `line.get_message(timeout=5)`, and only then start "
        "`line.run_in_thread(sleep_time=0.05)`, which returns the thread.",
        "In `take(message)`, all in one `try` with `except Exception`: read "
        "`json.loads(message['data'])`, and call `handle` if that is a `dict`. Then make the line, "
        "subscribe with `take`, read the confirmation, and return what `run_in_thread` returns.",
    ),
)


def _listen(stage: _Stage, handle: Callable[[Any], object]) -> threading.Thread:
    trial = stage.trial
    thread: Any = stage.call(
        trial.named("handle", handle),
        late=lambda: (
            "Your function does not return: it listens itself, or waits for the thread. The thread "
            "listens; the caller goes on."
        ),
    )
    trial.require(
        not isinstance(thread, PubSub),
        "Your function returns the pubsub object. The thread is what `run_in_thread` returns.",
    )
    if not isinstance(thread, threading.Thread):
        trial.fail(f"Your function returns {thread!r}, not the thread that listens.")
    stage.readers.add(thread)
    trial.require(thread.ident is not None, "The thread was never started: call its `start()`.")
    return thread


def _in_place(stage: _Stage) -> None:
    """Wait for the subscription: to be late with it costs the points of one check alone."""
    _until(lambda: bool(stage.witness.pubsub_numsub(_NEWS)[0][1]), 1)


def _alive(trial: Trial, thread: threading.Thread) -> bool:
    try:
        return thread.is_alive()
    except TypeError:
        trial.fail(
            "Your thread has hidden a part of Thread under an attribute of its own: `_stop` is "
            "a method there. Choose another name."
        )


def _records(trial: Trial, count: int) -> list[dict[str, Any]]:
    return [
        {"player": _awkward(trial), "game": trial.word(), "score": trial.rng.randrange(10**6)}
        for _ in range(count)
    ]


def _publish_and_wait(
    stage: _Stage, thread: threading.Thread, heard: list[Any], expected: int, *texts: str
) -> None:
    """Publish texts; wait until so many records were handled, or it is plain that none will be."""
    got = [stage.witness.publish(_NEWS, text) for text in texts]

    def done() -> bool:
        return len(heard) >= expected or not _alive(stage.trial, thread)

    progress = got[-1] > 0
    while progress and not done():
        before = len(heard)
        progress = _until(lambda: done() or len(heard) > before)  # noqa: B023 - called at once


@listen_in_thread.check("calls `handle` with each record, as a dictionary, in order", points=1)
def _handles(trial: Trial) -> None:
    heard: list[Any] = []
    records = [*_records(trial, 3), {"game": trial.word()}, {}]
    second = threading.Event()
    at_once = False

    def handle(record: Any) -> None:
        nonlocal at_once
        heard.append(record)
        if len(heard) == 1:
            at_once = second.wait(0.2)
        second.set()

    with _Stage(trial, _NEWS) as stage:
        thread = _listen(stage, handle)
        _in_place(stage)
        for other in ("arcade:other", f"{_NEWS}letter"):
            stage.witness.publish(other, json.dumps({"player": "nobody"}))
        _publish_and_wait(stage, thread, heard, len(records), *map(json.dumps, records))
    trial.require(
        not at_once,
        "The second record was handled while the first was still in hand: the screen may end with "
        "the older one. Call `handle` in the thread that listens.",
    )
    trial.require(
        not any(isinstance(each, str) for each in heard),
        "`handle` got the text, not a record: `json.loads` reads it.",
    )
    trial.require(
        not any(isinstance(each, dict) and "data" in each for each in heard),
        "`handle` got the whole message. The record is the JSON under its `data`.",
    )
    trial.equal(heard, records, "what `handle` was called with")


@listen_in_thread.check("is subscribed, and confirmed, when it returns", points=1)
def _is_confirmed(trial: Trial) -> None:
    heard: list[Any] = []
    (record,) = _records(trial, 1)
    text = json.dumps(record)
    with _Stage(trial, _NEWS) as stage:
        stage.confirms_after = 1
        thread = _listen(stage, heard.append)
        got = stage.witness.publish(_NEWS, text)
        stage.returned.set()
        trial.require(
            got > 0,
            "When your function returned, the server had not confirmed the subscription, and a "
            "record that was published then was lost. Read the confirmation first.",
        )
        _until(lambda: heard == [record] or not _alive(trial, thread))
    trial.equal(heard, [record], "what `handle` was called with")


@listen_in_thread.check("goes on after a message that is no JSON object", points=0.5)
def _survives_messages(trial: Trial) -> None:
    heard: list[Any] = []
    bad = ["", "[1, 2]", "3", "null", '"text"', '{"player":', "['ada']", '[["player", 1]]']
    trial.rng.shuffle(bad)
    bad.insert(0, "oops")
    first, *records = _records(trial, 1 + len(bad))
    with _Stage(trial, _NEWS) as stage:
        thread = _listen(stage, heard.append)
        _in_place(stage)
        _publish_and_wait(stage, thread, heard, 1, json.dumps(first))
        trial.equal(heard, [first], "what `handle` was called with")
        for number, (text, record) in enumerate(zip(bad, records, strict=True), start=2):
            _publish_and_wait(stage, thread, heard, number, text, json.dumps(record))
            strange = [each for each in heard if not isinstance(each, dict)]
            trial.require(
                not strange,
                f"`handle` was called with {strange[:1]}, from the message {text!r}. That is JSON "
                "and no object: pass dictionaries on, and nothing else.",
            )
            trial.require(
                heard[-1:] == [record],
                f"The message {text!r} came, and the record after it was not handled: one bad "
                "message has ended the listening.",
            )
    trial.equal(heard, [first, *records], "what `handle` was called with")


@listen_in_thread.check("goes on after a `handle` that raises", points=0.5)
def _survives_errors(trial: Trial) -> None:
    class Unforeseen(Exception):
        pass

    kinds = [KeyError, ZeroDivisionError, ValueError, OSError, TypeError, Unforeseen]
    trial.rng.shuffle(kinds)
    records = _records(trial, len(kinds) + 1)
    heard: list[Any] = []

    def handle(record: Any) -> None:
        heard.append(record)
        if len(heard) <= len(kinds):
            raise kinds[len(heard) - 1]("the screen is dark")

    with _Stage(trial, _NEWS) as stage:
        thread = _listen(stage, handle)
        _in_place(stage)
        for number, record in enumerate(records):
            _publish_and_wait(stage, thread, heard, number + 1, json.dumps(record))
            before = kinds[number - 1].__name__ if number else ""
            trial.require(
                not number or heard[-1:] == [record],
                f"`handle` raised {before}, and the next record was not handled: its error has "
                "ended the listening. What `handle` raises, nobody can foresee: catch "
                "`Exception`.",
            )
            trial.equal(heard, records[: number + 1], "what `handle` was called with")


def _stop(stage: _Stage, stop: Any) -> None:
    try:
        stage.run(stop, lambda: "`stop()` does not return.")
    except CheckFailed:
        raise
    except Exception as error:
        stage.trial.fail(f"`stop()` raised {type(error).__name__}: {error}.")


@listen_in_thread.check("returns a thread that `stop()` ends", points=1)
def _stops(trial: Trial) -> None:
    heard: list[Any] = []
    first, second = _records(trial, 2)
    with _Stage(trial, _NEWS) as stage:
        thread = _listen(stage, heard.append)
        _in_place(stage)
        _publish_and_wait(stage, thread, heard, 1, json.dumps(first))
        trial.equal(heard, [first], "what `handle` was called with")
        trial.require(_alive(trial, thread), "The thread has ended before `stop()` was called.")
        stop = getattr(thread, "stop", None)
        trial.require(
            callable(stop),
            "The thread has no method `stop()`. That of `run_in_thread` has one; to a Thread of "
            "your own, add it.",
        )
        _stop(stage, stop)
        trial.require(
            _until(lambda: not _alive(trial, thread)),
            "`stop()` was called, nothing more is published, and the thread waits on. Let it wait "
            "for a message only for a part of a second at a time.",
        )
        trial.require(
            stage.silent(),
            "The thread has ended, and its subscription goes on: close the pubsub object when the "
            "listening ends.",
        )
        stage.witness.publish(_NEWS, json.dumps(second))
        trial.equal(heard, [first], "what `handle` was called with, before and after `stop()`")


game_pattern = outline.exercise(
    "game_pattern",
    "One game, and no other",
    hints=(
        "In a pattern `*`, `?`, `[` and `]` have a meaning of their own. There is a sign that "
        "takes it away from the sign behind it.",
        r"That sign is the backslash: `\*` is a star and nothing more. A backslash in a name has "
        r"to be written `\\`, or it takes the meaning away from what follows.",
        r"Go through the name sign by sign: put a backslash (in Python `'\\'`) in front of each of "
        r"`*`, `?`, `[`, `]`, `^` and the backslash itself, and join. Then `arcade:game:`, that "
        "name, and `:*` make the pattern.",
    ),
)


def _heard(trial: Trial, game: str, channels: list[str]) -> list[bool]:
    """Which of the channels are heard by the pattern that the answer gives for the game."""
    pattern = trial.call(game)
    trial.require(isinstance(pattern, str), f"The pattern is a text, not {type(pattern).__name__}.")
    client = trial.another_client()
    with _listening(client, pattern=pattern):
        return [bool(client.publish(channel, "an event")) for channel in channels]


def _expect_heard(trial: Trial, game: str, events: list[str], advice: str = "") -> None:
    channels = [f"arcade:game:{game}:{event}" for event in events]
    for channel, heard in zip(channels, _heard(trial, game, channels), strict=True):
        trial.require(
            heard, f"The pattern for the game {game!r} does not hear {channel}. {advice}".rstrip()
        )


def _expect_unheard(trial: Trial, game: str, others: list[str], advice: str = "") -> None:
    for channel, heard in zip(others, _heard(trial, game, others), strict=True):
        trial.require(
            not heard, f"The pattern for the game {game!r} hears {channel}, too. {advice}".rstrip()
        )


@game_pattern.check("hears every event of the game", points=1)
def _hears_events(trial: Trial) -> None:
    game, event = trial.words(2)
    for name in (game, f"{game} é-{trial.word(2)}.2"):
        _expect_heard(
            trial,
            name,
            [event, "score", "s", f"duel:{event}", f"{event}:a:b", "over!"],
            "`*` at the end stands for any text, colons too; `.*` and other regular expressions "
            "are not what PSUBSCRIBE reads.",
        )


@game_pattern.check("hears nothing of another game", points=1)
def _hears_no_other(trial: Trial) -> None:
    game, other, event = trial.words(3)
    _expect_heard(trial, game, ["score"])
    names = [f"{game}2", f"{game}{other}", f"my{game}", other, game[:-1], game.upper()]
    others = [f"arcade:game:{name}:{event}" for name in names]
    others += [f"arcade:game:{other}:{game}:{event}", f"arcade:game:{other}:{game}", "arcade:news"]
    trial.rng.shuffle(others)
    _expect_unheard(
        trial, game, others, "The name stands between two colons; write both into the pattern."
    )


# What a name with signs of the pattern language might be taken for.
_ALIKE = {
    "{0}*{1}": ["{0}wert{1}", "{0}{1}"],
    "*": ["{0}", "pong"],
    "{0}*": ["{0}", "{0}2"],
    "{0}?{1}": ["{0}x{1}"],
    "???": ["{2}"],
    "{0}[{2}]": ["{0}{2}", "{0}{2[0]}", "{0}{2[1]}"],
    "[a-c]{0}": ["b{0}", "-{0}"],
    "{0}[^x]": ["{0}a", "{0}^"],
    "[{0}": ["{0}", "{1}"],
    "{0}]": ["{0}", "{1}"],
    "{0}^{1}": ["{0}{1}"],
    "^{0}": ["{0}"],
    "{0}\\{1}": ["{0}{1}", "{0}\\\\{1}"],
    "{0}\\": ["{0}", "{1}"],
    "{0}\\*": ["{0}*", "{0}\\x", "{0}x"],
    "{0}\\?": ["{0}?", "{0}\\x"],
    "\\[{2}]": ["{2[0]}", "[{2}]", "\\{2[1]}"],
    "[!{2}]": ["{2[0]}", "!", "x"],
    "{0}[*]": ["{0}*", "{0}x"],
    "[]{0}]": ["{0}]", "]", "{0}"],
    "*?[]^\\-": ["ab-", "-"],
}


@game_pattern.check("takes each sign of a name as that sign: q*bert, [x], why?", points=1)
def _takes_literally(trial: Trial) -> None:
    words = trial.words(3, 3)
    alike = list(_ALIKE.items())
    trial.rng.shuffle(alike)
    for shape, others in alike:
        game = shape.format(*words)
        backslash = (
            " A backslash in a name needs one as well: it would take the meaning of the sign "
            "behind it away, and be gone."
            if "\\" in game
            else ""
        )
        advice = (
            r"`*`, `?`, `[` and `]` have a meaning in a pattern, unless a backslash stands in "
            f"front.{backslash}"
        )
        _expect_heard(trial, game, ["score", "duel:score"], advice)
        channels = [f"arcade:game:{other.format(*words)}:score" for other in others]
        _expect_unheard(trial, game, channels, advice)


# -- 4 what each way promises, and a worker ---------------------------------------------------

# It registers itself on the outline above, and imports it: it cannot be imported earlier.
from labkit.course.lessons import delivering  # noqa: E402, F401  isort: skip

# -- 5 the chatroom -----------------------------------------------------------------------------

from labkit.course.lessons import chatroom  # noqa: E402, F401  isort: skip

# -- 7 publish_all, and the quiz ----------------------------------------------------------------

publish_all = outline.exercise(
    "publish_all",
    "Publish many",
    hints=(
        "Take as many texts as a batch holds, send them, take the next. The texts may come from a "
        "generator: you cannot ask for their number, and should not gather them all.",
        "`itertools.islice(texts, size)` takes the next `size` of an iterator that you made once "
        "with `iter(texts)`. `pipe.execute()` answers one number for each PUBLISH: their sum is "
        "what you count.",
        "`texts = iter(texts)`, then in a loop: `batch = list(itertools.islice(texts, size))`; "
        "stop when it is empty; queue a `publish` for each on `r.pipeline(transaction=False)`; "
        "add `sum(pipe.execute())` to the total. Return the total.",
    ),
)


def _publish_all(trial: Trial, *args: Any, before: Callable[[int], None] | None = None) -> Any:
    def call() -> Any:
        any_iterable = (
            "`texts` is any iterable: a generator has no length and no slices, and a list is no "
            "iterator before `iter(texts)`."
        )
        with trial.explain(TypeError, any_iterable):
            return trial.call(trial.client, *args, before=before)

    return _in_time(trial, call, lambda: "Your function does not return: does its loop ever end?")


@publish_all.check("publishes every text in order, and returns all deliveries", points=1)
def _publishes_all(trial: Trial) -> None:
    client, channel = trial.another_client(), f"arcade:{trial.word()}"
    size = trial.rng.randrange(3, 7)
    for count in (3 * size + trial.rng.randrange(1, size), size - 1, 2 * size, 0):
        texts = [trial.word() if number != 1 else "" for number in range(count)]
        with contextlib.ExitStack() as stack:
            lines = [
                stack.enter_context(_listening(client, channel))
                for _ in range(trial.rng.randrange(2, 4))
            ]

            def another_comes(trip: int) -> None:
                if trip == 2:
                    lines.append(stack.enter_context(_listening(client, channel)))  # noqa: B023

            got = _publish_all(trial, channel, texts, size, before=another_comes)
            heard = [[text for _, text in came] for came in _came(lines, client, channel)]
        deliveries = sum(map(len, heard))
        if type(got) is not int:
            numbers = "`pipe.execute()` answers a list of numbers; return the sum of all."
            trial.equal(got, deliveries, advice=numbers if isinstance(got, list) else "")
        rest = count % size
        trial.require(
            not rest or heard[0] != texts[:-rest],
            f"Of {count} texts the last {rest} were not sent: what does not fill a batch has to "
            "go, too.",
        )
        trial.equal(heard[0], texts, f"what a subscriber got of {count} texts, with `size={size}`")
        trial.equal(
            got,
            deliveries,
            advice="Add up what PUBLISH answered, for every text: how many listen may change "
            "between two batches.",
        )


@publish_all.check("sends at most `size` in a trip, and never holds all texts", points=1)
def _in_batches(trial: Trial) -> None:
    size = trial.rng.randrange(5, 9)
    count = 6 * size + trial.rng.randrange(1, size)
    ahead = 0

    def texts() -> Iterator[str]:
        nonlocal ahead
        for taken in range(1, count + 1):
            ahead = max(ahead, taken - size * trial.log.round_trips)
            yield trial.word()

    _publish_all(trial, f"arcade:{trial.word()}", texts(), size)
    trips = trial.log.round_trips
    trial.require(trips > 0, "Your function sends nothing to Redis through `r`.")
    trial.require(
        ahead <= 2 * size,
        f"{ahead} texts were taken from `texts` before the first of them was sent, with "
        f"`size={size}`. A generator may be longer than memory: take one batch at a time.",
    )
    commands = Counter(each.trip for each in trial.log if each.name not in ("MULTI", "EXEC"))
    most = max(commands.values())
    trial.require(most <= size, f"A pipeline held {most} commands, with `size={size}`.")
    expected = -(-count // size)
    trial.require(
        trips == expected,
        f"{count} texts with `size={size}` fit into {expected} round trips; your answer made "
        f"{trips}. Each is a journey that the next batch waits for.",
    )


choose_way = outline.quiz(
    "choose_way",
    "Choose the way",
    {
        "q1": Question(
            "the cursor positions of others in a shared editor, ten a second, stale after one",
            "pub/sub",
            {
                "pub/sub": "Everybody who is there sees it at once, and what is missed is old "
                "before it could be sent again.",
                "list": "A pop gives each position to one editor alone, and the others see "
                "nothing.",
                "stream": "It would arrive, and be kept: ten positions a second of everybody, that "
                "nobody will ever read.",
                "consumer group": "Within a group one reader alone gets each position, and must "
                "confirm what is stale by then.",
            },
        ),
        "q2": Question(
            "e-mails to send, each by one of many workers, also when a worker dies",
            "consumer group",
            {
                "consumer group": "Each goes to one worker and stays noted until that worker "
                "confirms it; another can claim what a dead one held.",
                "pub/sub": "Every worker gets each e-mail and sends it; and without a worker there "
                "it is gone.",
                "list": "A pop removes the e-mail: the worker that dies with it takes it along.",
                "stream": "Read without a group, every worker sees every e-mail, and all send it.",
            },
        ),
        "q3": Question(
            "a feed of events that each of five services reads whole, at its own pace, after "
            "restarts too",
            "stream",
            {
                "stream": "Entries stay; each service remembers the id it has read up to, and goes "
                "on from there.",
                "pub/sub": "Who restarts misses what is published meanwhile, and who is slow is "
                "cut off.",
                "list": "What one service pops, the other four never see.",
                "consumer group": "One group divides the events among its readers: each service "
                "would see a part. Five groups of one reader are possible, with an XACK for every "
                "event that nobody else would do.",
            },
        ),
        "q4": Question(
            "thumbnails to make, one worker of many takes each; one that is lost now and then is "
            "made again when somebody looks",
            "list",
            {
                "list": "A blocking pop gives each to one worker, and that is all. What a crash "
                "loses is made again anyway.",
                "pub/sub": "All workers would make the same thumbnail, and with none there nobody "
                "would.",
                "stream": "Without a group nothing divides the work, and all make each thumbnail.",
                "consumer group": "It would do, with claims and confirmations that this work does "
                "not need: a lost thumbnail is made again when somebody looks.",
            },
        ),
    },
    hints=(
        "Ask three questions of each: does everybody get it, or one? Does it wait for who is not "
        "there? Does it come again when a reader dies at work?",
        "Everybody and no waiting: pub/sub. Everybody, and it waits: a stream. One of many, and a "
        "pop is enough: a list. One of many, and none may be lost: a consumer group.",
        "q1 is old after a second, so nothing need be kept. q2 loses nothing although workers die. "
        "q3 has five readers that each want all of it, later too. q4 forgives a loss.",
    ),
    points=0.5,
)
