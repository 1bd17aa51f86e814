"""The views of comments: they are what the newest states say, however those arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from labkit import CommandLog, connect, describe
from labkit.cache.errors import Unavailable
from labkit.clock import fast_forward
from labkit.newsroom import Comment
from labkit.newsroom.comment_questions import ORDERS
from labkit.site.comments.places import comment_at, place, rank
from labkit.site.comments.rebuilding import drop
from labkit.site.comments.views import BATCH, CommentViews, Live, NotBuilt
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterable

    from labkit.newsroom.comment_questions import Order

READERS = ("ada", "bob:totals", "*{?}")
MOMENTS = (-1.5, -0.0, 0.0, 5e-324, 1.0, 1.0000000000000002, 1764141000.25, 1e300)
NUMBERS = (1, 2, 3, 7, 10, 99, 2**53, 2**53 + 1, 2**62, 2**63 - 1)
LARGE = 2**53


def original(number: int) -> Comment:
    """A comment as it was said; what never changes rests on its number."""
    at = NUMBERS.index(number)
    parent = None if at % 3 == 0 else NUMBERS[at % 3 - 1]
    moment = MOMENTS[at * 5 % len(MOMENTS)]
    return Comment(number, 7 + at % 2, READERS[at % 3], "Said.", moment, False, parent)


@st.composite
def states(draw: st.DrawFn) -> list[Comment]:
    """Every state of some comments, in any order, some of them more than once."""
    found = []
    for number in draw(st.lists(st.sampled_from(NUMBERS), unique=True, min_size=1)):
        for version in range(1, draw(st.integers(1, 4)) + 1):
            change: dict[str, Any] = {
                "version": version,
                "hidden": draw(st.sampled_from([False, False, True])),
                "body": draw(st.sampled_from(["Yes.", "«Não»\n", "x" * 200])),
                "score": draw(st.sampled_from([0, 1, -1, 3, LARGE, LARGE + 1, -LARGE - 1])),
            }
            if deleted := draw(st.integers(0, 7)) == 0:
                change |= {"deleted": True, "reader": "", "body": "", "score": 0}
            found.append(msgspec.structs.replace(original(number), **change))
            if deleted:
                break
    again = draw(st.lists(st.sampled_from(found), max_size=4))
    return draw(st.permutations(found + again))


def newest(given: Iterable[Comment]) -> list[Comment]:
    """What readers should see."""
    last: dict[int, Comment] = {}
    for state in given:
        if state.id not in last or last[state.id].version < state.version:
            last[state.id] = state
    return [state for state in last.values() if not state.hidden and not state.deleted]


def in_order(seen: Iterable[Comment], order: str) -> list[Comment]:
    found = sorted(seen, key=lambda c: (c.posted_at, c.id), reverse=order == "newest")
    return sorted(found, key=lambda c: -c.score) if order == "best" else found


@pytest.fixture
def views(client: Any) -> CommentViews:
    """Views of no comments at all."""
    return built(client)


def built(client: Any, **options: Any) -> CommentViews:
    views = CommentViews(client, **options)
    drop(views)
    assert views.switch(views.begin())
    return views


def check_against(views: CommentViews, seen: list[Comment]) -> None:
    """Every view shows exactly these comments."""
    for article in (7, 8):
        mine = [comment for comment in seen if comment.article_id == article]
        for order in ORDERS:
            expected = in_order(mine, order)
            assert views.page(article, order, most=100) == expected
            for at, after in enumerate(expected):
                assert views.page(article, order, after, 2) == expected[at + 1 : at + 3]
        assert views.count(article) == len(mine)
        live = views.live(article, NUMBERS)
        assert live == Live(len(mine), {c.id: c.score for c in seen})
    for reader in (*READERS, "nobody"):
        theirs = [comment for comment in seen if comment.reader == reader]
        assert views.by(reader) == in_order(theirs, "newest")
        totals = views.totals(reader)
        assert (totals.comments, totals.score) == (len(theirs), sum(c.score for c in theirs))
    for number in NUMBERS:
        replies = [comment for comment in seen if comment.parent_id == number]
        assert views.replies(number) == in_order(replies, "oldest")


@settings(max_examples=times(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=states(), size=st.integers(1, 5))
def test_states_in_any_order_come_to_the_same(client: Any, given: list[Comment], size: int) -> None:
    views = built(client)
    for at in range(0, len(given), size):
        views.apply_many(given[at : at + size])
    check_against(views, newest(given))
    assert views.apply_many(given) == 0  # nothing of it is news
    check_against(views, newest(given))


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_begins_after_a_comment_that_has_moved_or_gone(
    views: CommentViews, order: Order
) -> None:
    views.apply_many(msgspec.structs.replace(original(n), article_id=7) for n in NUMBERS)
    expected = views.page(7, order)
    after = expected[3]
    moved = msgspec.structs.replace(after, score=9, version=2)
    gone = msgspec.structs.replace(moved, hidden=True, version=3)
    for state in (after, moved, gone):
        views.apply(state)
        assert views.page(7, order, after) == expected[4:]


@given(
    moment=st.floats(allow_nan=False, allow_infinity=False),
    other=st.floats(allow_nan=False, allow_infinity=False),
    score=st.integers(-(2**62), 2**62),
    number=st.integers(1, 2**63 - 1),
)
def test_places_are_in_the_order_of_what_they_stand_for(
    moment: float, other: float, score: int, number: int
) -> None:
    one = Comment(number, 1, "ada", "Yes.", moment, False, score=score)
    two = msgspec.structs.replace(one, posted_at=other)
    assert (place(one) < place(two)) == (moment < other)
    assert (rank(one) < rank(two)) == (moment < other)
    assert rank(one) > rank(msgspec.structs.replace(two, score=score + 1))
    found = comment_at(rank(one))
    assert (found.id, found.posted_at, found.score) == (number, moment, score)


@pytest.mark.parametrize("text", ["", "x", "0" * 51, "f" * 32 + "0" * 18 + "1", "é" * 51])
def test_a_text_that_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="no place among comments"):
        comment_at(text)


# --- What it costs


def test_each_call_is_one_round_trip(client: Any, views: CommentViews) -> None:
    comment = original(1)
    calls: list[tuple[Any, ...]] = [
        (views.apply, comment),
        (views.apply_many, [original(n) for n in NUMBERS]),
        (views.page, 7, "best"),
        (views.replies, 1),
        (views.by, "ada"),
        (views.count, 7),
        (views.counts, list(range(1, 1001))),
        (views.totals, "ada"),
        (views.live, 7, list(range(1, 1001))),
    ]
    for call, *arguments in calls * 2:
        with CommandLog(client) as log:
            call(*arguments)
        assert log.round_trips == 1
    assert log.names == ["EVALSHA"]
    many = [Comment(n, 7, "ada", "Yes.", 1.0, False) for n in range(1, 2 * BATCH + 2)]
    with CommandLog(client) as log:
        assert views.apply_many(many) > BATCH
    assert log.round_trips == 3


def test_a_change_is_as_many_commands_however_many_comments_there_are(client: Any) -> None:
    if describe(client).kind == "fakeredis":
        pytest.skip("fakeredis does not count the commands of a script")

    def commands(number: int) -> dict[str, int]:
        views = built(client)
        views.apply_many(Comment(n, 7, "ada", "Yes.", 1.0 * n, False) for n in range(1, number))
        before = Comment(number // 2, 7, "ada", "Yes.", number // 2, False)
        client.config_resetstat()
        changes: list[dict[str, Any]] = [{"score": 1}, {"hidden": True}, {"hidden": False}]
        for version, change in enumerate(changes, 2):
            assert views.apply(msgspec.structs.replace(before, version=version, **change))
        told = client.info("commandstats")
        return {name: of["calls"] for name, of in told.items() if not name.endswith("|resetstat")}

    few = commands(10)
    assert few["cmdstat_zadd"] > 0
    assert commands(2000) == few


def test_views_are_read_by_a_client_that_does_not_decode(client: Any, bench: Any) -> None:
    with connect(bench.url, decode_responses=False) as plain:
        views = built(plain)
        comments = [original(n) for n in NUMBERS]
        views.apply_many(comments)
        check_against(views, comments)
        check_against(CommentViews(client), comments)


def test_views_on_a_cluster(cluster_url: str) -> None:
    with connect(cluster_url) as client:
        views = built(client)
        views.apply_many(map(original, NUMBERS))
        check_against(views, list(map(original, NUMBERS)))
        views.forget(7)
        check_against(views, [c for c in map(original, NUMBERS) if c.article_id != 7])
        drop(views)
        assert not views.built()


# --- What is gone


@pytest.mark.parametrize("change", [{"hidden": True}, {"deleted": True, "reader": "", "body": ""}])
def test_a_late_state_brings_nothing_back_while_that_is_remembered(
    client: Any, change: dict[str, Any]
) -> None:
    views = built(client, remember="1h")
    late = original(7)
    gone = msgspec.structs.replace(late, version=2, **change)
    views.apply_many([late, gone])
    assert not views.apply(late)
    check_against(views, [])
    keys = client.dbsize()
    fast_forward(client, "2h")
    assert client.dbsize() == keys - 1  # what was remembered takes no room for ever
    assert views.apply(late)


def test_a_comment_that_is_shown_again_stays(client: Any) -> None:
    views = built(client, remember="1h")
    comment = original(7)
    views.apply(msgspec.structs.replace(comment, version=2, hidden=True))
    shown = msgspec.structs.replace(comment, version=3)
    views.apply(shown)
    fast_forward(client, "2h")
    check_against(views, [shown])


def test_an_article_that_is_deleted_takes_its_comments_along_for_good(
    client: Any, views: CommentViews
) -> None:
    many = [Comment(n, 7, "ada", "Yes.", 1.0, False) for n in range(100, 2 * BATCH + 200)]
    rest = [original(n) for n in NUMBERS if original(n).article_id == 8]
    views.apply_many([*many, *rest])
    views.forget(7)
    views.apply_many(msgspec.structs.replace(c, version=9) for c in many)  # it was under way
    check_against(views, rest)
    views.forget(7)
    views.forget(9)
    check_against(views, rest)


# --- What cannot be


def test_there_are_no_views_before_they_are_built(client: Any) -> None:
    views = CommentViews(client)
    assert not views.built()
    assert not views.apply(original(1))
    reads: list[tuple[Any, ...]] = [
        (views.page, 7),
        (views.replies, 1),
        (views.by, "ada"),
        (views.count, 7),
        (views.totals, "ada"),
        (views.live, 7, [1]),
    ]
    for read, *arguments in reads:
        with pytest.raises(NotBuilt, match="rebuild"):
            read(*arguments)
    assert client.dbsize() == 0


def test_what_cannot_be_is_refused_before_anything_is_written(
    client: Any, views: CommentViews
) -> None:
    with pytest.raises(ValueError, match="without braces"):
        CommentViews(client, namespace="a{b}")
    with pytest.raises(ValueError, match="such as '1d'"):
        CommentViews(client, remember=None)
    order: Any = "worst"
    with pytest.raises(ValueError, match="oldest, newest, best"):
        views.page(7, order)
    for most in (0, 1001):
        with pytest.raises(ValueError, match="expected 1 to 1000"):
            views.page(7, most=most)
    for wrong in ({"version": 0}, {"version": 2**53}, {"id": 0}):
        state = msgspec.structs.replace(original(1), **wrong)
        with pytest.raises(ValueError, match="a row of the database"):
            views.apply_many([original(2), state])
    check_against(views, [])
    assert views.counts([]) == {}


def test_redis_is_away(client: Any, views: CommentViews) -> None:
    def away(_: int) -> None:
        raise ConnectionError

    with CommandLog(client, before=away):
        for call in (lambda: views.apply(original(1)), lambda: views.count(7), views.built):
            with pytest.raises(Unavailable):
                call()
