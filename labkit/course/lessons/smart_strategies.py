"""What lesson 08 checks of strategies: packed entities, and three ways to read and write them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import pickle
import re
import threading
from dataclasses import dataclass, make_dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import GenericAlias
from typing import TYPE_CHECKING, Any
from unittest import mock

from labkit.cache import QueueFull, Unavailable
from labkit.course.exercise import AnswerRaised, NotAttempted, PowerCut, _is_stub
from labkit.course.lessons.lesson_07_write_strategies import _comes_out
from labkit.course.lessons.lesson_08_smart_cache_api import outline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labkit.course.exercise import Trial


def _use(shown: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call what the answer made; `shown` is how that looks to the learner."""
    try:
        return function(*args)
    except (KeyboardInterrupt, PowerCut):
        raise
    except BaseException as error:
        if _is_stub(error):
            raise NotAttempted from error
        what = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise AnswerRaised(f"`{shown}` raised {what}.") from error


# -- an entity as a text -------------------------------------------------------------------------

packer = outline.exercise(
    "packer",
    "An entity as a text, and back",
    hints=(
        "Two things go into the text: the entity, and a version that says what the class looks "
        "like now. `unpack` answers None where that version is not its own. What has to be in the "
        "version, so that it changes with any field, also of a class inside?",
        "`dataclasses.fields(cls)` gives names and types; `typing.get_args(list[Author])` is "
        "`(Author,)`. A function that describes a type calls itself for what is inside, down to "
        "`int` and `str`. `msgspec.json.Decoder(tuple[str, cls])` reads a version and an entity, "
        "and refuses what has other types with a `msgspec.MsgspecError`.",
        "`shape(kind)`: of a dataclass its name, and of each field the name and `shape(type)`; of "
        "another type the name of `typing.get_origin(kind) or kind`, and `shape` of each of "
        "`typing.get_args(kind)`. `version = shape(cls)`; pack `msgspec.json.encode((version, "
        "entity)).decode()`; in unpack decode, None for a `MsgspecError`, None for another "
        "version.",
    ),
)

_FOUND_NOTHING = (
    "`unpack` returned None for what `pack` had made of an entity of the class as it is now"
)


class _Packer:
    """What the answer made for a class."""

    def __init__(self, trial: Trial, cls: type) -> None:
        self._trial = trial
        made = trial.call(cls)
        if type(made) not in (tuple, list) or len(made) != 2 or not all(map(callable, made)):
            trial.fail(
                f"Your function returned {made!r:.80}; expected two functions: `return pack, "
                "unpack`."
            )
        self._pack, self._unpack = made

    def pack(self, entity: object) -> str:
        with self._trial.explain(
            pickle.PicklingError,
            "Pickle is not for what others can write to: `pickle.loads` runs whatever a text tells "
            "it to. Write JSON.",
        ):
            text = _use(f"pack({entity!r:.200})", self._pack, entity)
        self._trial.require(
            type(text) is str,
            f"`pack` returned {text!r:.80}, of the type {type(text).__name__}; expected a str.",
        )
        return str(text)

    def unpack(self, text: str) -> Any:
        try:
            return _use(f"unpack({text!r:.160})", self._unpack, text)
        except AnswerRaised as raised:
            raise AnswerRaised(
                f"{raised} What cannot be read is a miss, and no error: answer None."
            ) from raised.__cause__


def _class(name: str, *fields: Any) -> type:
    """A dataclass, made anew at each call as in a process of its own."""
    return make_dataclass(name, fields, frozen=True)


def _apart(got: Any, expected: Any, path: str) -> str | None:
    """Where two values differ first, in words; None where they are the same, in type too."""
    if type(got) is not type(expected):
        return (
            f"{path} is {got!r:.120} ({type(got).__name__}); expected {expected!r:.120} "
            f"({type(expected).__name__})"
        )
    if dataclasses.is_dataclass(expected):
        names = [field.name for field in dataclasses.fields(expected)]
        pairs = [(getattr(got, n, None), getattr(expected, n, None), f"{path}.{n}") for n in names]
    elif isinstance(expected, list | tuple) and len(got) == len(expected):
        pairs = [
            (*both, f"{path}[{place}]")
            for place, both in enumerate(zip(got, expected, strict=True))
        ]
    else:
        return None if got == expected else f"{path} is {got!r:.120}; expected {expected!r:.120}"
    return next((told for pair in pairs if (told := _apart(*pair))), None)


def _moment(trial: Trial) -> datetime:
    zone = timezone(timedelta(minutes=trial.rng.choice((-480, 0, 60, 330))))
    return datetime(2026, 1, 1, tzinfo=zone) + timedelta(
        seconds=trial.rng.randrange(10**7), microseconds=trial.rng.randrange(1, 10**6)
    )


def _number(trial: Trial) -> int:
    return trial.rng.randrange(10**6, 10**9)


def _author(cls: type, trial: Trial) -> Any:
    return cls(_number(trial), trial.word())


_AWKWARD = (
    "",
    "null",
    "1",
    "2026-11-27T08:00:00+00:00",
    'He said "late"\\ \n\x00',
    "Zo\u00eb \U0001f98a",
    "']] __import__('os')",
)


def _typed(trial: Trial) -> list[tuple[Any, list[Any]]]:
    """Types, and values of each."""
    rng = trial.rng
    author = _class("Author", ("id", int), ("name", str))
    tag = _class("Tag", ("name", str), ("by", author | None), ("since", datetime))
    one, two = _author(author, trial), _author(author, trial)
    return [
        (int, [_number(trial), -_number(trial), 0, 2**53 + 1]),
        (float, [float(rng.randrange(1000)), rng.random(), -1e-9]),
        (str, [trial.word(), *_AWKWARD]),
        (bool, [True, False]),
        (datetime, [_moment(trial), datetime(2026, 11, 27, 8, tzinfo=UTC)]),
        (int | None, [_number(trial), 0, None]),
        (str | None, [trial.word(), "", None]),
        (datetime | None, [_moment(trial), None]),
        (tuple[int, ...], [(1, _number(trial)), ()]),
        (tuple[str, float, datetime], [(trial.word(), 2.0, _moment(trial))]),
        (list[str], [trial.words(3), []]),
        (list[tuple[int, bool]], [[(1, True), (0, False)]]),
        (author, [one]),
        (author | None, [one, None]),
        (GenericAlias(list, (author,)), [[one, two], []]),
        (GenericAlias(tuple, (author, ...)), [(two, one)]),
        (tag, [tag(trial.word(), two, _moment(trial)), tag(trial.word(), None, _moment(trial))]),
        (GenericAlias(list, (tag,)), [[tag(trial.word(), one, _moment(trial))]]),
    ]


@packer.check("what comes back is equal, in type too", points=1)
def _comes_back(trial: Trial) -> None:
    typed = _typed(trial)
    for kind, values in typed:
        cls = _class("Box", ("value", kind))
        both = _Packer(trial, cls)
        for value in values:
            _as_it_was(trial, both, cls(value), f"a class with a field `value: {_name(kind)}`")
    names = [f"{trial.word(4)}{place}" for place in range(len(typed))]
    cls = _class("Article", *zip(names, (kind for kind, _ in typed), strict=True))
    entity = cls(*(trial.rng.choice(values) for _, values in typed))
    _as_it_was(trial, _Packer(trial, cls), entity, "a class with a field of each type")


