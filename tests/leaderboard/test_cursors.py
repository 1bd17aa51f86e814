"""Pages by cursor: nothing that stays is missed or met twice, and no cursor but one's own works."""

from __future__ import annotations

import base64
import random
import subprocess
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from labkit import LocalServer
from labkit.clock import FakeClock, fast_forward
from labkit.leaderboard import CursorRefused, Leaderboard
from tests.leaderboard.storage import NOON, dump
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.leaderboard.conftest import Boards

Scores = dict[str, float]


def integers(random: random.Random) -> float:
    return random.randrange(1_000_000)


def one_tie(_: random.Random) -> float:
    return 7


def few(random: random.Random) -> float:
    return random.choice([1, 2, 3])


def seventeen_digits(random: random.Random) -> float:
    """Neighbours of one double: they differ in the last of 17 digits."""
    return 0.1 + random.randrange(60) * 2**-56


def walk(
    board: Any, limit: int, between: Callable[[], None], *, backwards: bool = False
) -> list[str]:
    """The members met from the first page to the last, or back from the last to the first."""
    page = board.page(limit)
    if backwards:
        while page.next_cursor:
            page = board.page(limit, page.next_cursor)
    met = []
    while True:
        met += [entry.member for entry in page]
        ranks = [entry.rank for entry in page]
        assert ranks == sorted(ranks)
        cursor = page.previous_cursor if backwards else page.next_cursor
        if cursor is None:
            return met
        between()
        page = board.page(limit, cursor)


def churn(board: Any, pool: list[str], score: Callable[[random.Random], float]) -> Any:
    """Moves, inserts and deletes that happen between two pages."""
    source = random.Random(SEED)
    numbers = iter(range(10**9))

    def between() -> None:
        board.submit_many([(member, score(source)) for member in source.sample(pool, 40)])
        board.remove(*source.sample(pool, 15))
        board.submit_many([(f"new {next(numbers)}", score(source)) for _ in range(5)])

    return between


@pytest.mark.parametrize("backwards", [False, True], ids=["down", "up"])
@pytest.mark.parametrize(
    ("score", "order"),
    [(integers, "desc"), (one_tie, "asc"), (few, "desc"), (seventeen_digits, "asc")],
)
@pytest.mark.parametrize("filled", ["submitted", "loaded"])
def test_every_row_that_stays_is_met_once_while_the_others_move(
    boards: Boards, filled: str, score: Any, order: Any, backwards: bool
) -> None:
    source = random.Random(SEED)
    board = boards.board("b", policy="last", order=order)
    still = [f"still {number}" for number in range(400)]
    moving = [f"moving {number}" for number in range(400)]
    rows = [(member, score(source)) for member in still + moving]
    source.shuffle(rows)
    (board.submit_many if filled == "submitted" else board.load)(rows)
    met = walk(board, 60, churn(board, moving, score), backwards=backwards)
    found = [member for member in met if member.startswith("still")]
    assert sorted(found) == sorted(still)
    expected = [entry.member for entry in board.top(1000) if entry.member in set(still)]
    assert found == (expected if not backwards else sorted_by_page(expected, found))


def sorted_by_page(expected: list[str], found: list[str]) -> list[str]:
    """What was met backwards, page by page, in the order of the board: pages come last first."""
    place = {member: number for number, member in enumerate(expected)}
    pages: list[list[str]] = [[]]
    for member in found:
        if pages[-1] and place[member] < place[pages[-1][-1]]:
            pages.append([])
        pages[-1].append(member)
    assert [member for page in pages[::-1] for member in page] == expected
    return found


@pytest.mark.parametrize("filled", ["submitted", "loaded"])
def test_a_cursor_finds_its_place_in_a_tie_of_10_000(
    boards: Boards, client: redis.Redis, filled: str
) -> None:
    board = boards.board("b", clock=FakeClock(NOON))
    members = [f"m{number}" for number in range(10_000)]
    random.Random(SEED).shuffle(members)
    rows = [(member, 0.1) for member in members]
    (board.submit_many if filled == "submitted" else board.load)(rows)
    page = board.page(1000)
    assert page.next_cursor
    order = [entry.member for entry in page]
    # The row of the cursor goes, and so do its neighbours.
    board.remove(*order[-5:])
    following = board.page(1000, page.next_cursor)
    assert following.total == 9995
    assert not {entry.member for entry in following} & set(order)
    assert following.entries[0].rank == 1
    back = board.page(1000, following.previous_cursor)
    assert [entry.member for entry in back] == order[:-5]
    met = walk(board, 1000, lambda: None)
    assert met == [entry.member for entry in back] + met[995:]
    assert sorted(met) == sorted(set(members) - set(order[-5:]))
    rest = met[995:]
    assert [entry.member for entry in following] == rest[:1000]


