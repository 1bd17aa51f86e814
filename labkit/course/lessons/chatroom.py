"""What lesson 02 checks of a chatroom: messages with numbers, coming back, and who is there."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any

import redis
from redis.client import PubSub, PubSubWorkerThread

from labkit.course.exercise import AnswerRaised
from labkit.course.lessons.lesson_02_pub_sub import _came, _listening, outline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labkit.course.exercise import Trial

    Message = tuple[int, str]
    Ear = Callable[[], list[tuple[str, str]]]

# Far above what a private server needs; who waits longer waits for nothing.
_PATIENCE = 10.0

_BRACES = (
    "The braces belong to the name, and in an f-string each of them is written twice: "
    '`f"arcade:{{{room}}}:%s"`.'
)

_SPEAK = """
local number = redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[2], number .. '-0', 'body', ARGV[1])
return {number, redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1])}
"""


def _name(room: str, what: str) -> str:
    return f"arcade:{{{room}}}:{what}"


def _speak(client: redis.Redis, room: str, text: str) -> tuple[int, int]:
    """Somebody else says something; the number of the message, and how many listened."""
    names = [_name(room, what) for what in ("last", "stream", "live")]
    body = json.dumps({"member": "rival", "text": text})
    number, listeners = client.eval(_SPEAK, 3, *names, body)
    return number, listeners


def _entries(client: redis.Redis, room: str) -> list[tuple[str, dict[str, str]]]:
    """The room's history, the oldest first."""
    return list(client.xrange(_name(room, "stream")))  # type: ignore[arg-type]


def _is_there(trial: Trial, room: str, what: str, kind: str) -> None:
    """Demand the room's key, of this type."""
    key = _name(room, what)
    keys = sorted(trial.client.scan_iter())
    others = ", ".join([name for name in keys if name != key][:3])
    trial.require(bool(keys), f"Nothing is stored: there is no {key}.")
    trial.require(
        key in keys,
        f"There is no {key}; what is stored is {others}. {_BRACES % what}",
    )
    found = trial.client.type(key)
    trial.require(found == kind, f"{key} is a {found}; it should be a {kind}.")


@contextlib.contextmanager
def _ear(trial: Trial) -> Iterator[Ear]:
    """Tells what was published since it was asked last: channels and texts, of any channel."""
    client = trial.another_client()
    with _listening(client, pattern="*") as line:
        yield lambda: _came([line], client)[0]


# -- say something -------------------------------------------------------------------------------

say = outline.exercise(
    "say",
    "Say it once, in one step",
    hints=(
        "The number that INCR answers is needed for the entry and for the message, so a pipeline "
        "does not do: all three go into one script, sent with `r.eval(script, 3, last, stream, "
        "live, body, keep)`. Make `body` in Python, with `json.dumps`.",
        "In the script: `local number = redis.call('INCR', KEYS[1])`, then XADD with the id "
        "`number .. '-0'`, then PUBLISH of `number .. ' ' .. ARGV[1]`. XADD itself cuts the stream "
        "when `'MAXLEN', ARGV[2]` stands before the id; without `~` it does so exactly.",
        "After INCR: `redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[2], number .. '-0', 'body', "
        "ARGV[1])`, then `redis.call('PUBLISH', KEYS[3], number .. ' ' .. ARGV[1])`, and `return "
        'number`. The keys are `f"arcade:{{{room}}}:last"` and so on.',
    ),
)

_AWKWARD = (
    "It's late",
    'He said "late"',
    "C:\\new\nline",
    "[[Fähre]]",
    "']] return 1 --",
    "{} %s %d",
    "42",
    "",
    "1 2 3",
)

_NO_SCRIPT = (
    "The server refused it. In a script, texts come as arguments, ARGV, and not in its source; "
    "keys come in KEYS, counted from 1."
)


@say.check("the message gets the next number, is kept, and goes out live", points=1)
def _says(trial: Trial) -> None:
    room, old, member = trial.words(3)
    latest = trial.rng.randrange(200, 90_000)
    with _ear(trial) as ear:
        for number, text in enumerate((trial.word(), *_AWKWARD), start=1):
            _say_one(trial, ear, room, member, text, number)
        kept = {_name(room, what) for what in ("last", "stream")}
        extra = ", ".join(sorted(set(trial.client.scan_iter()) - kept))
        trial.require(not extra, f"Besides number and history your answer leaves {extra} behind.")
        # A room that was quiet for long: its history is gone, its number is not.
        trial.client.set(_name(old, "last"), latest)
        ear()
        _say_one(trial, ear, old, 'O\'Neill "Bo"', trial.word(), latest + 1)