def _as_it_was(trial: Trial, both: _Packer, entity: Any, of: str) -> None:
    got = both.unpack(both.pack(entity))
    trial.require(got is not None, f"{_FOUND_NOTHING}: {entity!r:.160}, of {of}.")
    told = _apart(got, entity, type(entity).__name__)
    trial.require(told is None, f"Of {of}, {told}, as it went into `pack`.")


def _name(kind: Any) -> str:
    """A type as one writes it."""
    if type(kind) is type:
        return str(kind.__name__)
    return re.sub(r"[\w.]+\.(\w+)", r"\1", str(kind))


_VERSION = (
    "Put a version into the text that is made of the names and the types of all fields, also of "
    "the classes inside."
)


@packer.check("what another version of the class has packed is None", points=1.5)
def _versions(trial: Trial) -> None:
    number, text = _number(trial), trial.word()
    fields: list[Any] = [("id", int), ("title", str), ("read", int), ("ids", list[int])]
    values = (number, text, 7, [1, 2])
    new = trial.word(5)
    changes: list[tuple[str, list[Any], tuple[Any, ...]]] = [
        (
            f"the field `{new}: int = 0` more",
            [*fields, (new, int, dataclasses.field(default=0))],
            (*values, 5),
        ),
        ("the field `ids` less", fields[:3], values[:3]),
        (f"`title` renamed to `{new}`", [fields[0], (new, str), *fields[2:]], values),
        (
            f"`ids` renamed to `{new}`, with a default",
            [*fields[:3], (new, list[int], dataclasses.field(default_factory=list))],
            values,
        ),
    ]
    retyped: tuple[tuple[Any, Any, Any], ...] = (
        (int, str, "7"),
        (int, float, 7.0),
        (int, int | None, 7),
        (int, bool, True),
    )
    for was, becomes, value in retyped:
        changes.append(
            (
                f"`read: {_name(was)}` turned into `read: {_name(becomes)}`",
                [*fields[:2], ("read", becomes), fields[3]],
                (*values[:2], value, values[3]),
            )
        )
    lists: tuple[tuple[Any, Any], ...] = (
        (tuple[int, ...], (1, 2)),
        (list[float], [1.0, 2.0]),
        (list[str], ["1"]),
    )
    for kind, value in lists:
        changes.append(
            (
                f"`ids: list[int]` turned into `ids: {_name(kind)}`",
                [*fields[:3], ("ids", kind)],
                (*values[:3], value),
            )
        )
    old = _class("Article", *fields)
    for what, changed, others in changes:
        _do_not_read(trial, what, old(*values), _class("Article", *changed)(*others))
    some, two = (_class("Article", ("ids", kind)) for kind in (tuple[int, ...], tuple[int, int]))
    _do_not_read(
        trial,
        "`ids: tuple[int, ...]` turned into `ids: tuple[int, int]`",
        some((number, 2)),
        two((number, 2)),
    )
    _inside(trial, new)


def _inside(trial: Trial, new: str) -> None:
    """The same for a class that is the type of a field, or stands in the type of one."""
    number, name = _number(trial), trial.word()
    author = _class("Author", ("id", int), ("name", str))
    wider = (new, str, dataclasses.field(default=""))
    others = {
        f"the field `{new}: str = ''` more": _class("Author", ("id", int), ("name", str), wider)(
            number, name, "x"
        ),
        f"`name` renamed to `{new}`": _class("Author", ("id", int), (new, str))(number, name),
        "`id: int` turned into `id: float`": _class("Author", ("id", float), ("name", str))(
            float(number), name
        ),
    }
    before = author(number, name)
    forms: list[tuple[str, Callable[[type], Any], Callable[[Any], Any]]] = [
        ("by: Author", lambda cls: cls, lambda one: one),
        ("by: Author | None", lambda cls: cls | None, lambda one: one),
        ("by: list[Author]", lambda cls: GenericAlias(list, (cls,)), lambda one: [one]),
        (
            "by: tuple[str, Author]",
            lambda cls: GenericAlias(tuple, (str, cls)),
            lambda one: (name, one),
        ),
        (
            "by: Desk` and Desk's `head: Author",
            lambda cls: _class("Desk", ("head", cls)),
            lambda one: _class("Desk", ("head", type(one)))(one),
        ),
    ]
    for what, after in others.items():
        for shown, kind, holds in forms:
            entities = []
            for one in (before, after):
                inner = kind(type(one))
                value = inner(one) if "Desk" in shown else holds(one)
                entities.append(_class("Article", ("by", inner))(value))
            _do_not_read(
                trial, f"`{shown}` as before, and in Author {what}", entities[0], entities[1]
            )
    writer = _class("Writer", ("id", int), ("name", str))
    for shown, kind, holds in forms[:4]:
        one, other = (
            _class("Article", ("by", kind(cls)))(holds(cls(number, name)))
            for cls in (author, writer)
        )
        told = f"`{shown}` turned into `{shown.replace('Author', 'Writer')}`"
        _do_not_read(trial, f"{told}, of a class with the same fields", one, other)


def _do_not_read(trial: Trial, what: str, before: Any, after: Any) -> None:
    """Demand that neither version reads what the other one has packed."""
    packers = [_Packer(trial, type(entity)) for entity in (before, after)]
    texts = [both.pack(entity) for both, entity in zip(packers, (before, after), strict=True)]
    for both, entity, text in zip(packers, (before, after), texts, strict=True):
        trial.require(both.unpack(text) is not None, f"{_FOUND_NOTHING}: {entity!r:.160}.")
    for both, text, whose in (
        (packers[1], texts[0], "the new class, of what the old one packed"),
        (packers[0], texts[1], "the old class, of what the new one packed"),
    ):
        got = both.unpack(text)
        trial.require(
            got is None,
            f"A class has {what}, and `unpack` of {whose}, answered {got!r:.120}; expected None. "
            + _VERSION,
        )


@packer.check("damaged text, another class, JSON that is no entity: None", points=1)
def _unreadable(trial: Trial) -> None:
    fields = [("id", int), ("title", str), ("read", int), ("hidden", bool)]
    number, title, read = _number(trial), trial.word(12), _number(trial)
    cls = _class("Article", *fields)
    both = _Packer(trial, cls)
    text = both.pack(cls(number, title, read, False))
    trial.require(both.unpack(text) is not None, f"{_FOUND_NOTHING}: {text!r:.120}.")
    other = _Packer(trial, _class("Draft", *fields))
    trial.require(
        other.unpack(text) is None,
        "`unpack` of a class Draft made a Draft of what `pack` of Article, which has the same "
        "fields, had made. Put the name of the class into the version too.",
    )
    ends = sorted({0, 1, len(text) - 1, *(trial.rng.randrange(len(text)) for _ in range(20))})
    damaged = [("is cut off", text[:end]) for end in ends]
    damaged += [("goes on after its end", text + more) for more in ("x", "}", text)]
    for was, becomes in (
        (str(number), f'"{title}"'),
        (str(read), "null"),
        (str(read), "true"),
        (f'"{title}"', "17"),
        (f'"{title}"', '["a"]'),
        ("false", "0"),
        ("false", '"no"'),
    ):
        if was in text:
            told = f"has {becomes} where {was} stood, a value of another type than its field's"
            damaged.append((told, text.replace(was, becomes)))
    for how, broken in damaged:
        _is_none(trial, both, broken, f"A text {how}")
    for json_text in (
        *("null", "true", "17", '"text"', "[]", "{}", "[[]]", "[null, null]", "absent"),
        *('{"id": 1}', '[1, "a", 2, false]', f'{{"id": {number}, "title": "{title}"}}'),
    ):
        _is_none(trial, both, json_text, "A text that was never packed")
    _wrong_inside(trial)


