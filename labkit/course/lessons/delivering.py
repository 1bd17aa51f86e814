"""What lesson 02 checks of delivery: what a way of passing texts on promises, and a worker."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis

from labkit.course.exercise import AnswerRaised, PowerCut
from labkit.course.lessons.lesson_02_pub_sub import outline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.course.exercise import Trial

# -- what a way of passing texts on promises -----------------------------------------------------

guarantees = outline.exercise(
    "guarantees",
    "What does it promise?",
    hints=(
        "Three questions, three experiments, each with a way of its own from `make()`. Say for "
        "each who is there when the text is sent, and who takes after that.",
        "For `everyone`, make two readers with two names, send, and take with both. For `kept`, "
        "send before there is any reader. For `again`, the reader is there, takes, crashes, and "
        "comes back under its own name; leave `done` out.",
        "Each answer is a comparison, such as `way.reader('late').take() == 'early'`, which is "
        "True or False. For `everyone` both readers' texts have to be equal to what was sent; for "
        "`again` it is what `way.reader('ada').take()` returns after `reader.crash()`.",
    ),
)

# Far above what an answer needs that empties its readers.
_MOST_EMPTY = 50


class _NeverComes(BaseException):
    """Stops an answer that waits for a text, past every `except Exception` it may have."""


@dataclass(frozen=True)
class _Kind:
    """What a way promises; and what it does where it promises nothing.

    Attributes:
        everyone: Each reader that is there gets a text.
        kept: A text that nobody was there for waits.
        again: What was taken and not done comes again to a reader that comes back.
        lots: Who gets a text that only one gets: whoever takes first, or the reader so named.
        untaken: A reader that comes back finds what it had not taken when it crashed.
        history: A reader that comes later gets what others got, too.
    """

    everyone: bool
    kept: bool
    again: bool
    lots: str = "quickest"
    untaken: bool = False
    history: bool = False

    def __str__(self) -> str:
        return (
            f"a way that gives a text to {'every reader' if self.everyone else 'one reader'}, "
            f"{'keeps' if self.kept else 'drops'} it where nobody is there, and gives it "
            f"{'again' if self.again else 'once'}"
        )


def _kinds() -> list[_Kind]:
    """Every combination of the three, with every habit that a way with it may have."""
    either = (False, True)
    return [
        _Kind(everyone, kept, again, lots, untaken, history)
        for everyone, kept, again, untaken in itertools.product(either, repeat=4)
        for lots in (("quickest",) if everyone else ("quickest", "first", "last", "turns"))
        for history in (either if everyone and kept else (False,))
    ]


@dataclass
class _Tried:
    """What an answer has tried out: where its mistake may lie."""

    ways: int = 0
    texts: int = 0
    two_were_there: bool = False
    nobody_was_there: bool = False
    crashed_with_work: set[str] = field(default_factory=set)
    came_back: bool = False

    @property
    def several_on_one_way(self) -> bool:
        return self.ways == 1 and self.texts > 1


class _Way:
    """A way of passing texts on, in memory."""

    def __init__(self, kind: _Kind, tried: _Tried) -> None:
        self._kind = kind
        self._tried = tried
        self._here: dict[str, _Reader] = {}
        self._texts: list[tuple[str, bool]] = []  # and whether somebody was there
        self._offered: dict[str, int] = {}
        self._left: dict[str, list[str]] = {}
        self._turns = itertools.count()
        self._shared: list[str] = []
        tried.ways += 1

    def send(self, text: str) -> None:
        """Send a text."""
        if not isinstance(text, str):
            raise TypeError(f"`send` takes a text, not {text!r}.")
        readers = list(self._here.values())
        self._tried.texts += 1
        self._tried.two_were_there |= len(readers) > 1
        self._tried.nobody_was_there |= not readers
        self._texts.append((text, bool(readers)))
        if self._kind.everyone:
            for reader in readers:
                reader.inbox.append(text)
        elif readers:
            self._place(readers).append(text)
        elif self._kind.kept:
            self._shared.append(text)

    def _place(self, readers: list[_Reader]) -> list[str]:
        if self._kind.lots == "quickest":
            return self._shared
        turn = {"first": 0, "last": -1, "turns": next(self._turns) % len(readers)}
        return readers[turn[self._kind.lots]].inbox

    def reader(self, name: str) -> _Reader:
        """A reader that is there from now on."""
        if not isinstance(name, str):
            raise TypeError(f"`way.reader` takes a name, not {name!r}.")
        if name in self._here:
            raise RuntimeError(
                f"A reader {name!r} is there already: two readers need two names, and one comes "
                "back after its `crash()`."
            )
        self._tried.came_back |= name in self._tried.crashed_with_work
        inbox = self._left.pop(name, []) + self._missed(name)
        self._here[name] = _Reader(self, name, inbox)
        return self._here[name]

    def _missed(self, name: str) -> list[str]:
        if not (self._kind.everyone and self._kind.kept):
            return []
        since = self._texts[self._offered.get(name, 0) :]
        return [text for text, heard in since if self._kind.history or not heard]

    def next_shared(self) -> str | None:
        """The next text that is there for whoever comes first."""
        return self._shared.pop(0) if self._shared else None

    def leave(self, name: str) -> None:
        """End a reader without a farewell."""
        reader = self._here.pop(name)
        if reader.held:
            self._tried.crashed_with_work.add(name)
        self._offered[name] = len(self._texts)
        held = reader.held if self._kind.again else []
        self._left[name] = held + (reader.inbox if self._kind.untaken else [])
        if not (self._here or self._kind.untaken or self._kind.kept):
            self._shared.clear()


class _Reader:
    """One who reads."""

    def __init__(self, way: _Way, name: str, inbox: list[str]) -> None:
        self._way = way
        self._name = name
        self._crashed = False
        self._empty = 0
        self.inbox = inbox
        self.held: list[str] = []

    def _must_be_there(self) -> None:
        if self._crashed:
            raise RuntimeError(
                f"This reader has crashed. `way.reader({self._name!r})` makes it come back: use "
                "what that returns."
            )

    def take(self) -> str | None:
        """The next text for this reader; None: there is none."""
        self._must_be_there()
        text = self.inbox.pop(0) if self.inbox else self._way.next_shared()
        if text is not None:
            self.held.append(text)
            return text
        self._empty += 1
        if self._empty > _MOST_EMPTY:
            raise _NeverComes
        return None

    def done(self, text: str) -> None:
        """Say that the work is done."""
        self._must_be_there()
        if text in self.held:
            self.held.remove(text)

    def crash(self) -> None:
        """End, as a power cut does it."""
        self._must_be_there()
        self._crashed = True
        self._way.leave(self._name)


def _promised(trial: Trial, kind: _Kind, key: str) -> tuple[object, _Tried]:
    """What the answer says of one promise, and what it has tried."""
    tried = _Tried()

    def make() -> _Way:
        return _Way(kind, tried)

    try:
        got = trial.call(trial.named("make", make))
    except AnswerRaised as raised:
        trial.require(
            not isinstance(raised.__cause__, _NeverComes),
            f"With {kind}, your function waits for ever for a text that does not come. Take once: "
            "None is an answer, too.",
        )
        raise
    if type(got) is not dict:
        trial.fail(
            'Return a dictionary with three booleans, {"everyone": ..., "kept": ..., '
            f'"again": ...}}, not {got!r:.80}.'
        )
    names = {"everyone", "kept", "again"}
    trial.require(
        all(type(name) is str for name in got) and set(got) == names,
        f'The dictionary has the keys {list(got)}; they are to be "everyone", "kept", "again".',
    )
    return got[key], tried


def _judge(trial: Trial, key: str, advice: Callable[[_Tried], str]) -> None:
    """Demand the truth about one promise of every kind of way."""
    kinds = _kinds()
    trial.rng.shuffle(kinds)
    for kind in kinds:
        got, tried = _promised(trial, kind, key)
        trial.require(
            type(got) is bool,
            f'"{key}" is {got!r:.80}, not a boolean: compare what was taken with what was sent, '
            "`reader.take() == text`, and that is True or False.",
        )
        if got is not getattr(kind, key):
            why = _LEFTOVER if tried.several_on_one_way else advice(tried)
            trial.fail(f'With {kind}, your function says "{key}": {got}. {why}')


_LEFTOVER = (
    "All experiments ran on one way: a text or a reader that is left of one is taken for the "
    "answer of the next. Call `make()` for each."
)


def _of_everyone(tried: _Tried) -> str:
    if not tried.two_were_there:
        return (
            "No text was sent while two readers were there. Make both, under two names, and send "
            "after that."
        )
    return "Send one text, take with both readers, and compare both with it: each has to get it."


def _of_kept(tried: _Tried) -> str:
    if not tried.nobody_was_there:
        return (
            "No text was sent while nobody was there; where somebody is there, nothing needs to be "
            "kept. Send first, and make the reader after that."
        )
    return "Send to nobody. The reader that comes after that gets this text, or None."


def _of_again(tried: _Tried) -> str:
    if not tried.crashed_with_work:
        return (
            "No reader crashed with a text in hand. It has to be there when the text is sent, to "
            "take it, and to crash before `done`; a text that it never took is another matter."
        )
    if not tried.came_back:
        return (
            "The reader that crashed never came back. Call `way.reader` with its own name: what a "
            "reader of another name gets says nothing about it."
        )
    return "Look at what the reader takes once it has come back: is it that text, or None?"


@guarantees.check("`everyone`: whether each of two readers gets the text", points=1)
def _tells_everyone(trial: Trial) -> None:
    _judge(trial, "everyone", _of_everyone)


@guarantees.check("`kept`: whether a text waits for the reader that comes later", points=1)
def _tells_kept(trial: Trial) -> None:
    _judge(trial, "kept", _of_kept)


@guarantees.check("`again`: whether a crashed reader's text comes again", points=2)
def _tells_again(trial: Trial) -> None:
    _judge(trial, "again", _of_again)


# -- a worker that loses no job ------------------------------------------------------------------

work = outline.exercise(
    "work",
    "A worker that loses no job",
    hints=(
        "Two commands take jobs: XAUTOCLAIM those that some worker has held for too long, "
        "XREADGROUP with `>` new ones. A third, XACK, finishes one. Ask of each gap between them "
        "what a power cut there leaves.",
        "`r.xautoclaim('arcade:jobs', 'workers', me, min_idle_time=idle, count=10)` answers three "
        "things; the second is a list of pairs `(id, fields)`. If these are fewer than ten, the "
        "rest comes from `r.xreadgroup('workers', me, {'arcade:jobs': '>'}, count=...)`: a list "
        "of pairs of a stream and its jobs, which is empty where there is no new job.",
        "One loop over the claimed jobs and then the new ones: `handle(fields['text'])` inside "
        "`try`, with `except Exception: continue`; after that `r.xack('arcade:jobs', 'workers', "
        "id)`, and one more is done. Without room for new ones leave XREADGROUP out: its `count` "
        "may not be 0.",
    ),
)

_STREAM, _GROUP = "arcade:jobs", "workers"
_MOST = 10

# Far above what a right answer sends between two jobs, or after the last.
_MOST_IN_VAIN = 25
_MOST_TRIES = 20
_MOST_CUTS = 100

_ADVICE: dict[type[Exception], str] = {
    redis.DataError: "Where ten jobs were claimed, there is no room for new ones: leave XREADGROUP "
    "out, its `count` may not be 0.",
    IndexError: "Where there is no new job, XREADGROUP answers an empty list.",
    ValueError: "XAUTOCLAIM answers three things: where to go on, the jobs, and the ids of those "
    "that are deleted.",
    redis.ResponseError: "The stream `arcade:jobs` is there already, and so is its group, "
    "`workers`.",
}


class _Stopped(BaseException):
    """Stops an answer that goes on and on, past every `except Exception` it may have."""


class CannotDo(Exception):
    """What `handle` raises where a job cannot be done."""


class _Jobs:
    """The jobs in the stream, and what an answer does with them.

    Attributes:
        calls: The jobs that `handle` was called for, by id.
        done: Those that it has done.
        errors: What `handle` raises, by id.
        cut_at: The call of `handle` in which the power fails; None: in none.
        cut_after: The number of round trips after which it fails; None: it does not.
        slow: Whether a job that cannot be done takes so long that its time is over.
        waits: How long the answer would have waited for new jobs, in milliseconds.
        complaints: What was wrong at a moment when `handle` was called, by kind.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.client = trial.another_client()
        self.idle = trial.rng.randrange(20_000, 50_000, 1000)
        self.me, *self.others = trial.words(4, length=5)
        self.handle = trial.named("handle", self._handle)
        self.errors: dict[str, Exception] = {}
        self.cut_at: int | None = None
        self.cut_after: int | None = None
        self.slow = False
        self._send = trial.client.execute_command
        trial.client.execute_command = self._execute  # type: ignore[method-assign]
        self.begin()

    def begin(self) -> None:
        """A stream without jobs, on an empty server."""
        self.texts: dict[str, str] = {}
        self.forget()
        self.client.xgroup_create(_STREAM, _GROUP, id="0", mkstream=True)

    def forget(self) -> None:
        """Forget the last run."""
        self.calls: list[str] = []
        self.done: list[str] = []
        self.complaints: dict[str, str] = {}
        self.waits: list[int] = []
        self._seen = 0
        self._cuts = 0

    # -- what is there

    def add(self, *texts: str) -> list[str]:
        """New jobs with these texts; answers their ids."""
        ids = [str(self.client.xadd(_STREAM, {"text": text})) for text in texts]
        self.texts.update(zip(ids, texts, strict=True))
        return ids

    def draw(self, count: int) -> list[str]:
        """So many new jobs."""
        return self.add(*self.trial.words(count, length=5))

    def hold(self, holder: str, milliseconds: int) -> str:
        """A job that somebody has held for so long."""
        (job,) = self.draw(1)
        self.client.xreadgroup(_GROUP, holder, {_STREAM: ">"}, count=1)
        self.client.xclaim(_STREAM, _GROUP, holder, 0, [job], idle=milliseconds)
        return job

    def hold_for_long(self, count: int) -> list[str]:
        """Jobs whose holders are dead."""
        return [
            self.hold(self.trial.rng.choice(self.others), self.idle + 1000 * (n + 1))
            for n in range(count)
        ]

    def hold_briefly(self, holder: str) -> str:
        """A job that somebody is at."""
        return self.hold(holder, self.trial.rng.randrange(self.idle - 15_000))

    def pending(self) -> dict[str, str]:
        """Who holds what."""
        held: list[dict[str, Any]] = self.client.xpending_range(_STREAM, _GROUP, "-", "+", 1000)
        return {one["message_id"]: one["consumer"] for one in held}

    def new(self) -> list[str]:
        """What nobody has taken yet."""
        groups: list[dict[str, Any]] = self.client.xinfo_groups(_STREAM)
        last = next(group["last-delivered-id"] for group in groups if group["name"] == _GROUP)
        return [job for job in self.texts if _moment(job) > _moment(last)]

    def named(self, jobs: Sequence[str]) -> str:
        """Some of the jobs, as a learner reads them."""
        shown = ", ".join(repr(self.texts[job]) for job in jobs[:3])
        return shown + (f" and {len(jobs) - 3} more" if len(jobs) > 3 else "")

    # -- trying the answer out

    def _execute(self, *args: Any, **options: Any) -> Any:
        """Send a command; a blocking read does not block, for no job comes meanwhile."""
        words = [word.decode() if isinstance(word, bytes) else str(word) for word in args]
        if words[0] != "XREADGROUP" or "BLOCK" not in words:
            return self._send(*args, **options)
        at = words.index("BLOCK")
        self.waits.append(int(words[at + 1]))
        return self._send(*args[:at], *args[at + 2 :], **options)

    def _handle(self, text: object) -> None:
        self._seen = len(self.trial.log)
        if self._cuts:
            self._cut()
        job = self._job(text)
        if job is None:
            wrong = f"`handle` got {text!r:.60}, which is no job's text: pass it `fields['text']`."
            self._complain("text", wrong)
            return
        if job not in self.calls and len(set(self.calls)) >= _MOST:
            self._complain("most", "An eleventh job was taken: one call takes at most ten.")
            raise _Stopped
        if self.calls.count(job) >= _MOST_TRIES:
            self._complain(
                "endless",
                f"`handle` was called for {text!r} {_MOST_TRIES} times, and raised each time: your "
                "function tries again for ever. Leave that job, and go on with the next.",
            )
            raise _Stopped
        if self.slow and job in self.calls:
            self._complain(
                "again",
                f"`handle` took long for {text!r} and raised, so that the job was held for `idle` "
                "milliseconds by then, and your function claimed it again, in the same call: one "
                "such job takes the turn of all that come after it. Claim once, before the loop.",
            )
            raise _Stopped
        self._look_at(job)
        self.calls.append(job)
        if len(self.calls) == self.cut_at:
            self._cut()
        if job in self.errors:
            if self.slow:
                holder = self.pending().get(job, self.me)
                self.client.xclaim(_STREAM, _GROUP, holder, 0, [job], idle=self.idle + 1000)
            raise self.errors[job]
        self.done.append(job)

    def _job(self, text: object) -> str | None:
        jobs = [job for job in self.texts if type(text) is str and self.texts[job] == text]
        return next((job for job in jobs if job not in self.calls), jobs[0] if jobs else None)

    def _look_at(self, job: str) -> None:
        """Complain of what is wrong at the moment when a job is handled."""
        text, pending = self.texts[job], self.pending()
        holder = pending.get(job)
        if holder is None and job in self.new():
            self._complain(
                "holder",
                f"`handle` was called for {text!r}, which nobody has taken: you read past the "
                "group, and every other worker gets this job, too. Take it with XREADGROUP.",
            )
        elif holder is None and self.trial.sent("NOACK"):
            self._complain(
                "early",
                "`noack=True` finishes a job when it is handed out: a worker that dies with it "
                "loses it.",
            )
        elif holder is None:
            self._complain(
                "early",
                f"When `handle` was called for {text!r}, the job was acknowledged already: if the "
                "power fails now, nobody ever does it. Acknowledge after `handle`.",
            )
        elif holder != self.me:
            self._complain(
                "holder",
                f"`handle` was called for {text!r}, which the consumer {holder!r} holds, not "
                f"{self.me!r}: take a job as `me`, or two workers do it.",
            )
        waiting = [done for done in self.done if done in pending]
        if len(waiting) > 1:
            self._complain(
                "late",
                f"When `handle` was called for {text!r}, these were done and not acknowledged: "
                f"{self.named(waiting)}. If the power fails now, all of them are done again. "
                "Acknowledge each job before the next.",
            )

    def _complain(self, kind: str, message: str) -> None:
        self.complaints.setdefault(kind, message)

    def _cut(self) -> None:
        """The power fails, and for an answer that catches even that, it stays away."""
        self._cuts += 1
        if self._cuts <= _MOST_CUTS:
            raise PowerCut
        self._complain(
            "endless",
            "Your function catches every error, even being cut off, and tries again for ever. "
            "Catch what `handle` raises, with `except Exception:`.",
        )

    def _guard(self, trip: int) -> None:
        """Cut the answer off, or stop it where it asks for jobs in vain, again and again."""
        if self._cuts or (self.cut_after is not None and trip > self.cut_after):
            self._cut()
        if len(self.trial.log) - self._seen > _MOST_IN_VAIN:
            self._complain(
                "endless",
                "Your function goes on asking for jobs where there are none: do those that are "
                "there, and return.",
            )
            raise _Stopped

    def run(self) -> Any:
        """Call the answer once; what it returned."""
        self.forget()
        got = None
        try:
            got = self.trial.call(
                self.trial.client, self.me, self.handle, self.idle, before=self._guard
            )
        except AnswerRaised as raised:
            self._explain(raised)
        self.refuse("most", "endless", "again")
        return got

    def _explain(self, raised: AnswerRaised) -> None:
        cause = raised.__cause__
        if isinstance(cause, _Stopped) or self._cuts:
            return  # what is raised after the cut, nobody is there to hear
        if any(cause is error for error in self.errors.values()):
            self.trial.fail(
                f"`handle` raised {type(cause).__name__} for {self.named([self.calls[-1]])}, and "
                "your function ended with it: one job that cannot be done stops all that come "
                "after it. Catch what `handle` raises, and go on."
            )
        advice = [text for kind, text in _ADVICE.items() if isinstance(cause, kind)]
        raise AnswerRaised(" ".join([str(raised), *advice[:1]])) from cause

    # -- judging

    def refuse(self, *kinds: str) -> None:
        """Demand that none of this was to complain of."""
        for kind in kinds:
            if kind in self.complaints:
                self.trial.fail(self.complaints[kind])

    def refuse_waiting(self) -> None:
        """Demand that the last call does not wait where there is no job."""
        piped = [c.args[c.args.index("BLOCK") + 1] for c in self.trial.log if "BLOCK" in c.args]
        for wait in (*self.waits, *map(int, piped)):
            self.trial.fail(
                f"`block={wait}` waits {'for ever' if wait == 0 else f'{wait} ms'} where there is "
                "no new job. Leave `block` out: do the jobs that are there, and return. Whoever "
                "calls `work` knows when to ask again."
            )

    def expect(self, jobs: Sequence[str]) -> None:
        """Demand that these were handled, in this order, and as `me`."""
        self.refuse("text")
        self.trial.require(
            bool(self.calls) or not jobs,
            "Jobs wait, and `handle` was called for none. XREADGROUP with `>` takes new ones.",
        )
        self.trial.equal(
            [self.texts[job] for job in self.calls],
            [self.texts[job] for job in jobs],
            "the texts that `handle` got",
            advice="At most ten jobs, the oldest first, each once.",
        )
        self.refuse("holder")

    def expect_finished(self, new: Sequence[str]) -> None:
        """Demand that what was done is acknowledged, and that these are still new."""
        pending = self.pending()
        left = [job for job in self.done if job in pending]
        self.trial.require(
            not left,
            f"Done and not acknowledged: {self.named(left)}. When the time is over, some worker "
            "does it again. Call `r.xack('arcade:jobs', 'workers', id)` after `handle`.",
        )
        taken = [job for job in new if job not in self.new()]
        self.trial.require(
            not taken,
            f"Taken and not handled: {self.named(taken)}. {self.me!r} holds what nobody does, "
            "until its time is over. Take no more than there is room for among ten.",
        )

    def expect_nothing_lost(self, when: str, elsewhere: Sequence[str] = ()) -> None:
        """Demand that each job is done, or that the group still has it.

        Args:
            when: What has happened, the beginning of a sentence.
            elsewhere: What others have done.
        """
        there = {job for job, _ in self.client.xrange(_STREAM)}
        safe = there & {*self.pending(), *self.new()}
        lost = [job for job in self.texts if job not in {*self.done, *elsewhere, *safe}]
        self.trial.require(
            not lost,
            f"{when}. Lost: {self.named(lost)}. Nobody has done it, and no worker will get it. "
            "Acknowledge a job after it was handled.",
        )


