"""What lesson 08-smart-cache-api checks: one cache for everybody, built layer by layer."""

from __future__ import annotations

import collections
import copy
import difflib
import functools
import itertools
import json
import math
import operator
import re
import tomllib
from typing import TYPE_CHECKING, Any

from labkit.course.exercise import AnswerRaised, Outline, Question, Trial
from labkit.course.lessons.lesson_07_write_strategies import Cancelled, _comes_out

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping, Sequence

    Ids = dict[str, set[int]]

outline = Outline(
    "08-smart-cache-api",
    title="Build a smart cache",
    prefix="news:",
    by_hand={"design": 3.0},
)

# -- the layers, and what reads and writes through them -------------------------------------------

# They register themselves on the outline above, and import it: they cannot be imported earlier.
from labkit.course.lessons import smart_layers  # noqa: E402, F401  isort: skip
from labkit.course.lessons import smart_strategies  # noqa: E402, F401  isort: skip

# -- policies in a file --------------------------------------------------------------------------

read_policies = outline.exercise(
    "read_policies",
    "Policies in a file",
    hints=(
        "Two steps: check each table as it stands in the file, `[defaults]` once and each "
        "`[entity.NAME]`, and collect the mistakes in a list; then put the three layers over each "
        "other. Raise at the end, if the list is not empty. `tomllib.loads(text)` gives "
        "dictionaries, of which anything may be something else.",
        "A function that reads one option and answers None for what it cannot read makes the rest "
        "short. `type(value) in (int, float)` leaves booleans out, where `isinstance` does not; "
        "`re.fullmatch` leaves nothing over; and ask whether a value is a list of texts before you "
        "look it up in a set.",
        "For each table: `for option, value in table.items():` an unknown one goes to "
        "`difflib.get_close_matches(option, OWN, n=1)`; of a known one the value is read, and "
        'where that fails `mistakes.append(f"{path}.{option}: {value!r}, expected ...")`. For each '
        "entity `policy = copy.deepcopy({**OWN, **defaults, **own})`: every list is new. Now look "
        'for write-behind without "redis". At the end '
        '`raise ValueError("\\n".join(mistakes))`.',
    ),
)

_OWN: dict[str, Any] = {
    "strategy": "read-through",
    "ttl": 600.0,
    "backends": ["memory", "redis"],
    "negative_ttl": 60.0,
    "tags": [],
}
_STRATEGIES = ("read-through", "write-through", "write-behind")


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables with texts, numbers and lists, as TOML: what JSON writes is the same there."""
    lines: list[str] = []
    for header, options in tables.items():
        lines += [f"[{header}]", *(f"{name} = {json.dumps(v)}" for name, v in options.items()), ""]
    return "\n".join(lines)


def _names(trial: Trial, count: int) -> list[str]:
    return [word.capitalize() for word in trial.words(count)]


def _some_options(trial: Trial, share: float) -> dict[str, Any]:
    """Options that make sense, each with this chance."""
    rng = trial.rng
    options = {
        "strategy": rng.choice(_STRATEGIES),
        "ttl": rng.choice([rng.randrange(1, 5000), rng.randrange(1, 5000) / 4]),
        "backends": rng.choice([["redis"], ["redis", "memory"], ["memory", "redis"]]),
        "negative_ttl": rng.choice([0, rng.randrange(1, 500)]),
        "tags": rng.choice([[], trial.words(1), trial.words(2)]),
    }
    chosen = {name: value for name, value in options.items() if rng.random() < share}
    return dict(rng.sample([*chosen.items()], len(chosen)))


def _policies(trial: Trial, text: str) -> dict[str, dict[str, Any]]:
    """Call the answer; demand dictionaries."""
    try:
        got = trial.call(text)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, ValueError):
            raise
        trial.fail(f"{raised} Nothing is wrong with this file: {_brief(text)}")
    if type(got) is not dict or not all(type(policy) is dict for policy in got.values()):
        trial.fail(
            f"`read_policies` returned {got!r:.80}; expected a dictionary of dictionaries: the "
            "options of each entity, by its name."
        )
    return got


def _brief(text: str) -> str:
    """A file in one line."""
    return "; ".join(line for line in text.splitlines() if line)


_LAYERS = (
    "What `[entity.NAME]` says counts, else what `[defaults]` says, else what the course says; a "
    "value takes the place of another whole, and an empty list or a 0 is a value."
)


@read_policies.check("each entity has five options: its own, the file's, the course's", points=0.75)
def _fills_in(trial: Trial) -> None:
    for share in (0.0, 0.5, 0.5, 0.5, 1.0):
        names = _names(trial, 4)
        tables: dict[str, dict[str, Any]] = {
            "defaults": _some_options(trial, share),
            **{f"entity.{name}": _some_options(trial, 0.5) for name in names},
        }
        tables[f"entity.{names[0]}"] = {}
        tables[f"entity.{names[1]}"] |= {"tags": [], "negative_ttl": 0}
        tables[f"entity.{names[2]}"] |= {"tags": trial.words(2), "ttl": 8}
        tables["defaults"] |= {"tags": trial.words(1), "ttl": 7}
        if share == 0:
            del tables["defaults"]
        text = _toml(tables)
        got = _policies(trial, text)
        trial.equal(set(got), set(names), f"the entities in {_brief(text)}")
        for name in names:
            own = tables[f"entity.{name}"]
            expected = {**_OWN, **tables.get("defaults", {}), **own}
            trial.equal(set(got[name]), set(expected), f"the options of {name}")
            for option, value in expected.items():
                is_time = option in ("ttl", "negative_ttl")
                trial.equal(
                    got[name][option],
                    float(value) if is_time else value,
                    f"`{option}` of {name}, with {own} of its own and "
                    f"{tables.get('defaults', 'no')} defaults",
                    advice=_LAYERS,
                )
    for text, what in (("", "an empty file"), ("[defaults]\nttl = 5\n", "defaults alone")):
        trial.equal(_policies(trial, text), {}, f"the policies of {what}")
    _lists_of_their_own(trial)


def _lists_of_their_own(trial: Trial) -> None:
    """Demand that no list stands in two policies, nor in one and in what is given."""
    one, other = _names(trial, 2)
    tag = trial.word()
    for defaults in ({}, {"backends": ["redis"], "tags": [tag]}):
        text = _toml({"defaults": defaults, f"entity.{one}": {}, f"entity.{other}": {}})
        got = _policies(trial, text)
        for option in ("backends", "tags"):
            trial.require(
                got[one][option] is not got[other][option],
                f"{one} and {other} share one list of {option}: who adds to the one adds to the "
                "other. Give each entity a list of its own: `{**a, **b}` copies no lists.",
            )
            got[one][option].append("news")
        again = _policies(trial, text)
        trial.equal(
            again[one],
            {**_OWN, **defaults},
            "the policy from a second call, after a list of the first one's was changed",
            advice="A list from `OWN` must not leave your function: copy it.",
        )


def _refused(trial: Trial, text: str, mistakes: Mapping[str, Sequence[str]], why: str = "") -> None:
    """Demand one ValueError with a line for each mistake.

    Args:
        trial: The trial.
        text: The file.
        mistakes: By path what each line has to name.
        why: A sentence for who takes the file.
    """
    file = _brief(text)
    try:
        got = trial.call(text)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, ValueError):
            trial.fail(
                f"{raised} The file: {file}. Expected one ValueError: ask for the type of a value "
                "before you compare it or look it up."
            )
        told = str(raised.__cause__)
    else:
        trial.fail(
            f"The file: {file}. `read_policies` returned {got!r:.80}; expected a ValueError that "
            f"names {', '.join(mistakes)}.{why}"
        )
    lines = [line for line in told.splitlines() if line.strip()]
    data = tomllib.loads(text)
    for path, words in mistakes.items():
        beginning = f"{path}: {_at(data, path)!r}, expected "
        found = [line for line in lines if line.startswith(f"{path}:")]
        if not found:
            trial.fail(
                f"The file: {file}. No line of your error begins with `{path}:`; it says "
                f"{told!r:.200}. It tells every mistake, each in a line, by the path at which it "
                "stands in the file."
            )
        trial.require(
            len(found) == 1,
            f"The file: {file}. Your error tells `{path}` {len(found)} times. What is wrong in the "
            "defaults is one mistake, however many entities share it.",
        )
        trial.require(
            found[0].startswith(beginning) and len(found[0].strip()) > len(beginning),
            f"The file: {file}. A line of your error is {found[0]!r}; expected one that begins "
            f"with {beginning!r}, and goes on.",
        )
        rest = found[0].removeprefix(beginning)
        lacking = [word for word in words if not _has(rest, word)]
        trial.require(
            not lacking,
            f"The file: {file}. The line {found[0]!r} does not name {', '.join(lacking)}: tell "
            "what to write instead.",
        )
    extra = [line for line in lines if not line.startswith(tuple(f"{path}:" for path in mistakes))]
    trial.require(
        not extra,
        f"The file: {file}. {extra[0] if extra else ''!r} is no mistake of this file. One line "
        "for each mistake, where it stands, and no other.",
    )


def _at(data: Any, path: str) -> Any:
    """What stands at a path; of an option that an entity leaves out, what the defaults say."""
    *tables, option = path.split(".")
    table = functools.reduce(operator.getitem, tables, data)
    return table[option] if option in table else data["defaults"][option]


def _has(text: str, word: str) -> bool:
    """Whether a word stands in a text by itself, not inside another name."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