def _wrong_inside(trial: Trial) -> None:
    """Demand that types are looked at within lists, tuples and classes, too."""
    author = _class("Author", ("id", int), ("name", str))
    numbers = trial.rng.sample(range(10**6, 10**9), 3)
    fields = [("ids", list[int]), ("seen", tuple[str, int]), ("by", author | None)]
    entity = _class("Article", *fields)(
        [1, numbers[0]], (trial.word(), numbers[1]), author(numbers[2], trial.word())
    )
    both = _Packer(trial, type(entity))
    text = both.pack(entity)
    for number, where in zip(
        numbers, ("ids: list[int]", "seen: tuple[str, int]", "by: Author | None"), strict=True
    ):
        if str(number) in text:
            _is_none(
                trial,
                both,
                text.replace(str(number), '"a"'),
                f'A text has "a" where {number} stood, within the field `{where}`',
            )


def _is_none(trial: Trial, both: _Packer, text: str, what: str) -> None:
    got = both.unpack(text)
    trial.require(
        got is None, f"{what}, {text!r:.120}, and `unpack` answered {got!r:.80}; expected None."
    )


@packer.check("any process reads it, and nothing in it is executed", points=0.5)
def _every_process(trial: Trial) -> None:
    number, name = _number(trial), trial.word()

    def classes() -> tuple[type, Any]:
        author = _class("Author", ("id", int), ("name", str))
        cls = _class("Article", ("id", int), ("by", author | None))
        return cls, cls(number, author(number, name))

    texts, readers = [], []
    for process in (1, 2):
        with _hashes(process):
            cls, entity = classes()
            both = _Packer(trial, cls)
            texts.append(both.pack(entity))
            readers.append(both)
    for process, (both, text) in enumerate(zip(readers, reversed(texts), strict=True), 1):
        with _hashes(process):
            got = both.unpack(text)
        trial.require(
            got is not None,
            "What one process had packed, another process with the same class could not read. A "
            "text's `hash()` and an object's `id()` differ from one process to the next: make the "
            "version of names, as a text, or with `hashlib`.",
        )
    executed = _executed(lambda: readers[0].unpack(texts[0]))
    trial.require(
        not executed,
        f"`unpack` calls `{', '.join(executed)}`, which runs whatever stands in the text. Whoever "
        "can write to Redis could run code in your program: read JSON.",
    )


@contextlib.contextmanager
def _hashes(process: int) -> Iterator[None]:
    """As in a process of its own, where the hashes of texts are others."""
    real = hash
    with mock.patch("builtins.hash", lambda value: real(value) ^ process):
        yield


def _executed(call: Callable[[], object]) -> list[str]:
    """Which of those that run what they read are called."""
    found: dict[str, None] = {}

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            found[name] = None
            return real(*args, **kwargs)

        return noted

    call()  # what is imported at the first call runs code too, its own
    with (
        mock.patch("builtins.eval", watched("eval", eval)),
        mock.patch("builtins.exec", watched("exec", exec)),
        mock.patch("pickle.loads", watched("pickle.loads", pickle.loads)),
        mock.patch("pickle.Unpickler", watched("pickle.Unpickler", pickle.Unpickler)),
    ):
        call()
    return list(found)


# -- a backend and a source, as a strategy sees them ---------------------------------------------

_ABSENT = "absent"


class Cancelled(BaseException):
    """Ends a call from outside, as a Ctrl-C or a cancelled task does."""


class Unpackable(Exception):
    """What `pack` raises."""


@dataclass(frozen=True)
class Note:
    """What is cached. One with an empty text is false, as an empty list is."""

    text: str

    def __bool__(self) -> bool:
        return bool(self.text)


def _pack(note: Note) -> str:
    if note.text.startswith("?"):
        raise Unpackable(f"{note!r} cannot be packed")
    return note.text


def _unpack(text: str) -> Note | None:
    return None if text.startswith("?") else Note(text)


class _Double:
    """Stands for another layer: tells what it was asked, and does as the check says.

    Attributes:
        events: What was asked, in order, in all layers that share it: the name, and arguments.
        errors: What each method raises.
        before: What happens before a method takes effect, and `after` once it has; each once.
    """

    def __init__(self, events: list[tuple[Any, ...]]) -> None:
        self.events = events
        self.errors: dict[str, BaseException] = {}
        self.before: dict[str, Callable[[], object]] = {}
        self.after: dict[str, Callable[[], object]] = {}

    @contextlib.contextmanager
    def _asked(self, method: str, *args: Any) -> Iterator[None]:
        self.events.append((method, *args))
        self.before.pop(method, _nothing)()
        if method in self.errors:
            raise self.errors[method]
        yield
        self.after.pop(method, _nothing)()


def _nothing() -> None:
    """What happens where nothing does."""


class _Backend(_Double):
    """A backend that keeps texts until it is told otherwise."""

    def __init__(self, events: list[tuple[Any, ...]]) -> None:
        super().__init__(events)
        self.texts: dict[str, str] = {}
        self.ttls: dict[str, Any] = {}

    def get(self, key: str) -> str | None:
        with self._asked("get", key):
            return self.texts.get(key)

    def set(self, key: str, text: str, ttl: float | None = None) -> None:
        with self._asked("set", key, text, ttl):
            self.texts[key] = text
            self.ttls[key] = ttl

    def delete(self, key: str) -> None:
        with self._asked("delete", key):
            self.texts.pop(key, None)


class _Source(_Double):
    """A database of notes."""

    def __init__(self, events: list[tuple[Any, ...]]) -> None:
        super().__init__(events)
        self.rows: dict[Any, Note] = {}

    def load(self, id: Any) -> Note | None:  # noqa: A002 - as learners name it
        with self._asked("load", id):
            return self.rows.get(id)

    def load_many(self, ids: Sequence[Any]) -> dict[Any, Note]:
        with self._asked("load_many", list(ids)):
            return {each: self.rows[each] for each in ids if each in self.rows}

    def save(self, id: Any, entity: Note) -> None:  # noqa: A002 - as learners name it
        with self._asked("save", id, entity):
            self.rows[id] = entity

    def save_many(self, entities: dict[Any, Note]) -> None:
        with self._asked("save_many", dict(entities)):
            self.rows.update(entities)


