"""What lesson 07-write-strategies checks: writes that reach the database and leave nothing old."""

from __future__ import annotations

import contextlib
import copy
import datetime
import functools
import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit.course.exercise import AnswerRaised, Outline, PowerCut, Question, Trial
from labkit.course.lessons.lesson_06_read_through import _in_one_step, _lives, _nothing, _only_json
from labkit.spy import CommandLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

outline = Outline(
    "07-write-strategies",
    title="Write what stays true",
    prefix="news:",
)


class Cancelled(BaseException):
    """Ends a write from outside, as a Ctrl-C or a cancelled task does."""


class _Database:
    """The newsroom's database, as far as who saves an article sees it.

    Attributes:
        rows: The articles by id.
        saved: What `save` was called with.
        before_commit: What happens before the write stands, and `after_commit` once it does.
        error: What `save` raises; it is raised after the commit where `commits` is set.
    """

    def __init__(self, rows: dict[int, Any]) -> None:
        self.rows = rows
        self.saved: list[tuple[Any, Any]] = []
        self.before_commit: Callable[[], object] = _nothing
        self.after_commit: Callable[[], object] = _nothing
        self.error: BaseException | None = None
        self.commits = False

    def save(self, id: int, article: Any) -> None:  # noqa: A002 - as learners name it
        """Write an article and commit."""
        self.saved.append((id, copy.deepcopy(article)))
        self.before_commit()
        if self.error is not None and not self.commits:
            raise self.error
        self.rows[id] = copy.deepcopy(article)
        self.after_commit()
        if self.error is not None:
            raise self.error


class _Story:
    """An article that is cached and is about to be edited.

    Attributes:
        key: The article's key; `number` is its id.
        old: What the database and the cache have; `new` is what is to be saved.
        text: What stands under the key.
        reader: The connection of somebody else.
        db: The database.
    """

    def __init__(self, trial: Trial) -> None:
        # A client that tries again by itself would hide that Redis is away, and sleep.
        trial.client.set_retry(Retry(NoBackoff(), 0))
        self.number = trial.rng.randrange(1, 100_000)
        self.key = f"news:article:{self.number}"
        self.old = {"id": self.number, "title": trial.word(), "tags": trial.words(2)}
        self.new = {**self.old, "title": trial.word(10)}
        self.text = json.dumps(self.old)
        self.reader = trial.another_client()
        self.db = trial.named("db", _Database({}))

    def begin(self, *, cached: bool = True) -> None:
        """Put everything as it was before the edit."""
        self.reader.flushall()
        self.db.rows = {self.number: copy.deepcopy(self.old)}
        self.db.saved = []
        if cached:
            self.store_old()

    def store_old(self, *, only_missing: bool = False) -> None:
        """Somebody who has loaded the old article stores it."""
        self.reader.set(self.key, self.text, ex=100, nx=only_missing)

    @property
    def cached(self) -> Any:
        """What readers find under the key: an article, another text, or None."""
        found: Any = self.reader.get(self.key)
        try:
            value = None if found is None else json.loads(found)
        except ValueError:
            return found
        return found if isinstance(value, str) else value  # a text in quotes is no article

    @property
    def written(self) -> bool:
        """Whether the database has the new article."""
        return bool(self.db.rows[self.number] == self.new)


def _away(first: int, error: BaseException) -> Callable[[int], None]:
    """What makes every trip fail from the one with this number on."""

    def before(trip: int) -> None:
        if trip >= first:
            raise error

    return before


def _saved_once(trial: Trial, db: _Database, number: int, article: Any) -> None:
    """Demand that the database was given this, and once."""
    trial.require(bool(db.saved), "The database was not written: call `db.save(id, article)`.")
    trial.require(
        len(db.saved) == 1,
        f"`db.save` was called {len(db.saved)} times for one edit; expected once.",
    )
    trial.equal(db.saved[0], (number, article), "what `db.save` was called with")


def _comes_out(
    trial: Trial,
    error: BaseException,
    call: Callable[[], Any],
    source: str,
    why: str,
    *,
    answer: str = "function",
) -> None:
    """Demand that an error comes out of a call of the answer.

    Args:
        trial: The trial.
        error: The error.
        call: Calls the answer.
        source: What raised it, as the learner knows it.
        why: Why it has to reach the caller.
        answer: What it is that the learner has written.
    """
    try:
        got = call()
    except AnswerRaised as raised:
        if raised.__cause__ is not error:
            raise
    else:
        trial.fail(
            f"{source} raised {type(error).__name__}, and your {answer} returned {got!r:.80}: {why}"
        )


# -- write, then let go of the copy --------------------------------------------------------------

save_article = outline.exercise(
    "save_article",
    "Write, then let go of the copy",
    hints=(
        "Two effects, in this order: the database, then the cache. Ask of the other order what a "
        "reader does who comes between the two.",
        "A `db.save` that raises may have written all the same: the answer was lost, not the "
        "write. So the copy has to go whichever way `db.save` ends.",
        "`try: db.save(id, article)`, `finally: r.delete(f'news:article:{id}')`. No `except`: "
        "both errors are the caller's to hear of.",
    ),
)


def _edit(trial: Trial, story: _Story, before: Callable[[int], None] | None = None) -> Any:
    """Call the answer for the story's edit."""
    return trial.call(trial.client, story.db, story.number, copy.deepcopy(story.new), before=before)


_DELETE = "Delete the key: the next reader loads what the database has."


def _is_gone(trial: Trial, story: _Story, what: str) -> None:
    """Demand that nothing is cached after the edit; `what` says how that went."""
    cached = story.cached
    trial.require(
        cached != story.old,
        f"{what}, and {story.key} still holds the old article. {_DELETE}",
    )
    trial.require(
        cached != story.new,
        f"{what}, and {story.key} holds the article that you saved. Of two who save at the same "
        "moment the first may be the last to store, and the older article stays: delete, do not "
        "set.",
    )
    trial.require(cached is None, f"{what}, and {story.key} holds {cached!r:.80}. {_DELETE}")


@save_article.check("the database has the article, and its key is gone", points=0.5)
def _saves_and_deletes(trial: Trial) -> None:
    for cached in (True, False):
        story = _Story(trial)
        story.begin(cached=cached)
        got = _edit(trial, story)
        _saved_once(trial, story.db, story.number, story.new)
        _is_gone(trial, story, "The article was saved")
        trial.one_trip("One DEL does it, with no look before it and nothing after it.")
        trial.equal(got, None, advice="There is nothing to return.")


