"""The file store keeps the contract, and stays whole whatever happens to its processes and file."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache.backends.base import Busy, Claim, Found
from labkit.cache.backends.file import FileTier
from labkit.cache.errors import Refused, Unavailable
from labkit.cache.testing import NEVER, StoreContract
from labkit.clock import FakeClock
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.cache.backends.file import FileStore

NOW = 1_700_000_000.0
OPEN_FILES = Path("/proc/self/fd")


class TestTheContractInADictionary(StoreContract):
    @pytest.fixture
    def tier(self) -> DictTier:
        self.clock = FakeClock()
        return DictTier(self.clock)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestTheContractInAFile(StoreContract):
    @pytest.fixture
    def tier(self, path: Path) -> FileTier:
        self.clock = FakeClock(NOW)
        return FileTier(path, budget="10s", clock=self.clock)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.db"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def store(path: Path, clock: FakeClock) -> Iterator[FileStore]:
    store = FileTier(path, clock=clock).open("n")
    yield store
    store.close()


def rows(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count


def kept(store: FileStore, keys: str | list[str]) -> str:
    return "".join(key for key in keys if store.get(key))


def connections(path: Path) -> int:
    """How many connections to the file this process has: each has its log open once."""
    if not OPEN_FILES.exists():
        pytest.skip("this system does not say which files a process has open")
    count = 0
    for link in OPEN_FILES.iterdir():
        with contextlib.suppress(OSError):
            count += str(link.readlink()) == f"{path.resolve()}-wal"
    return count


# --- Several processes


def start(script: str, path: Path) -> subprocess.Popen[str]:
    """A process that has imported the tier, says so, and goes on with a script when told to."""
    ready = (
        "import itertools, sys, time, concurrent.futures as futures\n"
        "from labkit.cache.backends.file import FileTier\n"
        "path = sys.argv[1]\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", ready + script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


CLAIM_IN_THREADS = """
store = FileTier(path, budget="10s").open("n")
with futures.ThreadPoolExecutor(8) as pool:
    for key in "abc":
        answers = pool.map(lambda _: store.claim(key, ["t"], lease=3600), range(8))
        print(*[type(answer).__name__ for answer in answers], flush=True)