def _moment(job: str) -> tuple[int, ...]:
    return tuple(map(int, job.split("-")))


_AWKWARD = ("", "0", "None", "two words", "Fähre", "'quoted'", "{}", "a:b")


@work.check("does new jobs, ten at most, the oldest first, and finishes them", points=1)
def _does_new_ones(trial: Trial) -> None:
    jobs = _Jobs(trial)
    texts = [*_AWKWARD, *trial.words(15, length=5)]
    trial.rng.shuffle(texts)
    ids = jobs.add(*texts[:4], *texts[:4], *texts[4:])
    for start in (0, 10, 20, 30):
        got = jobs.run()
        expected = ids[start : start + 10]
        jobs.expect(expected)
        jobs.expect_finished(ids[start + 10 :])
        trial.equal(got, len(expected), advice="Return how many jobs were done.")
        jobs.refuse_waiting()


@work.check("first takes what was held for too long, and nothing that others are at", points=1.5)
def _takes_over(trial: Trial) -> None:
    jobs = _Jobs(trial)
    holders = [jobs.me, jobs.me, *trial.rng.choices(jobs.others, k=10)]
    trial.rng.shuffle(holders)
    busy = {jobs.hold_briefly(holder): holder for holder in holders[:9]}
    holders = [jobs.me, *jobs.others]
    trial.rng.shuffle(holders)
    dead = {
        jobs.hold(name, jobs.idle + trial.rng.randrange(1000, 50_000)): name for name in holders
    }
    busy |= {jobs.hold_briefly(holder): holder for holder in (jobs.me, *jobs.others)}
    new = jobs.draw(20)
    got = jobs.run()
    jobs.refuse("text")
    _refuse_what_others_are_at(jobs, busy)
    _refuse_to_pass_over(jobs, dead)
    jobs.expect([*dead, *new[:6]])
    pending = jobs.pending()
    for job, holder in busy.items():
        trial.require(
            pending.get(job) == holder,
            f"{jobs.named([job])} was taken from {holder!r}, who is at it: claim what was held for "
            "at least `idle` milliseconds, and nothing else.",
        )
    jobs.expect_finished(new[6:])
    trial.equal(got, 10, advice="Return how many jobs were done.")
    _fills_the_ten(trial, jobs)
    _does_what_is_there(trial, jobs)


