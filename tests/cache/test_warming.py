"""Warming: every key once, no faster than asked, resumed where it was killed, stopped in time."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.warming import Brake, Checkpoint, Warmed, bar, warm, warm_async
from labkit.clock import FakeClock
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.cache.conftest import Bed


class Database:
    """What is loaded from, in fake time.

    Attributes:
        batches: The batches that were loaded, in order.
        moments: When each batch began.
        takes: Seconds a key, by batch; the last one goes on. An error is raised instead.
    """

    def __init__(self, takes: Sequence[float | BaseException] = (0.0,)) -> None:
        self.clock = FakeClock()
        self.takes = takes
        self.batches: list[list[Any]] = []
        self.moments: list[float] = []
        self.waits: list[float] = []

    def load(self, keys: list[Any]) -> None:
        takes = self.takes[min(len(self.moments), len(self.takes) - 1)]
        self.moments.append(self.clock())
        if isinstance(takes, BaseException):
            raise takes
        self.batches.append(keys)
        self.clock.advance(takes * len(keys))

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)


class Warm:
    """`warm` or `warm_async`, called alike."""

    def __init__(self, awaited: bool) -> None:
        self.awaited = awaited

    def __call__(self, keys: Iterable[Any], database: Database, **how: Any) -> Warmed:
        if not self.awaited:
            return warm(keys, database.load, clock=database.clock, wait=database.wait, **how)

        async def load(batch: list[Any]) -> None:
            await asyncio.sleep(0)
            database.load(batch)

        async def wait(seconds: float) -> None:
            await asyncio.sleep(0)
            database.wait(seconds)

        return asyncio.run(warm_async(keys, load, clock=database.clock, wait=wait, **how))


@pytest.fixture
def run(awaited: bool) -> Warm:
    return Warm(awaited)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warm.json"


def test_a_warmed_cache_answers_without_a_load(bed: Bed) -> None:
    cache, keys = bed.cache(ttl=60), [f"article:{n}" for n in range(25)]

    def loader(missing: Sequence[str]) -> dict[str, int]:
        return {key: len(key) for key in missing}

    if bed.awaited:
        warmed = bed.run(
            warm_async(keys, lambda some: cache.target.get_or_load_many(some, loader), batch=10)
        )
    else:
        warmed = warm(keys, lambda some: cache.get_or_load_many(some, loader), batch=10)
    assert (warmed.done, warmed.skipped, warmed.failed, warmed.stopped) == (25, 0, 0, None)
    assert cache.stats().total.loads == 3
    assert cache.get_many(keys) == loader(keys)


@given(
    keys=st.lists(st.integers(0, 9) | st.sampled_from(["1", "2"]), max_size=40),
    batch=st.integers(1, 12),
    lazy=st.booleans(),
)
def test_every_key_goes_in_order_and_once_in_its_batch(
    keys: list[int | str], batch: int, lazy: bool
) -> None:
    database, heard = Database(), list[tuple[int, int | None]]()
    warmed = Warm(awaited=False)(
        iter(keys) if lazy else keys,
        database,
        batch=batch,
        progress=lambda *position: heard.append(position),
    )
    parts = [keys[start : start + batch] for start in range(0, len(keys), batch)]
    assert database.batches == [list(dict.fromkeys(part)) for part in parts]
    assert warmed.done == sum(map(len, database.batches))
    assert warmed.done + warmed.skipped == len(keys)
    ends = list(itertools.accumulate(map(len, parts)))
    if lazy:
        assert heard == [*((end, None) for end in ends), (len(keys), len(keys))]
    else:
        assert heard == [(end, len(keys)) for end in ends]


def test_keys_are_taken_when_their_batch_goes(run: Warm) -> None:
    taken = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    database = Database([0.0, 0.0, KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        run(endless(), database, batch=10)
    assert len(taken) == 30


def test_the_rate_is_kept_to_the_second(run: Warm) -> None:
    database = Database([0.0])
    warmed = run(range(40), database, rate=4, batch=8)
    assert database.moments == [0, 2, 4, 6, 8]
    assert database.waits == [2, 2, 2, 2]
    assert warmed.seconds == 8


def test_time_that_loading_takes_is_not_waited_again(run: Warm) -> None:
    database = Database([0.125, 0.5, 0.125])
    run(range(20), database, rate=4, batch=4)
    # The second batch takes longer than its share; the third does not hurry to make up for it.
    assert database.moments == [0, 1, 3, 4, 5]
    assert database.waits == [0.5, 0.5, 0.5]


def test_a_batch_counts_as_many_keys_as_it_has(run: Warm) -> None:
    database = Database()
    run([1, 1, 1, 1, 2, 3, 4, 5, 6], database, rate=1, batch=4)
    assert database.moments == [0, 1, 5]


def test_without_a_rate_nobody_waits(run: Warm) -> None:
    database = Database([0.5])
    assert run(range(10), database, batch=2).seconds == 5
    assert database.waits == []


class Killed(BaseException):
    """The end of a process, as far as it can be played within one."""


@given(
    keys=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    batch=st.integers(1, 8),
    kills=st.lists(st.integers(0, 15)),
)
def test_a_killed_run_goes_on_where_it_was(keys: list[int], batch: int, kills: list[int]) -> None:
    parts = [keys[start : start + batch] for start in range(0, len(keys), batch)]
    loaded: list[list[int]] = []
    expected: list[list[int]] = []
    position = 0  # in batches
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder, "warm.json"))
        for kill in [*kills, 3 * len(parts)]:
            # A batch has three moments: before it is loaded, after it, and when its end is told.
            moment = iter(range(kill + 1))

            def pass_moment(*_: Any, moment: Iterator[int] = moment, kill: int = kill) -> None:
                if next(moment) == kill:
                    raise Killed

            def load(some: list[int], pass_moment: Callable[[], None] = pass_moment) -> None:
                pass_moment()
                loaded.append(some)
                pass_moment()

            whole, part = divmod(kill, 3)
            expected += map(_distinct, parts[position : position + whole + (part > 0)])
            try:
                warmed = warm(keys, load, batch=batch, checkpoint=checkpoint, progress=pass_moment)
            except Killed:
                position += whole + (part == 2)
                assert checkpoint.path.exists() == (position > 0)
            else:
                assert position + whole >= len(parts)
                assert warmed.done + warmed.skipped == len(keys)
                assert list(Path(folder).iterdir()) == []
                position = 0
            assert loaded == expected
    assert position == 0


def _distinct(keys: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(keys))


KEYS = times(10_000)
LOADING = """
import os, sys
from labkit.cache.warming import Checkpoint, warm