class _Stage:
    """The answer between a backend and a source.

    Attributes:
        ttl: Its time to live, and `name` what its keys begin with.
        id: An entity's id, and `key` its key.
        old: What the source has; `new` is what is to be written.
    """

    def __init__(self, trial: Trial, *more: Any) -> None:
        self.trial = trial
        self.events: list[tuple[Any, ...]] = []
        self.backend = trial.named("backend", _Backend(self.events))
        self.source = trial.named("source", _Source(self.events))
        self.ttl = float(trial.rng.randrange(20, 900))
        self.name = trial.word(5)
        self.id = trial.rng.randrange(1, 100_000)
        self.key = self.key_of(self.id)
        self.old, self.new = Note(trial.word()), Note(trial.word(10))
        self.source.rows[self.id] = self.old
        trial.named("pack", _pack)
        trial.named("unpack", _unpack)
        with _telling_locks(trial._answer):
            self._made = trial.call(
                self.backend, self.source, _pack, _unpack, self.ttl, self.name, *more
            )

    def key_of(self, id: Any) -> str:  # noqa: A002 - as learners name it
        """The key of an entity."""
        return f"{self.name}:{id}"

    def read(self, id: Any = None) -> Any:  # noqa: A002 - as learners name it
        """Read an entity; the one with `self.id` if not told which."""
        return self._use("read", self.id if id is None else id)

    def write(self, entity: Note, id: Any = None) -> Any:  # noqa: A002 - as learners name it
        """Write an entity; under `self.id` if not told where."""
        return self._use("write", self.id if id is None else id, entity)

    def flush(self, batch: int = 100) -> Any:
        """Flush a write-behind."""
        return self._use("flush", batch)

    def _use(self, method: str, *args: Any) -> Any:
        function = getattr(self._made, method, None)
        if not callable(function):
            self.trial.fail(f"{self._made!r:.60} has no method `{method}`.")
        return _use(f"{method}({', '.join(f'{arg!r:.60}' for arg in args)})", function, *args)

    def raises(self, error: BaseException, call: Callable[[], Any], source: str, why: str) -> None:
        """Demand that an error comes out of a call.

        Args:
            error: The error.
            call: Calls the answer.
            source: What raised it, as the learner knows it.
            why: Why it has to reach the caller.
        """
        _comes_out(self.trial, error, call, source, why, answer="method")

    def asked(self, method: str) -> int:
        """How often a method was asked."""
        return sum(event[0] == method for event in self.events)

    @property
    def told(self) -> str:
        """What was asked, in words."""
        return ", ".join(event[0] for event in self.events) or "nothing"

    @property
    def cached(self) -> str | None:
        """The text under the key."""
        return self.backend.texts.get(self.key)

    def kept(self, text: str, ttl: float, what: str, why: str = "") -> None:
        """Demand that the text stands under the key, for so many seconds, and nothing else."""
        found = self.backend.texts
        self.trial.require(
            self.key in found,
            f"{what}, and nothing stands under {self.key} in the backend, which holds "
            f"{sorted(found)}. {why}".rstrip(),
        )
        self.trial.equal(found[self.key], text, f"{what}: the text under {self.key}", advice=why)
        got = self.backend.ttls[self.key]
        self.trial.require(
            type(got) in (int, float) and math.isclose(got, ttl),
            f"{what}: its time to live is {got!r}; expected {ttl} seconds.",
        )


# -- read through --------------------------------------------------------------------------------

read_through = outline.exercise(
    "ReadThrough",
    "Read through the cache, write past it",
    hints=(
        "A read has three steps: look, load, keep. Two of them ask the backend, which may be away; "
        "one asks the source, and whatever it raises is the caller's. So there are two small "
        "`try`, and the load stands in neither.",
        "Look: `text = self.backend.get(key)`, or None where that raises `Unavailable`. The text "
        "`ABSENT` is an answer: None. Another text goes through `unpack`, and if that gives an "
        "entity, it is the answer: compare with None, an entity may be false. A write: what has "
        "to happen even if `save` raises?",
        "After the look: `entity = self.source.load(id)`; `try: self.backend.set(key, ABSENT, "
        "self.ttl / 10)` if it is None, else with `self.pack(entity)` and `self.ttl`; `except "
        "Unavailable: pass`; return it. `write`: `try: self.source.save(id, entity)`, `finally: "
        "self.backend.delete(self.key(id))`.",
    ),
)

_EMPTY = "An empty text is a text, and an entity may be false: compare with None."


@read_through.check("a hit is one look; a miss is loaded once and kept", points=1)
def _reads(trial: Trial) -> None:
    for note in (Note(trial.word()), Note("")):
        stage = _Stage(trial)
        stage.source.rows[stage.id] = note
        trial.equal(stage.read(), note, f"read({stage.id}), with nothing cached")
        trial.require(
            stage.asked("load") == 1,
            f"A miss asked the source {stage.asked('load')} times to load; expected once.",
        )
        stage.kept(note.text, stage.ttl, "A miss was loaded", "" if note else _EMPTY)
        stage.events.clear()
        got = stage.read()
        trial.require(
            not stage.asked("load"),
            f"{note.text!r} stands under {stage.key}, and the source was asked again. "
            + ("" if note else _EMPTY),
        )
        trial.equal(got, note, f"read({stage.id}), from the cache")
        trial.require(
            stage.events == [("get", stage.key)],
            f"A hit is one `get` and nothing else; yours asked for {stage.told}.",
        )
        stage.source.rows[stage.id] = stage.new
        stage.backend.texts.clear()
        trial.equal(
            stage.read(),
            stage.new,
            f"read({stage.id}), once the backend has let go of it and the source has another",
            advice="The backend is what remembers; keep nothing in the object itself.",
        )


@read_through.check("remembers that there is nothing; replaces what it cannot read", points=0.5)
def _nothing_and_unreadable(trial: Trial) -> None:
    stage = _Stage(trial)
    del stage.source.rows[stage.id]
    trial.equal(stage.read(), None, f"read({stage.id}), of which the source has nothing")
    stage.kept(
        _ABSENT,
        stage.ttl / 10,
        "The source has nothing",
        "Remember that too, as the text ABSENT, for a tenth of the time.",
    )
    trial.equal(stage.read(), None, f"read({stage.id}), with {_ABSENT!r} under its key")
    trial.require(
        stage.asked("load") == 1,
        f"{_ABSENT!r} stands under {stage.key}, and the source was asked once more.",
    )
    for row in (Note(trial.word()), None):
        stage = _Stage(trial)
        stage.source.rows = {stage.id: row} if row else {}
        stage.backend.texts[stage.key] = f"?{trial.word()}"
        what = f"read({stage.id}), where `unpack` answers None for the text under its key"
        trial.equal(stage.read(), row, what, advice="That is a miss: load it.")
        trial.equal(stage.asked("load"), 1, f"how often the source was asked by {what}")
        stage.kept(
            row.text if row else _ABSENT,
            stage.ttl if row else stage.ttl / 10,
            "What stood under the key could not be read",
            "Replace it, or every reader loads.",
        )


@read_through.check("a backend that is away breaks no read; the source's errors do", points=0.5)
def _survives(trial: Trial) -> None:
    for away in (("get",), ("set",), ("get", "set", "delete")):
        for found in (True, False):
            stage = _Stage(trial)
            row = stage.old if found else None
            stage.source.rows = {stage.id: stage.old} if found else {}
            stage.backend.errors = dict.fromkeys(away, Unavailable("no answer"))
            with trial.explain(
                Unavailable, f"`{away[0]}` of the backend raised it: a read goes on without."
            ):
                got = stage.read()
            trial.equal(got, row, f"read({stage.id}), with a backend whose {away} raise")
            trial.require(
                stage.asked("load") == 1,
                f"With a backend whose {' and '.join(away)} raise Unavailable the source was asked "
                f"{stage.asked('load')} times in one read; expected once. Keep the load out of "
                "both `try`.",
            )
    for error in (TimeoutError("no answer"), Unavailable("the database"), Cancelled("the end")):
        stage = _Stage(trial)
        stage.source.errors["load"] = error
        stage.raises(error, stage.read, "`source.load`", "that is no miss, and the caller's.")
        trial.require(
            stage.asked("load") == 1,
            f"`source.load` raised {type(error).__name__} and was called {stage.asked('load')} "
            "times; expected once. Only the backend's Unavailable is yours to catch.",
        )
        trial.require(
            not stage.backend.texts,
            f"`source.load` raised, and {stage.cached!r} was stored: nobody knows yet.",
        )
    for method in ("get", "set"):
        stage = _Stage(trial)
        broken = RuntimeError("a bug")
        stage.backend.errors[method] = broken
        stage.raises(
            broken, stage.read, f"`backend.{method}`", "catch Unavailable and nothing else."
        )


