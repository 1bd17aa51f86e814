"""What lesson 07 checks of write-behind: a queue of acknowledged writes, and its worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from labkit.course.exercise import AnswerRaised
from labkit.course.lessons.lesson_07_write_strategies import outline

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.course.exercise import Trial

_STREAM = "news:writes"


def _entries(client: redis.Redis) -> list[tuple[str, dict[str, str]]]:
    """What waits, the oldest first."""
    return list(client.xrange(_STREAM))  # type: ignore[arg-type]


# -- acknowledge a write -------------------------------------------------------------------------

acknowledge = outline.exercise(
    "acknowledge",
    "Say yes, and mean it",
    hints=(
        "Three things belong together: how many wait, the entry, the value. Between two of them "
        "nobody may come and nothing may crash, so they are one script: `r.eval(script, 2, "
        "'news:writes', f'news:draft:{id}', id, text, most)`.",
        "`XLEN` tells how many wait; ARGV are texts, so compare with `tonumber(ARGV[3])`. A script "
        "that returns `false` answers None in Python.",
        "`if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then return false end`, then "
        "`redis.call('SET', KEYS[2], ARGV[2])`, and `return redis.call('XADD', KEYS[1], '*', 'id', "
        "ARGV[1], 'text', ARGV[2])`.",
    ),
)


def _draft(number: int) -> str:
    return f"news:draft:{number}"


_AWKWARD = (
    "It's late",
    'He said "late"',
    "C:\\new\nline",
    "[[Fähre]]",
    "']] return 1 --",
    "{} %s",
    "\x1b[1m",
    "\r\n two",
)


@acknowledge.check("the write waits in the stream, and readers get the new text", points=1)
def _is_there(trial: Trial) -> None:
    client = trial.another_client()
    for text in (trial.word(12), *trial.rng.sample(_AWKWARD, len(_AWKWARD))):
        number = trial.rng.randrange(1, 10_000)
        with trial.explain(
            redis.ResponseError,
            "The server could not run the script. Texts belong in its arguments, ARGV, and not in "
            "its source; numbers among them come as texts, so compare with `tonumber(ARGV[3])`.",
        ):
            got = trial.call(trial.client, number, text, 10)
        entries = _entries(client)
        trial.require(bool(entries), f"Nothing stands in {_STREAM}: add the write with XADD.")
        trial.equal(
            entries[-1][1],
            {"id": str(number), "text": text},
            f"the newest entry of {_STREAM}",
            advice="Its fields are `id` and `text`.",
        )
        trial.equal(got, entries[-1][0], advice="The id of the entry is the receipt.")
        trial.equal(client.get(_draft(number)), text, f"what stands under {_draft(number)}")
        trial.require(
            client.ttl(_draft(number)) == -1,
            f"{_draft(number)} has a time to live: the readers' text is gone while the write still "
            "waits, and they get the old one. Store it without.",
        )
    writes = len(_AWKWARD) + 1
    trial.equal(len(_entries(client)), writes, f"the length of the stream after {writes} writes")


@acknowledge.check("both are there, or neither: one step", points=1)
def _both_or_neither(trial: Trial) -> None:
    number, text = trial.rng.randrange(1, 10_000), trial.word(12)
    client = trial.another_client()
    for trips in trial.crashes(lambda: None, trial.client, number, text, 10):
        queued, cached = len(_entries(client)) == 1, client.get(_draft(number)) == text
        trial.require(
            queued == cached,
            f"Your program was stopped after {trips} of its round trips, and the write "
            + ("waits, while readers get the old text" if queued else "does not wait, while ")
            + ("" if queued else "readers get the new text, which no worker will ever save")
            + ". Store and queue in one script.",
        )
    trial.reset()
    trial.call(trial.client, number, text, 10)
    names = trial.log.names
    trial.require(
        len(names) == 1 or "MULTI" in names,
        "The commands went in one trip, but in no transaction: the server may carry out the first "
        "and not the second. Use a script.",
    )


@acknowledge.check("a full queue takes no more, and nothing changes", points=1)
def _refuses(trial: Trial) -> None:
    client = trial.another_client()
    most = trial.rng.randrange(2, 6)
    for n in range(most):
        got = trial.call(trial.client, n, f"text {n}", most)
        trial.require(
            got is not None,
            f"{n} writes waited, {most} may, and your function answered None: there was room.",
        )
    client.set(_draft(0), "as it was")
    got = trial.call(trial.client, 0, "one too many", most)
    trial.require(
        got is None,
        f"{most} writes wait and no more may, and your function answered {got!r}. Answer None: "
        "whoever saves has to know.",
    )
    trial.equal(len(_entries(client)), most, "the length of a full stream after a refusal")
    trial.equal(
        client.get(_draft(0)),
        "as it was",
        "what stands under the key after a refusal",
        advice="A write that was refused must not be read.",
    )


@acknowledge.check("two who come at once do not both get the last place", points=1)
def _last_place(trial: Trial) -> None:
    client = trial.another_client()
    trial.call(trial.client, 1, "text", 5)
    trips = trial.log.round_trips
    for at in range(1, trips + 1):
        trial.reset()
        for n in range(4):
            client.xadd(_STREAM, {"id": n, "text": "waits"})

        def rival(trip: int, at: int = at) -> None:
            if trip == at and len(_entries(client)) == 4:
                client.xadd(_STREAM, {"id": 9, "text": "the last place"})

        trial.call(trial.client, 1, "text", 5, before=rival)
        trial.require(
            len(_entries(client)) <= 5,
            "Five writes may wait and four did. Between your look and your write somebody else "
            f"took the last place, and now {len(_entries(client))} wait. Look and write in one "
            "script.",
        )
    trial.require(
        trips == 1,
        f"It took {trips} round trips; one script is one. An editor waits for each.",
    )


# -- the worker ----------------------------------------------------------------------------------

apply_writes = outline.exercise(
    "apply_writes",
    "The worker that may die",
    hints=(
        "Three steps, in this order: read from the front of the stream, write to the database, "
        "remove from the stream. Ask of each gap between them what a crash there leaves.",
        "`r.xrange('news:writes', count=count)` reads without removing: pairs of an entry's id and "
        "its fields. A dictionary from `fields['id']` to what came last keeps the latest of each.",
        "`latest = {fields['id']: (fields['text'], entry) for entry, fields in entries}`, then "
        "`db.apply(int(id), text, entry)` for each of them, and at the end one "
        "`r.xdel('news:writes', *[entry for entry, _ in entries])`. Without entries return 0.",
    ),
)


class _Drafts:
    """A database of drafts that goes by versions.

    Attributes:
        rows: The text and version of each draft.
        applied: What `apply` was called with.
        fails_at: The call that raises; None: none does. `error` is what it raises.
    """

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, str]] = {}
        self.applied: list[tuple[Any, Any, Any]] = []
        self.fails_at: int | None = None
        self.error = TimeoutError("no answer from the database")
        self.meanwhile: Callable[[], object] = lambda: None

    def apply(self, id: int, text: str, version: str) -> None:  # noqa: A002 - as learners name it
        """Write a draft, unless a version that is not lower is there."""
        self.applied.append((id, text, version))
        if self.fails_at == len(self.applied):
            raise self.error
        self.meanwhile()
        if id not in self.rows or _moment(self.rows[id][1]) < _moment(version):
            self.rows[id] = (text, version)

    @property
    def texts(self) -> dict[int, str]:
        return {number: text for number, (text, _) in self.rows.items()}


def _moment(version: str) -> tuple[int, ...]:
    return tuple(map(int, str(version).split("-")))


class _Queue:
    """Writes that wait, and the database that they are for."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.client = trial.another_client()
        self.db = trial.named("db", _Drafts())

    def fill(self, writes: int, drafts: int) -> None:
        """So many writes, each of one of so many drafts."""
        for n in range(writes):
            number = n if n < drafts else self.trial.rng.randrange(drafts)
            self.client.xadd(_STREAM, {"id": number + 1, "text": f"{self.trial.word()} {n}"})

    def latest(self, count: int) -> dict[int, str]:
        """The latest text of each draft among the first so many writes."""
        return {int(f["id"]): f["text"] for _, f in _entries(self.client)[:count]}

    def run(self, count: int, before: Callable[[int], None] | None = None) -> Any:
        return self.trial.call(self.trial.client, self.db, count, before=before)