def load(keys):
    os.write(log, (" ".join(map(str, keys)) + "\\n").encode())
    print(keys[0], flush=True)
    if keys[0] == int(sys.argv[3]):
        sys.stdin.read()

log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
warm(range(int(sys.argv[4])), load, batch=10, checkpoint=Checkpoint(sys.argv[1]))
"""


def kill_while_it_loads(path: Path, log: Path, *, after: int, held_at: int) -> None:
    """Warm in a process of its own, and kill that when it has begun so many batches."""
    command = [sys.executable, "-c", LOADING, str(path), str(log), str(held_at), str(KEYS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(after):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_is_killed_costs_the_batch_that_it_was_in(
    path: Path, tmp_path: Path
) -> None:
    kill_while_it_loads(path, tmp_path / "log", after=3, held_at=20)
    database = Database()
    warmed = Warm(awaited=False)(range(KEYS), database, batch=10, checkpoint=Checkpoint(path))
    assert database.batches[0] == list(range(20, 30))
    assert (warmed.done, warmed.skipped, warmed.stopped) == (KEYS - 20, 20, None)
    assert not path.exists()


@pytest.mark.soak
def test_a_kill_at_any_moment_loses_no_key(path: Path, tmp_path: Path) -> None:
    log, kills = tmp_path / "log", times(4)
    for kill in range(kills):
        kill_while_it_loads(path, log, after=1 + kill % 20, held_at=-1)
    warmed = warm(range(KEYS), lambda keys: None, batch=10, checkpoint=Checkpoint(path))
    assert warmed.skipped >= 10 * (kills - 1)
    batches = [[int(key) for key in line.split()] for line in log.read_text().splitlines()]
    counts = Counter(key for batch in batches for key in batch)
    assert set(range(warmed.skipped)) <= set(counts)
    # Each kill comes within one batch, which may be loaded again.
    assert sum(counts.values()) - len(counts) <= 10 * kills
    assert list(tmp_path.iterdir()) == [log]


def test_a_run_over_other_keys_is_refused(run: Warm, path: Path) -> None:
    def stop_within(keys: Iterable[Any]) -> None:
        database = Database([0.0, 0.0, KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt):
            run(keys, database, batch=2, checkpoint=Checkpoint(path))

    stop_within(list("abcdef"))
    for others in (list("abdce"), list("abc"), [], list("abcx"), ["a", "bc", "d", "e"]):
        untouched = Database()
        with pytest.raises(
            ValueError, match=r"warm\.json is the checkpoint of other keys.*first 4"
        ):
            run(others, untouched, batch=2, checkpoint=Checkpoint(path))
        assert untouched.batches == []
    longer = Database()
    assert run(list("abcdefg"), longer, batch=5, checkpoint=Checkpoint(path)).skipped == 4
    assert longer.batches == [["e", "f", "g"]]
    stop_within([1, 23, 4, 5, 6])
    for numbers in (["1", "23", "4", "5"], [12, 3, 4, 5]):
        with pytest.raises(ValueError, match="other keys"):
            run(numbers, Database(), checkpoint=Checkpoint(path))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"count": 4}', '{"count": "x"}', "\0"])
def test_a_file_that_is_no_checkpoint_is_refused(run: Warm, path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=r"warm\.json is no checkpoint .*delete it"):
        run(["a"], Database(), checkpoint=Checkpoint(path))
    assert path.read_text() == text


def test_a_run_that_came_to_its_end_begins_anew(run: Warm, path: Path) -> None:
    for _ in range(2):
        warmed = run(range(30), Database(), batch=10, checkpoint=Checkpoint(path))
        assert (warmed.done, warmed.skipped) == (30, 0)
        assert not path.exists()


def test_an_error_without_a_brake_reaches_the_caller(run: Warm, path: Path) -> None:
    database = Database([0.0, 0.0, LookupError("no such table")])
    with pytest.raises(LookupError, match="no such table"):
        run(range(50), database, batch=10, checkpoint=Checkpoint(path))
    assert len(database.batches) == 2
    again = Database()
    assert run(range(50), again, batch=10, checkpoint=Checkpoint(path)).skipped == 20
    assert again.batches[0][0] == 20


USUAL = [0.25] * 5


def test_the_brake_stops_when_batch_after_batch_is_slow(run: Warm, path: Path) -> None:
    database = Database([*USUAL, 1.0])
    checkpoint, brake = Checkpoint(path), Brake(slower_than=3, patience=3)
    warmed = run(range(100), database, batch=2, checkpoint=checkpoint, brake=brake)
    assert (warmed.done, warmed.failed) == (16, 0)
    assert warmed.stopped == (
        "slow or failed batches in a row: 3; the last one took 1 s a key, more than 750 ms"
    )
    # What was slow was loaded all the same.
    assert run(range(100), Database(), batch=2, checkpoint=checkpoint).skipped == 16


def test_slow_batches_apart_from_one_another_do_not_stop_it(run: Warm) -> None:
    database = Database([*USUAL, 1.0, 1.0, 0.25, 1.0, 1.0, 0.25])
    warmed = run(range(100), database, batch=2, brake=Brake(slower_than=3, patience=3))
    assert (warmed.done, warmed.stopped) == (100, None)


def test_what_is_usual_is_the_median_of_the_first_batches(run: Warm) -> None:
    # One slow batch among them makes neither a stop nor a bound of its own.
    database = Database([0.25, 64.0, 0.25, 0.25, 0.25, 0.75, 0.75, 0.8])
    warmed = run(range(100), database, batch=2, brake=Brake(slower_than=3, patience=1))
    assert warmed.done == 16
    assert warmed.stopped is not None
    assert "took 800 ms a key, more than 750 ms" in warmed.stopped


def test_a_bound_may_be_a_time_a_key(run: Warm) -> None:
    database = Database([0.25, 0.5])
    warmed = run(range(100), database, batch=4, brake=Brake(slower_than="300ms", patience=2))
    assert warmed.done == 12
    assert warmed.stopped is not None
    assert warmed.stopped.endswith("took 500 ms a key, more than 300 ms")


def test_a_slow_batch_halves_the_rate_and_a_good_one_doubles_it(run: Warm) -> None:
    database = Database([0.0, 0.0, 0.5, 0.5, 0.0])
    run(range(16), database, rate=2, batch=2, brake=Brake(slower_than="250ms"))
    gaps = [later - sooner for sooner, later in itertools.pairwise(database.moments)]
    # 2 keys a second, then 1, then 0.5; then 1 and 2 again, and not more than that.
    assert gaps == [1, 1, 2, 4, 2, 1, 1]


def test_without_a_rate_a_slow_batch_sets_one(run: Warm) -> None:
    database = Database([0.5, 0.0])
    run(range(12), database, batch=4, brake=Brake(slower_than="250ms"))
    # Two keys a second is what it did: one a second is half of it, and then it doubles.
    assert database.moments == [0, 4, 6]


def test_a_rate_that_is_never_reached_is_no_rate_to_halve(run: Warm) -> None:
    database = Database([0.5, 0.0])
    run(range(12), database, rate=1000, batch=4, brake=Brake(slower_than="250ms"))
    assert database.moments == [0, 4, 6]


def test_the_brake_stops_when_batch_after_batch_fails(run: Warm, path: Path) -> None:
    database = Database([0.0, 0.0, ConnectionError("gone")])
    checkpoint = Checkpoint(path)
    warmed = run(range(100), database, batch=10, checkpoint=checkpoint, brake=Brake(patience=3))
    assert (warmed.done, warmed.failed, warmed.skipped) == (20, 30, 0)
    assert warmed.stopped == (
        "slow or failed batches in a row: 3; the last one failed with ConnectionError('gone')"
    )
    # The keys of the outage are not lost.
    again = Database()
    resumed = run(range(100), again, batch=10, checkpoint=checkpoint, brake=Brake())
    assert (resumed.done, resumed.skipped, resumed.stopped) == (80, 20, None)
    assert again.batches[0] == list(range(20, 30))
    assert not path.exists()


def test_a_failed_batch_is_passed_over_when_others_go_well(run: Warm) -> None:
    database = Database([0.0, LookupError("bad key"), 0.0, LookupError("bad key"), 0.0])
    warmed = run(range(60), database, batch=10, brake=Brake(patience=2))
    assert (warmed.done, warmed.failed, warmed.stopped) == (40, 20, None)


def test_too_many_errors_in_all_stop_it(run: Warm) -> None:
    database = Database([0.0, LookupError("bad key")] * 9)
    warmed = run(range(100), database, batch=2, brake=Brake(most_errors=3))
    assert (warmed.done, warmed.failed) == (8, 8)
    assert warmed.stopped == "failed batches: 4; the last one failed with LookupError('bad key')"


def test_an_end_in_an_error_is_no_end(run: Warm, path: Path) -> None:
    database = Database([0.0, 0.0, LookupError("gone")])
    checkpoint = Checkpoint(path)
    warmed = run(range(30), database, batch=10, checkpoint=checkpoint, brake=Brake())
    assert warmed.stopped == "the last batch failed with LookupError('gone')"
    assert run(range(30), Database(), batch=10, checkpoint=checkpoint, brake=Brake()).done == 10


def test_slow_and_failed_batches_are_bad_in_the_same_row(run: Warm) -> None:
    database = Database([0.0, 1.0, LookupError("gone"), 1.0, 0.0])
    warmed = run(range(100), database, batch=2, brake=Brake(slower_than="500ms", patience=3))
    assert (warmed.done, warmed.failed) == (6, 2)
    assert warmed.stopped is not None


def test_an_interruption_is_no_error_of_the_database(run: Warm) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(range(10), Database([KeyboardInterrupt()]), brake=Brake())


def test_other_tasks_run_while_it_waits() -> None:
    async def both() -> list[str]:
        heard, turn = [], asyncio.Event()

        async def load(keys: list[int]) -> None:
            heard.append(f"loads {keys}")
            turn.set()
            await other

        async def neighbour() -> None:
            await turn.wait()
            heard.append("neighbour")

        other = asyncio.create_task(neighbour())
        await warm_async([1, 2], load)
        return heard

    assert asyncio.run(both()) == ["loads [1, 2]", "neighbour"]


def test_a_cancelled_run_can_be_resumed(path: Path) -> None:
    async def cancelled() -> None:
        reached = asyncio.Event()

        async def load(keys: list[int]) -> None:
            if keys[0] == 20:
                reached.set()
                await asyncio.Event().wait()

        checkpoint = Checkpoint(path)
        task = asyncio.create_task(warm_async(range(50), load, batch=10, checkpoint=checkpoint))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert warm(range(50), lambda keys: None, checkpoint=Checkpoint(path)).skipped == 20


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"batch": 0}, "batch is 0; expected"),
        ({"rate": 0}, "rate is 0; expected"),
        ({"rate": float("nan")}, "rate is nan; expected"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Warm, how: dict[str, Any], message: str) -> None:
    database = Database()
    with pytest.raises(ValueError, match=message):
        run([1], database, **how)
    assert database.batches == []


def test_one_text_is_not_taken_for_keys(run: Warm) -> None:
    with pytest.raises(TypeError, match="keys is the text 'article:1'; expected several keys"):
        run("article:1", Database())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"slower_than": 0.5}, "slower_than is 0.5; expected how many times"),
        ({"slower_than": float("inf")}, "slower_than is inf"),
        ({"slower_than": "soon"}, "not a duration: 'soon'"),
        ({"patience": 0}, "patience is 0"),
        ({"most_errors": -1}, "most_errors is -1"),
    ],
)
def test_a_brake_that_makes_no_sense_is_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Brake(**how)


@pytest.mark.parametrize("lazy", [False, True])
def test_the_bar_shows_how_far_it_is(
    run: Warm, capsys: pytest.CaptureFixture[str], lazy: bool
) -> None:
    with bar("[bold]news") as progress:
        run(iter(range(25)) if lazy else range(25), Database(), batch=10, progress=progress)
    shown = capsys.readouterr().out
    assert "[bold]news" in shown
    assert "25 of 25" in shown


def test_the_bar_ends_where_the_run_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    database = Database([0.0, LookupError("gone")])
    with pytest.raises(LookupError), bar() as progress:
        warm(range(25), database.load, batch=10, progress=progress)
    assert "10 of 25" in capsys.readouterr().out
    assert threading.active_count() == before