@save_article.check("no reader and no other writer brings back what is old", points=1)
def _nothing_comes_back(trial: Trial) -> None:
    story = _Story(trial)
    story.begin()

    def read_old() -> None:
        story.store_old(only_missing=True)

    story.db.before_commit = read_old
    _edit(trial, story)
    _saved_once(trial, story.db, story.number, story.new)
    trial.require(
        story.cached != story.old,
        f"Before the database was written a reader looked for {story.key}, and loaded and stored "
        "the old article where it found nothing. It is still there after your function. Write the "
        "database first, and then delete.",
    )
    newer = {**story.new, "title": trial.word(12)}

    def save_newer() -> None:
        story.db.rows[story.number] = newer
        story.reader.set(story.key, json.dumps(newer), ex=100)

    story.begin()
    story.db.before_commit, story.db.after_commit = _nothing, save_newer
    _edit(trial, story)
    trial.require(
        story.cached in (None, newer),
        "When your article was in the database somebody else saved a newer one, and a reader "
        f"cached that. After your function {story.key} holds {story.cached!r:.80}: delete, do not "
        "set. A key that is missing is never wrong.",
    )


_LOST_ANSWER = (
    "The answer was lost and not the write, so the copy is old: delete it in `finally`, whichever "
    "way `db.save` ends."
)


@save_article.check("an error of the database comes through, and the key is gone", points=1)
def _lets_go_of_doubt(trial: Trial) -> None:
    story = _Story(trial)
    errors = (
        TimeoutError("no answer from the database"),
        ValueError("no such column"),
        Cancelled("the editor closed the window"),
    )
    for error in errors:
        for commits in (True, False):
            story.begin()
            story.db.error, story.db.commits = error, commits
            _comes_out(
                trial,
                error,
                functools.partial(_edit, trial, story),
                "`db.save`",
                "the caller has to hear that the edit may be lost.",
            )
            _saved_once(trial, story.db, story.number, story.new)
            how = "after" if commits else "before"
            advice = _LOST_ANSWER if commits else "You cannot know which: delete in either case."
            trial.require(
                story.cached is None,
                f"`db.save` raised {type(error).__name__} {how} it had written, and {story.key} "
                f"holds {story.cached!r:.80}. {advice}",
            )


@save_article.check("touches no other key, and hides no error of Redis", points=0.5)
def _keeps_the_rest(trial: Trial) -> None:
    story = _Story(trial)
    story.begin()
    others = [f"{story.key}{trial.rng.randrange(10)}", f"{story.key}:views", "news:front"]
    for key in others:
        story.reader.set(key, "kept", ex=100)
    _edit(trial, story)
    gone = [key for key in others if not story.reader.exists(key)]
    trial.require(
        not gone,
        f"Article {story.number} was edited, and gone with it is {', '.join(gone)}: delete the one "
        "key by its name. Whatever else goes has to be loaded again.",
    )
    _is_gone(trial, story, "The article was saved")
    extra = sorted({*story.reader.scan_iter()} - {*others})
    trial.require(not extra, f"Your function leaves {', '.join(extra[:3])} behind.")
    for error in (redis.ConnectionError("Connection refused."), redis.TimeoutError("No answer.")):
        story.begin()
        _comes_out(
            trial,
            error,
            functools.partial(_edit, trial, story, _away(1, error)),
            "The DEL",
            "readers go on seeing the old article until it expires, and nobody knows. Let the "
            "error through.",
        )
        _saved_once(trial, story.db, story.number, story.new)


# -- two editors, and both edits -----------------------------------------------------------------

edit_with_version = outline.exercise(
    "edit_with_version",
    "Two editors, and both edits",
    hints=(
        "One attempt is: read the article and its version, change it, save it on condition that "
        "the version is still that one. What has to be done anew when the condition fails?",
        "All of it, the read included: the change has to be made to what the other editor saved. "
        "So the loop goes around `db.read`, `change` and `db.save`; `except db.Conflict:` around "
        "the save, which is what raises it.",
        "`while True:` read; `edited = change(article)`; `try: db.save(id, edited, "
        "if_version=version)`, `except db.Conflict:` `attempts -= 1`, and `raise` if that leaves "
        "0; `else: return edited`.",
    ),
)

_MOST_SAVES = 60


class EndlessRetry(BaseException):
    """Ends an answer that would try again for ever, past every `except` it may have."""


class Conflict(Exception):
    """The article has another version by now."""


class _Versions:
    """A database that saves an article on condition of its version.

    Attributes:
        article: The article, and `version` is its version.
        reads: The articles that were read; `changed` those that `change` was given, as they were.
        conditions: The versions that saves were made on condition of.
        conflict: The last Conflict that was raised.
        rivals: How many of the coming changes somebody else is quicker than.
        id: The only id that there is.
    """

    Conflict = Conflict

    def __init__(self, trial: Trial, rivals: int = 0) -> None:
        self._trial = trial
        self.id = trial.rng.randrange(1, 100_000)
        self.article: dict[str, Any] = {"id": self.id, "title": trial.word(), "edits": ["first"]}
        self.version = trial.rng.randrange(1, 50)
        self.reads: list[Any] = []
        self.changed: list[Any] = []
        self.conditions: list[Any] = []
        self.conflict: Conflict | None = None
        self.rivals = rivals
        trial.named("db", self)

    def read(self, id: int) -> tuple[Any, int]:  # noqa: A002 - as learners name it
        """The article with this id, a copy of its own, and its version."""
        if id != self.id:
            raise LookupError(f"There is no article {id!r}.")
        self.reads.append(copy.deepcopy(self.article))
        return copy.deepcopy(self.article), self.version

    def save(
        self,
        id: int,  # noqa: A002 - as learners name it
        article: Any,
        if_version: int | None = None,
    ) -> None:
        """Save the article if its version is still this one; without one, in any case."""
        self.conditions.append(if_version)
        if len(self.conditions) > _MOST_SAVES:
            raise EndlessRetry(f"saved {_MOST_SAVES} times.")
        if id != self.id:
            raise LookupError(f"There is no article {id!r}.")
        if if_version not in (None, self.version):
            self.conflict = Conflict(f"Article {id} has version {self.version}, not {if_version}.")
            raise self.conflict
        self._store(article)

    def _store(self, article: Any) -> None:
        self.article = copy.deepcopy(article)
        self.version += self._trial.rng.randrange(1, 4)

    def rival(self) -> None:
        """Somebody else makes an edit, if one is due."""
        if self.rivals > 0:
            self.rivals -= 1
            self._store({**self.article, "edits": [*self.article["edits"], self._trial.word(5)]})

    def change(self, *, in_place: bool = True) -> Callable[[Any], Any]:
        """What adds one edit; while it runs, somebody else may be quicker."""

        def change(article: Any) -> Any:
            self.changed.append(copy.deepcopy(article))
            if in_place:
                article["edits"].append("mine")
                edited = article
            else:
                edited = {**article, "edits": [*article["edits"], "mine"]}
            self.rival()
            return edited

        return self._trial.named("change", change)