@read_through.check("a write saves, and then lets go of the copy, whatever comes", points=1)
def _writes(trial: Trial) -> None:
    stage = _Stage(trial)
    stage.backend.texts = {stage.key: stage.old.text, f"{stage.key}1": "another"}
    stage.write(stage.new)
    _saved_once(stage)
    trial.require(
        not stage.asked("set"),
        f"`write` stored {stage.cached!r}. Of two who write at once the first may be the last to "
        "store, and the older stays: delete, do not set.",
    )
    _is_gone(stage, "It was written")
    trial.equal(
        stage.backend.texts,
        {f"{stage.key}1": "another"},
        "what the backend holds after a write",
    )
    stage = _Stage(trial)

    def read_old() -> None:
        stage.backend.texts[stage.key] = stage.old.text

    stage.source.before["save"] = read_old
    stage.write(stage.new)
    trial.require(
        stage.cached is None,
        "Before the source had saved, a reader loaded and stored the old one, and it is still "
        "there: save first, and then delete.",
    )
    for error in (TimeoutError("no answer"), Unavailable("the database"), Cancelled("the end")):
        stage = _Stage(trial)
        stage.backend.texts[stage.key] = stage.old.text
        stage.source.errors["save"] = error
        stage.raises(
            error,
            functools.partial(stage.write, stage.new),
            "`source.save`",
            "it is the caller's.",
        )
        _saved_once(stage)
        _is_gone(
            stage,
            f"`source.save` raised {type(error).__name__} (it may have saved all the same)",
        )
    stage = _Stage(trial)
    away = Unavailable("no answer")
    stage.backend.errors["delete"] = away
    stage.raises(
        away,
        lambda: stage.write(stage.new),
        "`backend.delete`",
        "readers may go on seeing the old one, and somebody has to know.",
    )
    trial.equal(stage.source.rows[stage.id], stage.new, "the source's row, with the backend away")


def _saved_once(stage: _Stage) -> None:
    """Demand that the source was given the new entity, once."""
    saves = [event[1:] for event in stage.events if event[0] == "save"]
    stage.trial.equal(
        saves, [(stage.id, stage.new)], "what `source.save` was called with", advice="Save it once."
    )


def _is_gone(stage: _Stage, what: str) -> None:
    stage.trial.require(
        stage.cached is None,
        f"{what}, and {stage.key} still holds {stage.cached!r}. Delete the key, whichever way "
        "`save` ends.",
    )
    deletes = stage.asked("delete")
    stage.trial.require(
        deletes == 1, f"{what}, and `backend.delete` was called {deletes} times; expected once."
    )


# -- write through -------------------------------------------------------------------------------

write_through = outline.exercise(
    "WriteThrough",
    "Write to both, as one",
    hints=(
        "Four steps: pack, delete, save, set. Go through them one by one: if this one raises, what "
        "has been written by then, and what do readers find?",
        "Pack and delete come first: if they raise, nothing has changed and the error goes on by "
        "itself. After a `save` that raised delete once more, since a reader may have put the old "
        "one back, and raise again; that is for every exception, so `except BaseException:`.",
        "`text = self.pack(entity)`; `self.backend.delete(key)`; `try: self.source.save(id, "
        "entity)`, `except BaseException:` delete and `raise`; then `try: self.backend.set(key, "
        "text, self.ttl)`, `except Unavailable: pass`. Two `try`: the source may raise Unavailable "
        "too.",
    ),
)


@write_through.check("takes the old one out, saves, and puts the new one in", points=0.5)
def _in_order(trial: Trial) -> None:
    for new in (Note(trial.word()), Note("")):
        stage = _Stage(trial)
        stage.new = new
        stage.backend.texts[stage.key] = stage.old.text
        found: list[str | None] = []

        def look(stage: _Stage = stage, found: list[str | None] = found) -> None:
            found.append(stage.cached)

        stage.source.before["save"] = look
        stage.write(new)
        _saved_once(stage)
        trial.require(
            found != [new.text],
            "While the source was saving, readers found the new one in the cache already: if the "
            "save fails, they have seen what never was. Store after the save.",
        )
        trial.require(
            found == [None],
            f"While the source was saving, {stage.key} held {found[0]!r}. Take the old one out "
            "first: after a crash it would stay, beside a new row.",
        )
        stage.kept(new.text, stage.ttl, "It was written", "Store the new one after the save.")
        trial.require(
            stage.told == "delete, save, set",
            f"A write is delete, save and set, each once; yours was {stage.told}.",
        )
    stage = _Stage(trial)

    def read_old() -> None:
        stage.backend.texts[stage.key] = stage.old.text

    stage.source.before["save"] = read_old
    stage.write(stage.new)
    stage.kept(
        stage.new.text, stage.ttl, "While the source was saving, a reader put the old one back"
    )


@write_through.check("refuses before anything is written", points=0.5)
def _refuses(trial: Trial) -> None:
    stage = _Stage(trial)
    stage.backend.texts[stage.key] = stage.old.text
    _refuses_unpackable(stage)
    stage = _Stage(trial)
    stage.backend.texts[stage.key] = stage.old.text
    away = Unavailable("no answer")
    stage.backend.errors = dict.fromkeys(("get", "set", "delete"), away)
    stage.raises(
        away,
        lambda: stage.write(stage.new),
        "`backend.delete`",
        "the old one could not be taken out, so nothing may be written.",
    )
    trial.require(
        not stage.asked("save"),
        "The backend was away, the old one could not be taken out, and the source was written all "
        "the same: now readers find the old one beside a new row.",
    )


@write_through.check("a save that raises leaves no value, and the error goes on", points=0.5)
def _save_fails(trial: Trial) -> None:
    for error in (TimeoutError("no answer"), Unavailable("the database"), Cancelled("the end")):
        for comes_back in (False, True):
            stage = _Stage(trial)
            stage.backend.texts[stage.key] = stage.old.text
            stage.source.errors["save"] = error

            def read_old(stage: _Stage = stage) -> None:
                stage.backend.texts[stage.key] = stage.old.text

            if comes_back:
                stage.source.before["save"] = read_old
            stage.raises(
                error,
                functools.partial(stage.write, stage.new),
                "`source.save`",
                "it is the caller's.",
            )
            _saved_once(stage)
            trial.require(
                stage.cached != stage.new.text,
                f"`source.save` raised {type(error).__name__}, and {stage.key} holds the new one.",
            )
            trial.require(
                stage.cached is None,
                f"`source.save` raised {type(error).__name__}, and {stage.key} holds "
                f"{stage.cached!r}"
                + (", which a reader had put back meanwhile" if comes_back else "")
                + ". The source may have written all the same: delete once more, whatever it "
                "raises.",
            )


