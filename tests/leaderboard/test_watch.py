"""Watching: every change once, in order, from any point; what is missing is said."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import TYPE_CHECKING, Any

from labkit.leaderboard import AsyncLeaderboard, Change, Entry, Gap, Leaderboard, Reset, Season
from tests.leaderboard.storage import NOON
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterable

    import redis

    from labkit.clock import FakeClock
    from tests.leaderboard.conftest import Boards

WINDOWS = ("hourly", "daily", Season("cup", NOON - 50, NOON + 50), "all")


def play(board: Any, rounds: int) -> None:
    """A mix of every write."""
    source = random.Random(SEED)
    for _ in range(rounds):
        member = f"m{source.randrange(6)}"
        kind = source.randrange(10)
        if kind < 6:
            board.submit(member, source.randrange(20))
        elif kind < 8:
            board.increment(member, source.randrange(3))
        elif kind < 9:
            board.remove(member)
        else:
            board.submit_many([(f"m{number}", number) for number in range(4)])


def test_the_changes_tell_the_board(boards: Boards, awaited: bool, clock: FakeClock) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, policy="last")
    play(board, 120)
    scores: dict[str, float] = {}

    def rank(member: str) -> int:
        return 1 + sum(score > scores[member] for score in scores.values())

    events = list(board.watch(0, timeout=0))
    for event in events:
        assert isinstance(event, Change)
        old = (event.old_score, event.old_rank)
        assert old == (scores.get(event.member), rank(event.member) if old[0] is not None else None)
        if event.outcome == "removed":
            assert (event.new_score, event.new_rank) == (None, None)
            del scores[event.member]
        else:
            assert event.outcome == ("changed" if event.member in scores else "new")
            assert event.new_score is not None
            scores[event.member] = event.new_score
            assert event.new_rank == rank(event.member)
        assert (event.window, event.period, event.at) == ("all", "all", NOON)
    assert scores == {entry.member: entry.score for entry in board.top(100)}
    ids = [event.id for event in events]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_a_watch_resumes_exactly_where_one_ended(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited)
    play(board, 40)
    events = list(board.watch(0, timeout=0))
    for number, event in enumerate(events):
        assert list(board.watch(event.id, timeout=0)) == events[number + 1 :]


def test_a_watch_knows_the_last_change_that_it_gave_out(boards: Boards) -> None:
    board = boards.board("b", windows=("daily", "all"))
    play(board, 20)
    watch = board.watch(0, timeout=0)
    assert watch.last_id == 0
    for event in watch:
        assert watch.last_id == event.id
    # A watcher of one window has seen the changes of the others pass.
    board.window("daily").watch(0, timeout=0)
    new = board.watch(timeout=0)
    assert new.last_id == event.id
    assert list(new) == []
    board.submit("zoe", 100)
    (only,) = board.watch(new.last_id, timeout=0)
    assert only.member == "zoe"


def test_a_watch_begins_where_it_is_made(boards: Boards) -> None:
    board = boards.board("b")
    board.submit("ada", 1)
    watch = board.watch(timeout=0)
    board.submit("bob", 2)
    assert [event.member for event in watch] == ["bob"]


def test_a_watch_of_a_board_that_is_not_there_yet_sees_it_begin(boards: Boards) -> None:
    board = boards.board("b")
    watch = board.watch(timeout=0)
    board.submit("ada", 1)
    assert [(event.member, event.outcome) for event in watch] == [("ada", "new")]


def test_what_the_stream_no_longer_has_is_a_gap(
    boards: Boards, client: redis.Redis, awaited: bool
) -> None:
    board = boards.board("b", awaited=awaited, policy="last", events=100)
    board.submit("ada", 0)
    (first,) = board.watch(0, timeout=0)
    for number in range(1, 600):
        board.submit("ada", number)
    kept = client.xlen("leaderboard:{b}:changes")
    assert 100 <= kept < 600
    gap, *events = board.watch(first.id, timeout=0)
    assert gap == Gap(first.id + 1, first.id + 600 - kept - 1)
    assert [event.new_score for event in events] == list(range(600 - kept, 600))
    # Who saw the last one that went misses nothing, and who never looked is told of no gap.
    assert list(board.watch(gap.id, timeout=0)) == events
    assert list(board.watch(0, timeout=0)) == events


def test_a_gap_up_to_a_load_ends_where_the_load_begins(boards: Boards, client: redis.Redis) -> None:
    board = boards.board("b")
    board.submit("ada", 1)
    (first,) = board.watch(0, timeout=0)
    board.submit("ada", 2)
    board.submit("ada", 3)
    board.load([("bob", 1), ("cyd", 2)])
    client.xtrim("leaderboard:{b}:changes", maxlen=1, approximate=False)
    gap, reset = board.watch(first.id, timeout=0)
    assert gap == Gap(first.id + 1, first.id + 2)
    assert reset == Reset(first.id + 4, "loaded", 2)


def test_what_happens_in_bulk_is_a_reset(boards: Boards, awaited: bool) -> None:
    board = boards.board("b", awaited=awaited)
    board.load({f"m{number}": number for number in range(25)}, chunk=10)
    board.trim(5)
    events = list(board.watch(0, timeout=0))
    assert [(event.reason, event.count) for event in events] == [
        ("loaded", 10),
        ("loaded", 10),
        ("loaded", 5),
        ("trimmed", 20),
    ]
    start = events[0].id - 10
    assert [event.id - start for event in events] == [10, 20, 25, 26]
    board.clear()
    assert list(board.watch(events[-1].id, timeout=0)) == [Reset(start + 27, "cleared", 0)]
    # Who missed more than the clearing is told that as well.
    gap, _ = board.watch(events[0].id, timeout=0)
    assert gap == Gap(start + 11, start + 26)


def test_a_window_is_watched_on_its_own(boards: Boards, awaited: bool, clock: FakeClock) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=WINDOWS, policy="best")
    board.submit("ada", 5)
    clock.advance(60)  # the cup is over
    board.submit("ada", 7)
    board.submit("ada", 6)
    clock.advance("1h")
    board.submit("ada", 6)
    board.remove("ada")
    found = {
        name: [
            (event.window, event.period, event.outcome, event.old_score, event.new_score)
            for event in watched.watch(0, timeout=0)
        ]
        for name, watched in (
            ("hourly", board.window("hourly")),
            ("first hour", board.window("hourly", NOON)),
            ("daily", board.window("daily")),
            ("cup", board.window("cup")),
            ("all", board),
        )
    }
    noon, one = "2026-11-22T12+0000", "2026-11-22T13+0000"
    first_hour = [
        ("hourly", noon, "new", None, 5),
        ("hourly", noon, "changed", 5, 7),
        ("hourly", noon, "removed", 7, None),
    ]
    assert found["first hour"] == first_hour
    assert found["hourly"] == [
        *first_hour[:2],
        ("hourly", one, "new", None, 6),
        first_hour[2],
        ("hourly", one, "removed", 6, None),
    ]
    assert [change[2:] for change in found["daily"]] == [change[2:] for change in first_hour]
    assert found["cup"] == [("cup", "cup", "new", None, 5), ("cup", "cup", "removed", 5, None)]
    assert [change[2] for change in found["all"]] == ["new", "changed", "removed"]


def replay(differences: Iterable[Any]) -> list[Entry]:
    """The top as somebody has it who goes by the differences alone."""
    shown: dict[str, Entry] = {}
    for difference in differences:
        now = {entry.member: entry for entry in difference.entries}
        assert difference.entered == [member for member in now if member not in shown]
        assert difference.left == [member for member in shown if member not in now]
        assert difference.moved == [
            member for member in now if member in shown and shown[member] != now[member]
        ]
        shown = now
    return list(shown.values())


def test_the_differences_of_the_top_lead_to_the_top(
    boards: Boards, awaited: bool, clock: FakeClock
) -> None:
    board = boards.board("b", awaited=awaited, clock=clock, windows=("hourly",))
    board.submit("ada", 1)
    (first,) = board.watch_top(3, timeout=0)
    assert (first.entered, first.left, first.moved) == (["ada"], [], [])
    assert first.entries == board.top(3)
    assert first.period == "2026-11-22T12+0000"


def test_a_watcher_of_the_top_is_told_what_has_changed(boards: Boards, clock: FakeClock) -> None:
    board = boards.board("b", clock=clock, windows=("hourly",), policy="last")
    watch = board.watch_top(3, timeout="5s")
    seen = [next(watch)]
    source = random.Random(SEED)
    assert seen[0].entries == []
    for _ in range(times(15)):
        leader = seen[-1].entries[0].score if seen[-1].entries else 0
        board.submit(f"m{source.randrange(6)}", leader + 1 + source.randrange(3))
        board.submit("last", -1)  # a change that the top does not show
        seen.append(next(watch))
        assert seen[-1].entries == board.top(3)
    board.remove(seen[-1].entries[0].member)
    seen.append(next(watch))
    clock.advance("1h")
    board.submit("zoe", 1)
    seen.append(next(watch))
    assert seen[-1].period == "2026-11-22T13+0000"
    assert replay(seen) == board.top(3) == seen[-1].entries
    ids = [difference.id for difference in seen]
    assert ids == sorted(ids)


def test_a_watch_in_a_thread_sees_what_another_writes(boards: Boards) -> None:
    board = boards.board("b", policy="last")
    watch = board.watch()
    seen: list[Any] = []
    enough = threading.Event()

    def look() -> None:
        for event in watch:
            seen.append(event)
            if event.member == "end":
                enough.set()

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(50):
        board.submit("ada", number)
    board.submit("end", 0)
    assert enough.wait(20)
    # Closing ends it, though it waits for ever.
    watch.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [event.new_score for event in seen] == [*range(50), 0]
    assert list(watch) == []


def test_an_async_watch_begins_at_its_opening_and_ends_at_its_close(boards: Boards) -> None:
    async def scenario() -> list[Any]:
        client = boards.client(awaited=True)
        board = AsyncLeaderboard(client, "b", policy="last")
        await board.submit("ada", -1)
        seen: list[Any] = []

        async def look() -> None:
            async with board.watch() as watch:
                opened.set()
                async for event in watch:
                    seen.append(event)
                    if len(seen) == 20:
                        watch.close()

        opened = asyncio.Event()
        task = asyncio.create_task(look())
        await opened.wait()
        for number in range(20):
            await board.submit("ada", number)
        await asyncio.wait_for(task, 20)
        return seen

    assert [event.new_score for event in boards.run(scenario())] == list(range(20))


def test_an_async_watch_without_opening_begins_at_its_first_step(boards: Boards) -> None:
    async def scenario() -> list[Any]:
        board = AsyncLeaderboard(boards.client(awaited=True), "b")
        await board.submit("ada", 1)
        found = [event async for event in board.watch(timeout=0)]
        later = [event.member async for event in board.watch(0, timeout=0)]
        tops = [top.entries async for top in board.watch_top(3, timeout=0)]
        return [found, later, tops]

    assert boards.run(scenario()) == [[], ["ada"], [[Entry(1, "ada", 1.0)]]]


def test_a_watch_ends_when_nothing_has_come_for_its_time(boards: Boards) -> None:
    board: Leaderboard = boards.board("b")
    board.submit("ada", 1)
    watch = board.watch(timeout="20ms")
    assert list(watch) == []
    board.submit("ada", 2)
    assert [event.id for event in board.watch(0, timeout="20ms")] == [
        watch.last_id,
        watch.last_id + 1,
    ]
