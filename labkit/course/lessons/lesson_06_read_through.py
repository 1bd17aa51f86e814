"""What lesson 06-read-through checks: a cache in front of a database that must not melt."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import LockError
from redis.retry import Retry

from labkit.clock import FakeClock, fast_forward
from labkit.course.exercise import AnswerRaised, Outline, Question, Trial
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

outline = Outline(
    "06-read-through",
    title="Read through the cache",
    prefix="news:",
)


class _Database:
    """What `load` asks.

    Attributes:
        answer: What every question is answered with; an exception is raised.
        asked: The questions so far.
        load: The function that the learner's answer is given.
    """

    def __init__(self, trial: Trial, answer: object) -> None:
        self.answer = answer
        self.asked: list[object] = []

        def load(wanted: object) -> Any:
            self.asked.append(wanted)
            if isinstance(self.answer, Exception):
                raise self.answer
            return copy.deepcopy(self.answer)

        self.load = trial.named("load", load)


def _nothing() -> None:
    """What to prepare, or to do, where there is nothing to do."""


def _in_seconds(trial: Trial, key: str, seconds: int) -> None:
    """Demand that the last `call` gave the key no time to live in milliseconds."""
    trial.require(
        not any(trial.sent(word, str(seconds)) for word in ("PX", "PEXPIRE", "PSETEX")),
        f"{key} is gone after {seconds} milliseconds: `px` counts milliseconds, `ex` seconds.",
    )


def _only_text(trial: Trial, key: str, seconds: int, *, otherwise: str = "") -> str:
    """The text that the last `call` stored under the key, and it stored nothing else.

    Args:
        trial: The trial.
        key: The key.
        seconds: The time to live that it should have; `_lives` demands it.
        otherwise: What to say where nothing is stored.
    """
    _in_seconds(trial, key, seconds)
    keys = sorted(trial.client.scan_iter())
    trial.require(bool(keys), f"Nothing is stored under {key}. {otherwise}".rstrip())
    others = ", ".join([name for name in keys if name != key][:3])
    trial.require(key in keys, f"Nothing is stored under {key}; what is stored is {others}.")
    trial.require(not others, f"Besides {key} your answer leaves {others} behind.")
    return _text(trial, key)


def _text(trial: Trial, key: str) -> str:
    """The text under the key."""
    kind = trial.client.type(key)
    trial.require(kind != "none", f"Nothing is stored under {key}.")
    trial.require(kind == "string", f"{key} is a {kind}; store a text, with SET.")
    try:
        return str(trial.client.get(key))
    except UnicodeDecodeError:
        trial.fail(f"{key} holds bytes that are no text, as `pickle` makes them; expected JSON.")


def _only_json(trial: Trial, key: str, seconds: int) -> object:
    """What the JSON stands for that the last `call` stored, and it stored nothing else."""
    return _read(trial, key, _only_text(trial, key, seconds))


def _read(trial: Trial, key: str, text: str) -> object:
    """What the JSON stands for that was found under the key."""
    try:
        return json.loads(text)
    except ValueError:
        trial.fail(f"{key} holds {text!r:.80}, which is no JSON. `json.dumps` makes the text.")


def _lives(trial: Trial, key: str, seconds: int) -> None:
    """Demand that the key, which is there, has this time to live."""
    left = trial.client.ttl(key)
    trial.require(left != -1, f"{key} never expires: pass its time to live to SET, with `ex=`.")
    # A busy machine may look late, but not that late.
    trial.require(
        seconds - 20 <= left <= seconds,
        f"{key} has a time to live of {left} seconds; expected {seconds}.",
    )


_WITH_EX = "Let SET carry the time to live, with `ex=`."


def _in_one_step(
    trial: Trial,
    key: str,
    prepare: Callable[[], object],
    *args: Any,
    store: str = "SET",
    cure: str = _WITH_EX,
) -> None:
    """Demand that no crash and no gap leaves the key without its time to live.

    Args:
        trial: The trial.
        key: The key.
        prepare: Fills the server before each call.
        *args: What to call the answer with.
        store: The command that stores.
        cure: What lets it carry the time to live.
    """
    for trips in trial.crashes(prepare, *args):
        trial.require(
            trial.client.ttl(key) != -1,
            f"Your program was stopped after {trips} of its round trips, and {key} is there "
            f"without a time to live: a crash between {store} and EXPIRE leaves a key that never "
            f"expires. {cure}",
        )
    names = trial.log.names
    trial.require(
        "MULTI" in names or not {"EXPIRE", "PEXPIRE"} & set(names),
        f"EXPIRE went with {store} in one trip, but in no transaction: the server may carry out "
        f"the first and not the second. {cure}",
    )


def _one_command(trial: Trial, key: str, *args: Any) -> None:
    """Demand that a miss is a GET and a SET, and no crash leaves a key that never expires."""
    _in_one_step(trial, key, _nothing, *args)
    trial.require(
        trial.log.round_trips == 2,
        "A miss takes two round trips, a GET and one SET that carries the time to live; yours "
        f"made {trial.log.round_trips}: {', '.join(trial.log.names)}.",
    )


def _reaches_the_caller(
    trial: Trial,
    error: Exception,
    call: Callable[[], Any],
    *,
    why: str = "an error of the database has to reach the caller",
) -> None:
    """Demand that what `load` raises comes out of a call of the answer."""
    try:
        got = call()
    except AnswerRaised as raised:
        if raised.__cause__ is not error:
            raise
    else:
        trial.fail(
            f"`load` raised {type(error).__name__}: {error}, and your function returned "
            f"{got!r:.80}: {why}."
        )


# -- cache first, database behind ----------------------------------------------------------------

read_article = outline.exercise(
    "read_article",
    "Cache first, database behind",
    hints=(
        "Four steps: read from Redis, and return what is there; else ask the database; store; "
        "return. Which of them may fail without harm to the page? The reading and the storing.",
        "Give each of the two commands a `try` of its own, with `except redis.RedisError`, and "
        "keep `load` out of both: its errors are not yours, and it is asked once. `json.loads` "
        "raises ValueError on what is no JSON.",
        "`try: text = r.get(key)`, `except redis.RedisError: text = None`. If there is a text, "
        "`try: return json.loads(text)`, `except ValueError: pass`. Then `article = load(id)`, "
        "and in a second `try` `r.set(key, json.dumps(article), ex=300)`. Return the article.",
    ),
)


def _article(trial: Trial) -> tuple[int, str, dict[str, Any]]:
    """An article's id, its key and itself."""
    number = trial.rng.randrange(1, 100_000)
    article = {"id": number, "title": trial.word(), "tags": trial.words(2)}
    return number, f"news:article:{number}", article


def _newer(trial: Trial, article: dict[str, Any]) -> dict[str, Any]:
    """The article after an edit."""
    return {**article, "title": trial.word(10)}


def _hit(trial: Trial, number: int, key: str, article: dict[str, Any]) -> None:
    """Demand that an article which stands in Redis is answered from there."""
    text = json.dumps(article)
    trial.client.set(key, text, ex=100)
    database = _Database(trial, _newer(trial, article))
    got = trial.call(trial.client, database.load, number)
    trial.require(
        not database.asked,
        f"{key} holds the article, and your function asked the database all the same: look into "
        "Redis first.",
    )
    trial.equal(got, article, advice="Turn the text back into an article with `json.loads`.")
    trial.one_trip("A hit is one GET.")
    trial.require(
        trial.client.get(key) == text and 0 < trial.client.ttl(key) <= 100,
        f"{key} had 100 seconds to live, and after a hit {trial.client.ttl(key)} (-1 is never): a "
        "hit changes nothing. Else what is read often would never be loaded anew.",
    )


@read_article.check("a hit is one GET, and the database is not asked", points=1)
def _reads_from_redis(trial: Trial) -> None:
    number, key, article = _article(trial)
    _hit(trial, number, key, article)
    article = _newer(trial, article)
    trial.client.set(key, json.dumps(article), ex=100)
    got = trial.call(trial.client, _Database(trial, article).load, number)
    trial.equal(
        got,
        article,
        advice="Another process has stored this since the last call: keep nothing in your own.",
    )


@read_article.check("a miss asks the database once, and stores what it answers", points=1)
def _loads_and_stores(trial: Trial) -> None:
    number, key, article = _article(trial)
    database = _Database(trial, article)
    args = (trial.client, database.load, number)
    got = trial.call(*args)
    trial.equal(got, article, advice="On a miss, return what `load(id)` returned.")
    trial.equal(database.asked, [number], "what `load` was asked for")
    trial.equal(_only_json(trial, key, 300), article, f"the article stored under {key}")
    _lives(trial, key, 300)
    _one_command(trial, key, *args)


_PYTHON_HAS_ONE_TOO = (
    "Catch `redis.RedisError`, with `redis.` in front: Python's own ConnectionError and "
    "TimeoutError are other exceptions."
)
_EVERY_KIND = "Catch `redis.RedisError`, which is all of them."


@read_article.check("a Redis that is away does not fail the page", points=1)
def _survives(trial: Trial) -> None:
    trial.client.set_retry(Retry(NoBackoff(), 0))
    lost = redis.ConnectionError("Connection refused.")
    slow = redis.TimeoutError("Timeout reading from socket.")
    full = redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
    # The write first: when the read fails too, it is known that an error can only be the read's.
    failures: list[tuple[int, str, Exception, str]] = [
        (2, "the write", lost, _PYTHON_HAS_ONE_TOO),
        (2, "the write", slow, _EVERY_KIND),
        (2, "the write", full, _EVERY_KIND),
        (1, "the read", lost, _PYTHON_HAS_ONE_TOO),
        (1, "the read", slow, _EVERY_KIND),
    ]
    for first, what, error, advice in failures:
        trial.reset()
        number, _, article = _article(trial)
        database = _Database(trial, article)
        with trial.explain(type(error), f"It was {what} that failed. {advice}"):
            got = trial.call(trial.client, database.load, number, before=_away(first, error))
        failed = f"{what} failed ({type(error).__name__})"
        trial.equal(
            got, article, f"the answer when {failed}", advice="The database has the article."
        )
        trial.require(
            len(database.asked) == 1,
            f"When {failed}, the database was asked {len(database.asked)} times for one page. "
            "Give the GET and the SET each a `try` of its own, and keep `load` out of both.",
        )