def _refuse_what_others_are_at(jobs: _Jobs, busy: dict[str, str]) -> None:
    for job in jobs.calls:
        if job in busy:
            whose = "your own consumer" if busy[job] == jobs.me else f"the worker {busy[job]!r}"
            jobs.trial.fail(
                f"{jobs.named([job])} was taken, which {whose} has held for less than "
                f"`idle={jobs.idle}` milliseconds: somebody is at it, and it is done twice. Claim "
                "what was held for at least `idle`."
            )


def _refuse_to_pass_over(jobs: _Jobs, dead: dict[str, str]) -> None:
    trial, missing = jobs.trial, [job for job in dead if job not in jobs.calls]
    trial.require(
        set(missing) != set(dead),
        f"None of the {len(dead)} jobs was done that workers have held for more than `idle`: their "
        "workers are dead, and XREADGROUP with `>` never answers those jobs again. Claim them with "
        "XAUTOCLAIM.",
    )
    trial.require(
        not missing or any(dead[job] != jobs.me for job in missing),
        f"Passed over: {jobs.named(missing)}, which {jobs.me!r} itself has held for more than "
        "`idle`. A worker that died comes back under its own name, and has to find its jobs.",
    )
    trial.require(
        not missing,
        f"Passed over: {jobs.named(missing)}, whose worker is dead. Of the jobs that are "
        "pending, the first are such that others are at: look for those that were held for at "
        "least `idle`, with XAUTOCLAIM, or XPENDING with `idle=idle`.",
    )
    trial.require(
        set(jobs.calls[: len(dead)]) == set(dead),
        "New jobs were done before those of dead workers. Where new ones keep coming, it is those "
        "that wait for ever: claim first.",
    )