@write_through.check("a backend that is away at the end changes nothing for the caller", points=0.5)
def _end_fails(trial: Trial) -> None:
    for away in (("set",), ("get", "set", "delete")):
        stage = _Stage(trial)
        stage.backend.texts[stage.key] = stage.old.text

        def go_away(stage: _Stage = stage, away: Sequence[str] = away) -> None:
            stage.backend.errors = dict.fromkeys(away, Unavailable("no answer"))

        stage.source.after["save"] = go_away
        with trial.explain(
            Unavailable,
            f"`{away[-1]}` of the backend raised it, after the save: the write stands, so return.",
        ):
            stage.write(stage.new)
        _saved_once(stage)
        trial.equal(stage.source.rows[stage.id], stage.new, "the source's row")
        trial.require(
            stage.cached is None, f"{stage.key} holds {stage.cached!r}; expected no value."
        )
    stage = _Stage(trial)
    broken = RuntimeError("a bug")
    stage.backend.errors["set"] = broken
    stage.raises(
        broken,
        lambda: stage.write(stage.new),
        "`backend.set`",
        "catch Unavailable and nothing else.",
    )


def _refuses_unpackable(stage: _Stage) -> None:
    """Demand that what `pack` raises reaches the caller, before anything else is asked."""
    try:
        got = stage.write(Note("?"), stage.id)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, Unpackable):
            raise
    else:
        stage.trial.fail(
            f"`pack` raised Unpackable, and your method returned {got!r}: let it through."
        )
    stage.trial.require(
        not stage.events,
        f"`pack` raised, and by then your method had asked for {stage.told}. Pack first: what "
        "cannot be packed is refused before anything changes.",
    )


# -- write behind --------------------------------------------------------------------------------

write_behind = outline.exercise(
    "WriteBehind",
    "Write now, save later",
    hints=(
        "`self.waiting = {}` keeps the latest entity of each id, in the order of the first wait: "
        "setting a key that is there leaves it in its place. Which steps of `write` belong "
        "together, and which steps of `flush` must hold no lock?",
        "One lock guards `waiting`: in `write` around the look at its length, the `backend.set` "
        "and the note, so that two threads cannot mix them. `flush` takes it to copy what waits, "
        "lets go of it while `save_many` runs, and takes it again to remove what has not changed. "
        "A second lock lets one flush run at a time.",
        "`flush`: `with self.flushing:` copy `list(self.waiting.items())` under the lock; for each "
        "slice of `batch` of them `part = dict(slice)`, `self.source.save_many(part)`, and under "
        "the lock `for id, entity in part.items(): if self.waiting[id] is entity: del "
        "self.waiting[id]`. Return the length of the copy. `read` stores what it has loaded under "
        "the lock too, and only if the id does not wait.",
    ),
)

# For how many seconds another thread may neither end nor tell that it waits for a lock; one that
# was not made in `__init__` tells nothing. A thread that nothing keeps from ending gets `_LONG`.
_PATIENCE = 0.5
_LONG = 5.0
_REAL: dict[str, Any] = {"Lock": threading.Lock, "RLock": threading.RLock}


class Deadlock(RuntimeError):
    """A thread waits for a lock that it holds itself."""


class _TellingLock:
    """A lock of the answer's. It tells a rival's check when the rival has to wait for it."""

    def __init__(self, kind: str) -> None:
        self._lock: Any = _REAL[kind]()
        self._holder: int | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not self._lock.acquire(blocking=False):
            if not blocking:
                return False
            if self._holder == threading.get_ident():
                raise Deadlock(
                    "this thread holds the lock already, and would wait for itself for ever"
                )
            thread = threading.current_thread()
            if isinstance(thread, _Rival):
                thread.stands.set()
            if not self._lock.acquire(timeout=timeout):
                return False
        self._holder = threading.get_ident()
        return True

    def release(self) -> None:
        self._holder = None
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:  # what a Condition asks a lock for
        return getattr(self._lock, name)


@contextlib.contextmanager
def _telling_locks(answer: object) -> Iterator[None]:
    """Give an answer locks that tell, under whichever names it has imported them."""
    telling = {kind: functools.partial(_TellingLock, kind) for kind in _REAL}
    names = getattr(getattr(answer, "__init__", None), "__globals__", {})
    imported = {
        name: kind for name, value in names.items() for kind in _REAL if value is _REAL[kind]
    }
    names.update({name: telling[kind] for name, kind in imported.items()})
    try:
        with (
            mock.patch("threading.Lock", telling["Lock"]),
            mock.patch("threading.RLock", telling["RLock"]),
        ):
            yield
    finally:
        names.update({name: _REAL[kind] for name, kind in imported.items()})