def _away(first: int, error: Exception) -> Callable[[int], None]:
    """What makes every trip fail from the one with this number on."""

    def before(trip: int) -> None:
        if trip >= first:
            raise error

    return before


@read_article.check(
    "an error of the database reaches the caller, and nothing is stored", points=0.5
)
def _hides_nothing(trial: Trial) -> None:
    _passes_errors_on(trial)


def _passes_errors_on(trial: Trial) -> None:
    """Demand that errors of the database, of kinds that Redis and JSON have too, are passed on."""
    number, _, _ = _article(trial)
    for error in (
        ConnectionError("the database is away"),
        ValueError("no such column"),
        TypeError("no such type"),
    ):
        database = _Database(trial, error)
        ask = functools.partial(trial.call, trial.client, database.load, number)
        _reaches_the_caller(trial, error, ask)
        trial.require(
            len(database.asked) == 1,
            f"`load` raised {type(error).__name__}, and was asked {len(database.asked)} times in "
            "one call: keep it out of your `try`.",
        )
        left = sorted(trial.client.scan_iter())
        trial.require(
            not left,
            f"`load` raised {type(error).__name__}, and your function stored {', '.join(left)}: "
            "where there is no answer there is nothing to keep.",
        )


@read_article.check("what cannot be read is a miss, and is replaced", points=0.5)
def _replaces_garbage(trial: Trial) -> None:
    number, key, article = _article(trial)
    text = json.dumps(article)
    for garbage in (text[: trial.rng.randrange(1, len(text))], ""):
        trial.client.set(key, garbage, ex=100)
        database = _Database(trial, article)
        with trial.explain(
            ValueError,
            f"The text under the key was {garbage!r}. A cache that cannot be read must not bring "
            "the page down: catch ValueError and load.",
        ):
            got = trial.call(trial.client, database.load, number)
        trial.equal(
            got, article, advice=f"The text under the key was {garbage!r}: load, as on a miss."
        )
        trial.equal(database.asked, [number], "what `load` was asked for")
        trial.require(
            _only_text(trial, key, 300) != garbage,
            f"{garbage!r} still stands under {key}: store what was loaded, or every call loads.",
        )
        trial.equal(_only_json(trial, key, 300), article, f"the article stored under {key}")
        _lives(trial, key, 300)


# -- remember that there is nothing --------------------------------------------------------------

read_or_absent = outline.exercise(
    "read_or_absent",
    "Remember that there is nothing",
    hints=(
        "Three things may stand under the key: no text at all, the text of an article, and a text "
        "of your own that says 'the database has nothing'. Which text can never be an article's?",
        "An article is a JSON object, so its text begins with a brace; `null` is no article. But "
        "`json.loads('null')` is None, and so is `r.get` of a missing key: compare the text with "
        "None before you read it.",
        "`text = r.get(key)`; `if text is not None: return json.loads(text)`, which answers None "
        "for 'null'. Then `article = load(id)` and `r.set(key, json.dumps(article), ex=30 if "
        "article is None else 300)`; return the article.",
    ),
)


@read_or_absent.check("keeps an article for 300 seconds; a hit is one GET", points=1)
def _keeps_article(trial: Trial) -> None:
    number, key, article = _article(trial)
    database = _Database(trial, article)
    args = (trial.client, database.load, number)
    trial.equal(trial.call(*args), article, advice="On a miss, return what `load(id)` returned.")
    trial.equal(database.asked, [number], "what `load` was asked for")
    trial.equal(_only_json(trial, key, 300), article, f"the article stored under {key}")
    _lives(trial, key, 300)
    _hit(trial, number, key, article)
    _one_command(trial, key, *args)


@read_or_absent.check("a made-up id, asked for a hundred times, reads the database once", points=1)
def _keeps_absence(trial: Trial) -> None:
    number, key, _ = _article(trial)
    database = _Database(trial, None)
    args = (trial.client, database.load, number)
    trial.equal(trial.call(*args), None, advice="`load` answered None: there is no such article.")
    trial.equal(database.asked, [number], "what `load` was asked for")
    text = _only_text(
        trial,
        key,
        30,
        otherwise="`load` answered None: keep that too, or every question for a made-up id reaches "
        "the database.",
    )
    _lives(trial, key, 30)
    for _ in range(99):
        got = trial.call(*args)
        trial.require(
            len(database.asked) == 1,
            f"{key} holds {text!r}, which your function stored because there is no such article, "
            "and the next call asked the database again. A key that is missing and 'nothing "
            "there' are two: compare what `r.get` answers with None, and only that.",
        )
        trial.equal(got, None)
        trial.one_trip("A hit is one GET, also where it says that there is nothing.")
    trial.require(
        trial.client.get(key) == text and 0 < trial.client.ttl(key) <= 30,
        f"Hits changed {key}: it holds {trial.client.get(key)!r} for {trial.client.ttl(key)} "
        "seconds. If it lives longer with each question, a new article is never found.",
    )
    trial.reset()
    _one_command(trial, key, *args)


@read_or_absent.check("what says 'nothing there' cannot be taken for an article", points=1)
def _told_apart(trial: Trial) -> None:
    number, key, article = _article(trial)
    trial.call(trial.client, _Database(trial, None).load, number)
    text = _only_text(trial, key, 30)
    trial.require(
        not _is_object(text),
        f"Where there is no article your function stored {text!r}, a JSON object like every "
        "article: whoever reads the key takes it for one. Choose a text that is none, such as "
        "'null'.",
    )
    for field, value in (("title", text), ("subtitle", text), ("subtitle", None)):
        like_it = {**article, field: value}
        trial.client.set(key, json.dumps(like_it), ex=100)
        database = _Database(trial, _newer(trial, article))
        got = trial.call(trial.client, database.load, number)
        trial.require(
            got is not None,
            f"An article with the {field} {value!r} was taken for 'nothing there': compare the "
            f"whole text with what you store where there is nothing, {text!r}.",
        )
        trial.equal(got, like_it, advice=f"That article stands under {key}.")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


@read_or_absent.check("finds an article that appears, and takes no error for 'nothing'", points=1)
def _finds_later(trial: Trial) -> None:
    number, key, article = _article(trial)
    database = _Database(trial, None)
    args = (trial.client, database.load, number)
    for what, pass_time in (
        ("the key was deleted", lambda: trial.client.delete(key)),
        ("30 seconds passed", lambda: fast_forward(trial.client, 30)),
    ):
        trial.reset()
        database.answer = None
        trial.equal(trial.call(*args), None, advice="`load` answered None.")
        database.answer = article
        pass_time()
        trial.equal(
            trial.call(*args),
            article,
            advice=f"There was no such article; then it was written, and {what}.",
        )
        trial.equal(_only_json(trial, key, 300), article, f"the article stored under {key}")
        _lives(trial, key, 300)
    trial.reset()
    _passes_errors_on(trial)


# -- one load for two hundred --------------------------------------------------------------------

load_once = outline.exercise(
    "load_once",
    "One load for two hundred",
    hints=(
        "An endless loop with three ways on: return the text if it is there; if not, try the lock "
        "with one SET; if that fails, `pause()` and go round again. Who gets the lock leaves the "
        "loop with `return`.",
        "`token = uuid.uuid4().hex`, and `r.set(lock, token, nx=True, ex=10)` answers None if the "
        "lock is taken. With the lock, GET the key once more before you load. `try: ... finally:` "
        "gives it back in any case; the comparison and the deletion are one script.",
        "`while True:` `value = r.get(key)`; if it is not None, return it; `if r.set(lock, token, "
        "nx=True, ex=10): break`; `pause()`. Then `try:` GET again, and if it is None `value = "
        'load()` and `r.set(key, value, ex=60)`; `return value`; `finally: r.eval("if '
        "redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end\", 1, lock, "
        "token)`.",
    ),
)

_MOST_PAUSES = 50
_MOST_TRIPS_AWAKE = 30


class EndlessWait(BaseException):
    """Ends an answer that would wait for ever, past every `except Exception` it may have."""


class NoPause(BaseException):
    """Ends an answer that goes round without a pause."""


class _Page:
    """A page that is not in the cache, what loads it, and a rival who keeps the rules.

    Attributes:
        key: Where the page belongs; `lock` is the key of its lock.
        value: What `load` answers; `theirs` is what the rival stores.
        token: What the rival's lock holds.
        rival: The rival's connection.
        error: What `load` raises, if anything.
        in_load: What happens while `load` runs.
        in_pause: What happens while `pause` runs, which may look at `pauses`.
        loads: How often `load` was called; `pauses` counts the other.
        args: What to call the answer with.
    """

    def __init__(self, trial: Trial, callers: int = 1) -> None:
        self.key = f"news:page:{trial.word()}"
        self.lock = f"{self.key}:lock"
        self.value, self.theirs, self.token = trial.words(3)
        self.rival = trial.another_client()
        self.error: Exception | None = None
        self.in_load: Callable[[], object] = _nothing
        self.in_pause: Callable[[], object] = _nothing
        self._trial = trial
        self.loads = self.pauses = self._trips = 0

        def load() -> str:
            self.loads += 1
            self.in_load()
            if self.error is not None:
                raise self.error
            return self.value

        def pause() -> None:
            self.pauses += 1
            self._trips = 0
            if self.pauses > _MOST_PAUSES * callers:
                self.give_in()
                raise EndlessWait(f"called `pause` {_MOST_PAUSES} times.")
            self.in_pause()

        self.args = (trial.client, self.key, trial.named("load", load), trial.named("pause", pause))

    def start(self) -> None:
        """Count from the beginning."""
        self.loads = self.pauses = self._trips = 0

    def call(self) -> Any:
        """Call the answer, and end it when it goes round without a pause."""

        def awake(_: int) -> None:
            self._trips += 1
            if self._trips == _MOST_TRIPS_AWAKE:
                self.give_in()
                raise NoPause(
                    f"went to Redis {_MOST_TRIPS_AWAKE} times on end. Whoever waits calls "
                    "`pause()` before the next look."
                )

        self.start()
        return self._trial.call(*self.args, before=awake)

    def take(self) -> bool:
        """The rival takes the lock, if it is free."""
        return bool(self.rival.set(self.lock, self.token, nx=True, ex=8))

    def fill(self) -> None:
        """The rival stores the page."""
        self.rival.set(self.key, self.theirs, ex=60)

    def finish(self) -> None:
        """The rival stores the page and gives the lock back."""
        self.fill()
        self.let_go()

    def let_go(self) -> None:
        """The rival's lock is given back, or expires."""
        if self.rival.get(self.lock) == self.token:
            self.rival.delete(self.lock)

    def give_in(self) -> None:
        """Leave nothing to wait for: it ends the loop also of an answer that catches all."""
        self.fill()
        self.rival.delete(self.lock)

    @property
    def holder(self) -> str | None:
        """What the lock holds."""
        found: Any = self.rival.get(self.lock)
        return None if found is None else str(found)