def test_both_cursors_of_a_page_lead_on_from_it(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited)
    board.submit_many([(f"m{number}", number) for number in range(10)])
    first = board.page(4)
    assert first.previous_cursor is None
    second = board.page(4, first.next_cursor)
    assert [entry.score for entry in second] == [5, 4, 3, 2]
    last = board.page(4, second.next_cursor)
    assert (len(last), last.next_cursor) == (2, None)
    assert board.page(4, last.previous_cursor).entries == second.entries
    assert board.page(2, second.previous_cursor).entries == first.entries[2:]
    assert board.page(9, second.previous_cursor).entries == first.entries
    whole = board.page(10)
    assert (whole.next_cursor, whole.previous_cursor, whole.total) == (None, None, 10)
    board.clear()
    empty = board.page(4)
    assert (list(empty), empty.next_cursor, empty.previous_cursor, empty.total) == (
        [],
        None,
        None,
        0,
    )
    after = board.page(4, first.next_cursor)
    assert (list(after), after.next_cursor, after.total) == ([], None, 0)


def cursor_of(board: Any) -> str:
    """A board's cursor after its second of three rows."""
    board.submit_many([("ada", 3), ("bob", 2), ("cyd", 1)])
    cursor: str = board.page(2).next_cursor
    return cursor


@pytest.mark.parametrize("decode", [True, False])
def test_a_foreign_cursor_is_refused(
    boards: Boards, awaited: bool, clock: FakeClock, decode: bool
) -> None:
    options: dict[str, Any] = {"clock": clock, "windows": ("hourly", "daily", "all")}
    board = boards.board("b", awaited=awaited, decode=decode, **options)
    cursor = cursor_of(board)
    assert [entry.member for entry in board.page(5, cursor)] == ["cyd"]
    other = boards.board("c", awaited=awaited, decode=decode, **options)
    cursor_of(other)
    signed = boards.board("b", awaited=awaited, secret="mine", **options)
    theirs = boards.board("b", awaited=awaited, secret="theirs", **options)
    for stranger in (other, signed):
        with pytest.raises(CursorRefused, match="not made by this board"):
            stranger.page(5, cursor)
    with pytest.raises(CursorRefused, match="of all, and daily:2026-11-22"):
        board.window("daily").page(5, cursor)
    with pytest.raises(CursorRefused):
        theirs.page(5, signed.page(2).next_cursor)
    assert len(signed.page(5, signed.page(2).next_cursor)) == 1
    # A board that is made again under the same name has another secret.
    board.delete()
    with pytest.raises(CursorRefused):
        board.page(5, cursor)
    cursor_of(boards.board("b", awaited=awaited, **options))
    with pytest.raises(CursorRefused):
        board.page(5, cursor)


def test_a_shared_secret_does_not_make_cursors_of_two_boards_alike(boards: Boards) -> None:
    first, second = (boards.board(name, secret="ours") for name in ("b", "c"))
    cursor = cursor_of(first)
    cursor_of(second)
    with pytest.raises(CursorRefused):
        second.page(5, cursor)


def test_a_cursor_ends_with_its_window(boards: Boards, awaited: bool, clock: FakeClock) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly",))
    cursor = cursor_of(board)
    period = board.period
    clock.advance("1h")
    board.submit("dan", 9)
    with pytest.raises(CursorRefused, match=r"hourly:2026-11-22T12.*hourly:2026-11-22T13"):
        board.page(5, cursor)
    # Where it says, it goes on.
    closed = board.window("hourly", period)
    assert [entry.member for entry in closed.page(5, cursor)] == ["cyd"]