_TIMES = {"250ms": 0.25, "30s": 30.0, "10m": 600.0, "2h": 7200.0, "1d": 86_400.0, "90": 90.0}
_NO_TIMES = (
    *("true", "false", "-1", "-0.5", "inf", "nan", '""', '"soon"', '"10"', '"10 m"', '"-5s"'),
    *('"1.5h"', '"10M"', '"10m30s"', '"m"', '"10m\\n"', '"10min"', '["10m"]', "{}"),
    *('" 5s"', '"5s "', '"+5s"', '"1_0s"'),
)
_NO_TIME_WHY = {
    "true": " `True` is 1 to Python, and `isinstance(True, int)` holds.",
    "false": " `False` is 0 to Python, and `isinstance(False, int)` holds.",
    "inf": " TOML has `inf`: a time is finite.",
    "nan": " TOML has `nan`, and every comparison with it is False.",
    '"10m\\n"': " `$` matches before a line end as well: `re.fullmatch` does not.",
    '"10m30s"': " Nothing may be left over.",
    '"1.5h"': " A whole number and one unit.",
    **dict.fromkeys(
        ('" 5s"', '"5s "', '"+5s"', '"1_0s"'),
        " A whole number and one unit, with nothing before, between or after: `int` and `strip` "
        "pass over more than that.",
    ),
}