_NOT_YOURS = (
    "The lock had expired and was somebody else's: leave it as it is, and return what you loaded."
)


@load_once.check("returns what is there; else loads it and stores it for 60 seconds", points=1)
def _loads_alone(trial: Trial) -> None:
    page = _Page(trial)
    got = page.call()
    trial.equal(
        page.pauses,
        0,
        "the calls of `pause`, with nobody else there",
        advice="`r.set(..., nx=True)` answers True to who gets the lock, None to the others.",
    )
    trial.equal(page.loads, 1, "how often `load` ran")
    trial.equal(got, page.value, advice="Return what `load()` returned.")
    trial.require(
        page.holder is None,
        f"{page.lock} still stands after your function has returned: give the lock back.",
    )
    trial.equal(_only_text(trial, page.key, 60), page.value, f"the text stored under {page.key}")
    _lives(trial, page.key, 60)
    trial.client.set(page.key, page.theirs, ex=30)
    got = page.call()
    trial.require(
        page.loads == 0, f"{page.key} holds a text, and your function loaded all the same."
    )
    trial.equal(got, page.theirs)
    trial.one_trip("Where there is a text, one GET is all.")
    trial.require(
        0 < trial.client.ttl(page.key) <= 30,
        f"{page.key} had 30 seconds to live, and after a hit {trial.client.ttl(page.key)} (-1 is "
        "never): a hit changes nothing.",
    )


_LEFT_BEHIND = (
    "Whoever dies while loading leaves it behind, and all others wait for ever. Let the SET that "
    "takes it carry `ex=10`."
)


@load_once.check(
    "takes the lock for 10 seconds, with a token of its own; no crash leaves a key for ever",
    points=1,
)
def _takes_lock(trial: Trial) -> None:
    page = _Page(trial)
    seen: list[tuple[str | None, int]] = []
    page.in_load = lambda: seen.append((page.holder, page.rival.pttl(page.lock)))
    for _ in range(2):
        trial.reset()
        page.call()
    trial.require(len(seen) == 2, f"`load` ran {len(seen)} times in two calls; expected two.")
    _in_seconds(trial, page.lock, 10)
    (first, left), (second, _) = seen
    trial.require(
        first is not None,
        f"While `load` runs there is no {page.lock}: nobody else can see that somebody loads.",
    )
    trial.require(left != -1, f"{page.lock} never expires. {_LEFT_BEHIND}")
    trial.require(
        5_000 < left <= 10_000,
        f"{page.lock} expires in {left:,} milliseconds; expected 10 seconds.",
    )
    trial.require(
        first != second,
        f"Two calls took the lock with the same token, {first!r}: then nobody can tell their own "
        "lock from another's. Make one for each call, with `uuid` or `secrets`.",
    )
    _leaves_nothing_for_ever(trial, page)


def _leaves_nothing_for_ever(trial: Trial, page: _Page) -> None:
    for trips in trial.crashes(page.start, *page.args):
        stopped = f"Your program was stopped after {trips} of its round trips, and "
        trial.require(
            trial.client.ttl(page.lock) != -1,
            f"{stopped}{page.lock} is there without an expiry. {_LEFT_BEHIND}",
        )
        trial.require(
            trial.client.ttl(page.key) != -1,
            f"{stopped}{page.key} is stored and never expires: pass `ex=60` to SET.",
        )


@load_once.check("waits while somebody else holds the lock, and loads nothing", points=1)
def _waits(trial: Trial) -> None:
    page = _Page(trial)
    longest = 0

    def in_pause() -> None:
        nonlocal longest
        longest = max(longest, page.rival.pttl(page.lock))
        if page.pauses == 20:
            page.fill()

    page.in_pause = in_pause
    page.take()
    with trial.explain(
        EndlessWait,
        "From the 20th time on the text was there, and the lock not yet given back: look at the "
        "key each time around, before you try the lock.",
    ):
        got = page.call()
    trial.require(
        page.loads == 0,
        f"{page.lock} was somebody else's, who was loading, and your function called `load` too. "
        "`r.set(lock, token, nx=True, ex=10)` answers None if the lock is taken; then wait.",
    )
    trial.equal(
        got,
        page.theirs,
        advice="That is what the holder of the lock stored when `pause` was called for the 20th "
        f"time; your function called it {page.pauses} times.",
    )
    trial.require(
        page.holder == page.token,
        f"{page.lock} was somebody else's all the time, and after your function {_held(page)}. "
        "Whoever did not get the lock does not touch it.",
    )
    trial.require(
        longest <= 8_000,
        f"{page.lock} was somebody else's, and your function made it live longer: if they have "
        "died, it never comes free. Only who takes the lock sets its expiry.",
    )
    page.in_pause = page.finish
    _takes_at_once(trial, page)


def _held(page: _Page) -> str:
    holder = page.holder
    return "it is gone" if holder is None else f"it holds {holder!r}"


def _takes_at_once(trial: Trial, page: _Page) -> None:
    """Let the rival take the lock in each gap before the answer has it, and fill in a pause."""
    rival_loads = False

    def prepare() -> None:
        nonlocal rival_loads
        page.start()
        rival_loads = False

    def rival() -> None:
        nonlocal rival_loads
        rival_loads = page.loads == 0 and page.take()

    for got in trial.race(prepare, rival, *page.args):
        if rival_loads:
            trial.require(
                page.loads == 0,
                "Between your look and your SET somebody else took the lock, and your function "
                "loaded too. Let one command look and take: `r.set(lock, token, nx=True, ex=10)`.",
            )
            trial.equal(got, page.theirs, "the answer when somebody else was quicker")


@load_once.check("looks again once it has the lock, and takes over from who died", points=1)
def _looks_again(trial: Trial) -> None:
    page = _Page(trial)
    _takes_over(trial, page)
    page.in_pause = _nothing
    filled = False

    def prepare() -> None:
        nonlocal filled
        page.start()
        filled = False

    def rival() -> None:
        nonlocal filled
        if page.loads == 0 and page.take():
            page.finish()
            filled = True

    for got in trial.race(prepare, rival, *page.args):
        if filled:
            trial.require(
                page.loads == 0,
                "Between your look at the key and your SET of the lock somebody else took the "
                "lock, stored the text and gave the lock back; and your function loaded again. "
                "Once you have the lock, look again.",
            )
            trial.equal(got, page.theirs, "the answer when somebody else stored it just before")
            trial.require(
                page.holder is None,
                f"The text was there already when your function got the lock, and {page.lock} "
                "still stands after it has returned: give the lock back then too.",
            )


def _takes_over(trial: Trial, page: _Page) -> None:
    """Let the rival die with the lock, which comes free in the third pause."""

    def in_pause() -> None:
        if page.pauses == 3:
            page.let_go()

    page.in_pause = in_pause
    trial.reset()
    page.take()
    with trial.explain(
        EndlessWait,
        "Who held the lock has died, and from the third time on the lock was free: each time "
        "around, try to take it.",
    ):
        got = page.call()
    trial.require(
        page.pauses >= 3,
        f"{page.lock} was somebody else's, and your function called `pause` {page.pauses} times "
        "before it went on; the lock came free at the third.",
    )
    trial.equal(page.loads, 1, "how often `load` ran, after the holder of the lock had died")
    trial.equal(got, page.value, "the answer after the holder of the lock had died")
    trial.equal(trial.client.get(page.key), page.value, f"the text stored under {page.key}")
    trial.require(page.holder is None, f"After the take-over {page.lock} was not given back.")


@load_once.check("gives back its own lock and no other, also when the load fails", points=1)
def _gives_back(trial: Trial) -> None:
    page = _Page(trial)
    page.error = OSError("the database is away")
    _load_fails(trial, page)
    trial.require(
        page.holder is None,
        f"`load` raised, and {page.lock} still stands: all others wait ten seconds for nobody. "
        "Give it back in `finally`.",
    )
    trial.require(
        trial.client.dbsize() == 0,
        "`load` raised, and your function stored something all the same.",
    )
    page.in_load = lambda: page.rival.set(page.lock, page.token, ex=10)
    for error in (None, page.error):
        trial.reset()
        page.error = error
        if error is None:
            with trial.explain(redis.WatchError, _NOT_YOURS), trial.explain(LockError, _NOT_YOURS):
                trial.equal(page.call(), page.value, advice="Return what `load()` returned.")
        else:
            _load_fails(trial, page)
        _is_theirs(trial, page, "`load` took 11 seconds, the lock expired and somebody else got it")
    page.in_load, page.error = _nothing, None
    _compares_and_deletes(trial, page)


def _load_fails(trial: Trial, page: _Page) -> None:
    assert page.error is not None
    _reaches_the_caller(trial, page.error, page.call)
    trial.equal(page.loads, 1, "how often `load` ran, which raised")
    _in_seconds(trial, page.lock, 10)  # a lock that is gone at once makes chance the judge


def _is_theirs(trial: Trial, page: _Page, story: str) -> None:
    advice = "Compare it with your token, and delete it only if it is yours"
    trial.require(
        page.holder == page.token,
        f"{story}; after your function {_held(page)}. {advice}: both in one script, or behind a "
        "WATCH on the lock.",
    )