@apply_writes.check(
    "applies the first writes, the latest of each draft, and removes them", points=2
)
def _applies(trial: Trial) -> None:
    queue = _Queue(trial)
    queue.fill(30, 5)
    entries, expected = _entries(queue.client), queue.latest(20)
    got = queue.run(20)
    trial.require(bool(queue.db.applied), "The database got nothing: call `db.apply`.")
    trial.equal(
        queue.db.texts,
        expected,
        "the database's drafts, after the first 20 of 30 writes",
        advice="Of each draft the latest of these counts, and ids are whole numbers.",
    )
    trial.require(
        len(queue.db.applied) == len(expected),
        f"20 writes of {len(expected)} drafts, and `db.apply` was called {len(queue.db.applied)} "
        "times. Apply the latest of each draft alone: it is the whole text.",
    )
    versions = {int(f["id"]): entry for entry, f in entries[:20]}
    trial.equal(
        {number: version for number, _, version in queue.db.applied},
        versions,
        "the versions that `db.apply` got",
        advice="A write's version is the id of its entry.",
    )
    trial.equal(
        [entry for entry, _ in _entries(queue.client)],
        [entry for entry, _ in entries[20:]],
        "what still waits after `count=20` of 30",
        advice="Read that many from the front, and remove those, by their ids.",
    )
    trial.equal(got, 20, advice="Answer how many entries were removed.")
    queue.run(20)
    trial.equal(queue.run(20), 0, "what an empty stream answers")