@edit_with_version.check("reads, changes, and saves if the version is still the same", points=1)
def _edits_alone(trial: Trial) -> None:
    for in_place in (True, False):
        db = _Versions(trial)
        version = db.version
        expected = {**db.article, "edits": ["first", "mine"]}
        with trial.explain(
            Conflict, "Nobody else has saved: the version is the one that `db.read` answered."
        ):
            got = trial.call(db, db.id, db.change(in_place=in_place))
        trial.equal(len(db.reads), 1, "how often the article was read, with nobody else there")
        trial.equal(len(db.changed), 1, "how often `change` was called, with nobody else there")
        trial.require(bool(db.conditions), "Nothing was saved: call `db.save`.")
        trial.require(
            None not in db.conditions,
            "`db.save` was called without `if_version=`: whatever somebody else has saved since "
            "your read is overwritten.",
        )
        trial.equal(db.conditions, [version], "the versions that `db.save` was called with")
        trial.equal(db.article, expected, "the article in the database")
        trial.equal(got, expected, advice="Return the article as it was saved.")


@edit_with_version.check("loses no edit: neither its own nor another's", points=1.5)
def _loses_nothing(trial: Trial) -> None:
    for rivals in (1, trial.rng.randrange(2, 5)):
        for in_place in (True, False):
            db = _Versions(trial, rivals)
            with trial.explain(
                Conflict,
                f"Somebody else was quicker {_often(rivals)}, and 5 attempts were allowed: after "
                "a Conflict read again, change that, and save it under its version.",
            ):
                got = trial.call(db, db.id, db.change(in_place=in_place))
            _both_there(trial, db, rivals)
            trial.equal(got, db.article, advice="Return the article as it was saved.")