def _compares_and_deletes(trial: Trial, page: _Page) -> None:
    """Let the lock expire and become the rival's in each gap after the load."""
    taken = open_door = False

    def prepare() -> None:
        nonlocal taken, open_door
        page.start()
        taken = open_door = False

    def rival() -> None:
        nonlocal taken, open_door
        if page.loads:
            open_door = not page.rival.exists(page.lock, page.key)
            taken = bool(page.rival.set(page.lock, page.token, xx=True, ex=10))

    with trial.explain(redis.WatchError, _NOT_YOURS), trial.explain(LockError, _NOT_YOURS):
        for got in trial.race(prepare, rival, *page.args):
            trial.require(
                not open_door,
                "After the load there is a moment with neither a lock nor a text: who comes then "
                "loads a second time. Store first, and then give the lock back.",
            )
            if taken:
                _is_theirs(
                    trial,
                    page,
                    "After your load, between two of your commands, the lock expired and somebody "
                    "else got it",
                )
            trial.equal(got, page.value, "the answer when the lock expired just then")


class _Turns:
    """Lets threads move one at a time, in turn, so that a race goes the same way in every run.

    A move is what a thread does from one call of `next` to its following one.

    Args:
        threads: Who takes part, in the order of their turns.
    """

    # Whose turn it is may wait for another thread, as for a lock of the process; then, after so
    # many seconds, all move as they like.
    _PATIENCE = 0.5

    def __init__(self, threads: Sequence[threading.Thread]) -> None:
        self._order = deque(threads)
        self._gates = {thread: threading.Semaphore(0) for thread in threads}
        self._in_turn = True
        self._open_next()

    def begin(self) -> None:
        """Wait for this thread's first turn."""
        if self._in_turn and not self._gates[threading.current_thread()].acquire(
            timeout=self._PATIENCE
        ):
            self._in_turn = False

    def next(self) -> None:
        """End this thread's move, and wait for its next turn."""
        if self._in_turn:
            self._order.rotate(-1)
            self._open_next()
            self.begin()

    def leave(self) -> None:
        """End this thread's last move."""
        self._order.remove(threading.current_thread())
        self._open_next()

    def _open_next(self) -> None:
        if self._order:
            self._gates[self._order[0]].release()


_CALLERS = 16
_MOST_MOVES = 60 * _CALLERS


@load_once.check("sixteen callers at once, and one load", points=1)
def _one_load(trial: Trial) -> None:
    page = _Page(trial, _CALLERS)
    trial.equal(page.call(), page.value)  # a stub, or what is no function, ends here
    _in_seconds(trial, page.lock, 10)
    _in_seconds(trial, page.key, 60)
    trial.require(
        page.holder is None,
        f"{page.lock} still stands after one caller has its answer: the others would wait for it.",
    )
    trial.reset()
    page.start()
    answers: list[object] = []
    errors: list[BaseException] = []

    def ask() -> None:
        turns.begin()
        try:
            answers.append(trial._answer(*page.args))  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)
        finally:
            turns.leave()

    def load_slowly() -> None:
        for _ in range(3):
            turns.next()

    def move(trip: int) -> None:
        if trip == _MOST_MOVES:
            page.give_in()
            raise NoPause(f"the callers went to Redis {_MOST_MOVES} times.")
        turns.next()

    # A caller who goes round for ever shall not keep Python from ending.
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(_CALLERS)]
    turns = _Turns(threads)
    page.in_pause = turns.next
    page.in_load = load_slowly
    with CommandLog(trial.client, before=move):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=2)
    _judge_crowd(trial, page, answers, errors)


def _judge_crowd(
    trial: Trial, page: _Page, answers: list[object], errors: list[BaseException]
) -> None:
    trial.require(
        page.loads == 1,
        f"{_CALLERS} callers asked at once, and `load` ran {page.loads} times; expected once.",
    )
    for error in errors:
        trial.fail(
            f"Of {_CALLERS} callers at once {len(errors)} got no answer, but "
            f"{type(error).__name__}: {error}"
        )
    trial.equal(len(answers), _CALLERS, f"how many of {_CALLERS} callers at once have an answer")
    for got in answers:
        trial.equal(got, page.value, f"what one of {_CALLERS} callers at once got")


# -- renew early, by chance ----------------------------------------------------------------------

should_renew = outline.exercise(
    "should_renew",
    "Renew early, by chance",
    hints=(
        "The natural logarithm of a number between 0 and 1 is negative, and of 1 it is 0. What "
        "becomes of `took * beta * -ln(draw)` for a draw near 1, and for one near 0?",
        "`math.log(draw)` is the natural logarithm. The product says how many seconds this caller "
        "looks ahead; compare it with the seconds that are left.",
        "The answer is one comparison: `left` on one side, `-took * beta * math.log(draw)` on the "
        "other. An expired value needs no case of its own: its `left` is not above 0, and that "
        "product is never below.",
    ),
)


def _renews(trial: Trial, left: float, took: float, beta: float, draw: float) -> bool:
    got = trial.call(left, took, beta, draw)
    trial.require(
        isinstance(got, bool),
        f"`should_renew({left}, {took}, {beta}, {draw})` returned {got!r:.80}; expected True or "
        "False.",
    )
    return bool(got)


def _ahead(took: float, beta: float, draw: float) -> float:
    """How many seconds a caller with this draw looks ahead."""
    return -took * beta * math.log(draw)


@should_renew.check("an expired value always; with a draw of 1 no other", points=1)
def _at_the_ends(trial: Trial) -> None:
    rng = trial.rng
    for draw in (1.0, round(rng.uniform(0.01, 0.99), 2), 1e-300):
        for left in (0.0, round(-rng.uniform(0.01, 9), 2)):
            took, beta = round(rng.uniform(0.1, 2), 2), rng.choice((0.5, 1.0, 2.0))
            trial.require(
                _renews(trial, left, took, beta, draw),
                f"`should_renew({left}, {took}, {beta}, {draw})` returned False, with no time "
                "left: what has expired is renewed, whatever the draw."
                + (" Compare with `<=`, not `<`." if left == 0 and draw == 1 else ""),
            )
    for left in (0.001, round(rng.uniform(0.01, 60), 2)):
        took, beta = round(rng.uniform(0.1, 2), 2), rng.choice((0.5, 1.0, 2.0))
        trial.require(
            not _renews(trial, left, took, beta, 1.0),
            f"`should_renew({left}, {took}, {beta}, 1.0)` returned True: ln(1) is 0, so this "
            "caller does not look ahead at all, and the value has not expired.",
        )
    for took, beta in ((0.0, 1.0), (1.0, 0.0)):
        trial.require(
            not _renews(trial, 0.001, took, beta, round(rng.uniform(0.01, 0.9), 2)),
            f"With took={took} and beta={beta} nobody looks ahead, and your function renews a "
            "value that has a millisecond left.",
        )


# What the usual mistakes compute, to be told by name where an answer computes just that.
_MISTAKES: Mapping[str, Callable[[float, float, float], float]] = {
    "That is the logarithm to base 10; the natural one is `math.log(draw)`.": (
        lambda took, beta, draw: -took * beta * math.log10(draw)
    ),
    "That is the logarithm to base 2; the natural one is `math.log(draw)`.": (
        lambda took, beta, draw: -took * beta * math.log2(draw)
    ),
    "The logarithm of a draw below 1 is negative: it takes a minus to look ahead.": (
        lambda took, beta, draw: took * beta * math.log(draw)
    ),
    "`beta` makes no difference in your answer.": (lambda took, _, draw: -took * math.log(draw)),
    "`took` makes no difference in your answer: what takes long to load is renewed earlier.": (
        lambda _, beta, draw: -beta * math.log(draw)
    ),
    "Your answer divides by `beta`: a higher one renews earlier, so it multiplies.": (
        lambda took, beta, draw: -took / beta * math.log(draw)
    ),
    "The draw makes no difference in your answer: then all callers renew at the same moment.": (
        lambda took, beta, _: took * beta
    ),
    "The draw goes into the logarithm itself, without its `-`: ln(1 - draw) has no value at 1.": (
        lambda took, beta, draw: -took * beta * math.log(1 - draw)
    ),
}


@should_renew.check("renews if the caller looks ahead past the end", points=1)
def _follows_formula(trial: Trial) -> None:
    rng = trial.rng
    tried: list[tuple[float, float, float, float, bool]] = []
    for _ in range(200):
        took, beta = round(rng.uniform(0.05, 5), 2), round(rng.uniform(0.3, 3), 1)
        draw = round(rng.uniform(0.01, 0.99), 3)
        # Near enough to the border to tell a mistake, and not so near that rounding decides.
        left = round(_ahead(took, beta, draw) * rng.uniform(0.3, 2), 6)
        if abs(left - _ahead(took, beta, draw)) > 1e-4 * left:
            got = _renews(trial, left, took, beta, draw)
            trial.require(
                got == _renews(trial, left, took, beta, draw),
                f"`should_renew({left}, {took}, {beta}, {draw})` returned {got}, and then "
                f"{not got}: the draw is handed in, so draw none yourself.",
            )
            tried.append((left, took, beta, draw, got))
    wrong = [row for row in tried if row[-1] != (row[0] <= _ahead(*row[1:4]))]
    if not wrong:
        return
    left, took, beta, draw, got = wrong[0]
    whose = (
        advice
        for advice, mistake in _MISTAKES.items()
        if all(row[-1] == (row[0] <= mistake(*row[1:4])) for row in tried)
    )
    trial.fail(
        f"`should_renew({left}, {took}, {beta}, {draw})` returned {got}: with this draw a caller "
        f"looks {_ahead(took, beta, draw):.6f} seconds ahead. {next(whose, '')}".rstrip()
    )


@should_renew.check("over many draws, renews the share that it should", points=1)
def _renews_share(trial: Trial) -> None:
    draws = [(place + 0.5) / 400 for place in range(400)]
    for share in (0.05, 0.3, 0.9):
        took, beta = round(trial.rng.uniform(0.1, 2), 2), trial.rng.choice((0.5, 1.5, 2.0))
        left = round(_ahead(took, beta, share), 6)
        renewed = sum(_renews(trial, left, took, beta, draw) for draw in draws) / 400
        trial.require(
            abs(renewed - share) < 0.005,
            f"With {left} seconds left, took={took} and beta={beta}, exp(-left / (took * beta)) = "
            f"{share:.0%} of the callers renew; of 400 draws, spread evenly from 0 to 1, "
            f"your function renews for {renewed:.1%}.",
        )