def _fills_the_ten(trial: Trial, jobs: _Jobs) -> None:
    """Where more than ten were held for too long, there is no room for new ones."""
    trial.reset()
    jobs.begin()
    dead, new = jobs.hold_for_long(13), jobs.draw(5)
    holders = jobs.pending()
    got = jobs.run()
    jobs.expect(dead[:10])
    jobs.expect_finished(new)
    pending = jobs.pending()
    moved = [job for job in dead[10:] if pending.get(job) != holders[job]]
    trial.require(
        not moved,
        f"Ten jobs were done, and more were claimed: {jobs.named(moved)}. Each waits for `idle` "
        "milliseconds once more. Claim ten at most, with `count=10`.",
    )
    trial.equal(got, 10, advice="Return how many jobs were done.")


def _does_what_is_there(trial: Trial, jobs: _Jobs) -> None:
    trial.reset()
    jobs.begin()
    dead = jobs.hold_for_long(3)
    for expected in (dead, []):
        got = jobs.run()
        jobs.expect(expected)
        jobs.expect_finished([])
        trial.equal(got, len(expected), advice="Return how many jobs were done.")


@work.check("where `handle` raises, that job stays, and the next is done", points=1)
def _goes_on(trial: Trial) -> None:
    jobs = _Jobs(trial)
    ids = [*jobs.hold_for_long(3), *jobs.draw(20)]
    failing = [ids[at] for at in (0, trial.rng.randrange(1, 5), trial.rng.randrange(5, 9), 9)]
    kinds = (CannotDo, ValueError, KeyError, OSError)
    jobs.errors = {job: kind("it cannot be done") for job, kind in zip(failing, kinds, strict=True)}
    got = jobs.run()
    jobs.refuse("text")
    failed = [job for job in jobs.calls if job in failing]
    twice = [job for job in failing if failed.count(job) > 1]
    trial.require(
        not twice,
        f"`handle` raised for {jobs.named(twice)}, and was called for it again at once. Go on with "
        "the next: another run takes it when its time is over.",
    )
    stopped = len(jobs.calls) < _MOST and jobs.calls[-1:] == failed[-1:] != []
    trial.require(
        not stopped,
        "`handle` raised for one job, and those after it were taken and not handled: go on with "
        "the next.",
    )
    jobs.expect(ids[:10])
    pending = jobs.pending()
    gone = [job for job in failing if job not in pending]
    trial.require(
        not gone,
        f"`handle` raised for {jobs.named(gone)}, and the job was acknowledged all the same: "
        "nobody ever does it. Acknowledge only what was done.",
    )
    kept = [job for job in failing if pending[job] == jobs.me]
    trial.equal(len(kept), len(failing), f"how many of the failed jobs {jobs.me!r} still holds")
    jobs.expect_nothing_lost("`handle` raised for some jobs")
    jobs.expect_finished(ids[10:])
    trial.equal(
        got, 6, f"the answer where {len(failing)} of ten failed", advice="Count what was done."
    )
    _goes_on_when_time_passes(trial, jobs)