def _say_one(
    trial: Trial,
    ear: Callable[[], list[tuple[str, str]]],
    room: str,
    member: str,
    text: str,
    number: int,
) -> None:
    with trial.explain(redis.ResponseError, _NO_SCRIPT):
        got = trial.call(trial.client, room, member, text, 100)
    heard = ear()
    _is_there(trial, room, "last", "string")
    _is_there(trial, room, "stream", "stream")
    last, stream, live = (_name(room, what) for what in ("last", "stream", "live"))
    trial.equal(
        trial.client.get(last),
        str(number),
        f"the number in {last}, which was {number - 1}",
        advice="INCR it, once for each message.",
    )
    for key in (last, stream):
        trial.require(
            trial.client.ttl(key) == -1,
            f"{key} has a time to live: a room that is quiet for long forgets its number, begins "
            "with 1 again, and whoever comes back takes new messages for old ones.",
        )
    entry, fields = _entries(trial.client, room)[-1]
    trial.equal(
        entry,
        f"{number}-0",
        f"the id of the newest entry in {stream}",
        advice="Name the id yourself: the room's latest number, from the key `last`, and `-0`.",
    )
    trial.require(
        list(fields) == ["body"],
        f"The entry {entry} has the fields {', '.join(fields)}; it should have one, `body`.",
    )
    trial.equal(
        _read(fields["body"]),
        {"member": member, "text": text},
        f"the body of {entry}, which is {fields['body']!r}, read as JSON",
        advice="Make it with `json.dumps`, whatever signs the text has.",
    )
    _goes_out(trial, heard, live, f"{number} {fields['body']}")
    trial.equal(got, number, advice="Return the number of the message.")