# -- old is better than nothing ------------------------------------------------------------------

serve_stale = outline.exercise(
    "serve_stale",
    "Old is better than nothing",
    hints=(
        "There are two times here. `fresh_until` says from when on to try for a newer value; the "
        "key's time to live says how long the old one is at hand for when that fails. Let Redis "
        "forget an hour after the value stopped being fresh.",
        "Put only `load()` into `try: ... except OSError:`. In the `except`: no old value, then "
        "`raise`; else store the old value again with a new `fresh_until`. A plain SET would take "
        "the key's time to live away; `keepttl=True` keeps it, and `xx=True` stores only where "
        "the key is still there.",
        "`text = r.get(key)`, `entry = None if text is None else json.loads(text)`. Return "
        "`entry['value']` if `now() < entry['fresh_until']`. On OSError: `entry['fresh_until'] = "
        "now() + 5`, `r.set(key, json.dumps(entry), xx=True, keepttl=True)`, return the value. On "
        "success: `r.set(key, json.dumps({'value': value, 'fresh_until': now() + 60}), ex=3660)`.",
    ),
)


class _Load:
    """The database: counts how often it is asked, and answers, or raises what it is given."""

    def __init__(self, trial: Trial, answer: object) -> None:
        self.answer = answer
        self.asked = 0
        self.meanwhile: Callable[[], object] = lambda: None

        def load() -> object:
            self.asked += 1
            self.meanwhile()
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        self.function = trial.named("load", load)


def _now(trial: Trial) -> FakeClock:
    return trial.named("now", FakeClock(float(trial.rng.randrange(10**4, 10**6))))


def _keep(trial: Trial, key: str, value: object, fresh_until: float, seconds: int) -> None:
    entry = {"value": value, "fresh_until": fresh_until}
    trial.client.set(key, json.dumps(entry), ex=seconds)


def _outage(trial: Trial) -> OSError:
    kind = trial.rng.choice([OSError, ConnectionRefusedError, TimeoutError])
    return kind("the database is away")


@serve_stale.check("answers a fresh value in one trip, without a load", points=1)
def _answers_fresh(trial: Trial) -> None:
    for value in (_article(trial)[2], None, 0, ""):
        key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, "from the database")
        fresh_until = now() + trial.rng.randrange(2, 60)
        _keep(trial, key, value, fresh_until, 1000)
        before = trial.client.get(key)
        now.set(fresh_until - 1)
        got = trial.call(trial.client, key, load.function, now)
        trial.require(
            load.asked == 0,
            f"{key} is fresh until {fresh_until:g}, and `now()` answers {now():g}: your function "
            "loaded all the same. "
            + (
                "Look into Redis first, and compare `fresh_until` with `now()`."
                if value
                else "None, 0 and empty values are values: only for a missing key GET answers None."
            ),
        )
        trial.equal(got, value, advice='The value stands in the JSON under `"value"`.')
        trial.one_trip("A fresh value takes one GET.")
        trial.require(
            trial.client.get(key) == before and 970 <= trial.client.ttl(key) <= 1000,
            f"{key} was fresh, and reading it changed what is stored or how long it lives.",
        )


@serve_stale.check(
    "loads what is missing or no longer fresh, and keeps it an hour longer than it is fresh",
    points=1,
)
def _loads_anew(trial: Trial) -> None:
    for value, age in ((_article(trial)[2], None), (_article(trial)[2], 0), (None, 30), ("", None)):
        trial.reset()
        key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, value)
        if age is not None:
            _keep(trial, key, "an old value", now() - age, 1000)
        got = trial.call(trial.client, key, load.function, now)
        trial.require(
            load.asked > 0 or age is None,
            f"{key} was fresh until {now() - (age or 0):g}, `now()` answers {now():g}, and your "
            "function did not load. A value is fresh while `now() < fresh_until`.",
        )
        trial.equal(load.asked, 1, "how often `load` ran")
        trial.equal(got, value, advice="When `load()` succeeds, return what it returned.")
        _holds(trial, key, value, now() + 60)
        _expires_an_hour_later(trial, key)
    call = (trial.client, key, load.function, now)
    _in_one_step(trial, key, _nothing, *call)


def _holds(trial: Trial, key: str, value: object, fresh_until: float) -> None:
    entry = _only_json(trial, key, 3660)
    if not isinstance(entry, dict) or not {"value", "fresh_until"} <= set(entry):
        trial.fail(
            f'{key} holds {entry!r:.80}; expected a dictionary with "value" and "fresh_until".'
        )
    trial.equal(entry["value"], value, f'the "value" stored under {key}')
    found = entry["fresh_until"]
    trial.equal(
        float(found) if type(found) is int else found,
        fresh_until,
        f'"fresh_until" under {key}, when `now()` answers {fresh_until - 60:g}',
        advice="It is a moment, 60 seconds after `now()`.",
    )


def _expires_an_hour_later(trial: Trial, key: str) -> None:
    left = trial.client.ttl(key)
    trial.require(
        not 30 <= left <= 60,
        f"Redis forgets {key} after {left} seconds, just when it stops being fresh: there will be "
        "no old value when the database is away. Keep it for 60 + 3600 seconds.",
    )
    _lives(trial, key, 3660)


@serve_stale.check(
    "answers the old value when the database is away, and lets it rest for 5 seconds", points=2
)
def _serves_stale(trial: Trial) -> None:
    for old in (_article(trial)[2], None, ""):
        trial.reset()
        key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, _outage(trial))
        seconds = trial.rng.randrange(600, 3000)
        _keep(trial, key, old, now() - trial.rng.randrange(10, 600), seconds)
        with trial.explain(
            OSError,
            "Redis still has the old value: catch OSError and return it."
            if old
            else f"Redis still has the old value, which is {old!r}: a value like any other.",
        ):
            got = trial.call(trial.client, key, load.function, now)
        trial.require(load.asked > 0, f"{key} is no longer fresh, and your function did not load.")
        trial.require(
            load.asked == 1,
            f"`load` ran {load.asked} times in one call: a database that is away is not to be "
            "asked again at once.",
        )
        trial.equal(got, old, advice="`load()` raised OSError: return the old value.")
        _keeps_its_time(trial, key, seconds)
        if old:
            _rests(trial, key, old, load, now)
            _keeps_its_time(trial, key, seconds)
            _is_back(trial, key, load, now)
    _survives_a_crash(trial)
    _rests_after_a_timeout(trial)


def _keeps_its_time(trial: Trial, key: str, seconds: int) -> None:
    """Demand that the key lives as long as it would have without the failed load."""
    left = trial.client.ttl(key)
    trial.require(
        left != -1,
        f"After a failed load {key} never expires: a SET without a time to live takes away the one "
        "that was there. `keepttl=True` keeps it.",
    )
    trial.require(
        left <= seconds,
        f"After a failed load {key} lives for {left} seconds, and had {seconds} before: with each "
        "failure the old value would live on, for ever. Keep the time it has, with `keepttl=True`.",
    )
    trial.require(
        left >= seconds - 30,
        f"After a failed load {key} lives for {max(left, 0)} seconds, and had {seconds} before: "
        "the old value is needed for as long as the database is away. Keep the time it has, with "
        "`keepttl=True`.",
    )


def _rests(trial: Trial, key: str, old: object, load: _Load, now: FakeClock) -> None:
    """Demand that a failed load is followed by 5 seconds without one, and then by one."""
    call = (trial.client, key, load.function, now)
    for seconds in (0, 4):
        now.advance(seconds)
        with trial.explain(OSError, f"That was {seconds} seconds after a failed load."):
            got = trial.call(*call)
        trial.require(
            load.asked == 1,
            f"`load()` failed, and {seconds} seconds later your function asked the database again: "
            "move `fresh_until` to `now() + 5`, and store that.",
        )
        trial.equal(got, old, advice=f"`load()` failed {seconds} seconds ago.")
    now.advance(1)
    with trial.explain(OSError, "Redis still has the old value: catch OSError and return it."):
        got = trial.call(*call)
    trial.require(
        load.asked == 2,
        "`load()` failed, and 5 seconds later your function did not ask the database again: the "
        "old value is fresh for 5 seconds and no longer.",
    )
    trial.equal(got, old, advice="`load()` failed once more.")


def _is_back(trial: Trial, key: str, load: _Load, now: FakeClock) -> None:
    """Demand that the first value after a failure is kept like any other."""
    load.answer = new = _article(trial)[2]
    now.advance(5)
    got = trial.call(trial.client, key, load.function, now)
    trial.equal(got, new, f"the value of {key} when the database is back")
    _holds(trial, key, new, now() + 60)
    _expires_an_hour_later(trial, key)


def _survives_a_crash(trial: Trial) -> None:
    key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, _outage(trial))
    _in_one_step(
        trial,
        key,
        lambda: _keep(trial, key, "an old value", now() - 1, 1000),
        trial.client,
        key,
        load.function,
        now,
        cure="`keepttl=True` keeps the time to live in the SET itself.",
    )


def _rests_after_a_timeout(trial: Trial) -> None:
    key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, TimeoutError("no answer"))
    load.meanwhile = lambda: now.advance(20)
    _keep(trial, key, "an old value", now() - 1, 1000)
    for _ in range(2):
        trial.call(trial.client, key, load.function, now)
    trial.require(
        load.asked == 1,
        "`load()` took 20 seconds to raise TimeoutError, and the next call asked the database "
        "again at once: the 5 seconds begin when it has failed, so ask `now()` after that.",
    )