def _goes_on_when_time_passes(trial: Trial, jobs: _Jobs) -> None:
    """Where a job took so long to fail that it could be claimed again."""
    trial.reset()
    jobs.begin()
    ids = [*jobs.hold_for_long(3), *jobs.draw(20)]
    jobs.errors = {ids[at]: CannotDo("it cannot be done") for at in (trial.rng.randrange(3), 5)}
    jobs.slow = True
    jobs.run()
    jobs.expect(ids[:10])


@work.check("cut off anywhere, no job is lost, and at most one is done again", points=1)
def _may_be_cut_off(trial: Trial) -> None:
    jobs = _Jobs(trial)

    def begin_anew() -> None:
        trial.reset()
        jobs.begin()
        jobs.hold_for_long(4)
        jobs.draw(12)

    begin_anew()
    jobs.run()
    trips = trial.log.round_trips
    jobs.refuse("text")
    trial.require(bool(jobs.calls), "Jobs wait, and `handle` was called for none.")
    jobs.refuse("early", "late")
    for jobs.cut_at in sorted(trial.rng.sample(range(1, 11), 4)):
        begin_anew()
        _survives(jobs, f"The power failed while `handle` was at job number {jobs.cut_at}")
    jobs.cut_at = None
    for jobs.cut_after in range(trips):
        begin_anew()
        _survives(jobs, f"The power failed after {jobs.cut_after} round trips")


