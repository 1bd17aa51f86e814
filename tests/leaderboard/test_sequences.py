"""Short sequences of few writes on few members: what the wide search of test_model meets rarely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, example, given, settings

from labkit.clock import FakeClock
from labkit.leaderboard import ScoreRefused, Settings
from tests.leaderboard.model import Model
from tests.leaderboard.storage import NOON, check_storage
from tests.scale import times

if TYPE_CHECKING:
    from tests.leaderboard.conftest import Boards

members = st.sampled_from("abc")
scores = st.integers(0, 3)
agos = st.none() | st.sampled_from([0, 1, 2, 3]).map(lambda ago: NOON - ago)
steps = st.one_of(
    st.tuples(st.just("submit"), members, scores, agos),
    st.tuples(st.just("submit"), members, scores, agos),
    st.tuples(
        st.just("load"),
        st.lists(st.tuples(members, scores), min_size=1, max_size=5),
        st.booleans(),
        agos,
    ),
    st.tuples(st.just("increment"), members, scores, agos),
    st.tuples(st.just("note"), members, scores),
    st.tuples(st.just("remove"), members),
    st.tuples(st.just("trim"), st.integers(1, 3)),
    st.just(("wait",)),
)


def do(board: Any, clock: FakeClock, step: tuple[Any, ...]) -> None:
    kind, *rest = step
    try:
        if kind in ("submit", "increment"):
            getattr(board, kind)(rest[0], rest[1], at=rest[2])
        elif kind == "load":
            board.load(rest[0], ordered=rest[1], at=rest[2])
        elif kind == "note":
            board.submit(rest[0], rest[1], {"score": rest[1]})
        elif kind == "wait":
            clock.advance(1)
        else:
            getattr(board, kind)(rest[0])
    except ScoreRefused:
        pass  # test_refusals has these; here both boards refuse the same


@given(
    sequence=st.lists(steps, min_size=2, max_size=12),
    policy=st.sampled_from(["best", "last", "sum", "first"]),
    order=st.sampled_from(["desc", "asc"]),
    extra=st.sampled_from([{}, {}, {"dense": True}, {"step": 2}, {"maximum": 2}]),
)
@example(
    # The member of a tie that reaches its score again does not lose its place.
    sequence=[("submit", "a", 1, NOON - 2), ("submit", "b", 1, NOON - 1), ("submit", "a", 1, NOON)],
    policy="best",
    order="desc",
    extra={},
)
@example(
    # A worse score of the same load.
    sequence=[("load", [("a", 3), ("a", 1), ("b", 2)], False, None)],
    policy="best",
    order="desc",
    extra={},
)
@example(
    # A second load that ties with the first, from an earlier moment.
    sequence=[
        ("load", [("b", 1)], False, NOON),
        ("load", [("c", 1), ("b", 1), ("a", 1)], False, NOON - 1),
    ],
    policy="last",
    order="desc",
    extra={},
)
@example(
    sequence=[("load", [("a", 2), ("a", 3), ("b", 2)], False, None)],
    policy="last",
    order="desc",
    extra={"step": 2},
)
@settings(max_examples=times(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_every_step_the_board_is_the_models(
    boards: Boards, sequence: list[Any], policy: Any, order: Any, extra: dict[str, Any]
) -> None:
    client = boards.client()
    client.flushall()
    options: dict[str, Any] = {"policy": policy, "order": order, **extra}
    clock, models_clock = FakeClock(NOON), FakeClock(NOON)
    board = boards.board("b", clock=clock, **options)
    model = Model(Settings(**options), models_clock)
    for step in sequence:
        do(board, clock, step)
        do(model, models_clock, step)
        assert board.top(10) == model.entries("all"), step
    check_storage(client, "b")