@serve_stale.check(
    "lets the error out where there is no old value, and any error but OSError", points=1
)
def _lets_out(trial: Trial) -> None:
    error = _outage(trial)
    key, now, load = f"news:{trial.word()}", _now(trial), _Load(trial, error)
    ask = functools.partial(trial.call, trial.client, key, load.function, now)
    _reaches_the_caller(
        trial, error, ask, why="there is no old value, so the error has to reach the caller"
    )
    trial.require(
        trial.client.exists(key) == 0,
        f"`load()` failed, there was no old value, and now {key} is stored.",
    )
    load.answer = bug = trial.rng.choice([ValueError, KeyError, ZeroDivisionError])("a bug")
    _keep(trial, key, "an old value", now() - 1, 1000)
    before = trial.client.get(key)
    _reaches_the_caller(
        trial, bug, ask, why="that is no database that is away, but a bug that nobody would notice"
    )
    trial.equal(trial.client.get(key), before, f"what {key} holds after an error in the program")
    _keeps_its_time(trial, key, 1000)
    load.answer = _outage(trial)
    load.meanwhile = lambda: trial.another_client().delete(key)
    with contextlib.suppress(AnswerRaised):  # whether the old value still counts, either may say
        ask()
    trial.require(
        trial.client.ttl(key) != -1,
        f"{key} expired while `load` ran, and now it is there again and never expires: with "
        "`keepttl=True` there was nothing to keep. `xx=True` stores only where the key is still "
        "there.",
    )


# -- no older value over a newer one -------------------------------------------------------------

set_if_newer = outline.exercise(
    "set_if_newer",
    "No older value over a newer one",
    hints=(
        "The comparison and the HSET have to happen as one. Between an HGET and an HSET that you "
        "send one after the other, somebody can store a newer version.",
        "Either a Lua script that compares and stores (`tonumber` makes numbers of texts, and a "
        "field that is missing reads as false), or WATCH on the key. With WATCH, a WatchError says "
        "only that somebody wrote; whose version is higher shows when you look again.",
        "In Lua: `local held = redis.call('HGET', KEYS[1], 'version')`; `if held and "
        "tonumber(held) >= tonumber(ARGV[2]) then return 0 end`; then HSET of both fields, EXPIRE "
        "with 300, `return 1`. In Python: `return r.eval(script, 1, key, value, version) == 1`.",
    ),
)

_YOUR_OWN_WRITE = (
    "Nobody else wrote, so what your function met was its own write: after WATCH each command is "
    "sent at once, until `pipe.multi()`. Queue HSET and EXPIRE behind that."
)
_SCRIPT_OR_TRANSACTION = "Put HSET and EXPIRE into one script, or into one transaction."


def _put(client: redis.Redis, key: str, value: str, version: int, seconds: int = 300) -> None:
    client.hset(key, mapping={"value": value, "version": version})
    client.expire(key, seconds)


def _has(trial: Trial, key: str, value: str, version: int, what: str, *, advice: str = "") -> None:
    """Demand this value and this version under the key; `what` is what happened to it."""
    kind = trial.client.type(key)
    trial.require(kind != "none", f"{what}, and nothing is stored under {key}. {advice}".rstrip())
    trial.require(kind == "hash", f'{key} is a {kind}; expected a hash with "value" and "version".')
    expected = {"value": value, "version": str(version)}
    trial.equal(trial.client.hgetall(key), expected, f"{what}. {key} now", advice=advice)


@set_if_newer.check("stores value and version for 300 seconds where nothing is", points=1)
def _stores_first(trial: Trial) -> None:
    for version in (trial.rng.randrange(1, 10**6), 0):
        trial.reset()
        key, value = f"news:{trial.word()}", trial.word()
        call = (trial.client, key, value, version)
        with trial.explain(redis.WatchError, _YOUR_OWN_WRITE):
            got = trial.call(*call)
        _has(
            trial,
            key,
            value,
            version,
            f"The key was missing, and version {version} came",
            advice="" if version else "0 is a version like any other.",
        )
        left = trial.client.ttl(key)
        trial.require(left != -1, f"{key} never expires: EXPIRE it, in the same step.")
        _lives(trial, key, 300)
        own = got is False and "WATCH" in trial.log.names
        trial.equal(got, True, advice=_YOUR_OWN_WRITE if own else "")
        _in_one_step(trial, key, _nothing, *call, store="HSET", cure=_SCRIPT_OR_TRANSACTION)


@set_if_newer.check("lets a higher version through, and no equal or lower one", points=1)
def _lets_newer_through(trial: Trial) -> None:
    key = f"news:{trial.word()}"
    first, second, third = trial.words(3)
    version = trial.rng.randrange(4, 8)
    _put(trial.client, key, first, version, 60)
    for other, name in ((version - 2, "lower"), (version, "equal")):
        got = trial.call(trial.client, key, second, other)
        _has(
            trial,
            key,
            first,
            version,
            f"{key} had version {version}, and version {other} came",
            advice="Only a higher version is stored.",
        )
        trial.require(
            30 <= trial.client.ttl(key) <= 60,
            f"A {name} version was refused, and the time to live of {key} went from 60 to "
            f"{trial.client.ttl(key)} seconds: a refusal changes nothing.",
        )
        trial.equal(got, False, advice="Nothing is stored, so the answer is False.")
    got = trial.call(trial.client, key, third, version + 1)
    _has(trial, key, third, version + 1, f"{key} had version {version}, and {version + 1} came")
    trial.require(
        trial.client.ttl(key) > 60,
        f"{key} had 60 seconds to live, and still has with the newer value: whatever is stored "
        "lives for 300 seconds.",
    )
    _lives(trial, key, 300)
    trial.equal(got, True)


@set_if_newer.check("compares versions as numbers", points=1)
def _compares_numbers(trial: Trial) -> None:
    # Each pair is in the wrong order where the texts are compared.
    low = trial.rng.randrange(2, 9)
    for held, offered in (
        (low, trial.rng.randrange(10, 10 * low)),
        (99, 100),
        (trial.rng.randrange(200, 1000), 10**3),
        (10, low),
        (10**6, trial.rng.randrange(2 * 10**5, 10**6)),
    ):
        key = f"news:{trial.word()}"
        old, new = trial.words(2)
        _put(trial.client, key, old, held)
        got = trial.call(trial.client, key, new, offered)
        kept = (new, offered) if offered > held else (old, held)
        _has(
            trial,
            key,
            *kept,
            f"{key} had version {held}, and version {offered} came",
            advice=f"As texts '{max(held, offered)}' < '{min(held, offered)}': compare numbers.",
        )
        trial.equal(got, offered > held)


@set_if_newer.check("nobody comes in between the comparison and the store", points=2)
def _newest_wins(trial: Trial) -> None:
    rival = trial.another_client()
    version = trial.rng.randrange(20, 80)
    for theirs in (version + 1, version - 1):
        _races(trial, rival, version, theirs)


def _races(trial: Trial, rival: redis.Redis, version: int, theirs: int) -> None:
    key = f"news:{trial.word()}"
    old, ours, other = trial.words(3)
    acted = stored_before = False

    def prepare() -> None:
        nonlocal acted
        acted = False
        _put(rival, key, old, version - 2)

    def act() -> None:
        nonlocal acted, stored_before
        acted = True
        stored_before = rival.hget(key, "version") == str(version)
        if theirs > version or not stored_before:
            _put(rival, key, other, theirs)

    with trial.explain(
        redis.WatchError,
        "Somebody wrote meanwhile: look again, and compare with what stands there now.",
    ):
        for got in trial.race(prepare, act, trial.client, key, ours, version):
            if not acted:  # the rehearsal's other trips taught the server a script
                continue
            if theirs < version:
                _has(
                    trial,
                    key,
                    ours,
                    version,
                    f"{key} had version {version - 2}, and while your function was storing "
                    f"{version} somebody stored {theirs}",
                    advice=f"{version} is the highest, and has to be there in the end: after a "
                    "WatchError look again.",
                )
                trial.equal(got, True, f"the answer when somebody stored {theirs} in between")
                continue
            _has(
                trial,
                key,
                other,
                theirs,
                f"Between your look at {key} and your store somebody stored version {theirs}, and "
                f"your {version} came over it",
                advice="WATCH the key, and before you read it."
                if "WATCH" in trial.log.names
                else "Compare and store in one script, or WATCH the key before you read it.",
            )
            if not stored_before:
                trial.equal(got, False, f"the answer when somebody stored {theirs} in between")
    trial.reset()
    prepare()
    trial.equal(trial.call(trial.client, key, ours, version), True)


# -- an edit renews only what shows it -----------------------------------------------------------

render_page = outline.exercise(
    "render_page",
    "An edit renews only what shows it",
    hints=(
        "Make the keys first, one for each part, and ask for all of them in one MGET. The answers "
        "come in the order of the keys, None where there is nothing.",
        "Walk through parts, keys and answers together with `zip`. A text that is None has to be "
        "rendered; queue its SET, with `ex=3600`, on one pipeline, which you execute at the end if "
        "anything was queued. MGET needs at least one key.",
        "`if not parts: return ''`. `texts = r.mget(keys)`; `for place, (name, version) in "
        "enumerate(parts):` `if texts[place] is None: texts[place] = render(name)`, "
        "`pipe.set(keys[place], texts[place], ex=3600)`. Then `pipe.execute()`, which sends "
        "nothing when nothing is queued, and `return ''.join(texts)`.",
    ),
)

_PART_SECONDS = 3600


class _Renderer:
    """Renders parts, each time differently; `silent` parts are rendered as an empty text."""

    def __init__(self, trial: Trial) -> None:
        self.names: list[str] = []
        self.texts: dict[str, str] = {}
        self.silent: set[str] = set()

        def render(name: str) -> str:
            self.names.append(name)
            self.texts[name] = "" if name in self.silent else f"<{name} {trial.word(5)}>"
            return self.texts[name]

        render.__qualname__ = "render"
        self.function = trial.named("render", render)


def _part(name: str, version: int) -> str:
    return f"news:part:{name}:v{version}"


def _parts(trial: Trial, count: int) -> list[tuple[str, int]]:
    return [(name, trial.rng.randrange(1, 50)) for name in trial.words(count, 6)]