class _Rival(threading.Thread):
    """Another thread that uses the answer.

    Attributes:
        stands: Set when it has ended, or waits for a lock of the answer's.
        ended: Whether it has ended.
        result: What its call returned, and `error` what it raised.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.stands = threading.Event()
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._call()
        except BaseException as error:
            self.error = error
        finally:
            self.ended = True
            self.stands.set()

    def advance(self, patience: float = _PATIENCE) -> bool:
        """Start, and let it go as far as it can; whether it got to its end."""
        self.start()
        self.stands.wait(patience)
        return self.ended

    def finish(self) -> None:
        """Wait for its end, which nothing keeps it from any more."""
        self.join(_LONG)
        if self.error is not None and not self.refused:
            raise self.error

    @property
    def refused(self) -> bool:
        """Whether there was no room for its write."""
        return self.error is not None and isinstance(self.error.__cause__, QueueFull)


def _saved(stage: _Stage) -> list[dict[Any, Note]]:
    """What `save_many` was called with."""
    return [event[1] for event in stage.events if event[0] == "save_many"]


def _flushed(stage: _Stage) -> dict[Any, Note]:
    """What waits, in order: what a flush saves."""
    before = len(_saved(stage))
    stage.flush()
    return {k: v for part in _saved(stage)[before:] for k, v in part.items()}


@write_behind.check("a write is there for readers at once, and waits", points=1)
def _waits(trial: Trial) -> None:
    for new in (Note(trial.word()), Note("")):
        stage = _Stage(trial, 10)
        stage.write(new)
        trial.require(
            not stage.asked("save") and not stage.asked("save_many"),
            f"`write` asked the source for {stage.told}: it waits for `flush`.",
        )
        stage.kept(new.text, stage.ttl, "It was written")
        stage.backend.texts.clear()
        got = stage.read()
        trial.equal(
            got,
            new,
            f"read({stage.id}), of what waits, when the backend has let go of it",
            advice="What waits is newer than anything else: look there first. "
            + ("" if new else _EMPTY),
        )
        stage.events.clear()
        stage.backend.texts[stage.key] = stage.old.text
        trial.equal(
            stage.read(),
            new,
            f"read({stage.id}), of what waits, with an older one in the backend",
            advice="What waits is newer than anything else: look there first.",
        )
        trial.require(
            not stage.events, f"A read of what waits asks nobody; yours asked for {stage.told}."
        )
    _reads_the_rest(trial)
    stage = _Stage(trial, 10)
    _refuses_unpackable(stage)
    away = Unavailable("no answer")
    stage.write(stage.old)
    stage.backend.errors["set"] = away
    for number in (stage.id, stage.id + 1):
        stage.raises(
            away,
            functools.partial(stage.write, stage.new, number),
            "`backend.set`",
            "the write is refused, and the caller has to know.",
        )
    del stage.backend.errors["set"]
    trial.equal(
        _flushed(stage),
        {stage.id: stage.old},
        "what waits after two writes whose `backend.set` raised Unavailable",
        advice="They were refused: what waited before still waits, and nothing else.",
    )


def _reads_the_rest(trial: Trial) -> None:
    """Demand that what does not wait comes from the backend, and then from the source."""
    stage = _Stage(trial, 10)
    trial.equal(stage.read(), stage.old, f"read({stage.id}), with nothing cached or waiting")
    trial.equal(stage.asked("load"), 1, "how often a miss asked the source")
    stage.kept(stage.old.text, stage.ttl, "A miss was loaded")
    trial.equal(stage.read(), stage.old, f"read({stage.id}), from the cache")
    trial.equal(stage.asked("load"), 1, "how often the source was asked in a miss and a hit")
    stage.backend.texts[stage.key] = "?"
    trial.equal(stage.read(), stage.old, "a read where `unpack` answers None")
    stage.kept(stage.old.text, stage.ttl, "What stood under the key could not be read")
    for away in (("get",), ("set",), ("get", "set")):
        stage.backend.texts.clear()
        stage.events.clear()
        stage.backend.errors = dict.fromkeys(away, Unavailable("no answer"))
        with trial.explain(Unavailable, "The backend raised it: a read goes on without."):
            trial.equal(stage.read(), stage.old, f"a read with a backend whose {away} raise")
        _loaded_once(stage, f"With a backend whose {' and '.join(away)} raise Unavailable")
    stage.backend.errors.clear()
    trial.equal(stage.read(stage.id + 1), None, "a read of what nobody has")
    trial.require(
        stage.key_of(stage.id + 1) not in stage.backend.texts,
        "The source had nothing, and something was stored for it: None is not stored.",
    )
    stage.backend.texts.clear()
    stage.events.clear()
    stage.source.errors["load"] = gone = Unavailable("the database")
    stage.raises(gone, stage.read, "`source.load`", "that is no miss, and the caller's.")
    _loaded_once(stage, "`source.load` raised Unavailable")
    trial.equal(_flushed(stage), {}, "what waits after nothing but reads")


def _loaded_once(stage: _Stage, what: str) -> None:
    """Demand that a read has asked the source once."""
    loads = stage.asked("load")
    stage.trial.require(
        loads == 1,
        f"{what}, and one read asked the source {loads} times; expected once. Keep the load out of "
        "both `try`.",
    )


@write_behind.check("no more than `most` wait", points=0.5)
def _is_bounded(trial: Trial) -> None:
    most = trial.rng.randrange(2, 6)
    stage = _Stage(trial, most)
    ids = trial.rng.sample(range(1000), most + 1)
    for number in ids[:most]:
        with trial.explain(QueueFull, f"Fewer than most={most} waited: there was room."):
            stage.write(stage.old, number)
    with trial.explain(QueueFull, "The id waits already: its new entity takes no more room."):
        stage.write(stage.new, ids[0])
    stage.events.clear()
    try:
        got = stage.write(stage.new, ids[most])
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, QueueFull):
            raise
    else:
        trial.fail(
            f"{most} ids waited, with most={most}, and the write of another one returned {got!r}; "
            "expected QueueFull."
        )
    trial.require(
        not stage.events,
        f"A write was refused with QueueFull, and by then it had asked for {stage.told}. A write "
        "that is refused must not be read: look for room first.",
    )
    waits = {ids[0]: stage.new, **dict.fromkeys(ids[1:most], stage.old)}
    trial.equal(
        _flushed(stage), waits, "what waits after a refusal", advice="Nothing may have gone."
    )
    with trial.explain(QueueFull, "All was flushed before: there was room."):
        stage.write(stage.new, ids[most])


@write_behind.check("flush saves the latest of each id, oldest first, in batches", points=1)
def _flushes(trial: Trial) -> None:
    stage = _Stage(trial, 100)
    trial.equal(stage.flush(5), 0, "flush(5), with nothing waiting")
    trial.require(not stage.events, f"Nothing waited, and flush asked for {stage.told}.")
    batch = trial.rng.randrange(2, 5)
    count = 2 * batch + 1
    ids = trial.rng.sample(range(1000), count)
    expected = {}
    for number in (*ids, *trial.rng.choices(ids, k=count), ids[0]):
        expected[number] = Note(trial.word())
        stage.write(expected[number], number)
    got = stage.flush(batch)
    parts = _saved(stage)
    trial.require(
        not stage.asked("save"), "flush saved one by one: `save_many` takes a whole batch."
    )
    trial.require(
        all(len(part) <= batch for part in parts),
        f"flush({batch}) saved {[len(part) for part in parts]} entities; at most {batch} at once.",
    )
    trial.equal(
        [len(part) for part in parts],
        [batch, batch, 1],
        f"how many entities each `save_many` of flush({batch}) got, with {count} ids waiting",
        advice="Of each id the latest is saved, once; a batch is full while there are enough.",
    )
    trial.equal(
        [number for part in parts for number in part],
        ids,
        f"the ids in the order in which flush({batch}) saved them",
        advice="The oldest first. An id that is written again keeps its place.",
    )
    trial.equal(
        {number: note for part in parts for number, note in part.items()},
        expected,
        "what flush saved",
        advice="Of each id the latest.",
    )
    trial.equal(got, count, f"flush({batch})", advice="Answer how many entities were saved.")
    trial.equal(stage.flush(batch), 0, "the next flush, with nothing waiting")
    _fails(trial)


def _fails(trial: Trial) -> None:
    """Demand that a `save_many` that raises loses nothing."""
    stage = _Stage(trial, 100)
    ids = trial.rng.sample(range(1000), 6)
    for number in ids:
        stage.write(stage.new, number)
    error = TimeoutError("no answer")

    def fail_next() -> None:
        stage.source.errors["save_many"] = error

    stage.source.after["save_many"] = fail_next
    stage.raises(error, lambda: stage.flush(2), "`source.save_many`", "it is the caller's.")
    trial.require(
        len(_saved(stage)) == 2,
        f"The second of three `save_many` raised, and flush called it {len(_saved(stage))} times: "
        "the error ends it.",
    )
    stage.backend.texts.clear()
    trial.equal(
        stage.read(ids[2]), stage.new, "a read of what could not be saved, which still waits"
    )
    stage.source.errors.clear()
    trial.equal(
        list(_flushed(stage)),
        ids[2:],
        "the ids that wait after a flush of six, in twos, whose second `save_many` raised",
        advice="Let go of what the source has, and of nothing else, after each batch.",
    )


@write_behind.check("loses nothing that is written while the source saves", points=1)
def _meanwhile(trial: Trial) -> None:
    _ends(trial)
    stage = _Stage(trial, 100)
    first, second, later = trial.rng.sample(range(1000), 3)
    stage.write(stage.old, first)
    stage.write(stage.old, second)
    ended: list[bool] = []
    rivals: list[_Rival] = []

    def rival() -> None:
        stage.backend.texts.clear()
        calls = [functools.partial(stage.write, stage.new, number) for number in (first, later)]
        rivals.extend(map(_Rival, (*calls, functools.partial(stage.read, second))))
        ended.extend(each.advance(_LONG) for each in rivals)

    stage.source.before["save_many"] = rival
    got = stage.flush()
    for each in rivals:
        each.finish()
    trial.require(
        all(ended),
        "While `save_many` ran, another thread that wrote or read had to wait for it. Hold no lock "
        "while the database works: not to wait for it is what write-behind is for.",
    )
    trial.equal(
        rivals[2].result,
        stage.old,
        "what a thread reads of what is being saved, when the backend has let go of it",
        advice="It waits until `save_many` has returned: let go of it then, and not before.",
    )
    trial.equal(got, 2, "flush, of two that waited when it began")
    stage.backend.texts.clear()
    for number, what in ((first, "again"), (later, "anew")):
        trial.require(
            stage.read(number) == stage.new,
            f"While `save_many` ran, another thread wrote an entity {what}, and after the flush "
            "it does not wait any more: it is lost. Remove what `save_many` got, where that is "
            "still what waits.",
        )
    stage.flush()
    trial.equal(
        stage.source.rows,
        {stage.id: stage.old, first: stage.new, second: stage.old, later: stage.new},
        "the source, after another flush",
    )
    _two_flushes(trial)


class EndlessFlush(BaseException):
    """Ends a flush that would go on for ever, past every `except` it may have."""


def _ends(trial: Trial) -> None:
    """Demand that a flush ends, though others go on writing."""
    stage = _Stage(trial, 1000)

    def write_more() -> None:
        if stage.asked("save_many") > 20:
            raise EndlessFlush("saved 20 times, and another thread still wrote")
        more = _Rival(lambda: stage.write(Note(stage.trial.word()), stage.id))
        more.advance(_LONG)
        stage.source.after["save_many"] = write_more

    stage.write(stage.old)
    stage.source.after["save_many"] = write_more
    with trial.explain(
        EndlessFlush, "A flush saves what waits when it begins; what comes meanwhile can wait."
    ):
        got = stage.flush(1)
    trial.equal(
        got,
        1,
        "flush, with one that waited when it began, and was written again meanwhile",
        advice="A flush saves what waits when it begins, each once.",
    )


def _two_flushes(trial: Trial) -> None:
    """Demand that of two flushes at once the later one does not overtake the earlier."""
    stage = _Stage(trial, 100)
    stage.write(stage.old)
    rivals: list[_Rival] = []

    def flush_too() -> None:
        rivals.append(_Rival(lambda: stage.write(stage.new)))
        rivals.append(_Rival(stage.flush))
        for each in rivals:
            each.advance()

    stage.source.before["save_many"] = flush_too
    with trial.explain(KeyError, "Another thread flushed meanwhile. Let one flush run at a time."):
        stage.flush()
    for each in rivals:
        each.finish()
    stage.flush()
    trial.equal(
        stage.source.rows[stage.id],
        stage.new,
        "the source, when two threads flushed at once and nothing waits any more",
        advice="While the first was saving an older one, the second had saved the newer, and the "
        "older came over it. Let one flush run at a time, with a lock of its own.",
    )
    stage = _Stage(trial, 100)
    stage.write(stage.old)
    second = _Rival(stage.flush)
    stage.source.before["save_many"] = second.advance
    stage.flush()
    second.finish()
    trial.equal(
        _saved(stage),
        [{stage.id: stage.old}],
        "what two flushes at once saved, of one entity that waited",
        advice="The first had saved it. Look what waits when the turn of this flush has come.",
    )


@write_behind.check("threads that write at once leave no two truths", points=0.5)
def _at_once(trial: Trial) -> None:
    for moment in ("before", "after"):
        stage = _Stage(trial, 10)
        rival = _Rival(functools.partial(stage.write, stage.old))
        getattr(stage.backend, moment)["set"] = rival.advance
        stage.write(stage.new)
        rival.finish()
        waits = stage.read()
        trial.require(
            isinstance(waits, Note) and stage.cached == waits.text,
            f"Two threads wrote the same id at once. What waits is {waits!r}, and the backend has "
            f"{stage.cached!r}: after the flush readers find what the source has not. Hold the "
            "lock around both, `backend.set` and the note that it waits.",
        )
        trial.equal(_flushed(stage), {stage.id: waits}, "what waits, after two writes at once")
    most = 2
    stage = _Stage(trial, most)
    stage.write(stage.old, 1)
    rival = _Rival(lambda: stage.write(stage.old, 2))
    stage.backend.before["set"] = rival.advance
    refused = 0
    try:
        stage.write(stage.new, 3)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, QueueFull):
            raise
        refused = 1
    rival.finish()
    refused += rival.refused
    count = len(_flushed(stage))
    trial.require(
        refused == 1 and count == most,
        f"One place was left, and two threads wrote at once: {refused} were refused, and {count} "
        f"wait, with most={most}. Look for room and take it under one lock.",
    )
    _loads_late(trial)
    _between_two_looks(trial)


class _Watched(int):
    """An id that is looked up in dictionaries; at one of these looks something happens.

    Attributes:
        looks: After how many looks it happens.
        happens: What happens then, in the middle of the answer's work.
    """

    looks = 0
    happens: Callable[[], object] = staticmethod(_nothing)

    def __hash__(self) -> int:
        self.looks -= 1
        if self.looks == 0:
            self.happens()
        return int(self)


def _between_two_looks(trial: Trial) -> None:
    """Let another thread come between any two looks that a method has at what waits."""
    for looks in range(1, 5):
        stage = _Stage(trial, 10)
        stage.write(stage.new)
        watched, rival = _Watched(stage.id), _Rival(stage.flush)
        watched.looks, watched.happens = looks, rival.advance
        with trial.explain(
            KeyError,
            "While one thread read, another one flushed, and what waited was gone between two "
            "looks at it. Look under the lock.",
        ):
            got = stage.read(watched)
        trial.equal(got, stage.new, "a read of what another thread flushes meanwhile")
        if rival.ident is not None:
            rival.finish()
    for looks in range(1, 9):
        stage = _Stage(trial, 10)
        watched, rival = _Watched(stage.id), _Rival(functools.partial(stage.write, stage.new))
        stage.write(stage.old, watched)
        watched.looks, watched.happens = looks, rival.advance
        stage.flush()
        if rival.ident is None:
            break
        rival.finish()
        stage.backend.texts.clear()
        trial.equal(
            stage.read(),
            stage.new,
            "a read of what another thread wrote again while a flush let go of the old one",
            advice="To ask whether it is still what waits and to remove it is one step: do both "
            "under the lock.",
        )


def _loads_late(trial: Trial) -> None:
    """Demand that a reader who has loaded does not store over what waits."""
    stage = _Stage(trial, 10)
    rival = _Rival(lambda: stage.write(stage.new))
    ended: list[bool] = []
    stage.source.after["load"] = lambda: ended.append(rival.advance(_LONG))
    stage.read()
    rival.finish()
    trial.require(
        all(ended),
        "While a reader loaded from the source, another thread that wrote had to wait. Hold no "
        "lock while the database works.",
    )
    trial.equal(
        stage.cached,
        stage.new.text,
        f"the text under {stage.key}, when another thread wrote between a reader's load and its "
        "`set`",
        advice="Store what was loaded under the lock, and only if the id does not wait.",
    )
