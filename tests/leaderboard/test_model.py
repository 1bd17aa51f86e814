"""Every operation does what a plain Python model does, whatever came before."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from labkit.clock import FakeClock, fast_forward
from labkit.leaderboard import Change, LeaderboardError, Period, Score, Season, Settings
from tests.leaderboard.model import Model
from tests.leaderboard.storage import NOON, check_storage
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.leaderboard import Reset
    from tests.leaderboard.conftest import Boards

TIES = ("ordinal", "competition", "dense", "modified")
POLICIES = ("best", "last", "sum", "first")
MEMBERS = ("ada", "bob", "Zoë", "a b", "0" * 18, "@7", "{x}", "日本", "eve\n", "z" * 30)
CUP = Season("cup", NOON - 86_400, NOON + 7_200)

members = st.sampled_from(MEMBERS)
# Few different ones, so that there are ties; neighbours that differ in the 17th digit; the ends of
# what a double can be; and any.
scores = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.1, 0.1 + 2**-56, 0.30000000000000004, 0.3, 2**53, 2**53 - 1, -(2**53)]),
    st.sampled_from([-0.0, 1e308, -1e308, 5e-324, -5e-324, 2.5e-310, 1e15 + 0.125, 1 / 3]),
    st.floats(allow_nan=False, allow_infinity=False),
)
notes = st.none() | st.sampled_from([{}, {"level": 3}, {"a": {"b": [1, None, "ü"]}}, {"x": "@"}])
# Multiples of ten minutes from 12:07 on: the server's clock runs on a little meanwhile, and may
# not decide whether something has expired.
moments = st.none() | st.integers(-300, 30).map(lambda step: NOON + 420 + step * 600.0)
keys = st.none() | st.sampled_from(["k1", "k2", "k3"])
ties = st.none() | st.sampled_from(TIES)
chosen_windows = st.lists(
    st.sampled_from(["hourly", "daily", "weekly", "monthly", "yearly", "all", CUP]),
    min_size=1,
    max_size=3,
    unique=True,
)

configurations = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["desc", "asc"]),
        "ties": st.sampled_from(TIES),
        "policy": st.sampled_from(POLICIES),
        "windows": st.just(("all",)) | chosen_windows.map(tuple),
    },
    optional={
        "dense": st.booleans(),
        "timezone": st.sampled_from(["UTC", "Europe/Lisbon", "Asia/Kolkata"]),
        "minimum": st.just(-2),
        "maximum": st.just(1000),
        "step": st.sampled_from([1, 0.5]),
        "grace": st.sampled_from(["0s", "1h", "1d"]),
        "keep": st.just({}),
    },
)


def attempt(call: Callable[[], Any]) -> Any:
    """The answer of a call, or the kind of exception that it raised."""
    try:
        return call()
    except (LeaderboardError, ValueError, TypeError) as error:
        return type(error)


class Comparison(RuleBasedStateMachine):
    """One board, driven through both faces in turn, beside its model."""

    boards: Boards
    numbers = itertools.count()

    @initialize(configuration=configurations, decode=st.booleans(), first_async=st.booleans())
    def begin(self, configuration: dict[str, Any], decode: bool, first_async: bool) -> None:
        self.clock = FakeClock(NOON + 420)
        self.model = Model(Settings(**configuration), self.clock)
        self.name = f"board {next(self.numbers)}"
        options = {"clock": self.clock, "decode": decode, **configuration}
        faces = [
            self.boards.board(self.name, awaited=awaited, **options)
            for awaited in (first_async, not first_async)
        ]
        self.faces = itertools.cycle(faces)
        self.client = self.boards.client()

    def both(self, name: str, *args: Any, **options: Any) -> Any:
        board = next(self.faces)
        found = attempt(lambda: getattr(board, name)(*args, **options))
        expected = attempt(lambda: getattr(self.model, name)(*args, **options))
        assert found == expected, name
        return found

    def compare(self) -> None:
        """Everything that each window shows."""
        board = next(self.faces)
        for window in self.model.settings.names:
            shown, expected = board.window(window), self.model.view(window)
            assert shown.top(1000) == expected.entries()
            if shown.period.window in self.model.one_period:
                continue
            late = self.clock() - 86_400
            assert board.window(window, late).top(5) == self.model.view(window, late).top(5)

    @rule(member=members, score=scores, note=notes, at=moments, key=keys)
    def submit(self, member: str, score: float, note: Any, at: Any, key: Any) -> None:
        self.both("submit", member, score, note, at=at, key=key)
        self.compare()

    @rule(member=members, score=st.integers(-3, 3))
    def submit_now(self, member: str, score: float) -> None:
        self.both("submit", member, score)
        self.compare()

    @rule(member=members, by=scores, note=notes, at=moments, key=keys)
    def increment(self, member: str, by: float, note: Any, at: Any, key: Any) -> None:
        self.both("increment", member, by, note, at=at, key=key)
        self.compare()

    @rule(rows=st.lists(st.builds(Score, members, scores, notes, moments, keys), max_size=6))
    def submit_many(self, rows: list[Score]) -> None:
        board = next(self.faces)
        found = attempt(lambda: board.submit_many(rows))
        expected = attempt(lambda: self.model.submit_many(rows))
        if isinstance(expected, list):
            assert [each.moves for each in found] == [each.moves for each in expected]
            assert [each.replayed for each in found] == [each.replayed for each in expected]
            assert [bool(each.refused) for each in found] == [
                bool(each.refused) for each in expected
            ]
        else:
            assert found == expected
        self.compare()

    @rule(
        rows=st.lists(st.tuples(members, scores), min_size=1, max_size=8),
        at=moments,
        ordered=st.booleans(),
        chunk=st.sampled_from([1, 2, 3, 1000]),
    )
    def load(self, rows: list[tuple[str, float]], at: Any, ordered: bool, chunk: int) -> None:
        board, options = next(self.faces), {"at": at, "ordered": ordered, "chunk": chunk}
        found = attempt(lambda: board.load(iter(rows), **options))
        expected = attempt(lambda: self.model.load(rows, **options))
        if isinstance(expected, type):
            assert found == expected
        else:
            assert found.rows == expected.rows
            assert sorted(found.refused) == expected.refused
        self.compare()

    @rule(gone=st.lists(members, min_size=1, max_size=3), history=st.booleans())
    def remove(self, gone: list[str], history: bool) -> None:
        self.both("remove", *gone, history=history)
        self.compare()

    @rule(keep=st.integers(1, 6))
    def trim(self, keep: int) -> None:
        self.both("trim", keep)
        self.compare()

    @rule(chance=st.integers(0, 5))
    def clear(self, chance: int) -> None:
        if not chance and self.model.changes:
            self.both("clear")
            self.compare()

    @rule(steps=st.sampled_from([1, 3, 6, 24, 144, 200, 1100, 20_000]))
    def wait(self, steps: int) -> None:
        self.clock.advance(steps * 600)
        fast_forward(self.client, steps * 600)
        self.model.forget()
        self.compare()

    @rule(data=st.data(), kind=ties, at=moments)
    def read(self, data: st.DataObject, kind: Any, at: Any) -> None:
        window = data.draw(st.sampled_from(self.model.settings.names))
        over = self.model.history(window)
        if over and data.draw(st.sampled_from([True, False])):
            at = data.draw(st.sampled_from(over))
        elif at is not None and at < self.clock() - 3 * 86_400:
            at = None  # it may have been forgotten
        found, expected = next(self.faces).window(window, at), self.model.view(window, at)
        names = data.draw(st.lists(members, min_size=1, max_size=5))
        score, other = data.draw(scores), data.draw(scores)
        count = data.draw(st.integers(1, 6))
        share = data.draw(st.integers(0, 400)) / 4
        for name, arguments in (
            ("get", (names[0],)),
            ("top", (count,)),
            ("around", (names[0], count)),
            ("around_score", (score, count)),
            ("among", (names,)),
            ("rank_of", (score,)),
        ):
            assert getattr(found, name)(*arguments, ties=kind) == getattr(expected, name)(
                *arguments, ties=kind
            ), name
        low, high = sorted((score, other))
        assert found.percentile(names[0]) == expected.percentile(names[0])
        assert found.score_at(share) == expected.score_at(share)
        assert found.count(low, high) == expected.count(low, high)
        assert found.count(low=low) == expected.count(low=low)
        assert found.count(high=high) == expected.count(high=high)
        assert found.size() == len(found) == expected.size()
        assert (names[0] in found) == (expected.get(names[0]) is not None)

    @rule(data=st.data(), kind=ties, limit=st.integers(1, 4))
    def pages(self, data: st.DataObject, kind: Any, limit: int) -> None:
        window = data.draw(st.sampled_from(self.model.settings.names))
        expected = self.model.view(window).entries(kind)
        pages = [next(self.faces).window(window).page(limit, ties=kind)]
        while pages[-1].next_cursor:
            cursor = pages[-1].next_cursor
            pages.append(next(self.faces).window(window).page(limit, cursor, ties=kind))
        assert [entry for page in pages for entry in page] == expected
        assert all(len(page) == limit for page in pages[:-1])
        assert {page.total for page in pages} == {len(expected)}
        # And back again: the pages from the last row upwards.
        back = pages[-1]
        shown = list(back)
        while back.previous_cursor:
            back = next(self.faces).window(window).page(limit, back.previous_cursor, ties=kind)
            shown = [*back, *shown]
        assert shown == expected

    @rule(data=st.data(), member=members, limit=st.integers(1, 5), kind=ties)
    def past(self, data: st.DataObject, member: str, limit: int, kind: Any) -> None:
        window = data.draw(st.sampled_from(self.model.settings.names))
        self.both("history", window)
        self.both("rank_history", member, window, limit, ties=kind)

    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        window = data.draw(st.sampled_from(self.model.settings.names))
        at = self.clock() if data.draw(st.booleans()) else None
        found = [told(event) for event in next(self.faces).window(window, at).watch(0, timeout=0)]
        expected = self.model.told(window, at)
        # Numbers begin anywhere; between them they count every change.
        first = found[0][0] - expected[0][0] if found and expected else 0
        assert by_call([(number - first, *rest) for number, *rest in found]) == by_call(expected)

    def teardown(self) -> None:
        if hasattr(self, "name"):
            check_storage(self.client, self.name)
            self.boards.board(self.name, clock=self.clock, **self.layout()).delete()
            assert not list(self.client.scan_iter(match="*", count=1000))

    def layout(self) -> dict[str, Any]:
        chosen = self.model.settings
        return {"order": chosen.order, "timezone": chosen.timezone}


def told(event: Change | Reset) -> tuple[Any, ...]:
    if not isinstance(event, Change):
        return (event.id, event.reason, event.count)
    moved = (event.old_score, event.new_score, event.old_rank, event.new_rank)
    return (event.id, event.member, event.window, event.period, event.outcome, event.at, *moved)


def by_call(events: list[tuple[Any, ...]]) -> list[Any]:
    """Events, those of trims in a row without their numbers: which period comes first is open."""
    grouped: list[Any] = []
    for trimmed, each in itertools.groupby(events, key=lambda event: event[1] == "trimmed"):
        run = list(each)
        grouped.append(sorted(event[2] for event in run) if trimmed else run)
    return grouped


def test_every_operation_does_what_the_model_does(boards: Boards) -> None:
    machine = type("Machine", (Comparison,), {"boards": boards})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=times(40), stateful_step_count=40)
    )


@pytest.mark.parametrize("window", ["daily", "cup"])
def test_the_present_period_is_the_one_that_the_clock_is_in(boards: Boards, window: str) -> None:
    board = boards.board("b", clock=FakeClock(NOON), windows=("daily", CUP))
    period: Period = board.window(window).period
    assert NOON in period