@render_page.check("joins the parts in their order, and renders what is missing", points=1)
def _joins(trial: Trial) -> None:
    for present in (slice(0), slice(4), slice(1, 4, 2)):
        trial.reset()
        parts, renderer = _parts(trial, 4), _Renderer(trial)
        there = {part: f"<{part[0]} kept>" for part in parts[present]}
        for part, text in there.items():
            trial.client.set(_part(*part), text, ex=600)
        with trial.explain(TypeError, "`render` takes the name of a part, and answers a text."):
            got = trial.call(trial.client, parts, renderer.function)
        for name, version in parts:
            times, key = renderer.names.count(name), _part(name, version)
            if (name, version) in there:
                trial.require(
                    times == 0, f"{name} stands in Redis under {key}, and was rendered again."
                )
            else:
                trial.require(times > 0, f"{key} is missing, and {name} was not rendered.")
                trial.require(times == 1, f"{name} was rendered {times} times in one call.")
        texts = {name: there.get((name, v)) or renderer.texts[name] for name, v in parts}
        trial.equal(
            got,
            "".join(texts.values()),
            advice="The page is the texts of the parts, in the order of `parts`, with nothing "
            "between them.",
        )
    trial.reset()
    [(name, version)], renderer = _parts(trial, 1), _Renderer(trial)
    trial.client.set(_part(name, version), "", ex=600)
    got = trial.call(trial.client, [(name, version)], renderer.function)
    trial.require(
        not renderer.names,
        f"{_part(name, version)} holds an empty text, and your function rendered {name} again. An "
        "empty text is a value; only for a missing key MGET answers None.",
    )
    trial.equal(got, "")


@render_page.check("keeps what it rendered for an hour, by name and version", points=1)
def _keeps_parts(trial: Trial) -> None:
    parts, renderer = _parts(trial, 4), _Renderer(trial)
    kept, silent = parts[1], parts[2][0]
    renderer.silent = {silent}

    def prepare() -> None:
        trial.client.set(_part(*kept), "kept", ex=600)

    prepare()
    call = (trial.client, parts, renderer.function)
    trial.call(*call)
    for name, version in parts:
        key = _part(name, version)
        if (name, version) == kept:
            trial.require(
                570 <= trial.client.ttl(key) <= 600 and trial.client.get(key) == "kept",
                f"{key} was there, with 600 seconds to live, and your function changed it: store "
                "only what you rendered.",
            )
            continue
        trial.require(
            name != silent or trial.client.exists(key) == 1,
            f"{name} was rendered as an empty text, and {key} is not stored: an empty text is a "
            "value.",
        )
        trial.equal(_text(trial, key), renderer.texts[name], f"the text stored under {key}")
        _lives(trial, key, _PART_SECONDS)
    _in_one_step(trial, _part(*parts[-1]), prepare, *call)


@render_page.check("looks all up in one trip, and stores all in one more", points=1)
def _two_trips(trial: Trial) -> None:
    parts, renderer = _parts(trial, 5), _Renderer(trial)
    call = (trial.client, parts, renderer.function)
    trips: list[int] = []  # how many trips had been made when a part was rendered

    def render(name: str) -> str:
        trips.append(trial.log.round_trips)
        return renderer.function(name)

    render.__qualname__ = "render"
    trial.call(trial.client, parts, trial.named("render", render))
    trial.require(bool(trips), "Nothing was in Redis, and your function rendered nothing.")
    trial.require(
        trips[0] == 1,
        f"Before your function rendered the first part it had made {trips[0]} round trips; "
        "expected one: MGET asks for all of the parts at once.",
    )
    made = trial.log.round_trips
    trial.require(
        made == 2,
        f"For {len(parts)} parts that were missing your function made {made} round trips; "
        "expected two: an MGET, and one pipeline with a SET for each.",
    )
    trial.call(*call)
    trial.one_trip("When all of the parts are there, one MGET is all.")
    trial.equal(trial.call(trial.client, [], renderer.function), "")
    trial.equal(trial.log.names, [], "what was sent to Redis for a page without parts")


@render_page.check("renders what an edit changed and nothing else, whatever is edited", points=2)
def _renews_parts(trial: Trial) -> None:
    renderer, page = _Renderer(trial), _parts(trial, 5)
    shown: dict[tuple[str, int], str] = {}
    for _ in range(15):
        renderer.names.clear()
        got = trial.call(trial.client, page, renderer.function)
        edited = [part for part in page if part not in shown]
        for name, version in edited:
            trial.require(
                name in renderer.names,
                f"{name} is at version {version} now, and your function did not render that: the "
                "page shows what it was before. The version belongs in the key.",
            )
        for name in renderer.names:
            trial.require(
                name in [changed for changed, _ in edited],
                f"{name} is as it was, and was rendered again"
                + (f", when {', '.join(name for name, _ in edited)} changed" if edited else "")
                + ": each part has a key of its own, with its own version.",
            )
        shown |= {(name, version): renderer.texts[name] for name, version in edited}
        trial.equal(got, "".join(shown[part] for part in page), "the page after some edits")
        page = _edited(trial, page)