@given(data=st.data())
@settings(
    max_examples=times(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_cursor_that_was_tampered_with_is_refused(boards: Boards, data: st.DataObject) -> None:
    board = boards.board("b")
    cursor = cursor_of(board)
    raw = base64.urlsafe_b64decode(cursor)
    forged = data.draw(
        st.one_of(
            st.text(),
            st.binary().map(lambda tail: base64.urlsafe_b64encode(raw[:16] + tail).decode()),
            st.integers(0, len(cursor) - 1).map(lambda end: cursor[:end]),
            st.tuples(st.integers(0, len(cursor)), st.text(min_size=1, max_size=3)).map(
                lambda edit: cursor[: edit[0]] + edit[1] + cursor[edit[0] :]
            ),
            st.tuples(st.integers(0, len(raw) - 1), st.integers(1, 255)).map(
                lambda edit: flipped(raw, *edit)
            ),
            st.tuples(
                st.sampled_from(["after", "before", "top", "member"]),
                st.sampled_from(["all", "daily"]),
                st.text(max_size=3) | st.just("x y"),
                st.sampled_from(["1", "-2", "1e999", "nan", "inf", "0x1", "(1", "", "1 2"]),
                st.text(max_size=20) | st.just("0" * 18 + "ada") | st.just("g" * 19),
            ).map(lambda parts: encoded(raw[:16], list(parts))),
            st.none() | st.integers() | st.binary(),
        )
    )
    if forged in (cursor, None):
        return
    before = dump(boards.client())
    with pytest.raises(CursorRefused):
        board.page(5, forged)
    assert dump(boards.client()) == before


def flipped(raw: bytes, place: int, bits: int) -> str:
    changed = bytearray(raw)
    changed[place] ^= bits
    return base64.urlsafe_b64encode(bytes(changed)).decode()


def encoded(signature: bytes, parts: list[str]) -> str:
    return base64.urlsafe_b64encode(signature + msgspec.json.encode(parts)).decode()


@pytest.mark.parametrize("ties", ["competition", "dense", "ordinal", "modified"])
def test_a_snapshot_is_paged_through_as_it_was(
    boards: Boards, client: redis.Redis, awaited: bool, clock: FakeClock, ties: Any
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="last", ties=ties)
    board.submit_many([(f"m{number}", number // 3) for number in range(40)])
    expected = board.top(100)
    page = board.page(7, snapshot="5m")
    pages = [page]
    while page.next_cursor:
        board.submit_many([(f"m{number}", -number) for number in range(0, 40, 2)])
        board.remove("m1", "m3")
        board.submit(f"new {len(pages)}", 99)
        page = board.page(7, page.next_cursor)
        pages.append(page)
    assert [entry for page in pages for entry in page] == expected
    assert {page.total for page in pages} == {40}
    for earlier in pages[-2::-1]:
        page = board.page(7, page.previous_cursor)
        assert page.entries == earlier.entries
    # Its time is over: the cursor says so, and nothing is left of it once the next one is made.
    cursor = pages[0].next_cursor
    clock.advance("5m")
    fast_forward(client, "5m")
    with pytest.raises(CursorRefused, match="snapshot is over"):
        board.page(7, cursor)
    board.page(7, snapshot="5m")
    assert sum("snapshot" in key for key in client.scan_iter(match="*")) <= 2
    assert client.zcard("leaderboard:{b}:periods") == 2


def test_a_snapshot_of_an_empty_board_has_one_empty_page(boards: Boards) -> None:
    page = boards.board("b").page(5, snapshot="1s")
    assert (list(page), page.next_cursor, page.total) == ([], None, 0)


@pytest.fixture(scope="module")
def foreign_server() -> Iterator[LocalServer]:
    """A server under a locale that does not order texts by their bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", _foreign_locale())
        with LocalServer(unix_socket=True) as server:
            yield server


def _foreign_locale() -> str:
    try:
        listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine does not say which locales it has")
    names = listed.stdout.split()
    for name in names:
        if name.partition(".")[0] not in ("C", "POSIX"):
            return name
    pytest.skip("this machine has no locale but that of C")


def test_places_in_a_tie_do_not_ask_the_locale(foreign_server: LocalServer) -> None:
    with foreign_server.client() as client:
        board = Leaderboard(client, "b", clock=FakeClock(NOON))
        members = [letter * size for letter in "aAbBzZäÄ_-0" for size in range(1, 20)]
        board.load([(member, 1) for member in members])
        page = board.page(50)
        board.remove(page.entries[-1].member)
        following = board.page(1000, page.next_cursor)
        met = [entry.member for entry in (*page, *following)]
        assert met == sorted(members, key=str.encode)