@read_policies.check("reads times as seconds, and takes nothing else for a time", points=0.75)
def _reads_times(trial: Trial) -> None:
    rng, units = trial.rng, {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
    times = [(json.dumps(text), seconds) for text, seconds in _TIMES.items() if text != "90"]
    for unit, seconds in units.items():
        number = rng.randrange(1, 5000)
        times.append((json.dumps(f"{number}{unit}"), number * seconds))
    number = rng.randrange(1, 10_000)
    times += [(str(number), float(number)), (f"{number}.5", number + 0.5)]
    name = _names(trial, 1)[0]
    for option in ("ttl", "negative_ttl"):
        none = [("0", 0.0), ('"0s"', 0.0), ("0.0", 0.0)] if option == "negative_ttl" else []
        for written, seconds in times + none:
            got = _policies(trial, f"[entity.{name}]\n{option} = {written}\n")[name][option]
            trial.require(
                type(got) is float and math.isclose(got, seconds, abs_tol=1e-9),
                f"`{option} = {written}` gives {got!r}; expected {float(seconds)!r}, a float.",
            )
    for option in ("ttl", "negative_ttl"):
        nothing = ("0", '"0s"', '"0ms"') if option == "ttl" else ()
        for written in (*nothing, *_NO_TIMES):
            for table in ("defaults", f"entity.{name}"):
                text = f"[{table}]\n{option} = {written}\n"
                try:
                    got = trial.call(text)
                except AnswerRaised as raised:
                    if isinstance(raised.__cause__, ValueError):
                        _refused(trial, text, {f"{table}.{option}": ()})
                        continue
                    trial.fail(f"{raised} The file: {_brief(text)}. Expected a ValueError.")
                trial.fail(
                    f"`{option} = {written}` in [{table}] was taken: `read_policies` returned "
                    f"{got!r:.60}; expected a ValueError.{_NO_TIME_WHY.get(written, '')}"
                )


_WRONG_OPTIONS: tuple[tuple[str, Sequence[str]], ...] = (
    ('strategy = "write-around"', _STRATEGIES),
    ('strategy = "Read-Through"', _STRATEGIES),
    ('strategy = ""', _STRATEGIES),
    ("strategy = 3", _STRATEGIES),
    ('strategy = ["read-through"]', _STRATEGIES),
    ("backends = []", ("memory", "redis")),
    ('backends = "redis"', ("memory", "redis")),
    ('backends = ["redis", "redis"]', ("memory", "redis")),
    ('backends = ["memory", "disk"]', ("memory", "redis")),
    ('backends = ["redis", 3]', ("memory", "redis")),
    ('backends = [["redis"]]', ("memory", "redis")),
    ("backends = {redis = true}", ("memory", "redis")),
    ('tags = "news"', ()),
    ('tags = ["news", 1]', ()),
    ("tags = [true]", ()),
    ("tags = 0", ()),
)


@read_policies.check("refuses what makes no sense, all of it in one ValueError", points=1)
def _refuses_all(trial: Trial) -> None:
    rng = trial.rng
    one, two, three = _names(trial, 3)
    for written, words in _WRONG_OPTIONS:
        option = written.split()[0]
        for table in ("defaults", f"entity.{one}"):
            _refused(trial, f"[{table}]\n{written}\n", {f"{table}.{option}": words})
    for text, path in (
        ("defaults = 3", "defaults"),
        ("entity = []", "entity"),
        (f"entity.{one} = 'ttl'", f"entity.{one}"),
    ):
        _refused(trial, f"{text}\n", {path: ()})
    by_option = collections.defaultdict(list)
    for written, words in (*_WRONG_OPTIONS, ('ttl = "soon"', ()), ("negative_ttl = true", ())):
        by_option[written.split()[0]].append((written, words))
    for _ in range(5):
        text, mistakes = "", {}
        for table in ("defaults", *(f"entity.{name}" for name in (one, two, three))):
            text += f"[{table}]\n"
            for option in rng.sample([*by_option], 2):
                written, words = rng.choice(by_option[option])
                text += f"{written}\n"
                mistakes[f"{table}.{option}"] = words
        _refused(trial, text, mistakes)
    _refused(
        trial,
        _toml({"defaults": {"ttl": "soon"}, **{f"entity.{name}": {} for name in (one, two)}}),
        {"defaults.ttl": ()},
    )
    broken = f"[entity.{one}]\nttl = = 3\n"
    try:
        got = trial.call(broken)
    except AnswerRaised as raised:
        if not isinstance(raised.__cause__, ValueError):
            raise
    else:
        trial.fail(
            f"{_brief(broken)!r} is no TOML, and `read_policies` returned {got!r:.80}: let the "
            "error of `tomllib` through, or a slip of the pen turns all policies off."
        )
    _keeps_its_queue(trial, one, two)


def _keeps_its_queue(trial: Trial, one: str, two: str) -> None:
    """Demand that write-behind without Redis is refused, wherever its two halves stand."""
    behind: dict[str, Any] = {"strategy": "write-behind"}
    memory: dict[str, Any] = {"backends": ["memory"]}
    for defaults, own in (({}, behind | memory), (behind, memory), (memory, behind)):
        _refused(
            trial,
            _toml({"defaults": defaults, f"entity.{one}": own, f"entity.{two}": {}}),
            {f"entity.{one}.backends": ("redis",)},
            f" Writes of {one} would wait in memory alone, and a restart loses them. Look at what "
            "holds for an entity in the end, wherever it is said.",
        )
    told = f'[entity.{one}]\nstrategy = "write-behind"\nbackends = ["disk", "memory"]\n'
    _refused(trial, told, {f"entity.{one}.backends": ("redis",)})
    wrong = _toml({"defaults": behind | {"backends": ["memory", "disk"]}, f"entity.{one}": {}})
    _refused(trial, wrong, {"defaults.backends": ("redis",)})
    for own in ({"backends": ["redis"]}, {"strategy": "read-through"}):
        _policies(trial, _toml({"defaults": behind | memory, f"entity.{one}": own}))
    _policies(trial, _toml({"defaults": behind | memory}))


@read_policies.check("tells the nearest name of an unknown one", points=0.5)
def _nearest_name(trial: Trial) -> None:
    rng = trial.rng
    name, stranger = _names(trial, 1)[0], f"x{trial.word(4)}x".upper()
    tables = ["defaults", "entity"]
    unknown = ["tll", "strategie", "backend", "negativ_ttl", "tag", "tagz", "startegy", stranger]
    for option in unknown:
        near = difflib.get_close_matches(option, _OWN, n=1)
        for table in ("defaults", f"entity.{name}"):
            value = rng.choice(["60", '"60s"', "true", '["memory"]'])
            text, path = f"[{table}]\n{option} = {value}\n", f"{table}.{option}"
            _refused(trial, text, {path: near or [*_OWN]})
            if near:
                _alone(trial, text, path, near[0])
    for option in ("default", "entities", stranger):
        near = difflib.get_close_matches(option, tables, n=1)
        _refused(trial, f"[{option}]\nttl = 60\n", {option: near or tables})
    _refused(trial, "ttl = 60\n", {"ttl": tables})
    text = f'[defaults]\ntll = 3\nttl = -3\n[entity.{name}]\ntagz = ["a"]\nbackends = []\n'
    paths = ["defaults.tll", "defaults.ttl", f"entity.{name}.tagz", f"entity.{name}.backends"]
    _refused(trial, text, dict.fromkeys(paths, ()))


def _alone(trial: Trial, text: str, path: str, near: str) -> None:
    """Demand that the line of an unknown option names no other option but the nearest."""
    try:
        trial.call(text)
    except AnswerRaised as raised:
        line = str(raised.__cause__).partition(", expected ")[2]
        others = [option for option in _OWN if option != near and _has(line, option)]
        trial.require(
            not others,
            f"The file: {_brief(text)}. The line of {path} says {line!r}: the nearest name is "
            f"{near}, and that one alone helps; {', '.join(others)} will hardly be meant.",
        )


# -- which strategy ------------------------------------------------------------------------------

choose_strategy = outline.exercise(
    "choose_strategy",
    "Which strategy, and why",
    hints=(
        "Five rules, in order, each with its `if` and its `return`: the first one that holds "
        "decides, so none has to repeat what those before it have ruled out.",
        '"Not durable" is `not measured["durable"]`; "at least" is `>=`, so a figure that is just '
        "at its threshold holds. A load's milliseconds times reads a second make a number of "
        "readers, once divided by 1,000.",
        'A small function `figures = lambda a, b: f"{a}={measured[a]}, {b}={measured[b]}"` says '
        "why. `if reads <= writes: return 'none', figures('reads', 'writes')`, and so on down the "
        "table.",
    ),
)

_FIGURES = ("reads", "writes", "load_ms", "stale_s", "durable")


def _strategy(measured: Mapping[str, Any]) -> tuple[str, tuple[str, str], str]:
    """The strategy, the two figures that decide, and what makes them decide."""
    reads, writes, load = measured["reads"], measured["writes"], measured["load_ms"]
    if reads <= writes:
        return "none", ("reads", "writes"), "it is not read more often than it is written"
    if not measured["durable"] and measured["stale_s"] >= 1 and writes * load >= 500:
        return "write-behind", ("writes", "load_ms"), "the database is busy half of the time"
    if measured["stale_s"] == 0:
        return "write-through", ("stale_s", "writes"), "nobody may see anything old"
    if reads * load >= 10_000:
        return "write-through", ("reads", "load_ms"), "ten readers come while a load runs"
    return "read-through", ("reads", "load_ms"), "none of the other rules holds"


def _measured(rng: random.Random, **given: Any) -> dict[str, Any]:
    """Figures that no rule but the last holds for, and what is given in their place."""
    calm = {
        "reads": rng.randrange(20, 30),
        "writes": rng.randrange(1, 4),
        "load_ms": rng.randrange(2, 50),
        "stale_s": rng.randrange(1, 100),
        "durable": rng.random() < 0.5,
    }
    return calm | given


def _chosen(trial: Trial, measured: dict[str, Any]) -> tuple[str, str]:
    """Call the answer; demand a pair of texts and the right strategy."""
    expected, _, why = _strategy(measured)
    given = copy.deepcopy(measured)
    got = trial.call(given)
    if type(got) is not tuple or [*map(type, got)] != [str, str]:
        trial.fail(
            f"`choose_strategy({measured})` returned {got!r:.80}; expected a pair of texts, the "
            "strategy and why."
        )
    trial.equal(given, measured, "the dictionary after the call", advice="Leave it as it is.")
    if got[0] != expected:
        trial.fail(
            f"`choose_strategy({measured})` chose {got[0]!r}; expected {expected!r}, since {why}. "
            "Take the rules in their order; the first that holds decides."
        )
    return got


@choose_strategy.check("each rule holds on its side of its threshold", points=1)
def _thresholds(trial: Trial) -> None:
    rng = trial.rng
    for _ in range(5):
        few = rng.randrange(1, 50)
        # Loads whose product is exact, whether seconds or milliseconds are multiplied.
        load = rng.choice([125, 250, 500])
        busy, many = 500 // load, 10_000 // load
        tried: list[dict[str, Any]] = [
            {"reads": 0, "writes": 0},
            {"reads": few, "writes": few},
            {"reads": few, "writes": few + 1},
            {"reads": few + 1, "writes": few, "load_ms": 1},
            {"reads": few / 8, "writes": few / 16},
        ]
        behind = {"durable": False, "load_ms": load, "reads": many - 1, "stale_s": 1}
        tried += [
            {**behind, "writes": busy},
            {**behind, "writes": busy - 1 / 64},
            {**behind, "writes": busy, "durable": True},
            {**behind, "writes": busy, "stale_s": 63 / 64},
            {**behind, "writes": busy + 1, "stale_s": rng.randrange(2, 1000)},
        ]
        quick = {"load_ms": 2, "durable": rng.random() < 0.5}
        tried += [{**quick, "stale_s": 0}, {**quick, "stale_s": 0.0}, {**quick, "stale_s": 1 / 64}]
        slow = {"load_ms": load, "writes": 1 / 64, "stale_s": rng.randrange(1, 100)}
        tried += [{**slow, "reads": reads} for reads in (many, many - 1 / 64, many + 1)]
        tried += [{**slow, "reads": many, "writes": 0}, {}]
        for given in rng.sample(tried, len(tried)):
            _chosen(trial, _measured(rng, **given))


@choose_strategy.check("where several rules hold, the first decides", points=0.5)
def _first_decides(trial: Trial) -> None:
    rng = trial.rng
    writes = rng.randrange(10, 100)
    hot = {"load_ms": rng.randrange(1500, 3000), "writes": writes, "durable": False, "stale_s": 5}
    tried: list[dict[str, Any]] = [
        {**hot, "reads": writes},
        {**hot, "reads": writes, "stale_s": 0},
        {**hot, "reads": writes - 1, "durable": True},
        {**hot, "reads": 3 * writes},
        {**hot, "reads": 3 * writes, "stale_s": 0},
        {**hot, "reads": 3 * writes, "durable": True},
    ]
    for given in rng.sample(tried, len(tried)):
        _chosen(trial, _measured(rng, **given))


@choose_strategy.check("says why: the two figures that decided", points=0.5)
def _says_why(trial: Trial) -> None:
    rng = trial.rng
    tried: list[dict[str, Any]] = [
        {"reads": 3, "writes": rng.randrange(4, 50)},
        {"durable": False, "writes": 15, "load_ms": rng.randrange(200, 300)},
        {"stale_s": 0},
        {"load_ms": rng.randrange(600, 900), "writes": 0},
        {"load_ms": 2.5},
    ]
    for given in rng.sample(tried, len(tried)):
        measured = _measured(rng, **given)
        _, why = _chosen(trial, measured)
        expected = set(_strategy(measured)[1])
        lacking = [
            f"{name}={measured[name]}"
            for name in _FIGURES
            if name in expected
            and not re.search(rf"\b{name}={re.escape(str(measured[name]))}(?!\.?\d)", why)
        ]
        trial.require(
            not lacking,
            f"`choose_strategy({measured})` says {why!r}; expected {' and '.join(lacking)} in it: "
            "who reads it wants to see what the choice hangs on.",
        )
        extra = [name for name in _FIGURES if name not in expected and f"{name}=" in why]
        trial.require(
            not extra,
            f"`choose_strategy({measured})` says {why!r}, and {', '.join(extra)} did not decide: "
            f"name {' and '.join(sorted(expected))} alone.",
        )


# -- what is old after a change ------------------------------------------------------------------

reach = outline.exercise(
    "reach",
    "What is old after a change?",
    hints=(
        "Go outwards in levels: the changed entity, then all that shows it, then all that shows "
        "that. Of each level keep the ids by kind, and of all levels together what is known: an "
        "entity that is known belongs to no later level, which is how a circle ends.",
        "A level: for each of its kinds one call of `shown_by` with all its ids; from the answers "
        "take what is not known yet into `ids` and into the next level. Then see which kinds have "
        "more than `most` ids: these, and all that `kinds_of` leads to from them, go into `whole`, "
        "and out of `ids` and of the next level.",
        "`level = {kind: {id}}`; `while level:` `found = {}`; for each kind of it and each `other, "
        "more` of `shown_by(kind, ids).items()`: `new = set(more) - known.get(other, set())`, "
        "which goes into both `known` and `found`. For the whole: a list `waiting` of the kinds "
        "that went over; `name = waiting.pop()`; if it is not in `whole`, add it and extend "
        "`waiting` by `kinds_of(name)`. At last `level = {k: ids for k, ids in found.items() if "
        "ids and k not in whole}`.",
    ),
)


class _Site:
    """What shows what.

    Attributes:
        kinds: By kind the kinds that may show it.
        shows: By kind and id what shows it: pairs of a kind and an id.
        asked: The calls of `shown_by`: a kind and the ids.
        fails_at: The call that raises `error`; None: none does.
    """

    def __init__(self, trial: Trial, kinds: Mapping[str, Iterable[str]]) -> None:
        self.kinds = {kind: set(others) for kind, others in kinds.items()}
        self.shows: dict[tuple[str, int], set[tuple[str, int]]] = collections.defaultdict(set)
        self.asked: list[tuple[str, list[int]]] = []
        self.fails_at: int | None = None
        self.error = TimeoutError("no answer from the database")
        self._trial = trial

        def shown_by(kind: str, ids: Iterable[int]) -> Ids:
            return self._shown_by(kind, [*ids])

        def kinds_of(kind: str) -> set[str]:
            return set(self.kinds[kind])

        self.shown_by = trial.named("shown_by", shown_by)
        self.kinds_of = trial.named("kinds_of", kinds_of)

    def _shown_by(self, kind: str, ids: list[int]) -> Ids:
        self.asked.append((kind, ids))
        if len(self.asked) == self.fails_at:
            raise self.error
        return self.answer(kind, ids)

    def answer(self, kind: str, ids: Iterable[int]) -> Ids:
        """What shows any of these; a kind may come without ids."""
        found: Ids = {other: set() for other in self.kinds[kind]}
        for number in ids:
            for other, shown in self.shows[kind, number]:
                found[other].add(shown)
        return found

    def reach(self, kind: str, number: int, most: int) -> tuple[Ids, set[str], list[Any]]:
        """The ids, the whole kinds, and the calls that it takes."""
        known: Ids = {kind: {number}}
        whole: set[str] = set()
        calls: list[Any] = []
        level: Ids = {kind: {number}}
        while level:
            found: Ids = collections.defaultdict(set)
            for each, ids in level.items():
                calls.append((each, ids))
                for other, more in self.answer(each, ids).items():
                    found[other] |= more - known.get(other, set())
            for each, ids in found.items():
                known.setdefault(each, set()).update(ids)
            waiting = [each for each, ids in known.items() if len(ids) > most]
            while waiting:
                each = waiting.pop()
                if each not in whole:
                    whole.add(each)
                    waiting += self.kinds[each]
            level = {each: ids for each, ids in found.items() if ids and each not in whole}
        left = {each: ids for each, ids in known.items() if ids and each not in whole}
        return left, whole, calls

    def run(self, kind: str, number: int, most: int) -> tuple[Ids, set[str]]:
        """Call the answer; demand a pair."""
        self.asked.clear()
        got = self._trial.call(kind, number, self.shown_by, self.kinds_of, most)
        if type(got) is not tuple or [*map(type, got)] != [dict, set]:
            self._trial.fail(
                f"`reach({kind!r}, {number}, ...)` returned {got!r:.80}; expected a pair: a "
                "dictionary of ids by kind, and a set of kinds."
            )
        return got


def _random_site(trial: Trial) -> _Site:
    """Kinds that may show each other, in circles too, and entities that do."""
    rng = trial.rng
    names = trial.words(rng.randrange(4, 7))
    kinds = {name: set(rng.sample(names, rng.randrange(0, 3))) for name in names}
    for one, other in itertools.pairwise(names):
        kinds[one].add(other)
    if rng.random() < 0.5:
        kinds[names[-1]].add(names[0])
    site = _Site(trial, kinds)
    ids = range(1, rng.randrange(5, 12))  # of all kinds alike: a number alone names nothing
    for kind in names:
        for number in ids:
            for other in kinds[kind]:
                shown = rng.sample(ids, rng.choice([0, 0, 1, 1, 2]))
                site.shows[kind, number] |= {(other, each) for each in shown}
    return site


_NEWSROOM = {
    "author": ["article"],
    "article": ["front", "article"],  # articles show related ones
    "front": ["digest"],
    "digest": [],
    "weather": ["front"],
}


def _newsroom(trial: Trial) -> tuple[_Site, int]:
    """An author who has written three articles, which fronts show; the author's id."""
    site = _Site(trial, _NEWSROOM)
    author = trial.rng.randrange(1, 1000)
    articles = trial.rng.sample(range(1, 1000), 3)
    site.shows["author", author] = {("article", number) for number in articles}
    site.shows["article", articles[0]] = {("article", articles[1])}
    site.shows["article", articles[1]] = {("article", articles[0])}
    for number in articles:
        site.shows["article", number].add(("front", 1))
    site.shows["front", 1] = {("digest", author)}
    return site, author


def _of_site(trial: Trial, site: _Site, kind: str, number: int, most: int) -> None:
    """Call the answer; demand the right result."""
    ids, whole, _ = site.reach(kind, number, most)
    got = site.run(kind, number, most)
    where = f"`reach({kind!r}, {number}, shown_by, kinds_of, {most})`"
    asked = {(each, one) for each, numbers in site.asked for one in numbers}
    shown = {key: others for key, others in site.shows.items() if key in asked and others}
    advice = f"What `shown_by` told: {shown!r:.200}"
    empty = sorted(each for each, numbers in got[0].items() if not numbers)
    trial.require(
        not empty or set(empty) <= ids.keys(),
        f"{where}: {', '.join(empty)} in `ids` has no id. Leave out a kind of which nothing is "
        "reached.",
    )
    trial.equal(got[1], whole, f"{where}, the kinds that are old as a whole", advice=advice)
    for each in sorted({*ids, *got[0]}):
        trial.equal(got[0].get(each), ids.get(each), f"{where}, ids of {each}", advice=advice)


@reach.check("finds what shows the entity, and what shows that", points=1.5)
def _finds_all(trial: Trial) -> None:
    site, author = _newsroom(trial)
    _of_site(trial, site, "author", author, 100)
    _of_site(trial, site, "digest", author, 100)
    for _ in range(20):
        site = _random_site(trial)
        kind = trial.rng.choice([*site.kinds])
        _of_site(trial, site, kind, trial.rng.randrange(1, 5), 100)
    site, author = _newsroom(trial)
    for fails_at in (1, 2):
        site.fails_at = fails_at
        _comes_out(
            trial,
            site.error,
            functools.partial(site.run, "author", author, 100),
            "`shown_by`",
            "half of what is old is not what was asked for. Let the error through.",
        )


@reach.check("circles end; one call for each kind and level, no entity twice", points=1)
def _asks_once(trial: Trial) -> None:
    rng = trial.rng
    sites = [_random_site(trial) for _ in range(20)]
    for site in sites:
        kind, number = rng.choice([*site.kinds]), rng.randrange(1, 5)
        _calls_few(trial, site, kind, number, 100)
    ring = _Site(trial, {"comment": ["comment"]})
    length = rng.randrange(1500, 2000)
    for number in range(length):
        ring.shows["comment", number] = {("comment", (number + 1) % length)}
    with trial.explain(
        RecursionError,
        f"A circle of {length} comments, each quoted by the next, is {length} levels. Python ends "
        "a function that calls itself about a thousand times: use a loop.",
    ):
        got = ring.run("comment", 0, length)
    trial.equal(len(got[0].get("comment", ())), length, "how many of a circle were reached")
    _calls_few(trial, ring, "comment", 0, length)


def _calls_few(trial: Trial, site: _Site, kind: str, number: int, most: int) -> None:
    """Demand the right result with calls that are as few as the levels need."""
    _, _, calls = site.reach(kind, number, most)
    _of_site(trial, site, kind, number, most)
    times = collections.Counter((each, one) for each, ids in site.asked for one in ids)
    twice = [f"{each} {one}" for (each, one), count in times.items() if count > 1]
    trial.require(
        not twice,
        f"`shown_by` was asked about {', '.join(twice[:3])} more than once: keep what is known, "
        "and ask for what is new alone.",
    )
    trial.require(
        all(ids for _, ids in site.asked),
        "`shown_by` was called without ids: a level that brings nothing new of a kind asks nothing "
        "of it.",
    )
    trial.require(
        len(site.asked) <= len(calls),
        f"`shown_by` was called {len(site.asked)} times where {len(calls)} do: collect all new ids "
        "of a kind in a level, and ask for them together. Each call is a query.",
    )


@reach.check(
    "a kind of which too much is old is told as a whole, with all that may show it", points=1.5
)
def _tells_whole(trial: Trial) -> None:
    rng = trial.rng
    site, author = _newsroom(trial)
    for most in (3, 2, 1):  # just as many as there are; one more; far more
        _of_site(trial, site, "author", author, most)
        _asks_no_more(trial, site, "author", author, most)
    thread = _Site(trial, {"comment": ["comment", "page"], "page": []})
    length = rng.randrange(5, 10)
    for number in range(length):  # each level brings one more
        thread.shows["comment", number] = {("comment", number + 1)}
    for most in (length + 1, length, 2):
        _of_site(trial, thread, "comment", 0, most)
        _asks_no_more(trial, thread, "comment", 0, most)
    for _ in range(40):
        site = _random_site(trial)
        kind, number, most = rng.choice([*site.kinds]), rng.randrange(1, 5), rng.randrange(1, 5)
        _of_site(trial, site, kind, number, most)
        _asks_no_more(trial, site, kind, number, most)


def _asks_no_more(trial: Trial, site: _Site, kind: str, number: int, most: int) -> None:
    """Demand that nothing was asked of a kind that was known to be old as a whole."""
    _, whole, calls = site.reach(kind, number, most)
    needed = {(each, one) for each, ids in calls for one in ids}
    extra = [(each, one) for each, ids in site.asked for one in ids if (each, one) not in needed]
    if extra:
        each, one = extra[0]
        trial.fail(
            f"`shown_by` was asked about {each} {one}, with most={most}: by then it was known that "
            f"{', '.join(sorted(whole))} are old as a whole. Whatever shows them is, too, and "
            "nothing more is to be found out."
        )


# -- warming -------------------------------------------------------------------------------------

warm = outline.exercise(
    "warm",
    "Warm in batches",
    hints=(
        "`dict.fromkeys(ids)` keeps each id once, in order. Then a loop over slices of `batch` "
        "ids; each goes through three steps: look, load what is missing, store what came.",
        "How many may still be loaded goes down by what you ask the source for. Of the missing ids "
        "of a batch take that many, from the front; when it is 0, end before the next look. "
        "A `try` around `source.load_many` alone tells its errors from the cache's.",
        "`there = cache.get_many(part)`, `missing = [id for id in part if id not in there]`, cut "
        "to `missing[:most]`. If there are some: `most -= len(missing)`; `try: found = "
        "source.load_many(missing)`, "
        "`except Exception as error: return loaded, error`; `if found: cache.set_many(found)`; "
        "`loaded += len(found)`.",
    ),
)


class _Warming:
    """A cache and a source, and what was asked of both.

    Attributes:
        stored: What is in the cache.
        rows: What the source has.
        calls: Each call: its name, and the ids.
        fails: By the name of a call the number of it that raises `error`.
    """

    def __init__(self, trial: Trial, ids: Iterable[int], stored: Iterable[int] = ()) -> None:
        self.rows = {number: _entity(number) for number in ids}
        self.stored: dict[int, Any] = {number: _entity(number) for number in stored}
        self.calls: list[tuple[str, list[Any]]] = []
        self.fails: dict[str, int] = {}
        self.error: BaseException = TimeoutError("no answer")
        self._trial = trial
        self.cache = trial.named("cache", _WarmCache(self))
        self.source = trial.named("source", _WarmSource(self))

    def note(self, name: str, ids: Iterable[Any]) -> list[Any]:
        """Keep a call, and raise if it is its turn."""
        self.calls.append((name, [*ids]))
        if self.fails.get(name) == len(self.named(name)):
            raise self.error
        return self.calls[-1][1]

    def named(self, name: str) -> list[list[Any]]:
        """The ids of each call of this name."""
        return [ids for each, ids in self.calls if each == name]

    def run(self, ids: Iterable[int], batch: int, most: int) -> tuple[int, Any]:
        """Call the answer; demand a pair."""
        self.calls.clear()
        got = self._trial.call(self.cache, self.source, ids, batch, most)
        if type(got) is not tuple or len(got) != 2:
            self._trial.fail(
                f"`warm(...)` returned {got!r:.80}; expected a pair: how many were loaded, and the "
                "error that ended it, or None."
            )
        return got


class _WarmCache:
    def __init__(self, warming: _Warming) -> None:
        self._warming = warming

    def get_many(self, ids: Iterable[int]) -> dict[int, Any]:
        """What is there of these."""
        asked = self._warming.note("get_many", ids)
        stored = self._warming.stored
        return {number: stored[number] for number in asked if number in stored}

    def set_many(self, values: Mapping[int, Any]) -> None:
        """Store all of these."""
        self._warming.note("set_many", values)
        self._warming.stored.update(values)


class _WarmSource:
    def __init__(self, warming: _Warming) -> None:
        self._warming = warming

    def load_many(self, ids: Iterable[int]) -> dict[int, Any]:
        """What the database has of these."""
        asked = self._warming.note("load_many", ids)
        rows = self._warming.rows
        return {number: rows[number] for number in asked if number in rows}


def _entity(number: int) -> Any:
    """An article; of some, a value that counts as false."""
    return [{"id": number}, {}, 0, ""][number % 4 if number % 3 == 0 else 0]


def _expected_calls(
    warming: _Warming, ids: Sequence[int], batch: int, most: int
) -> tuple[list[tuple[str, list[int]]], int]:
    """What has to be asked, in order, and how many are loaded; nothing fails."""
    waiting = [*dict.fromkeys(ids)]
    calls: list[tuple[str, list[int]]] = []
    loaded = 0
    for start in range(0, len(waiting), batch):
        if not most:
            break
        part = waiting[start : start + batch]
        calls.append(("get_many", part))
        missing = [number for number in part if number not in warming.stored][:most]
        most -= len(missing)
        found = [number for number in missing if number in warming.rows]
        calls += [("load_many", missing)] if missing else []
        calls += [("set_many", found)] if found else []
        loaded += len(found)
    return calls, loaded


_WARM_ADVICE = {
    "get_many": "One look for each batch of ids, each id once, the most important first.",
    "load_many": "One load for each batch, with what is missing of it alone; none where nothing "
    "is. An id that the cache's answer has is there, whatever its value.",
    "set_many": "What a batch loaded is stored in one call, before the next batch.",
}


def _warms(
    trial: Trial, warming: _Warming, ids: Sequence[int], batch: int, most: int, advice: str = ""
) -> None:
    """Call the answer; demand that it asks what it has to, and no more."""
    calls, loaded = _expected_calls(warming, ids, batch, most)
    before = dict(warming.stored)
    got = warming.run([*ids], batch, most)
    how = f"with {len(ids)} ids, batch={batch} and most={most}"
    for name, why in _WARM_ADVICE.items():
        expected = [asked for each, asked in calls if each == name]
        found = [sorted(asked) for asked in warming.named(name)]
        trial.require(
            [] not in found,
            f"`{name}` was called without ids, {how}. Where there is nothing to ask, ask nothing.",
        )
        trial.equal(
            found,
            [sorted(asked) for asked in expected],
            f"the ids of each `{name}`, {how}",
            advice=advice or why,
        )
    order = [name for name, _ in warming.calls]
    trial.equal(order, [name for name, _ in calls], f"the calls in order, {how}")
    trial.equal(got, (loaded, None), f"what `warm` returned, {how}")
    new = [number for each, asked in calls if each == "set_many" for number in asked]
    expected_stored = before | {number: warming.rows[number] for number in new}
    trial.equal(warming.stored, expected_stored, f"what is in the cache, {how}")


@warm.check("one look, one load and one store for each batch, of what is missing", points=1)
def _warms_batches(trial: Trial) -> None:
    rng = trial.rng
    for _ in range(20):
        batch = rng.randrange(1, 9)
        ids = rng.sample(range(1, 1000), rng.randrange(20, 40))
        stored = rng.sample(ids, rng.randrange(0, 15)) + ids[batch : 2 * batch]
        rows = rng.sample(ids, len(ids) - 5)
        warming = _Warming(trial, rows, stored)
        warming.stored[ids[batch]] = None  # remembered: there is none
        _warms(trial, warming, ids, batch, 1000)
    warming = _Warming(trial, ids)
    _warms(trial, warming, [], 5, 10)
    _warms(trial, warming, ids[:3], 5, 10)
    _warms(trial, warming, ids[:3], 5, 10)
    warming = _Warming(trial, [])
    _warms(trial, warming, ids[:7], 5, 10)
    warming = _Warming(trial, ids)
    warming.rows[ids[1]] = None
    _warms(trial, warming, ids[:3], 5, 10, "Whatever `load_many` returns is stored, None as well.")


@warm.check("at most `most` ids are asked for, the first ones, each once", points=0.5)
def _warms_most(trial: Trial) -> None:
    rng = trial.rng
    for _ in range(20):
        batch = rng.randrange(2, 9)
        ids = rng.sample(range(1, 1000), 30)
        warming = _Warming(trial, rng.sample(ids, 25), rng.sample(ids, 5))
        most = rng.randrange(1, 20)
        _warms(
            trial,
            warming,
            ids,
            batch,
            most,
            f"At most {most} ids are asked of the source, those that it does not have among them; "
            "the first that are missing. Then nothing more is looked up.",
        )
    for _ in range(10):
        ids = rng.sample(range(1, 1000), 12)
        again = ids + rng.choices(ids, k=12)
        again[6:6] = ids[:3]
        warming = _Warming(trial, ids)
        _warms(
            trial, warming, again, 4, 100, "An id that comes twice counts once, where it is first."
        )
    warming = _Warming(trial, ids)
    _warms(trial, warming, ids, 4, 0, "Nothing may be loaded, so nothing has to be looked up.")


@warm.check("an error of the source ends it, and what was loaded stays", points=0.5)
def _warms_until_error(trial: Trial) -> None:
    rng = trial.rng
    ids = rng.sample(range(1, 1000), 20)
    for error in (TimeoutError("no answer from the database"), KeyError(7)):
        for fails_at in (1, 3):
            warming = _Warming(trial, ids)
            warming.error, warming.fails["load_many"] = error, fails_at
            with trial.explain(
                type(error), "An error of the source ends the work, and is returned: no raise."
            ):
                got = warming.run(list(ids), 5, 100)
            done = ids[: 5 * (fails_at - 1)]
            how = f"where the source raised {type(error).__name__} in batch {fails_at} of 5 ids"
            trial.require(
                len(warming.named("load_many")) == fails_at,
                f"The source was asked {len(warming.named('load_many'))} times, {how}: it ends "
                "there. A database that is in trouble needs no more questions.",
            )
            trial.equal(
                sorted(warming.stored),
                sorted(done),
                f"the ids in the cache {how}",
                advice="Store each batch before the next is loaded.",
            )
            trial.require(
                got[1] is error, f"`warm` returned {got!r:.80} {how}; expected the error itself."
            )
            trial.equal(got[0], len(done), f"how many `warm` says were loaded {how}")
    for name in ("get_many", "set_many"):
        warming = _Warming(trial, ids)
        warming.fails[name] = 2
        _comes_out(
            trial,
            warming.error,
            functools.partial(warming.run, list(ids), 5, 100),
            f"`cache.{name}`",
            "without a cache there is nothing to warm. Only the source's errors are returned.",
        )
    warming = _Warming(trial, ids)
    warming.error, warming.fails["load_many"] = Cancelled("the deploy was called off"), 2
    _comes_out(
        trial,
        warming.error,
        functools.partial(warming.run, list(ids), 5, 100),
        "`source.load_many`",
        "that was no error of the source but somebody who ends the program: `except Exception`.",
    )


# -- measuring, which comes here in the notebook ---------------------------------------------------

from labkit.course.lessons import smart_measuring  # noqa: E402, F401  isort: skip

# -- quiz ----------------------------------------------------------------------------------------

choose_layers = outline.quiz(
    "choose_layers",
    "Which layer does it?",
    {
        "q1": Question(
            "memory in front of Redis, in ten processes. One of them saves an article. How long "
            "may the others show the old one, if nobody tells them",
            "near_ttl",
            {
                "near_ttl": "each of them has a copy that nobody deletes: its time to live is what "
                "bounds it, so it is short.",
                "ttl": "that is for Redis; a copy in memory lives for `near_ttl` at most.",
                "not at all": "the delete reaches Redis and one memory, not the nine others.",
                "for ever": "every copy in memory has a time to live.",
            },
        ),
        "q2": Question(
            "Redis has been away for a minute, and an article was saved meanwhile. Redis comes "
            "back. What has to happen first",
            "the delete that is owed",
            {
                "the delete that is owed": "Redis came back with what it had: the old article. "
                "Who reads before the delete brings it back everywhere.",
                "a read": "it would find the old article, which nobody could delete.",
                "a flush": "it takes the old article away, and with it all that is not old: the "
                "database pays for that.",
                "nothing": "the old article stays until it expires.",
            },
        ),
        "q3": Question(
            "a release adds a field to `Article`. What do its processes make of the texts that "
            "are in the cache",
            "a miss",
            {
                "a miss": "the version, made of the fields, does not match: what cannot be read is "
                "loaded anew, and replaced.",
                "an error": "a cache that breaks at each release is one that gets flushed; a miss "
                "costs one load.",
                "the field's default": "it would be shown as if the database had said so.",
                "the old article": "its class has no such field any more.",
            },
        ),
        "q4": Question(
            "likes on an article: 300 writes and 2,000 reads a second, and losing a second of them "
            "hurts nobody. Which strategy",
            "write-behind",
            {
                "write-behind": "300 writes a second become one save, of the latest value.",
                "write-through": "each of 300 writes a second still waits for the database.",
                "read-through": "300 saves a second, and each takes the copy away from 2,000 "
                "readers.",
                "none": "2,000 reads a second would all go to the database.",
            },
        ),
        "q5": Question(
            "an author changes her name, and 40,000 articles show it. What is dropped",
            "all articles, by their tag",
            {
                "all articles, by their tag": "one command; some articles are loaded in vain, and "
                "nobody waits for 40,000 deletes.",
                "each of the 40,000": "finding them is a query that reads 40,000 rows, and "
                "deleting them holds up the save.",
                "the author alone": "the articles go on showing her old name.",
                "the whole cache": "the weather has not changed: the database would melt.",
            },
        ),
        "q6": Question(
            "where does `Measured` stand so that its hit ratio says what the database is spared",
            "around all tiers",
            {
                "around all tiers": "a miss there is a load; whatever tier has a value, it is a "
                "hit.",
                "around memory": "a miss there may still be a hit in Redis.",
                "around redis": "what memory answers never gets there: the hit ratio looks worse "
                "than it is.",
                "around the source": "it sees misses alone.",
            },
        ),
        "q7": Question(
            "the cache is warmed at noon, before a deploy. What has to be bounded first of all",
            "reads of the database",
            {
                "reads of the database": "warming comes on top of the day's traffic: batches, and "
                "a bound, or it is the outage that it should prevent.",
                "commands to redis": "Redis answers a hundred thousand a second.",
                "the time it takes": "the old processes serve meanwhile; who hurries takes the "
                "database from them.",
                "keys in the cache": "eviction bounds them.",
            },
        ),
        "q8": Question(
            "why do the layers raise `Unavailable` and not `redis.ConnectionError`",
            "the interface",
            {
                "the interface": "who uses a backend needs to know no driver: the next backend has "
                "other errors, and the layers above stay as they are.",
                "speed": "an exception more costs a microsecond, and none is saved.",
                "logging": "the first error is still there, as `__cause__`.",
                "retries": "whether to try again is decided by who catches it, whatever its name.",
            },
        ),
    },
    hints=(
        "For each: which copies are there, who can reach them, and what does the database pay?",
        "q1 and q2 are about tiers, q3 is `packer`, q4 `choose_strategy`, q5 `reach`, q6 and q7 "
        "about what a miss is and costs. For q8, think of a backend that keeps files.",
        "q1: nobody tells the others. q2: think of what Redis has when it comes back. q3: what "
        "does `unpack` answer? q4: durable is False. q5: too many are told as a whole. q6: a hit "
        "in any tier spares the database. q7: who else reads there? q8: what do callers know?",
    ),
    points=0.125,
)

# As the notebook has them, from the strategies down.
outline.exercises = {
    name: outline.exercises[name]
    for name in (
        *("ReadThrough", "WriteThrough", "WriteBehind", "choose_strategy", "read_policies"),
        *("packer", "reach", "MemoryBackend", "RedisBackend", "Tiers", "warm", "Measured"),
        "choose_layers",
    )
}