def _edited(trial: Trial, page: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The page after none, one or two edits, perhaps in another order."""
    changed = set(trial.rng.sample(page, trial.rng.randrange(3)))
    after = [(name, version + ((name, version) in changed)) for name, version in page]
    return trial.rng.sample(after, len(after)) if trial.rng.random() < 0.3 else after


# -- warm the cache before the doors open --------------------------------------------------------

warm = outline.exercise(
    "warm",
    "Warm the cache before the doors open",
    hints=(
        "Three steps: count, ask, store. For the first, a regular expression that takes the "
        "number out of a line, with the quote before GET and the status behind it, and a "
        "`collections.Counter`.",
        "`sorted(reads, key=lambda id: (-reads[id], id))[:most]` are the most read, ties by id; "
        "the ids have to be numbers for that. One MGET says which are missing. Each SET goes on "
        "the batch's pipeline with `nx=True, ex=300`, and its reply is True where it stored.",
        "The expression: `r'\"GET /articles/(\\d+) HTTP/1.1\" 200 '`. Then `for start in range(0, "
        "len(missing), 100):` `batch = missing[start:start + 100]`, `for id, article in "
        "load_many(batch).items(): pipe.set(f'news:article:{id}', json.dumps(article), nx=True, "
        "ex=300)`, and `stored += sum(reply is True for reply in pipe.execute())`.",
    ),
)


class _Articles:
    """The database: every id has an article but those that are `gone`."""

    def __init__(self, trial: Trial) -> None:
        self.asked: list[list[Any]] = []
        self.trips: list[int] = []  # how many trips had been made at each load
        self.gone: set[int] = set()

        def load_many(ids: Iterable[Any]) -> dict[int, dict[str, Any]]:
            self.asked.append(list(ids))
            self.trips.append(trial.log.round_trips)
            return {number: _story(number) for number in self.asked[-1] if number not in self.gone}

        self.function = trial.named("load_many", load_many)

    @property
    def ids(self) -> list[Any]:
        """Every id that was asked for, in order."""
        return [number for batch in self.asked for number in batch]


def _story(number: int) -> dict[str, Any]:
    return {"id": number, "title": f"Story {number}"}


def _key(number: int) -> str:
    return f"news:article:{number}"


def _lines(
    trial: Trial, path: str, count: int, *, method: str = "GET", status: int = 200
) -> list[str]:
    """Lines of an access log, as a file gives them. Where the status is not 200, the size is."""
    rng, lines = trial.rng, []
    for _ in range(count):
        size = rng.randrange(300, 9999) if status == 200 else 200
        when = f"10/Oct/2026:{rng.randrange(10, 24)}:55:36 +0000"
        lines.append(f'203.0.113.9 - - [{when}] "{method} {path} HTTP/1.1" {status} {size}\n')
    return lines


def _log(trial: Trial, reads: dict[int, int], others: Iterable[str] = ()) -> list[str]:
    """A log in which each article was read so often, shuffled with other lines."""
    lines = [
        line
        for number, count in reads.items()
        for line in _lines(trial, f"/articles/{number}", count)
    ]
    lines += others
    trial.rng.shuffle(lines)
    return lines


def _warm(trial: Trial, lines: list[str], articles: _Articles, most: int) -> object:
    """Call the answer with the lines as a file would give them: once."""
    log = trial.named("log", iter(lines))
    return trial.call(trial.client, log, articles.function, most)


def _loaded(trial: Trial, articles: _Articles, expected: Sequence[int], advice: str) -> None:
    """Demand that these were loaded, each once, and nothing else."""
    for number in articles.ids:
        trial.require(
            type(number) is int,
            f"`load_many` got the id {number!r}: ids are numbers. `int(...)` makes one of a text.",
        )
    trial.require(
        [] not in articles.asked,
        "`load_many` was called with no ids: when nothing is missing, leave the database alone.",
    )
    trial.require(
        bool(articles.ids) or not expected,
        "Nothing was loaded. Does your function find the id in a line? And does it go through "
        "`log` once? Like an open file, `log` gives each line once.",
    )
    trial.equal(sorted(articles.ids), sorted(expected), "the ids that were loaded", advice=advice)


@warm.check("counts which articles were read most", points=1)
def _counts_reads(trial: Trial) -> None:
    most = trial.rng.randrange(3, 6)
    ids = trial.rng.sample(range(100, 1000), 8)
    reads = {number: 10 - place for place, number in enumerate(ids)}
    other = trial.rng.randrange(1000, 5000)
    path, only = f"/articles/{other}", "and only a read of `/articles/<id>` counts."
    cases: list[tuple[list[str], str]] = [
        ([], f"Those are the {most} most read."),
        (
            _lines(trial, path, 12, status=trial.rng.choice([301, 404, 500])),
            f"{other} was asked for often, but never with status 200. The status is the number "
            "behind the quoted request; another 200 in the line may be a size.",
        ),
        (_lines(trial, path, 12, method="POST"), f"{other} was sent with POST; a read is a GET."),
        (_lines(trial, f"{path}/comments", 12), f"{path}/comments was read often, {only}"),
        (_lines(trial, f"/archive{path}", 12), f"/archive{path} was read often, {only}"),
        (_lines(trial, f"/authors/{other}", 12), f"/authors/{other} was read often, {only}"),
    ]
    for others, advice in cases:
        trial.reset()
        articles = _Articles(trial)
        _warm(trial, _log(trial, reads, others), articles, most)
        _loaded(trial, articles, ids[:most], advice)
    low, high = trial.rng.randrange(3, 10), trial.rng.randrange(10, 30)
    lines = [
        line for number in (high, low, ids[0]) for line in _lines(trial, f"/articles/{number}", 2)
    ]
    trial.reset()
    articles = _Articles(trial)
    _warm(trial, [*lines, *_lines(trial, f"/articles/{ids[0]}", 1)], articles, 2)
    _loaded(
        trial,
        articles,
        [ids[0], low],
        f"{low} and {high} were read equally often: the smaller id goes first, as a number.",
    )
    for lines in (_log(trial, {low: 1, high: 2}), []):
        trial.reset()
        articles = _Articles(trial)
        got = _warm(trial, lines, articles, 10)
        _loaded(trial, articles, [low, high] if lines else [], "The log has no more than that.")
        trial.equal(got, 2 if lines else 0)


@warm.check("asks in one trip what is missing, and loads that, 100 ids at a time", points=1)
def _loads_missing(trial: Trial) -> None:
    ids = trial.rng.sample(range(1, 1000), trial.rng.randrange(125, 145))
    there = ids[:20]
    with trial.client.pipeline() as pipe:
        for number in there:
            pipe.set(_key(number), json.dumps(_story(number)), ex=100)
        pipe.execute()
    reads = {number: 2 if place < 30 else 1 for place, number in enumerate(ids)}
    articles = _Articles(trial)
    _warm(trial, _log(trial, dict.fromkeys(there, 3)), articles, 10)
    _loaded(trial, articles, [], "All of them are in Redis, under `news:article:<id>`.")
    _warm(trial, _log(trial, reads), articles, 30)
    advice = "Take the `most` most read first, and of those load what is missing in Redis"
    _loaded(trial, articles, ids[20:30], f"{advice}; the next in the list do not move up.")
    trial.client.delete(*map(_key, ids[20:]))
    articles = _Articles(trial)
    _warm(trial, _log(trial, reads), articles, len(ids))
    _loaded(trial, articles, ids[20:], f"{advice}.")
    trial.require(
        articles.trips[0] == 1,
        f"Before the first load your function made {articles.trips[0]} round trips; one MGET, or "
        f"one pipeline, says which of {len(ids)} keys are missing.",
    )
    sizes = [len(batch) for batch in articles.asked]
    trial.require(
        max(sizes) <= 100,
        f"`load_many` got {max(sizes)} ids at once; 100 are the most, so that no question to the "
        "database takes long.",
    )
    trial.require(
        len(sizes) == -(-sum(sizes) // 100),
        f"{sum(sizes)} articles were loaded with {len(sizes)} questions to the database: ask for "
        "100 at a time, as long as there are so many.",
    )


@warm.check("stores articles as JSON for 300 seconds, in one trip for each batch", points=1)
def _stores_batches(trial: Trial) -> None:
    ids = trial.rng.sample(range(1, 1000), trial.rng.randrange(105, 115))
    reads, articles = dict.fromkeys(ids, 1), _Articles(trial)
    articles.gone = set(trial.rng.sample(ids, 3))
    got = _warm(trial, _log(trial, reads), articles, len(ids))
    _loaded(trial, articles, ids, "None of them was in Redis.")
    gone = sorted(articles.gone)
    left = [number for number in gone if trial.client.exists(_key(number))]
    trial.require(
        not left,
        f"`load_many` found no articles for {gone}, and {_key(left[0]) if left else ''} is stored "
        "all the same: go through what it returned.",
    )
    stored = [number for number in ids if number not in articles.gone]
    trial.equal(
        trial.client.exists(*map(_key, stored)), len(stored), "how many articles are stored"
    )
    for number in trial.rng.sample(stored, 10):
        key = _key(number)
        found = _read(trial, key, _text(trial, key))
        trial.equal(found, _story(number), f"what is stored under {key}")
        _lives(trial, key, 300)
    trips, batches = trial.log.round_trips, len(articles.asked)
    trial.require(
        trips <= 1 + batches,
        f"For {batches} batches your function made {trips} round trips; expected {1 + batches}, "
        "one to ask what is missing and one for each batch: put its SETs on one pipeline.",
    )
    trial.equal(got, len(stored), advice="Return the number of articles that were stored.")
    few = ids[:5]
    log = trial.named("log", _log(trial, dict.fromkeys(few, 1)))
    call = (trial.client, log, _Articles(trial).function, 5)
    _in_one_step(trial, _key(few[0]), _nothing, *call)


@warm.check("overwrites nothing that a reader stored meanwhile", points=1)
def _overwrites_nothing(trial: Trial) -> None:
    reader, articles = trial.another_client(), _Articles(trial)
    ids = trial.rng.sample(range(1, 1000), 5)
    number = ids[2]
    key = _key(number)
    newer = json.dumps({"id": number, "title": trial.word()})
    stored_before = False

    def read_meanwhile() -> None:
        nonlocal stored_before
        stored_before = reader.exists(key) == 1
        reader.set(key, newer, ex=100)

    log = trial.named("log", _log(trial, dict.fromkeys(ids, 1)))
    call = (trial.client, log, articles.function, 5)
    for got in trial.race(_nothing, read_meanwhile, *call):
        trial.require(
            reader.get(key) == newer,
            f"While {number} was being loaded a reader stored a newer text under {key}, and your "
            "function wrote over it. `nx=True` stores only where nothing is, in the SET itself.",
        )
        left = reader.ttl(key)
        trial.require(
            70 <= left <= 100,
            f"A reader stored {key} for 100 seconds, and after your function it has {left} to "
            "live: leave it alone.",
        )
        if not stored_before:
            trial.equal(
                got,
                4,
                f"the answer, when a reader stored {number} of the five in between",
                advice="The reply to each SET says whether it stored.",
            )
    trial.reset()
    trial.equal(trial.call(*call), 5, advice="Nobody came in between, and nothing was there.")
    trial.equal(trial.client.exists(*map(_key, ids)), 5, "how many of the five are stored")


# -- quiz ----------------------------------------------------------------------------------------

choose_strategy = outline.quiz(
    "choose_strategy",
    "What would you do?",
    {
        "q1": Question(
            "a page asks a read-through cache for an article that is not there: who asks the "
            "database",
            "the cache",
            {
                "the page": "that is cache-aside, where each page has to know both, and to put "
                "the answer in itself.",
                "the cache": "it was given the loader once; pages know the cache and nothing else.",
                "redis": "Redis answers that there is nothing; it does not know the database.",
            },
        ),
        "q2": Question(
            "Redis was emptied, and 200 readers ask for the front page at the same moment",
            "lock",
            {
                "lock": "one loads, and the others wait for its value: one read in place of 200.",
                "early renewal": "it renews a value before it expires, and here is none to renew.",
                "serve stale": "nothing old is left to serve.",
                "negative caching": "that is for what does not exist; the front page does.",
                "known ids": "the front page is known: all 200 are let through.",
            },
        ),
        "q3": Question(
            "a chart takes 2 seconds to compute and is always in demand; it may not be older than "
            "its time to live, and readers should hardly ever find it expired",
            "early renewal",
            {
                "lock": "one computes, but at every expiry all the others wait 2 seconds for it.",
                "early renewal": "the nearer the end, the likelier it is that some reader renews "
                "it, before anybody finds it gone.",
                "serve stale": "what is served then is older than its time to live.",
                "negative caching": "there is a chart, and it is what costs 2 seconds.",
                "known ids": "the chart is known, and computed all the same.",
            },
        ),
        "q4": Question(
            "the database is down for a minute, in which many values stop being fresh",
            "serve stale",
            {
                "lock": "one asks in vain, and the others wait for it: nobody gets a page.",
                "early renewal": "it asks the database, only earlier, and gets the same error.",
                "serve stale": "what was true a minute ago is better than an error, up to a limit "
                "that you state.",
                "negative caching": "an article whose database is down is not an article that does "
                "not exist; for a while all would answer 404.",
                "known ids": "all of these are known, and let through to the database.",
            },
        ),
        "q5": Question(
            "one article was deleted, and its old address is asked for a thousand times a minute",
            "negative caching",
            {
                "lock": "it loads once for those who ask at once, finds nothing, and keeps "
                "nothing: the next one loads again.",
                "early renewal": "there is no value to renew.",
                "serve stale": "then a deleted article is shown after all.",
                "negative caching": "that there is nothing is an answer too, and is kept for a "
                "short time.",
                "known ids": "the guard was told of this id when the article was published, and "
                "a Bloom filter cannot forget one; a short memory of the answer is enough.",
            },
        ),
        "q6": Question(
            "a scanner asks for ten million made-up ids, each of them once",
            "known ids",
            {
                "lock": "no two ask for the same id, so nobody waits, and each is loaded.",
                "early renewal": "nothing is asked for twice, so there is nothing to renew.",
                "serve stale": "there never was an old value.",
                "negative caching": "each id is new: ten million loads, and as many keys that "
                "push out what is useful.",
                "known ids": "what is not among them is turned away before the database is asked.",
            },
        ),
        "q7": Question(
            "a browser sends the ETag of the page that it has: what should an ETag be made of, so "
            "that you can answer 304 without rendering",
            "the versions of the parts",
            {
                "the versions of the parts": "one small question answers them, and nothing is "
                "rendered.",
                "a hash of the page": "true to every letter, but the page has to be rendered to be "
                "hashed.",
                "the time of the request": "it is another one each time: no ETag would ever match.",
            },
        ),
        "q8": Question(
            "50,000 articles are to be loaded again after a flush: whom do you spare with a "
            "limited rate",
            "the database",
            {
                "the database": "its readers are still there: at full speed, warming is the "
                "stampede that it should prevent.",
                "redis": "it stores far more in a second than the database can answer.",
                "the readers": "nobody has asked for these yet; readers suffer when the database "
                "does.",
            },
        ),
    },
    hints=(
        "For each situation ask: is there a value at all, is there an old one, does the thing "
        "exist, and is the same key asked for again?",
        "A lock helps those who ask at the same time. Renewing and serving what is old need a "
        "value that is still there. Negative caching helps where the same id is asked for again.",
        "One of each in q2 to q6. For q1, q7 and q8: who was given the loader; what is known "
        "before anything is rendered; who answers a page in milliseconds, and not in microseconds?",
    ),
    points=0.5,
)