def _read(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _goes_out(trial: Trial, heard: list[tuple[str, str]], live: str, text: str) -> None:
    trial.require(
        bool(heard), f"Nothing was published: whoever listens on {live} waits for ever. PUBLISH it."
    )
    channels = {channel for channel, _ in heard}
    trial.require(
        channels == {live},
        f"Published on {', '.join(sorted(channels))}; the room's channel is {live}. "
        f"{_BRACES % 'live'}",
    )
    trial.equal(
        [text for _, text in heard],
        [text],
        f"what came over {live}",
        advice="One message: the number, a space, and the body as the stream has it. Without its "
        "number nobody can tell whether one is missing.",
    )


@say.check("the stream keeps the newest `keep` entries, exactly", points=1)
def _keeps(trial: Trial) -> None:
    room = trial.word()
    keep = trial.rng.randrange(3, 7)
    said = keep + trial.rng.randrange(2, 5)
    for _ in range(said):
        trial.call(trial.client, room, "ada", trial.word(), keep)
    _is_there(trial, room, "stream", "stream")
    trial.require(
        len(_entries(trial.client, room)) < said,
        f"{said} messages were said, {keep} are to be kept, and the stream holds all: it grows "
        "for ever. `MAXLEN` cuts it, but with `~` (in redis-py that is `approximate=True`, the "
        "default of `xadd` and `xtrim`) only when there is a whole block to drop.",
    )
    _holds(trial, room, range(said - keep + 1, said + 1), f"keep={keep}")
    long, crowded = trial.rng.randrange(12, 20), trial.word()
    for _ in range(long):
        _speak(trial.client, crowded, trial.word())
    for number, few in ((long + 1, keep), (long + 2, 1)):
        trial.call(trial.client, crowded, "ada", trial.word(), few)
        _holds(trial, crowded, range(number - few + 1, number + 1), f"keep={few}")


def _holds(trial: Trial, room: str, numbers: range, keep: str) -> None:
    trial.equal(
        [entry for entry, _ in _entries(trial.client, room)],
        [f"{number}-0" for number in numbers],
        f"the entries of {_name(room, 'stream')} after message {numbers[-1]}, with {keep}",
        advice="Cut the stream after adding, to the newest, this message among them.",
    )


@say.check("two who speak at the same moment get two numbers, in order", points=1.5)
def _two_speak(trial: Trial) -> None:
    room, text = trial.words(2)
    witness = trial.another_client()
    refused = (
        "Somebody spoke between two of your trips and has a higher number by now: a stream only "
        "grows at its end, and your entry is refused. Count, add and publish in one script."
    )
    again = "Somebody spoke meanwhile: catch WatchError and begin again."
    with (
        _ear(trial) as ear,
        trial.explain(redis.ResponseError, refused),
        trial.explain(redis.WatchError, again),
    ):
        race = trial.race(
            ear,
            lambda: _speak(witness, room, "me too"),
            *(trial.client, room, "ada", text, 100),
        )
        for got in race:
            entries, heard = _entries(witness, room), ear()
            trial.require(
                witness.get(_name(room, "last")) == "2" and len(entries) == 2,
                "Two people spoke at once, and the room has the number "
                f"{witness.get(_name(room, 'last'))} and {len(entries)} entries: reading the "
                "number and then writing it gives both the same. Count, add and publish in one "
                "script.",
            )
            mine = [entry for entry, fields in entries if text in fields.get("body", "")]
            trial.require(
                mine == [f"{got}-0"],
                f"Two people spoke at once. Your function returned {got!r}, and the entry with "
                f"its text is {', '.join(mine) or 'nowhere'}.",
            )
            order = [message.partition(" ")[0] for _, message in heard]
            trial.require(
                order == ["1", "2"],
                f"Two people spoke at once, and listeners got the numbers {', '.join(order)}: "
                "somebody came between your entry and your PUBLISH. Both belong in one step.",
            )


@say.check("cut off anywhere, it has said all of it or nothing", points=1.5)
def _all_or_nothing(trial: Trial) -> None:
    room, text = trial.words(2)
    witness = trial.another_client()
    with _ear(trial) as ear:

        def prepare() -> None:
            for _ in range(3):
                _speak(witness, room, trial.word())
            ear()

        states = []
        for _ in trial.crashes(prepare, trial.client, room, "ada", text, 3):
            numbers = [int(entry.partition("-")[0]) for entry, _ in _entries(witness, room)]
            counted = witness.get(_name(room, "last")) == "4"
            states.append((counted, numbers, bool(ear())))
        # How many entries are kept is another check's matter: here, what the answer itself leaves.
        before, said = (False, [1, 2, 3], False), states[-1]
        counted, numbers, heard = said
        for trips, state in enumerate(states[:-1]):
            if state not in (before, said):
                trial.fail(
                    f"A room had 3 messages and keeps 3. Your program was stopped after {trips} of "
                    f"its round trips. {_torn(*state)} Count, add, cut and publish in one script."
                )
        trial.require(
            counted and 4 in numbers and heard,
            "A room had 3 messages and keeps 3. Your function was not cut off, and the fourth "
            f"is not counted, kept and published: the history has the numbers {numbers}.",
        )


def _torn(counted: bool, numbers: list[int], heard: bool) -> str:
    kept = 4 in numbers
    if not counted and not kept and not heard:
        return "An old message is gone, and no new one has come."
    if not kept and not heard:
        return "The number is used up and nobody will ever see its message: a gap for good."
    if not heard:
        return "The message is in the history, and nobody who listens was told."
    if not kept:
        return "Listeners have the message, and whoever comes back does not: it was not kept."
    if not counted:
        return "The message is out, and its number is not counted: the next one gets the same."
    return "The message is out, and the stream was not cut to the newest `keep`."


# -- come back -----------------------------------------------------------------------------------

rejoin = outline.exercise(
    "rejoin",
    "Come back without a gap",
    hints=(
        "Two questions have an order: what is said after the one and before the other must not "
        "fall in between. An overlap does no harm, a gap does: listen first, then ask the stream.",
        "`line.subscribe(...)` only sends. The line listens when the confirmation has come: read "
        "it, with `line.get_message(timeout=5)`. After that `r.xrange(stream, min=...)`; a `(` in "
        "front of an id leaves that entry out.",
        "`line = r.pubsub(ignore_subscribe_messages=True)`, subscribe, one "
        '`line.get_message(timeout=5)`, then `r.xrange(stream, min=f"({after}-0")`. For each '
        "`id, fields` in it: `int(id.partition('-')[0])` and `fields['body']`. Do not close the "
        "line: the caller reads on.",
    ),
)

_HIDDEN = (
    "Your function waits for ever: the confirmation has come, and nothing else does. With "
    "`ignore_subscribe_messages=True` the confirmation is hidden: `listen()`, "
    "`get_message(timeout=None)` and a loop until something comes go on to wait for a message. Use "
    "one `get_message(timeout=5)`."
)
_BLOCKED = (
    "Your function waits for ever: nothing was missed, and XREAD with `block=0` waits until "
    "somebody speaks. Ask without `block`, or with XRANGE."
)
_TOO_EARLY = (
    "`get_message()` without `timeout` looks once and does not wait: the confirmation was still on "
    "its way. Pass a `timeout`, such as 5 seconds."
)
_UNREAD = (
    "`subscribe` only sends, and you did not wait for the answer. Read it with "
    "`line.get_message(timeout=5)`, and ask the stream after that."
)


class _WaitsForEver(BaseException):
    """Ends an answer that waits for what will never come, past every `except Exception`."""


class _Line(PubSub):
    """A pubsub object on a slow network: what it sends arrives when somebody waits for the answer.

    A subscription that nobody waits for is confirmed at some moment or other. Here it is the last
    possible one, on every machine.

    Attributes:
        meanwhile: Lets somebody speak before the line is read, once the stream was asked; answers
            how many listened.
    """

    def __init__(self, trial: Trial, **options: Any) -> None:
        self.trial = trial
        self.polls = 0
        self.returned = False
        self.asked_before = False
        self.read: list[str] = []
        self.meanwhile: Callable[[], int] | None = None
        self._due = 0
        self._in_vain = 0
        super().__init__(trial.client.connection_pool, **options)

    def reset(self) -> None:
        self._held: list[tuple[Any, ...]] = []
        self._arrived = False
        super().reset()

    def execute_command(self, *args: Any) -> Any:
        if self._arrived:
            return super().execute_command(*args)
        self.asked_before = self._has_asked()
        self._held.append(args)
        return None

    def _has_asked(self) -> bool:
        names = self.trial.log.names
        return any(name.startswith(("X", "EVAL", "FCALL")) for name in names)

    def arrive(self) -> bool:
        """Let what was sent reach the server; whether anything was still on its way."""
        held, self._held = self._held, []
        self._arrived = bool(held) or self._arrived
        for args in held:
            super().execute_command(*args)
            self._due += len(args) - 1 if str(args[0]).endswith("SUBSCRIBE") else 0
        return bool(held)

    def parse_response(self, block: bool = True, timeout: float | None = 0) -> Any:
        if self.returned:
            return super().parse_response(block, timeout)
        if self._held and not block and not timeout and self.polls < 2:
            self.polls += 1
            return None
        self.arrive()
        # Beyond the confirmation, and what is said meanwhile, nothing will come.
        confirmed = self._due <= 0
        comes = not confirmed or (self.meanwhile and self._has_asked() and self.meanwhile())
        wait = _PATIENCE if comes else 0.5 if block else min(timeout or 0, 0.1)
        response = super().parse_response(block=False, timeout=wait)
        if response is None:
            self._in_vain += 1
            if block or self._in_vain > 10:
                raise _WaitsForEver(_HIDDEN)
        else:
            self._due -= str(response[0]).endswith("subscribe")
            self.read.append(str(response[-1]))
        return response


def _threads() -> list[PubSubWorkerThread]:
    """The threads that `run_in_thread` has made and that still run."""
    return [thread for thread in threading.enumerate() if isinstance(thread, PubSubWorkerThread)]


class _Visits:
    """Calls of the answer, each of which leaves a line behind, until the visits end."""

    def __init__(self, trial: Trial) -> None:
        self.meanwhile: Callable[[], int] | None = None
        self._trial = trial
        self._lines: list[PubSub] = []
        self._send = trial.client.execute_command
        trial.client.pubsub = self._open  # type: ignore[method-assign]
        trial.client.execute_command = self._execute  # type: ignore[method-assign]

    def __enter__(self) -> _Visits:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in _threads():
            if thread.pubsub in self._lines:
                thread.stop()
                thread.join(_PATIENCE)
        for line in self._lines:
            line.close()

    def _open(self, **options: Any) -> PubSub:
        line = _Line(self._trial, **options)
        line.meanwhile = self.meanwhile
        self._lines.append(line)
        return line

    def _execute(self, *args: Any, **options: Any) -> Any:
        """Send a command; a blocking read does not block, for nobody speaks meanwhile."""
        words = [word.decode() if isinstance(word, bytes) else str(word) for word in args]
        if words[0] != "XREAD" or "BLOCK" not in words[:4]:
            return self._send(*args, **options)
        at = words.index("BLOCK")
        found = self._send(*args[:at], *args[at + 2 :], **options)
        if not found and words[at + 1] == "0":
            raise _WaitsForEver(_BLOCKED)
        return found

    def go(
        self, room: str, after: int, before: Callable[[int], object] | None = None
    ) -> tuple[Any, PubSub]:
        """Come back to the room."""
        trial = self._trial
        try:
            got = trial.call(trial.client, room, after, before=before)  # type: ignore[arg-type]
        except AnswerRaised as raised:
            if isinstance(raised.__cause__, _WaitsForEver):
                trial.fail(str(raised.__cause__))
            raise
        shape = "Return two things, `missed, line`: what was missed, and the pubsub object."
        if type(got) is not tuple or len(got) != 2:
            trial.fail(f"Your function returned {type(got).__name__}. {shape}")
        missed, line = got
        trial.require(
            not isinstance(missed, PubSub), f"The pubsub object comes second, not first. {shape}"
        )
        if not isinstance(line, PubSub):
            trial.fail(
                f"The second is a {type(line).__name__}, not a pubsub object as `r.pubsub()` makes "
                f"it. {shape}"
            )
        self._lines.append(line)
        trial.require(
            not any(thread.pubsub is line for thread in _threads()),
            "A thread reads your line and takes the messages away from whoever gets it. Subscribe "
            "without a handler and without a thread.",
        )
        return missed, line


def _open_line(trial: Trial, line: PubSub) -> None:
    """Demand that the line is subscribed to something, as far as it knows."""
    trial.require(
        line.subscribed,
        "The line that you return is subscribed to nothing, so whoever reads from it gets nothing: "
        "`with r.pubsub() as line:` closes it at the end of the block, as `line.close()` and "
        "`line.unsubscribe()` do. Leave it open.",
    )


def _heard(line: PubSub, number: int) -> tuple[list[Message], bool]:
    """What comes over the line up to this number, and whether a confirmation was among it."""
    heard: list[Message] = []
    confirmation = False
    while response := line.parse_response(block=False, timeout=_PATIENCE):
        confirmation = confirmation or str(response[0]).endswith("subscribe")
        message = line.handle_message(response)
        if "message" in str(response[0]):
            latest, _, body = str(response[-1]).partition(" ")
            if message is not None:
                heard.append((int(latest), body))
            if int(latest) >= number:
                break
    return heard, confirmation


@rejoin.check("hands over what the stream has behind `after`, the oldest first", points=1)
def _hands_over(trial: Trial) -> None:
    with _Visits(trial) as visits:
        # Numbers of one and of two digits, and a history whose beginning is gone.
        room, long = trial.words(2)
        history = _history(trial, room, 5, trial.rng.randrange(12, 16))
        after = trial.rng.randrange(7, 10)
        _missed(trial, visits, room, after, history)
        _missed(trial, visits, room, history[-1][0], history)
        _missed(trial, visits, room, trial.rng.randrange(0, 4), history)
        _missed(trial, visits, trial.word(), 0, [])
        _missed(trial, visits, long, after, _history(trial, long, 1, 1500))


def _history(trial: Trial, room: str, first: int, last: int) -> list[Message]:
    messages = [
        (number, json.dumps({"member": "ada", "text": f"{trial.word(4)} {number}"}))
        for number in range(first, last + 1)
    ]
    with trial.another_client().pipeline() as pipe:
        pipe.set(_name(room, "last"), last)
        for number, body in messages:
            pipe.xadd(_name(room, "stream"), {"body": body}, id=f"{number}-0")
        pipe.execute()
    return messages


def _missed(
    trial: Trial, visits: _Visits, room: str, after: int, history: Sequence[Message]
) -> None:
    missed, _ = visits.go(room, after)
    expected = [message for message in history if message[0] > after]
    has = f"The stream has {history[0][0]} to {history[-1][0]}" if history else "Nothing was said"
    if missed == [] and expected:
        trial.fail(
            f"{has}, {after} was seen, and nothing is handed over. {_BRACES % 'stream'} And "
            "compare numbers, not texts."
        )
    if type(missed) is list:
        _explain_missed(trial, missed, expected, after, has)
    trial.equal(
        missed,
        expected,
        f"what `rejoin(r, {room!r}, {after})` hands over as missed",
        advice=f"{has}. Hand over a list of pairs, each of the number, an int, and the body, as it "
        "stands in the entry.",
    )


def _explain_missed(
    trial: Trial, missed: list[Any], expected: list[Message], after: int, has: str
) -> None:
    if len(expected) > 1 and missed == expected[::-1]:
        trial.fail(
            "What was missed comes with the newest first. XREVRANGE reads backwards, XRANGE "
            "forwards: the oldest first."
        )
    if any(map(_is_entry, missed)):
        trial.fail(
            f"The first that was missed is {missed[0]!r}. Make it a pair of the number, which is "
            "the id up to the hyphen, as an int, and the body, which is in the field `body`."
        )
    numbers = [pair[0] for pair in missed if type(pair) is tuple and pair]
    if after in numbers:
        trial.fail(
            f"{after} is among what was missed, and has been seen: a range includes its ends. "
            'Begin with the next number, or write a parenthesis in front: `min=f"({after}-0"`.'
        )
    seen = [number for number in numbers if type(number) is int and number < after]
    if seen:
        trial.fail(
            f"{has}, and everything up to {after} was seen; yet {seen[0]} is among what was "
            "missed. Compare numbers, not texts."
        )
    if len(missed) < len(expected) and set(missed) < set(expected):
        trial.fail(
            f"{has}, {after} was seen, and {len(missed)} of {len(expected)} are handed over. Ask "
            "for all of them, without a `count`, and compare numbers, not texts."
        )


def _is_entry(value: object) -> bool:
    return type(value) is tuple and len(value) == 2 and str(value[0]).endswith("-0")


@rejoin.check("the line listens to the room, and its subscription is confirmed", points=1)
def _listens(trial: Trial) -> None:
    room = trial.word()
    witness = trial.another_client()
    with _Visits(trial) as visits:
        _speak(witness, room, trial.word())
        _, line = visits.go(room, 0)
        _open_line(trial, line)
        late = _arrives_late(line)
        first, listeners = _speak(witness, room, trial.word())
        elsewhere, _ = _speak(witness, trial.word(), trial.word())
        second, _ = _speak(witness, room, trial.word())
        _reaches(trial, line, room, listeners)
        heard, confirmation = _heard(line, second)
        trial.require(
            not (late or confirmation),
            "The line is not confirmed: the first thing that comes over it is the answer to "
            f"SUBSCRIBE. Until that has come, what is said may be missed. {_advice(line)}",
        )
        numbers = [number for number, _ in heard]
        trial.require(
            elsewhere not in numbers,
            "What is said in another room comes over the line, and its numbers are not this "
            f"room's. Subscribe to {_name(room, 'live')} alone.",
        )
        trial.equal(
            numbers,
            [first, second],
            f"the numbers that come over the line, when {first} and {second} are said",
            advice="Whoever gets the line reads it with `get_message`: subscribe without a "
            "handler, which takes the messages away.",
        )


def _reaches(trial: Trial, line: PubSub, room: str, listeners: int) -> None:
    others = [*line.channels, *line.patterns, *line.shard_channels]
    trial.require(
        listeners > 0,
        f"Something was said on {_name(room, 'live')}, and nobody listens there; your line is "
        f"subscribed to {', '.join(map(str, others))}. PUBLISH reaches those who SUBSCRIBE to the "
        f"very name. {_BRACES % 'live'}",
    )


def _arrives_late(line: PubSub) -> bool:
    """From here on nothing is held back; whether the subscription was still on its way."""
    if not isinstance(line, _Line):
        return False
    line.returned = True
    return line.arrive()


def _advice(line: PubSub) -> str:
    return _TOO_EARLY if isinstance(line, _Line) and line.polls else _UNREAD


@rejoin.check("whatever is said, at any moment, is missed or comes over the line", points=1)
def _no_gap(trial: Trial) -> None:
    with _Visits(trial) as visits:
        trips = _without_loss(trial, visits, lambda _: True)
        # One at a time as well: where much is said, one message may hide the loss of another.
        for gap in range(1, min(trips, 12) + 1):
            trial.reset()
            _without_loss(trial, visits, lambda trip, gap=gap: trip == gap)  # type: ignore[misc]


def _without_loss(trial: Trial, visits: _Visits, speaks: Callable[[int], bool]) -> int:
    """Come back while somebody speaks before these trips; how many trips it took."""
    room = trial.word()
    rival = trial.another_client()
    said: list[int] = []

    def speak(trip: int = 0) -> int:
        # An answer that asks until there is nothing new has to come to an end.
        if len(said) >= 20 or (trip and not speaks(trip)):
            return 0
        number, listeners = _speak(rival, room, trial.word())
        said.append(number)
        return listeners

    for _ in range(3):
        speak()
    visits.meanwhile = speak
    missed, line = visits.go(room, 2, before=speak)
    trips = trial.log.round_trips
    _open_line(trial, line)
    speak()
    _arrives_late(line)
    last, listeners = _speak(rival, room, trial.word())
    _reaches(trial, line, room, listeners)
    heard, _ = _heard(line, last)
    bodies = {int(entry.partition("-")[0]): f["body"] for entry, f in _entries(rival, room)}
    reached = dict(heard)
    for number, body in missed:
        trial.equal(body, bodies.get(number), f"the body of {number!r} in what was missed")
        reached[number] = body
    lost = [number for number in (*said, last) if number > 2 and number not in reached]
    if lost:
        trial.fail(f"Message {lost[0]} is lost: {_why_lost(line, lost[0])}")
    return trips


def _why_lost(line: PubSub, number: int) -> str:
    if isinstance(line, _Line) and any(text.startswith(f"{number} ") for text in line.read):
        return "it came over the line, and your function read it there and threw it away."
    if isinstance(line, _Line) and not line.asked_before:
        return f"it was said when the subscription was still on its way. {_advice(line)}"
    return (
        "it was said after you had asked the stream, and before the line listened. Subscribe "
        "first, ask afterwards: then nothing falls in between."
    )


# -- join what was missed and what was heard -----------------------------------------------------

merge = outline.exercise(
    "merge",
    "Each once, in order, gaps named",
    hints=(
        "A message is known by its number. Put all of them together by number, drop what is not "
        "behind `after`, go through the rest in order, and keep in mind which number came last.",
        "`dict([*missed, *heard])` has each number once and leaves both lists alone; `sorted(...)` "
        "of its items gives the order. Begin with `last = after`.",
        "For each `number, body`: skip it where `number <= after`; where `number > last + 1`, "
        "append `('gap', last + 1, number - 1)`; append `(number, body)`; then `last = number`.",
    ),
)


def _merged(after: int, missed: list[Message], heard: list[Message]) -> list[tuple[Any, ...]]:
    merged: list[tuple[Any, ...]] = []
    last = after
    for number, body in sorted(dict([*missed, *heard]).items()):
        if number <= after:
            continue
        if number > last + 1:
            merged.append(("gap", last + 1, number - 1))
        merged.append((number, body))
        last = number
    return merged


def _draw(trial: Trial, after: int, numbers: Sequence[int]) -> tuple[list[Message], list[Message]]:
    """These messages, some from the stream, some over the line out of order, some both ways."""
    rng = trial.rng
    # People repeat themselves: only the number tells two messages apart.
    bodies = {number: rng.choice(("hi", "ok", f"{trial.word(3)}")) for number in numbers}
    cut = rng.randrange(len(numbers) + 1)
    missed = [(number, bodies[number]) for number in numbers[:cut]]
    both = rng.sample(missed, rng.randrange(len(missed) + 1))
    heard = [(number, bodies[number]) for number in numbers[cut:]] + both
    if heard:
        heard.append(rng.choice(heard))
    seen = (rng.randrange(max(1, after - 2), after + 1), "seen") if after else None
    if seen and rng.random() < 0.5:
        heard.append(seen)
    if seen and rng.random() < 0.5:
        missed.insert(0, seen)
    rng.shuffle(heard)
    return missed, heard


def _try_merge(trial: Trial, after: int, missed: list[Message], heard: list[Message]) -> None:
    expected = _merged(after, missed, heard)
    got = trial.call(after, list(missed), list(heard))
    if type(got) is list and all(map(_is_item, got)):
        shown = f"`merge({after}, {missed}, {heard})` returned {got}:"
        _explain_messages(trial, after, got, expected, shown)
        _explain_gaps(trial, after, got, expected, shown)
    trial.equal(got, expected)


def _is_item(value: object) -> bool:
    """Whether it is formed as a message or a gap."""
    if type(value) is not tuple or len(value) not in (2, 3):
        return False
    return all(type(number) is int for number in (value[:1] if len(value) == 2 else value[1:]))


def _explain_messages(
    trial: Trial, after: int, got: list[Any], expected: list[Any], shown: str
) -> None:
    numbers = [item[0] for item in got if len(item) == 2]
    wanted = [item[0] for item in expected if len(item) == 2]
    for number in numbers:
        if number <= after:
            trial.fail(f"{shown} everything up to {after} was seen, and {number} comes again.")
        if numbers.count(number) > 1:
            trial.fail(
                f"{shown} message {number} is there twice. What came both ways, or twice over the "
                "line, is shown once: go by the number."
            )
    for number in wanted:
        if number not in numbers:
            trial.fail(
                f"{shown} message {number} is lost. Take from both lists what is behind {after}, "
                "and go by the numbers: people say the same text twice, and lines deliver late."
            )
    if numbers != sorted(numbers):
        trial.fail(
            f"{shown} this is not in the order of the numbers. What comes over the line may be "
            "out of order, or fill a hole in `missed`: sort all of it."
        )


def _explain_gaps(
    trial: Trial, after: int, got: list[Any], expected: list[Any], shown: str
) -> None:
    found, gaps = ([item for item in items if len(item) == 3] for items in (got, expected))
    there = {item[0] for item in expected if len(item) == 2} | {after}
    if gaps and not found:
        trial.fail(
            f"{shown} {gaps[0]} is not named. A room that hides a loss is worse than one that "
            "shows it."
        )
    if any(gap[1] in there or gap[2] in there for gap in found):
        trial.fail(
            f"{shown} a gap in it names a number that is not missing. It begins behind the "
            "message before it and ends before the next."
        )
    if gaps and gaps[0][1] == after + 1 and gaps[0] not in found:
        trial.fail(
            f"{shown} {after} was seen last and {gaps[0][2] + 1} comes next, so {gaps[0]} belongs "
            "there: begin to count at `after`."
        )
    if len(found) > len(gaps):
        trial.fail(f"{shown} numbers that are missing in a row are one gap; the gaps are {gaps}.")


@merge.check("every message behind `after` once, in the order of the numbers", points=1)
def _each_once(trial: Trial) -> None:
    for _ in range(12):
        after = trial.rng.choice((0, trial.rng.randrange(1, 8), trial.rng.randrange(90, 100)))
        numbers = range(after + 1, after + trial.rng.randrange(3, 7))
        _try_merge(trial, after, *_draw(trial, after, numbers))
    both = [(after + 1, "hi"), (after + 2, "hi")]
    _try_merge(trial, after, both, [])
    _try_merge(trial, after, [], both[::-1])
    _try_merge(trial, after, both, [*both[::-1], (after, "seen")])
    _try_merge(trial, after, [(after, "seen"), *both], both[:1])
    _try_merge(trial, after, [], [])
    for most in (1, 1, 2, 3):
        messages = [(after + n, trial.word(3)) for n in range(1, most + 3)]
        # Only what was heard fills the holes in what was missed.
        heard = trial.rng.sample(messages[1:-1], most)
        missed = [message for message in messages if message not in heard]
        _try_merge(trial, after, missed, heard)


@merge.check("numbers that are missing are named as a gap, in their place", points=1)
def _names_gaps(trial: Trial) -> None:
    _try_merge(trial, 3, [(4, "a"), (5, "b")], [(5, "b"), (8, "c")])
    rng = trial.rng
    for first in (0, 2, *rng.choices(range(3), k=8)):
        after = rng.randrange(5, 100)
        numbers, number = [], after + 1 + first
        for step in rng.sample((1, 2, rng.randrange(3, 9)), 3):
            numbers.append(number)
            number += step
        _try_merge(trial, after, *_draw(trial, after, numbers))


@merge.check("changes neither list", points=1)
def _changes_nothing(trial: Trial) -> None:
    for _ in range(8):
        after = trial.rng.randrange(5, 100)
        numbers = sorted(trial.rng.sample(range(after + 1, after + 12), 5))
        missed, heard = _draw(trial, after, numbers)
        given = list(missed), list(heard)
        expected = _merged(after, missed, heard)
        got = trial.call(after, missed, heard)
        for name, now, then in zip(("missed", "heard"), (missed, heard), given, strict=True):
            trial.equal(
                now,
                then,
                f"`{name}` after the call",
                advice="It belongs to the caller, who may show it or use it again. Make a list of "
                "your own: `sorted(...)` makes one, `.sort()`, `.append()` and `+=` change it.",
            )
        trial.equal(got, expected)


# -- who is there --------------------------------------------------------------------------------

beat = outline.exercise(
    "beat",
    "A sign of life",
    hints=(
        "Three commands for sorted sets: one notes the member with a score, one removes a range of "
        "scores, one reads. The score is the time until which somebody counts as there.",
        "`zadd` with `now + seconds`, `zremrangebyscore` from `'-inf'` to `now`, which goes too, "
        "and `zrange`. All three on one `r.pipeline()`, which is a transaction; it orders by time, "
        "and the contract asks for names in order.",
        "`pipe.zadd(key, {member: now + seconds})`, `pipe.zremrangebyscore(key, '-inf', now)`, "
        "`pipe.zrange(key, 0, -1)`; `pipe.execute()[-1]` are the people, and `sorted(...)` puts "
        'them in order. The key is `f"arcade:{{{room}}}:people"`.',
    ),
)


def _people(trial: Trial, room: str) -> dict[str, float]:
    """Who is noted, and until when."""
    return dict(trial.client.zrange(_name(room, "people"), 0, -1, withscores=True))  # type: ignore[arg-type]


def _expect_people(trial: Trial, room: str, expected: dict[str, float], now: float) -> None:
    found = _people(trial, room)
    for name in sorted(found.keys() - expected.keys()):
        trial.fail(
            f"{name} was there until {found[name]:g}, it is {now:g}, and the set still has the "
            "name: it grows for ever. Remove up to `now`, which goes too, with ZREMRANGEBYSCORE."
        )
    for name in sorted(expected.keys() - found.keys()):
        trial.fail(
            f"{name} is there until {expected[name]:g}, it is {now:g}, and the set has lost the "
            "name. Remove only those whose time is `now` or less."
        )
    trial.equal(found, expected, f"the people in {_name(room, 'people')} and until when")


@beat.check("notes until when somebody is there, and answers all names in order", points=1)
def _notes(trial: Trial) -> None:
    room = trial.word()
    now, seconds = trial.rng.randrange(1000, 9000), trial.rng.randrange(20, 60)
    names = trial.words(4)
    names.sort(reverse=True)  # later in time is earlier in the alphabet
    expected: dict[str, float] = {}
    signs = [(name, seconds) for name in (*names, names[0], names[1])]
    signs.append((names[2], trial.rng.randrange(3, 8)))  # ends before the sign that came first
    for name, seconds in signs:
        now += trial.rng.randrange(1, 3)
        got = trial.call(trial.client, room, name, now, seconds)
        _is_there(trial, room, "people", "zset")
        until = _people(trial, room).get(name)
        if name in expected and until == expected[name]:
            why = (
                "whoever stays would be gone in a moment. ZADD without `nx` moves the time on."
                if until < now + seconds
                else "the newest sign counts, also where it moves the time back. Use ZADD without "
                "`gt`."
            )
            trial.fail(
                f"{name} gave another sign of life at {now}, for {seconds} seconds, and is still "
                f"noted until {until:g}: {why}"
            )
        expected[name] = float(now + seconds)
        trial.equal(
            until,
            expected[name],
            f"until when {name} is noted, at {now} and for {seconds} seconds",
            advice="The score is `now + seconds`, by the time that is passed in: the clocks of "
            "two servers differ, and a test cannot wait.",
        )
        _expect_people(trial, room, expected, now)
        _equal_names(trial, got, sorted(expected))
    other = trial.word()
    got = trial.call(trial.client, other, names[0], now, seconds)
    _equal_names(trial, got, [names[0]])
    _answers_a_crowd(trial, now)


def _answers_a_crowd(trial: Trial, now: int) -> None:
    room, name = trial.words(2)
    crowd = trial.words(trial.rng.randrange(1100, 1300))
    trial.client.zadd(_name(room, "people"), dict.fromkeys(crowd, now + 50))
    got = trial.call(trial.client, room, name, now, 50)
    there = sorted({*crowd, name})
    trial.require(
        type(got) is not list or len(got) >= len(there),
        f"{len(there)} people are in the room, and your list has {len(got)}. Read all of them: "
        "ZRANGE from 0 to -1.",
    )
    _equal_names(trial, got, there)


def _equal_names(trial: Trial, got: object, expected: list[str]) -> None:
    by_time = type(got) is list and got != expected and all(type(name) is str for name in got)
    trial.equal(
        got,
        expected,
        advice="ZRANGE orders by time; put the names in order with `sorted(...)`."
        if by_time and sorted(got) == expected  # type: ignore[call-overload]
        else "",
    )


@beat.check("who is there until `now` or less is gone, from the list and from the set", points=1)
def _gone(trial: Trial) -> None:
    rng = trial.rng
    for now in (rng.randrange(1000, 9000), rng.randrange(1000, 9000) + 0.25):
        room = trial.word()
        ada, old, edge, just, long, back = trial.words(6)
        people = {old: now - 50.5, edge: now, just: now + 0.25, long: now + 900, back: now - 1}
        trial.client.zadd(_name(room, "people"), people)
        _beat_among(trial, room, ada, now, people | {ada: now + 7.5})
        # Somebody whose time was over comes back.
        later = now + 1
        _beat_among(trial, room, back, later, people | {ada: now + 7.5, back: later + 7.5})
        left = trial.client.ttl(_name(room, "people"))
        trial.require(
            left == -1 or left >= 850,
            f"The whole set expires in {left} seconds, and {long} is there for longer: a key "
            "expires as one. The scores do it for each member.",
        )


def _beat_among(trial: Trial, room: str, member: str, now: float, people: dict[str, float]) -> None:
    got = trial.call(trial.client, room, member, now, 7.5)
    _is_there(trial, room, "people", "zset")
    there = {name: float(until) for name, until in people.items() if until > now}
    for name in got if type(got) is list else []:
        if name in people and name not in there:
            trial.fail(
                f"{name} was there until {people[name]:g}, it is {now:g}, and your list has the "
                "name: who is there until `now` or less has gone."
            )
    if type(got) is list and member not in got and member in _people(trial, room):
        trial.fail(
            f"{member} has just given a sign of life and is not in the list: note it before you "
            "read."
        )
    _expect_people(trial, room, there, now)
    _equal_names(trial, got, sorted(there))


@beat.check("one round trip, in one transaction or script", points=1)
def _one_step(trial: Trial) -> None:
    room = trial.word()
    for name in trial.words(2):
        # The first call may have to bring its script along.
        got = trial.call(trial.client, room, name, 1000, 30)
    _is_there(trial, room, "people", "zset")
    _equal_names(trial, got, sorted(_people(trial, room)))
    trial.one_trip("Everybody in the room sends this every few seconds.")
    names = trial.log.names
    trial.require(
        "MULTI" in names or (len(names) == 1 and names[0] in {"EVAL", "EVALSHA", "FCALL"}),
        "The commands went in one trip, but in no transaction: between two of them somebody else's "
        "may run, and the list does not fit the set. Leave out `transaction=False`, or write a "
        "script.",
    )