def _survives(jobs: _Jobs, when: str) -> None:
    with contextlib.suppress(PowerCut):
        jobs.run()
    jobs.expect_nothing_lost(when)
    pending = jobs.pending()
    again = [job for job in jobs.done if job in pending]
    jobs.trial.require(
        len(again) <= 1,
        f"{when}. Done, and all done again: {jobs.named(again)}. Acknowledge each job before the "
        "next.",
    )


@work.check("two workers who come at once do no job twice", points=0.5)
def _does_nothing_twice(trial: Trial) -> None:
    jobs = _Jobs(trial)
    rival = trial.another_client()
    taken: list[str] = []

    def prepare() -> None:
        taken.clear()
        jobs.begin()
        jobs.hold_for_long(4)
        jobs.draw(25)

    def take() -> None:
        found: Any = rival.xautoclaim(_STREAM, _GROUP, "rival", jobs.idle, count=10)
        fresh: Any = rival.xreadgroup(_GROUP, "rival", {_STREAM: ">"}, count=2)
        taken.extend(job for job, _ in [*found[1], *fresh[0][1]])
        rival.xack(_STREAM, _GROUP, taken[0])

    trial.reset()
    prepare()
    jobs.run()
    jobs.refuse("text", "holder")
    trial.require(bool(jobs.calls), "Jobs wait, and `handle` was called for none.")
    for got in trial.race(prepare, take, trial.client, jobs.me, jobs.handle, jobs.idle):
        twice = [job for job in jobs.calls if job in taken]
        trial.require(
            not twice,
            f"Done twice: {jobs.named(twice)}. Another worker, who came between two of your round "
            "trips, took it as well. XAUTOCLAIM finds and takes in one step; XCLAIM takes "
            "what is still idle when it gets `idle`, and answers what it took.",
        )
        jobs.expect_nothing_lost("Another worker came at the same time", taken[:1])
        trial.equal(got, len(jobs.done), "the answer, where another worker takes jobs, too")