"""


def test_of_the_callers_in_many_processes_one_gets_the_claim(path: Path) -> None:
    processes = [start(CLAIM_IN_THREADS, path) for _ in range(4)]
    for process in processes:
        go(process)
    answers = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    for of_one_key in zip(*answers, strict=True):
        assert sorted(" ".join(of_one_key).split()) == ["Busy"] * 31 + ["Claim"]
    assert [len(lines) for lines in answers] == [3] * 4


def test_another_process_takes_over_when_the_holder_of_a_claim_is_killed(path: Path) -> None:
    script = "print(FileTier(path).open('n').claim('k', ['t'], lease=100).key, flush=True)\n"
    process = start(script + "sys.stdin.readline()", path)
    go(process)
    assert process.stdout
    assert process.stdout.readline() == "k\n"
    process.kill()
    process.communicate(timeout=60)
    clock = FakeClock(time.time())
    store = FileTier(path, clock=clock).open("n")
    assert isinstance(store.claim("k", ["t"], lease=100), Busy)
    clock.advance(200)
    claim = store.claim("k", ["t"], lease=100)
    assert isinstance(claim, Claim)
    assert store.fill(claim, b"1")
    assert store.get("k") == Found(b"1", None, ("t",))


def test_what_was_stored_outlives_a_process_that_is_killed(path: Path) -> None:
    script = (
        "store = FileTier(path).open('n')\n"
        "for i in itertools.count():\n"
        "    store.set(f'k{i}', b'%d ' % i * 1000, None, ['t'])\n"
        "    print(i, flush=True)\n"
    )
    process = start(script, path)
    go(process)
    assert process.stdout
    while (last := int(process.stdout.readline())) < 50:
        pass
    process.kill()
    last = max([last, *map(int, process.communicate(timeout=60)[0].split())])
    store = FileTier(path).open("n")
    for i in range(last + 1):
        assert store.get(f"k{i}", ["t"]) == Found(b"%d " % i * 1000, None, ("t",))
    store.drop_tags(["t"])
    assert store.get("k0") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_has_no_connection_of_its_parent(path: Path, store: FileStore) -> None:
    store.set("k", b"parent")
    assert connections(path) == 1
    child = os.fork()
    if child == 0:
        own = connections(path) == 0 and store.get("k") == Found(b"parent")
        store.set("k", b"child")
        os._exit(0 if own and connections(path) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("k") == Found(b"child")
    store.set("k", b"parent again")
    assert store.get("k") == Found(b"parent again")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_works_while_other_threads_use_the_file(path: Path) -> None:
    store = FileTier(path, budget="10s").open("n")
    store.set("k", b"1")
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            store.set("k", b"1")
            store.get("k")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # ends a child that is stuck
                found = store.get("k")
                store.set("other", b"2")
                os._exit(0 if found == Found(b"1") else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert store.get("other") == Found(b"2")


# --- Connections


def test_a_connection_ends_with_its_thread_and_with_its_store(path: Path) -> None:
    store, other = FileTier(path).open("n"), FileTier(path).open("m")
    store.get("k")
    other.get("k")
    before = connections(path)
    for _ in range(5):
        thread = threading.Thread(target=store.get, args=("k",))
        thread.start()
        thread.join()
    assert connections(path) == before
    store.close()
    assert connections(path) == before - 1
    assert store.get("k") is None, "a store that was closed opens its file again"


def test_a_tier_that_is_made_does_not_end_the_locks_of_another(
    path: Path, store: FileStore
) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        FileTier(path)
        process = start(
            "from labkit.cache.errors import Unavailable\n"
            "try: FileTier(path, budget=0.01).open('n').set('k', b'1')\n"
            "except Unavailable: print('locked')\n",
            path,
        )
        assert process.communicate("go\n", timeout=60)[0] == "locked\n"


def test_a_file_that_is_locked_for_too_long_is_unavailable_to_writers_only(
    path: Path, clock: FakeClock
) -> None:
    store = FileTier(path, budget="10ms", clock=clock).open("n")
    store.set("k", b"1")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for write in (
            lambda: store.set("k", b"2"),
            lambda: store.delete(["k"]),
            lambda: store.claim("k", lease=1),
            store.clear,
        ):
            with pytest.raises(Unavailable, match="locked") as failure:
                write()
            assert not isinstance(failure.value, Refused)
        assert store.get("k") == Found(b"1")
        assert store.get_many(["k"]) == [Found(b"1")]
        db.execute("ROLLBACK")
    store.set("k", b"3")
    assert store.get("k") == Found(b"3")


def test_a_file_that_somebody_else_is_making_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileTier(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")  # as it is before the last step
        db.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(time, "sleep", lambda _: db.execute("ROLLBACK"))
        store = FileTier(path).open("n")
        store.set("k", b"1")
        assert store.get("k") == Found(b"1")
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# --- The file


def test_the_file_is_for_its_owner_only(path: Path, store: FileStore) -> None:
    store.set("k", b"1")
    files = sorted(path.parent.iterdir())
    assert path in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_path_may_be_text_and_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileTier(":memory:").open("n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.set("k", b"1")
    assert FileTier(tmp_path / ":memory:").open("n").get("k") == Found(b"1")


def test_a_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no directory .*/no/such; make it first"):
        FileTier(tmp_path / "no" / "such" / "cache.db")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot open .*expected a file"):
        FileTier(tmp_path)


@pytest.mark.parametrize("size", [1, 99, 511, 512, 10_000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)
    with pytest.raises(ValueError, match=rf"{path} is not a cache .*give the path of a new file"):
        FileTier(path)
    assert path.read_bytes() == b"x" * size


@pytest.mark.parametrize("layout", [0, 1])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    path: Path, layout: int
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(f"CREATE TABLE entries (x); PRAGMA user_version = {layout};")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is not a cache .*another program"):
        FileTier(path)
    assert path.read_bytes() == before


def test_an_empty_file_will_do(path: Path) -> None:
    path.touch()
    store = FileTier(path).open("n")
    store.set("k", b"1")
    assert store.get("k") == Found(b"1")


def test_values_of_another_layout_are_dropped(path: Path, store: FileStore) -> None:
    store.set("k", b"1", None, ["t"])
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("ALTER TABLE entries RENAME COLUMN payload TO body")
        db.execute("PRAGMA user_version = 999")
    again = FileTier(path).open("n")
    assert again.get("k") is None
    again.set("k", b"2", None, ["t"])
    assert again.get("k", ["t"]) == Found(b"2", None, ("t",))
    assert FileTier(path).open("n").get("k") == Found(b"2", None, ("t",))


def test_a_file_whose_pages_are_garbage_is_unavailable(path: Path, store: FileStore) -> None:
    store.set_many([(f"k{i}", b"1" * 1000) for i in range(100)], [None] * 100)
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    again = FileTier(path).open("n")
    for call in (lambda: again.get("k1"), lambda: again.set("k1", b"2")):
        with pytest.raises(Unavailable) as failure:
            call()
        assert not isinstance(failure.value, Refused)


def test_a_full_disk_refuses_a_value_and_keeps_the_others(path: Path, store: FileStore) -> None:
    store.set("k", b"1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(Unavailable):
            store.set("k", b"2" * 2_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.get("k") == Found(b"1")
    store.set("k", b"3")
    assert store.get("k") == Found(b"3")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that everybody may enter, for a user who may do little there."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user whom modes of files bind, where this is root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_directory_that_is_read_only_is_refused(directory: Path) -> None:
    directory.chmod(0o555)
    with as_nobody(), pytest.raises(ValueError, match="expected a file that this process may"):
        FileTier(directory / "cache.db")


def test_a_file_that_is_read_only_is_read_and_refuses_writes(directory: Path) -> None:
    path = directory / "cache.db"
    writer = FileTier(path).open("n")
    writer.set("k", b"1")
    for file in directory.iterdir():
        file.chmod(0o444)
    with as_nobody():
        store = FileTier(path).open("n")
        assert store.get("k") == Found(b"1")
        for write in (lambda: store.set("k", b"2"), lambda: store.claim("x", lease=1)):
            with pytest.raises(Refused, match="readonly"):
                write()
        assert store.get("k") == Found(b"1")
        store.close()
    writer.close()


# --- How much it holds


def test_values_that_were_written_first_make_room(path: Path) -> None:
    tier = FileTier(path, max_bytes=5 * 101)
    store = tier.open("n")
    for key in "abcde":
        store.set(key, b"x" * 100, None, ["t"])
    assert kept(store, "abcde") == "abcde"
    store.set("a", b"y" * 100)
    store.get("b")
    store.set("f", b"x" * 100)
    assert kept(store, "abcdef") == "acdef"
    store.set("g", b"x" * 150)
    assert kept(store, "abcdefg") == "aefg"
    tier.open("m").set_many([("a", b"x" * 100), ("b", b"x" * 100)], [None, None])
    assert kept(store, "abcdefg") == "fg"
    assert kept(tier.open("m"), "ab") == "ab"


def test_a_value_that_is_too_large_for_the_file_is_not_kept(path: Path) -> None:
    store = FileTier(path, max_bytes=1000).open("n")
    claim = store.claim("k", lease=NEVER)
    assert isinstance(claim, Claim)
    store.fill(claim, b"x" * 1000)
    assert store.get("k") is None
    store.set("k", b"x" * 999)
    assert store.get("k") == Found(b"x" * 999)


def test_what_is_deleted_makes_room_too(path: Path) -> None:
    store = FileTier(path, max_bytes=1000).open("n")
    for _ in range(5):
        store.set_many([("a", b"x" * 400), ("b", b"x" * 400)], [None, None])
        store.delete(["a"])
        store.delete_prefix("b")
    store.set_many([("a", b"x" * 400), ("b", b"x" * 400)], [None, None])
    assert kept(store, "ab") == "ab"


@pytest.mark.parametrize("how", ["expired", "dropped", "cleared"])
def test_what_nobody_can_read_any_more_is_removed_a_few_at_a_time(
    path: Path, store: FileStore, clock: FakeClock, how: str
) -> None:
    items = [(f"k{i}", b"1") for i in range(200)]
    store.set_many(items, [100 if how == "expired" else None] * 200, ["t", "u"])
    store.set("stays", b"1", None, ["u"])
    for i in range(20):
        store.claim(f"loading {i}", lease=100)
    if how == "expired":
        clock.advance(150)
    elif how == "dropped":
        store.drop_tags(["t"])
        clock.advance(150)
    else:
        store.clear()
    assert rows(path, "entries") == 201
    store.set("new", b"1")
    assert 150 < rows(path, "entries") < 202
    for _ in range(20):
        store.set("new", b"1")
    expected = [0, 0, 1, 1] if how == "cleared" else [1, 1, 1, 2]
    tables = ("tags", "marks", "spaces", "entries")
    assert [rows(path, table) for table in tables] == expected
    assert rows(path, "leases") == 0
    assert kept(store, ["new", "stays"]) == ("new" if how == "cleared" else "newstays")


def test_a_prefix_with_many_keys_is_deleted_whole(path: Path, store: FileStore) -> None:
    store.set_many([(f"k{i}", b"1") for i in range(3000)] + [("l", b"2")], [None] * 3001)
    assert store.delete_prefix("k") == 3000
    assert rows(path, "entries") == 1


# --- Being asked wrongly


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"budget": 0}, "budget is 0; expected a time above 0"),
        ({"budget": "soon"}, "not a duration"),
        ({"max_bytes": 0}, "max_bytes is 0; expected a number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(path: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FileTier(path, **wrong)
    assert not path.exists()


def test_the_repr_says_which_file(path: Path) -> None:
    assert repr(FileTier(path)) == f"<FileTier {str(path)!r} budget=0.25s>"