def _often(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _both_there(trial: Trial, db: _Versions, rivals: int) -> None:
    """Demand that the article has every edit of others, and the answer's once."""
    quicker = f"Somebody else saved an edit while `change` ran, {_often(rivals)}"
    edits = db.article["edits"]
    others = [edit for edit in edits if edit not in ("first", "mine")]
    trial.require(
        len(others) == rivals,
        f"{quicker}, and the database has {len(others)} of these: your save came over the others. "
        "Save with the version that came with what you changed, and after a Conflict read both "
        "again.",
    )
    trial.require(
        edits.count("mine") > 0,
        f"{quicker}, and your own edit is not in the database: after a Conflict try again.",
    )
    trial.require(
        edits.count("mine") == 1,
        f"{quicker}, and the database has your edit {edits.count('mine')} times: change what the "
        "database has now, not what an earlier `change` has made.",
    )
    once_each = "Call it once after each `db.read`, with the article that was read."
    trial.require(
        len(db.changed) == len(db.reads),
        f"The article was read {_often(len(db.reads))}, and `change` was called "
        f"{_often(len(db.changed))}. {once_each}",
    )
    trial.equal(db.changed, db.reads, "what `change` was called with", advice=once_each)
    trial.equal(len(db.reads), rivals + 1, f"how often the article was read ({rivals} conflicts)")


@edit_with_version.check("makes `attempts` attempts, and then lets the Conflict through", points=1)
def _gives_up(trial: Trial) -> None:
    endless = "Others are always quicker: stop after `attempts` attempts."
    for attempts in (None, 1, trial.rng.randrange(2, 5), trial.rng.randrange(6, 10)):
        db = _Versions(trial, rivals=1000)
        limit = () if attempts is None else (attempts,)
        most = attempts or 5
        with trial.explain(EndlessRetry, endless):
            try:
                got = trial.call(db, db.id, db.change(), *limit)
            except AnswerRaised as raised:
                if not isinstance(raised.__cause__, Conflict):
                    raise
                trial.require(
                    raised.__cause__ is db.conflict,
                    f"Your function raised a Conflict of its own: {raised.__cause__}. Let the last "
                    "one of `db.save` through, with a bare `raise`: it says what the versions are.",
                )
            else:
                trial.require(
                    "mine" not in db.article["edits"],
                    f"Somebody else was quicker {_often(most)}, and then your function saved all "
                    "the same: theirs is lost. Let the Conflict through.",
                )
                trial.fail(
                    f"Somebody else was quicker {_often(most)}, and your function returned "
                    f"{got!r:.80}: nothing is saved, and the caller has to hear it. Let the last "
                    "Conflict through."
                )
        trial.equal(
            len(db.conditions),
            most,
            f"how often `db.save` was called, with attempts={most} and others always quicker",
        )
        trial.equal(len(db.reads), most, "how often the article was read")
        trial.equal(len(db.changed), most, "how often `change` was called")
    db = _Versions(trial, rivals=2)
    with trial.explain(Conflict, "The third of three attempts succeeds: it counts too."):
        trial.call(db, db.id, db.change(), 3)
    trial.equal(db.article["edits"].count("mine"), 1, "how often your edit is in the database")


@edit_with_version.check("takes no other error for a conflict", points=0.5)
def _passes_others(trial: Trial) -> None:
    why = "that is no Conflict, and trying again may make it worse. Catch `db.Conflict` alone."
    for error in (TimeoutError("no answer from the database"), ValueError("the title is empty")):
        for place in ("read", "save", "change"):
            db = _Versions(trial)
            before, change = copy.deepcopy(db.article), db.change()
            calls: list[str] = []

            def fails(
                *_: Any, error: Exception = error, calls: list[str] = calls, **__: Any
            ) -> Any:
                calls.append("called")
                if len(calls) > _MOST_SAVES:
                    raise EndlessRetry(f"was tried {_MOST_SAVES} times.")
                raise error

            if place == "change":
                change = trial.named("change", fails)
            else:
                setattr(db, place, fails)
            what = "`change`" if place == "change" else f"`db.{place}`"
            _comes_out(trial, error, functools.partial(trial.call, db, db.id, change), what, why)
            trial.require(
                len(calls) == 1,
                f"{what} raised {type(error).__name__}, and was called {len(calls)} times: {why}",
            )
            trial.equal(db.article, before, f"the article after {what} has raised")


# -- tags ----------------------------------------------------------------------------------------

tag_cache = outline.exercise(
    "tag_cache",
    "One command drops them all",
    hints=(
        "A drop must not look for the values: let the values look whether they were dropped. Each "
        "tag has a generation, each value remembers those that it was loaded under, and `read` "
        "gets the value and the generations of now with one MGET.",
        "Make a generation of `uuid.uuid4().hex` where none is, with `nx=True`, and ask again what "
        "stands there, since another reader may have been quicker. Do that before `load()`, and "
        "store the value with what you read then. A missing generation counts for nothing, so "
        "`drop` may simply delete it.",
        "`text, *now = r.mget([key, *names])`. If there is a text, it has `value` and "
        "`generations`: return the value if `None not in now` and `generations == now`. If None is "
        "in `now`: on one pipeline a `set(name, uuid4().hex, nx=True)` for each name and an "
        "`mget(names)`, whose last reply is the new `now`. Then `value = load()` and "
        "`r.set(key, json.dumps({...}), ex=300)`. `drop` is `r.delete(f'news:tag:{tag}')`.",
    ),
)

_GENERATIONS = 50
_SHORTEST_GENERATION = 12  # characters
_TAGGED_SECONDS = 300


def _tag(tag: str) -> str:
    return f"news:tag:{tag}"


class _Tagged:
    """What the answer makes: two functions, whose commands and loads are counted.

    Attributes:
        loads: How often `load` ran.
        log: What the last call sent.
        in_load: What happens while `load` runs.
    """

    def __init__(self, trial: Trial, client: redis.Redis | None = None) -> None:
        self._trial = trial
        self._client = client or trial.client
        made = trial.call(self._client)
        if type(made) not in (tuple, list) or len(made) != 2 or not all(map(callable, made)):
            trial.fail(
                f"Your function returned {made!r:.80}; expected two functions: `return read, drop`."
            )
        self._read, self._drop = made
        self.loads = 0
        self.log = CommandLog(self._client)
        self.in_load: Callable[[], object] = _nothing

    def read(
        self,
        key: str,
        tags: Sequence[str],
        answer: object,
        before: Callable[[int], None] | None = None,
    ) -> Any:
        """Read a value; `answer` is what `load` returns, or raises where it is an error."""

        def load() -> Any:
            self.loads += 1
            self.in_load()
            if isinstance(answer, Exception):
                raise answer
            return copy.deepcopy(answer)

        shown = f"read({key!r}, {[*tags]!r}, load)"
        return self._use(shown, functools.partial(self._read, key, [*tags], load), before)

    def drop(self, tag: str) -> None:
        """Drop a tag."""
        self._use(f"drop({tag!r})", functools.partial(self._drop, tag))

    def hits(self, key: str, tags: Sequence[str], value: object) -> bool:
        """Whether a read answers this value, without a load."""
        loads = self.loads
        return bool(self.read(key, tags, "loaded anew") == value) and self.loads == loads

    def _use(
        self,
        shown: str,
        function: Callable[[], Any],
        before: Callable[[int], None] | None = None,
    ) -> Any:
        def awake(trip: int) -> None:
            if trip > 50:
                raise EndlessRetry("went to Redis 50 times in one call.")
            if before is not None:
                before(trip)

        self.log = CommandLog(self._client, before=awake)
        try:
            with self.log:
                return function()
        except (KeyboardInterrupt, PowerCut):
            raise
        except BaseException as error:
            what = f"{type(error).__name__}: {error}".removesuffix(": ")
            raise AnswerRaised(f"`{shown}` raised {what}.") from error


def _tagged_key(trial: Trial) -> str:
    return f"news:page:{trial.word()}"


@tag_cache.check("loads once, keeps it for 300 seconds; a hit is one round trip", points=1)
def _keeps_tagged(trial: Trial) -> None:
    cache = _Tagged(trial)
    cache.read(_tagged_key(trial), trial.words(2), "a value")  # teaches the server its scripts
    values: list[tuple[object, list[str]]] = [
        ({"title": trial.word(), "tags": trial.words(2)}, trial.words(3)),
        (None, trial.words(1)),
        (0, trial.words(2)),
        ("", []),
    ]
    for value, tags in values:
        trial.reset()
        cache.loads = 0
        key = _tagged_key(trial)
        trial.equal(cache.read(key, tags, value), value, "what a miss answered")
        trial.equal(cache.loads, 1, "how often `load` ran")
        miss = cache.log.round_trips
        others = {*trial.client.scan_iter()} - {key, *map(_tag, tags)}
        trial.require(
            not others,
            f"Besides {key} and the generations under news:tag:<tag> your function keeps "
            f"{', '.join(sorted(others)[:3])}: a list of what carries a tag grows with it, and is "
            "wrong as soon as one of the two is evicted.",
        )
        _lives(trial, key, _TAGGED_SECONDS)
        trial.require(
            all(trial.client.ttl(_tag(tag)) == -1 for tag in tags),
            "A generation has a time to live, and with it goes every value that stands under it, "
            "before its 300 seconds are over. Store generations without.",
        )
        got = cache.read(key, tags, "loaded anew")
        trial.require(
            cache.loads == 1,
            f"{value!r:.60} was stored under {key} with the tags {tags}, nothing was dropped, and "
            "the next read loaded again.",
        )
        trial.equal(got, value, "what a hit answered")
        hit = cache.log.round_trips
        trial.require(
            hit > 0,
            "A hit asked Redis nothing: another process may have dropped a tag since the last one.",
        )
        trial.require(
            hit == 1,
            f"A hit made {hit} round trips: {', '.join(cache.log.names)}. Get the value and the "
            "generations of its tags with one MGET.",
        )
        trial.require(
            miss <= 3,
            f"A miss made {miss} round trips; three are enough, however many tags there are: look, "
            "make the generations that are missing, store.",
        )
    _fails_to_load(trial, cache)
    _never_without_end(trial, cache)


def _fails_to_load(trial: Trial, cache: _Tagged) -> None:
    key, error = _tagged_key(trial), OSError("the database is away")
    _comes_out(
        trial,
        error,
        lambda: cache.read(key, trial.words(2), error),
        "`load`",
        "an error of the database has to reach the caller.",
    )
    trial.require(not trial.client.exists(key), f"`load` raised, and {key} is stored.")


def _never_without_end(trial: Trial, cache: _Tagged) -> None:
    """Demand that no crash leaves a value without its time to live."""
    key, tags = _tagged_key(trial), trial.words(2)

    def cut(trip: int) -> None:
        if trip > trips:
            raise PowerCut

    for trips in range(1, 8):
        trial.reset()
        with contextlib.suppress(PowerCut):
            cache.read(key, tags, "a value", cut)
        trial.require(
            trial.client.ttl(key) != -1,
            f"Your program was stopped after {trips} of its round trips, and {key} is there "
            "without a time to live: pass `ex=300` to SET.",
        )


@tag_cache.check("a drop reaches every value with the tag, and no other", points=1)
def _drops_tagged(trial: Trial) -> None:
    cache = _Tagged(trial)
    a, b, c = trial.words(3)
    carried = {_tagged_key(trial): tags for tags in ([a], [b], [a, b], [b, c], [c, b, a], [])}
    for key, tags in carried.items():
        cache.read(key, tags, f"first of {key}")
    for tag in (a, b, c, b):
        cache.drop(tag)
        for key, tags in carried.items():
            before = cache.loads
            got = cache.read(key, tags, f"{key} after {tag} {before}")
            loaded = cache.loads > before
            trial.require(
                loaded or tag not in tags,
                f"{tag!r} was dropped, and a value with the tags {tags} was answered as before. It "
                "counts only if each of its generations is still the one it was loaded under.",
            )
            trial.require(
                not loaded or tag in tags,
                f"{tag!r} was dropped, and a value with the tags {tags} was loaded again: only "
                "those with the tag are old.",
            )
            if loaded:
                trial.equal(got, f"{key} after {tag} {before}", "what a read after a drop answered")


@tag_cache.check("a drop is one command on one key, however many values there are", points=1)
def _drops_at_once(trial: Trial) -> None:
    cache = _Tagged(trial)
    tag = trial.word()
    for count in (1, trial.rng.randrange(40, 60)):
        trial.reset()
        keys = [f"news:page:{number}" for number in range(count)]
        for key in keys:
            cache.read(key, [tag], "a value")
        before = trial.client.dbsize()
        cache.drop(tag)
        sent = list(cache.log)
        trial.require(bool(sent), "`drop` sends nothing: other processes have to see it too.")
        trial.require(
            len(sent) == 1,
            f"`drop` sent {len(sent)} commands ({', '.join(cache.log.names[:6])}), with the tag on "
            f"{count} value{'' if count == 1 else 's'}. One is enough, on the generation: the "
            "values need not be found.",
        )
        gone = before - trial.client.dbsize()
        trial.require(
            gone <= 1,
            f"A drop removed {gone} keys: its cost grows with the values that carry the tag. "
            "Change the generation, and let the values be: they no longer count, and expire.",
        )
        trial.require(
            not cache.hits(keys[-1], [tag], "a value"),
            f"{tag!r} was dropped, and a value with it was answered as before.",
        )
        trial.require(
            trial.client.ttl(_tag(tag)) in (-2, -1),
            f"`drop` leaves {_tag(tag)} with a time to live: with it goes every value under it.",
        )
    cache.drop(trial.word(12))


@tag_cache.check("what was being loaded during a drop does not count", points=1.5)
def _drops_what_is_loading(trial: Trial) -> None:
    cache, rival = _Tagged(trial), _Tagged(trial, trial.another_client())
    tag, other = trial.words(2)
    key = _tagged_key(trial)
    for tags in ([tag], [other, tag]):
        for known in (True, False):
            for trip in range(6):
                trial.reset()
                if known:
                    rival.read(f"{key}:else", tags, "another value")
                _drop_in(trial, cache, rival, key, tags, tag, trip)


def _drop_in(
    trial: Trial,
    cache: _Tagged,
    rival: _Tagged,
    key: str,
    tags: list[str],
    tag: str,
    trip: int,
) -> None:
    """Let the rival drop the tag before this trip of a read, or, before trip 0, in its load."""
    cache.loads = 0
    dropped_at: int | None = None

    def drop() -> None:
        nonlocal dropped_at
        rival.drop(tag)
        dropped_at = cache.loads

    def before(number: int) -> None:
        if number == trip:
            drop()

    cache.in_load = drop if trip == 0 else _nothing
    got = cache.read(key, tags, "old value", before)
    cache.in_load = _nothing
    if dropped_at is None:  # the read had no such trip
        return
    trial.equal(got, "old value", "what a read answered whose tag was dropped meanwhile")
    if dropped_at:
        trial.require(
            not cache.hits(key, tags, "old value"),
            f"{tag!r} was dropped "
            + ("while `load` ran" if trip == 0 else "between the load and the store")
            + ", and what had been loaded before counts after it: it stands under the generation "
            "of after the drop. Read the generations before `load()`, and store those.",
        )
        trial.require(
            cache.hits(key, tags, "loaded anew"),
            "After a drop that came during a load the value was loaded again, and that one does "
            "not count either.",
        )


@tag_cache.check("no eviction brings a dropped value back", points=1)
def _stays_dropped(trial: Trial) -> None:
    cache = _Tagged(trial)
    tag, other = trial.words(2)
    first, second = _tagged_key(trial), _tagged_key(trial)
    for before, drops, then in itertools.product(
        (0, 1), (1, 2), ("nothing", "read", "drop", "read and drop")
    ):
        trial.reset()
        for _ in range(before):  # the drop makes the generation, where it makes one
            cache.drop(tag)
        for key in (first, second):
            cache.read(key, [other, tag], "old value")
        for _ in range(drops):
            cache.drop(tag)
        trial.client.delete(_tag(tag))
        if "read" in then:
            cache.read(first, [other, tag], "new value")
        if "drop" in then:
            cache.drop(tag)
        trial.require(
            not cache.hits(second, [other, tag], "old value"),
            f"{tag!r} was dropped, and then Redis evicted {_tag(tag)}"
            + ("" if then == "nothing" else f" (and there was a {then})")
            + ": a value from before the drop counts again. No value may count under a "
            "generation that is missing, and a new generation has to be one that never was: a "
            "random one, not a count from 0.",
        )
    trial.reset()
    cache.read(first, [tag], "old value")
    trial.client.delete(_tag(tag))
    cache.read(first, [tag], "new value")
    trial.require(
        cache.hits(first, [tag], cache.read(first, [tag], "newer value")),
        f"Redis evicted {_tag(tag)}, and since then nothing with the tag {tag!r} is kept: make a "
        "new generation where none is.",
    )
    seen: set[Any] = set()
    for count in range(1, _GENERATIONS + 1):
        trial.client.delete(_tag(tag))
        cache.read(first, [tag], "a value")
        seen.add(trial.client.get(_tag(tag)))
        trial.require(
            len(seen) == count and max(map(len, map(str, seen))) >= _SHORTEST_GENERATION,
            f"Of {count} generations that your function made, the last one is "
            f"{trial.client.get(_tag(tag))!r}: one that was there before, or so short that it will "
            "be again. `uuid.uuid4().hex` is not.",
        )


@tag_cache.check("two readers at once keep what both have loaded", points=0.5)
def _keeps_both(trial: Trial) -> None:
    cache, rival = _Tagged(trial), _Tagged(trial, trial.another_client())
    tags = trial.words(2)
    mine, theirs = _tagged_key(trial), _tagged_key(trial)
    for trip in range(6):
        trial.reset()

        def read() -> None:
            rival.read(theirs, tags, "theirs")

        def before(number: int, trip: int = trip) -> None:
            if number == trip:
                read()

        cache.in_load = read if trip == 0 else _nothing
        cache.read(mine, tags, "mine", before)
        cache.in_load = _nothing
        if rival.loads == 0 or not trial.client.exists(theirs):
            continue
        trial.require(
            rival.hits(theirs, tags, "theirs"),
            "Another reader made a generation and stored a value under it, while your function was "
            "about to make one. Yours came over it, and their value does not count: make it with "
            "`nx=True`.",
        )
        trial.require(
            cache.hits(mine, tags, "mine"),
            "Another reader was quicker to make a generation, and your value was stored under "
            "another one that nobody has: after `nx=True` read what stands there.",
        )
    trial.require(cache.loads > 0, "`load` was never called.")


# -- database and cache as one -------------------------------------------------------------------

write_through = outline.exercise(
    "write_through",
    "Database and cache as one",
    hints=(
        "Go through the effects in order and stop the program after each: what does a reader find "
        "then? Whatever can be refused is refused before the first of them.",
        "`text = json.dumps(article)` comes first: it raises while nothing has happened. Then the "
        "mark, `r.set(key, WRITING, ex=30)`, then `db.save`, then the article over the mark. Only "
        "the last of these may fail without harm.",
        "Four lines: `text = json.dumps(article)`, `r.set(key, WRITING, ex=30)`, `db.save(id, "
        "article)`, and `r.set(key, text, ex=ttl)`, this last one in `try: ... except "
        "redis.RedisError: pass`. When `db.save` raises, leave the mark: it expires.",
    ),
)

_MARK = "writing"
_MARK_SECONDS = 30


def _through(
    trial: Trial,
    story: _Story,
    before: Callable[[int], None] | None = None,
    *,
    article: Any = None,
    ttl: int = 300,
) -> Any:
    """Call the answer for the story's edit, or for another article in its place."""
    article = copy.deepcopy(story.new) if article is None else article
    return trial.call(trial.client, story.db, story.number, article, ttl, before=before)


@write_through.check("the database has the article, then the cache, for `ttl` seconds", points=1)
def _writes_both(trial: Trial) -> None:
    for cached in (True, False):
        story = _Story(trial)
        story.begin(cached=cached)
        ttl = trial.rng.randrange(60, 4000)
        got = _through(trial, story, ttl=ttl)
        _saved_once(trial, story.db, story.number, story.new)
        trial.require(
            story.cached != _MARK,
            f"{story.key} still holds the mark after your function: store the article over it.",
        )
        trial.equal(_only_json(trial, story.key, ttl), story.new, f"the article in {story.key}")
        _lives(trial, story.key, ttl)
        trial.equal(got, None, advice="There is nothing to return.")
        call = (trial.client, story.db, story.number, story.new, ttl)
        _in_one_step(trial, story.key, story.begin, *call)
        trial.require(
            trial.log.round_trips == 2,
            "Two round trips are all: a SET of the mark, and a SET of the article, each with its "
            f"`ex=`. Yours made {trial.log.round_trips}: {', '.join(trial.log.names)}.",
        )


def _untouched(trial: Trial, story: _Story, what: str, advice: str) -> None:
    """Demand that neither the database nor the cache knows of the edit."""
    trial.require(
        not story.db.saved,
        f"{what}, and the database was written before that was known. {advice}",
    )
    trial.require(
        story.cached == story.old and story.reader.ttl(story.key) > 30,
        f"{what}, so nothing was written, and {story.key}, which held the article for 100 seconds, "
        f"now holds {story.cached!r:.80}. {advice}",
    )


@write_through.check("what cannot be cached is refused before anything is written", points=1)
def _refuses_first(trial: Trial) -> None:
    story = _Story(trial)
    circle: dict[str, Any] = dict(story.new)
    circle["itself"] = circle
    at = datetime.datetime(2026, 10, trial.rng.randrange(1, 28), tzinfo=datetime.UTC)
    encode_first = "Call `json.dumps` in the first line."
    for article, kind in (
        ({**story.new, "at": at}, TypeError),
        ({**story.new, "tags": {"a", "b"}}, TypeError),
        (circle, ValueError),
    ):
        story.begin()
        try:
            _through(trial, story, article=article)
        except AnswerRaised as raised:
            if not isinstance(raised.__cause__, kind):
                raise
        else:
            trial.fail(
                f"`json.dumps` cannot encode {article!r:.120}, and your function did not raise. "
                "Readers would get something else than the database has, or nothing: let its "
                f"{kind.__name__} through."
            )
        _untouched(trial, story, "`json.dumps` could not encode the article", encode_first)
    for error in (redis.ConnectionError("Connection refused."), redis.TimeoutError("No answer.")):
        story.begin()
        what = f"Redis was away ({type(error).__name__})"
        _comes_out(
            trial,
            error,
            functools.partial(_through, trial, story, _away(1, error)),
            "The first SET",
            "without the mark the old article stays in the cache. Let the error through, and write "
            "nothing.",
        )
        _untouched(trial, story, what, "Mark the article first: where that fails, nothing is done.")


@write_through.check("readers find the mark while the database is written", points=1)
def _marks(trial: Trial) -> None:
    story = _Story(trial)
    seen: list[tuple[Any, int]] = []
    story.db.before_commit = lambda: seen.append((story.cached, story.reader.pttl(story.key)))
    for cached in (True, False):
        story.begin(cached=cached)
        _through(trial, story)
    trial.require(bool(seen), "The database was not written: call `db.save(id, article)`.")
    for found, left in seen:
        during = f"While the database was being written, {story.key}"
        trial.require(
            found is not None,
            f"{during} was missing: a reader who has loaded the old article stores it there, with "
            "`nx=True`, and a crash leaves it. Where the mark stands, that SET does nothing: store "
            "WRITING in place of deleting.",
        )
        trial.require(
            found != story.old,
            f"{during} held the old article. If the program stops before the last SET, that is "
            "what readers see until it expires: SET the mark over it first.",
        )
        trial.require(
            found != story.new,
            f"{during} held the new article already, which the database may still refuse: the "
            "database comes before the cache.",
        )
        trial.equal(found, _MARK, f"what {story.key} held while the database was being written")
        trial.require(
            left != -1,
            f"The mark in {story.key} never expires: after a crash no reader could ever cache the "
            "article again. Pass `ex=30`.",
        )
        trial.require(
            1000 * (_MARK_SECONDS - 20) <= left <= 1000 * _MARK_SECONDS,
            f"The mark in {story.key} had {left:,} milliseconds to live; expected "
            f"{_MARK_SECONDS} seconds.",
        )


def _kill(trial: Trial, story: _Story, *, trips: int | None = None, place: str = "") -> None:
    """Call the answer and end it for good: after so many trips, or at a place in `db.save`."""
    dead = False

    def die() -> None:
        nonlocal dead
        dead = True
        raise PowerCut

    def before(trip: int) -> None:
        if dead or (trips is not None and trip > trips):
            die()

    def before_commit() -> None:
        story.store_old(only_missing=True)
        if place == "before":
            die()

    story.begin()
    story.db.before_commit = before_commit
    story.db.after_commit = die if place == "after" else _nothing
    try:
        _through(trial, story, before)
    except PowerCut:
        pass
    except AnswerRaised:
        if not dead:
            raise


@write_through.check("a crash anywhere leaves nothing in the cache that is not so", points=1)
def _survives_crashes(trial: Trial) -> None:
    story = _Story(trial)
    story.begin()
    _through(trial, story)
    _saved_once(trial, story.db, story.number, story.new)
    trips = trial.log.round_trips
    places = [
        (f"after {count} of its round trips", functools.partial(_kill, trips=count))
        for count in range(trips + 1)
    ]
    places += [
        ("just before the database had the article", functools.partial(_kill, place="before")),
        ("just after the database had the article", functools.partial(_kill, place="after")),
    ]
    for when, kill in places:
        kill(trial, story)
        stopped = f"Your program was stopped {when}. {story.key} holds"
        trial.require(
            story.cached != story.old or not story.written,
            f"{stopped} the old article, and the database the new one. A reader who had loaded the "
            "old one stores it where nothing is: SET the mark before the database is written, and "
            "let it stand until the article replaces it.",
        )
        trial.require(
            story.cached != story.new or story.written,
            f"{stopped} the new article, and the database the old one: write the database first, "
            "and the cache after it.",
        )


@write_through.check("a database or a cache that fails is told rightly, and seen rightly", points=1)
def _fails_rightly(trial: Trial) -> None:
    story = _Story(trial)
    for error in (
        TimeoutError("no answer"),
        ValueError("no such column"),
        Cancelled("closed"),
        redis.ConnectionError("the database has a Redis of its own, and that is away"),
    ):
        for commits in (True, False):
            story.begin()
            story.db.error, story.db.commits = error, commits
            _comes_out(
                trial,
                error,
                functools.partial(_through, trial, story),
                "`db.save`",
                "the caller has to hear that the edit may be lost.",
            )
            _saved_once(trial, story.db, story.number, story.new)
            how = "after" if commits else "before"
            raised = f"`db.save` raised {type(error).__name__} {how} it had written"
            trial.require(
                commits or story.cached != story.new,
                f"{raised}, and {story.key} holds the new article: nothing that the database may "
                "not have belongs into the cache.",
            )
            story.store_old(only_missing=True)
            trial.require(
                not commits or story.cached != story.old,
                f"{raised}, and {story.key} holds the old article: a reader who had loaded it "
                "before stored it where nothing was. Leave the mark where it is: it expires.",
            )
    story.db.error = None
    for lost in (
        redis.ConnectionError("Connection refused."),
        redis.TimeoutError("No answer."),
        redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
    ):
        story.begin()
        with trial.explain(
            redis.RedisError,
            "It was the last SET that failed. The database has the article and the cache nothing "
            "old: the edit stands, and is not to be told as a failure.",
        ):
            got = _through(trial, story, _away(2, lost))
        trial.equal(got, None)
        _saved_once(trial, story.db, story.number, story.new)
        trial.require(
            story.cached != story.old,
            f"The last SET failed, and {story.key} holds the old article: the mark goes there "
            "first.",
        )
    for other in (Cancelled("the editor closed the window"), RuntimeError("out of threads")):
        story.begin()
        _comes_out(
            trial,
            other,
            functools.partial(_through, trial, story, _away(2, other)),
            "The last SET",
            "a `redis.RedisError` is all that may be passed over there.",
        )


# -- write-behind, whose exercises come here in the notebook ---------------------------------------

# It registers itself on the outline above, and imports it: it cannot be imported earlier.
from labkit.course.lessons import writing_behind  # noqa: E402, F401  isort: skip

# -- how long may it live ------------------------------------------------------------------------

ttl_for = outline.exercise(
    "ttl_for",
    "How long may it live?",
    hints=(
        "Three steps: refuse what makes no sense, compute the formula as a number with a fraction, "
        "and bring it between the bounds. Which comparison is False for NaN, and which for every "
        "negative number?",
        "`not x >= 0` is True for negative numbers and for NaN. `math.log10` is the logarithm to "
        "base 10. An infinite number cannot be made a whole one, so take `min(most, ...)` first.",
        "`if not reads_last_hour >= 0 or not seconds_since_change >= 0 or not 1 <= least <= most: "
        "raise ValueError(...)`. Then `share = seconds_since_change / 10 * (1 + math.log10(1 + "
        "reads_last_hour))` and `return int(max(least, min(most, share)))`.",
    ),
)


def _share(reads: float, age: float) -> float:
    """The time to live before it is rounded and bounded."""
    return age / 10 * (1 + math.log10(1 + reads))


def _roundings(seconds: float) -> set[int]:
    """The whole seconds that rounding down may give; the last bit of a float is nobody's fault."""
    return {math.floor(seconds * (1 - 1e-12)), math.floor(seconds * (1 + 1e-12))}


def _lifetime(trial: Trial, *args: float) -> int:
    with (
        trial.explain(OverflowError, "Bring it below `most` first, and round it then."),
        trial.explain(ValueError, "These are numbers that make sense. 0 is one of them, too."),
    ):
        got = trial.call(*args)
    trial.require(
        type(got) is int,
        f"`ttl_for({', '.join(map(str, args))})` returned {got!r:.80}; expected a whole number, an "
        "int: `ex=` takes no other.",
    )
    return int(got)


# What the usual mistakes compute, to be told by name where an answer computes just that.
_TTL_MISTAKES: Mapping[str, Callable[[float, float], float]] = {
    "That is the natural logarithm; the one to base 10 is `math.log10`.": (
        lambda reads, age: age / 10 * (1 + math.log(1 + reads))
    ),
    "That is the logarithm to base 2; the one to base 10 is `math.log10`.": (
        lambda reads, age: age / 10 * (1 + math.log2(1 + reads))
    ),
    "The reads make no difference in your answer: what is read often stays longer.": (
        lambda _, age: age / 10
    ),
    "Your answer takes all of the age, not a tenth.": (
        lambda reads, age: age * (1 + math.log10(1 + reads))
    ),
    "Your answer leaves out the 1 in front of the logarithm: without reads nothing is left.": (
        lambda reads, age: age / 10 * math.log10(1 + reads)
    ),
    "Your answer divides: what is read often stays longer, not shorter.": (
        lambda reads, age: age / 10 / (1 + math.log10(1 + reads))
    ),
    "Your answer multiplies with the reads themselves; it is their logarithm.": (
        lambda reads, age: age / 10 * (1 + reads)
    ),
    "The fraction of the age is dropped in your answer: round once, at the end.": (
        lambda reads, age: _share(reads, int(age))
    ),
    "Round down: your answer rounds to the nearest number.": (
        lambda reads, age: round(_share(reads, age))
    ),
    "Round down: your answer rounds up.": lambda reads, age: math.ceil(_share(reads, age)),
    "The age is rounded in your answer before the reads count: round once, at the end.": (
        lambda reads, age: (age // 10) * (1 + math.log10(1 + reads))
    ),
}


@ttl_for.check("a tenth of the age, and longer for what is read often", points=1)
def _follows_ttl_formula(trial: Trial) -> None:
    rng = trial.rng
    tried: list[tuple[int, float, int]] = []
    for _ in range(100):
        reads, age = rng.choice([0, 9, rng.randrange(1, 10_000)]), rng.randrange(1_000, 10**7)
        tried.append((reads, age, _lifetime(trial, reads, age, 1, 10**12)))
    fine = 5 * rng.randrange(1_000, 10_000) + 2.75  # its fraction makes a second, with 999 reads
    tried.append((999, fine, _lifetime(trial, 999, fine, 1, 10**12)))
    wrong = [row for row in tried if row[2] not in _roundings(_share(*row[:2]))]
    if not wrong:
        return
    reads, seconds, got = wrong[0]
    whose = (
        advice
        for advice, mistake in _TTL_MISTAKES.items()
        if all(max(1, row[2]) in _roundings(max(1, mistake(*row[:2]))) for row in tried)
    )
    trial.fail(
        f"`ttl_for({reads}, {seconds}, 1, {10**12})` returned {got}: a tenth of the age, times "
        f"1 + log10(1 + {reads}), is {_share(reads, seconds):.3f}. {next(whose, '')}".rstrip()
    )


@ttl_for.check("a whole number, never below `least` nor above `most`", points=1)
def _stays_between(trial: Trial) -> None:
    rng = trial.rng
    reads, age = rng.randrange(1, 1000), rng.randrange(10**7, 10**8)
    least, most = rng.randrange(2, 20), rng.randrange(30, 300)
    cases: list[tuple[tuple[float, ...], int, str]] = [
        ((reads, 0), 30, "it has changed just now, and `least` is 30 if left out"),
        ((0, 299.5), 30, "a tenth of its age is below 30"),
        ((reads, age), 86_400, "`most` is a day if left out"),
        ((reads, math.inf), 86_400, "what has never changed has an infinite age"),
        ((0, 0, least), least, "it has changed just now"),
        ((0, 10 * least + 5.5, 1), least, "a tenth of its age, rounded down, is between"),
        ((reads, age, 30, most), most, "it is older than that allows"),
        ((0, math.inf, most, most), most, "the bounds leave one answer"),
        ((0, 0, 1, 1), 1, "the bounds leave one answer"),
    ]
    for args, expected, why in cases:
        trial.equal(_lifetime(trial, *args), expected, advice=f"Here {why}.")


@ttl_for.check("refuses what makes no sense with a ValueError", points=1)
def _refuses_nonsense(trial: Trial) -> None:
    _lifetime(trial, 1, 1)
    number = trial.rng.randrange(1, 1000)
    negative = "What changes in the future is a clock that is wrong."
    nan = "`nan < 0` is False, and so is every other comparison: ask `not x >= 0`."
    nonsense: list[tuple[tuple[float, ...], str]] = [
        ((-number, number), "A count cannot be negative."),
        ((number, -number), negative),
        ((number, -0.001), negative),
        ((math.nan, number), nan),
        ((number, math.nan), nan),
        ((number, number, 0), "Redis refuses a time to live of 0."),
        ((number, number, 60, 59), "No number is at least 60 and at most 59."),
    ]
    for args, why in nonsense:
        try:
            got = trial.call(*args)
        except AnswerRaised as raised:
            if isinstance(raised.__cause__, ValueError):
                continue
            trial.fail(f"{raised} Expected a ValueError. {why}")
        trial.fail(
            f"`ttl_for({', '.join(map(str, args))})` returned {got!r:.80}; expected a ValueError. "
            f"{why} A mistake of the caller's shows when it is refused, and hides when it is made "
            "to fit."
        )


# -- views of comments -----------------------------------------------------------------------------

# They register themselves as well.
from labkit.course.lessons import comment_views  # noqa: E402, F401  isort: skip

# -- quiz ----------------------------------------------------------------------------------------

choose_write = outline.quiz(
    "choose_write",
    "What would you do?",
    {
        "q1": Question(
            "why does who has saved an article delete its copy rather than set it",
            "order",
            {
                "order": "of two who save, the first may be the last to set, and the older article "
                "stays; two who delete leave nothing old, in whichever order.",
                "speed": "DEL and SET cost the same; the next reader even pays for a load.",
                "memory": "the article comes back with the next reader, and takes as much.",
                "expiry": "SET carries a time to live with `ex=`; that is no reason.",
            },
        ),
        "q2": Question(
            "database first, then DEL: the program is killed between the two. What do readers see",
            "the old article",
            {
                "the old article": "nobody else knows of the DEL that did not "
                "come: the time to live bounds it, and an outbox in the database ends it sooner.",
                "the new article": "the copy is still there, and hits do not ask the database.",
                "an error": "a hit is a hit: nothing tells a reader that it is old.",
                "nothing": "that is the right order undone: the DEL is what did not come.",
            },
        ),
        "q3": Question(
            "write-through: what comes first",
            "the mark",
            {
                "the mark": "then the database, then the cache: a crash after any of them leaves "
                "the old article with the old row, or the mark, or the new with the new.",
                "the cache": "if the database refuses, readers have seen what never was.",
                "the database": "a crash right after it leaves the old article in the cache.",
                "a delete": "a reader who has loaded the old article stores it after the DEL, and "
                "a crash leaves it there.",
            },
        ),
        "q4": Question(
            "write-behind keeps its queue in Redis, with AOF and `appendfsync everysec`. What may "
            "be lost of what was acknowledged, when the machine loses power",
            "the last second",
            {
                "nothing": "that is what `appendfsync always` buys, with a sync before each "
                "answer.",
                "the last second": "what was written since the last sync; killing the process "
                "alone loses nothing, since the system has the file's bytes.",
                "the whole queue": "the file is read again at the start: that is without AOF.",
                "what the worker had taken": "what is read and not acknowledged stays pending, and "
                "is handed to another worker.",
            },
        ),
        "q5": Question(
            "a tag is on a million values, and is dropped by generation. How many commands",
            "one",
            {
                "one": "the generation goes, and each value finds that out by itself when it is "
                "read.",
                "a thousand": "that is how SCAN would find them, a thousand at a time.",
                "a million": "that is an index of the tag's keys, and a DEL for each.",
            },
        ),
        "q6": Question(
            "the counter of a tag's generation is evicted and begins at 0 again. What may happen",
            "dropped values count again",
            {
                "dropped values count again": "a value of generation 0 may still be there: let a "
                "new generation be random, and a missing one count for nothing.",
                "every value is lost": "that is what happens when a missing generation counts for "
                "nothing: it costs loads, and nothing else.",
                "nothing": "it does, if a value that was loaded under 0 has not expired.",
            },
        ),
        "q7": Question(
            "of two articles, one has not changed for a year, the other was edited a minute ago. "
            "Which may live longer in the cache",
            "the one of last year",
            {
                "the one of last year": "what has not changed for long is not likely to change "
                "now: a share of the age is the rule that HTTP caches use.",
                "the one of a minute ago": "it is likely to be edited again: a correction follows "
                "soon, or never.",
                "both the same": "then it is too long for the one and too short for the other.",
            },
        ),
        "q8": Question(
            "two editors open the same article, and the second saves over the first. What keeps "
            "both edits",
            "a version check",
            {
                "a version check": "the second save is refused, and made anew on top of the first.",
                "deleting the copy": "the cache is right, and shows what the database lost.",
                "a shorter time to live": "the first edit is gone from the database already.",
                "write-behind": "the queue keeps the order of the two, and the second still wins.",
            },
        ),
    },
    hints=(
        "For each: who comes between two steps, what does a crash after each leave, and who finds "
        "out?",
        "q1 and q8 are about two writers, q2 and q3 about crashes, q4 about what a sync promises, "
        "q5 and q6 about generations. For q7, think of which one is likelier to change soon.",
        "q3 is `write_through`, q5 and q6 are `tag_cache`, q7 is `ttl_for`, q8 is "
        "`edit_with_version`: the exercises of this lesson do what is right. For q4, look at the "
        "name of the setting.",
    ),
    points=0.125,
)