@apply_writes.check("a database that raises leaves every write in the stream", points=1.5)
def _loses_nothing(trial: Trial) -> None:
    queue = _Queue(trial)
    queue.fill(12, 4)
    entries, expected = _entries(queue.client), queue.latest(12)
    for fails_at in (1, 3):
        queue.db.applied.clear()
        queue.db.fails_at = fails_at
        try:
            got = queue.run(12)
        except AnswerRaised as raised:
            if raised.__cause__ is not queue.db.error:
                raise
        else:
            trial.fail(
                f"`db.apply` raised TimeoutError and your function returned {got!r}. Let the error "
                "through: whoever runs the worker decides when to try again."
            )
        trial.equal(
            [entry for entry, _ in _entries(queue.client)],
            [entry for entry, _ in entries],
            "what waits after the database has raised",
            advice="Remove a write when the database has it, and not before.",
        )
    queue.db.fails_at = None
    queue.run(12)
    trial.equal(queue.db.texts, expected, "the drafts when the database is back")


@apply_writes.check("killed at any moment, it loses nothing", points=1.5)
def _may_be_killed(trial: Trial) -> None:
    queue = _Queue(trial)
    expected: dict[int, str] = {}

    def prepare() -> None:
        queue.db.rows.clear()
        queue.fill(12, 4)
        expected.clear()
        expected.update(queue.latest(12))

    for trips in trial.crashes(prepare, trial.client, queue.db, 12):
        waits = queue.latest(12)
        saved = queue.db.texts
        lost = [n for n in expected if n not in waits and saved.get(n) != expected[n]]
        trial.require(
            not lost,
            f"The worker was killed after {trips} of its round trips. {len(lost)} drafts are "
            "neither in the database nor in the stream: remove a write when the database has it.",
        )
        for _ in range(3):
            queue.run(12)
        trial.equal(
            queue.db.texts, expected, f"the drafts after a crash at trip {trips}, and a new worker"
        )


@apply_writes.check("what comes meanwhile stays; two trips, however many writes", points=1)
def _leaves_the_rest(trial: Trial) -> None:
    queue = _Queue(trial)
    queue.fill(8, 3)
    newer: list[Any] = []

    def save() -> None:
        if not newer:
            newer.append(queue.client.xadd(_STREAM, {"id": 1, "text": "written meanwhile"}))

    queue.db.meanwhile = save
    got = queue.run(100)
    trial.equal(
        [entry for entry, _ in _entries(queue.client)],
        newer,
        "what waits, when a write came while the worker was at the database",
        advice="Remove the entries that you read, by their ids.",
    )
    trial.equal(got, 8)
    trial.require(
        trial.log.round_trips <= 2,
        f"It took {trial.log.round_trips} round trips for 8 writes; reading is one, and removing "
        "all of them together another.",
    )
