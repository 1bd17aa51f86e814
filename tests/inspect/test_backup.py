"""What was saved comes back as it was, or not at all."""

from __future__ import annotations

import itertools
import random
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import CommandLog, LocalServer, connect
from labkit.inspect import backup
from labkit.inspect.backup import blocks
from labkit.inspect.backup.layout import Block
from labkit.inspect.backup.reader import Reader
from labkit.inspect.backup.writer import Writer
from labkit.inspect.journal import Journal
from labkit.server import find_servers
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DEADLINE = 30.0  # seconds
FAR = 10_000_000_000_000  # ms since the epoch

Content = tuple[str, list[bytes], bool]

CONTENTS = st.tuples(
    st.sampled_from(["string", "list", "set", "ints", "zset", "hash", "stream"]),
    st.lists(st.binary(max_size=10), min_size=1, max_size=6, unique=True),
    st.booleans(),
)
SPACES = st.dictionaries(st.binary(min_size=1, max_size=8), CONTENTS, max_size=12)


def put(client: redis.Redis, name: bytes, content: Content) -> None:
    kind, parts, expires = content
    scores = [f"{len(part)}.{sum(part)}" for part in parts]
    numbered = [word for pair in zip(scores, parts, strict=True) for word in pair]
    client.execute_command(*{
        "string": ("SET", name, parts[0]),
        "list": ("RPUSH", name, *parts),
        "set": ("SADD", name, *parts),
        "ints": ("SADD", name, *range(len(parts))),
        "zset": ("ZADD", name, *numbered, "inf", "first", "-0.1", "last"),
        "hash": ("HSET", name, *numbered),
        "stream": ("XADD", name, "5-0", *numbered),
    }[kind])  # fmt: skip
    if kind == "stream":
        client.xadd(name, {"deleted": 1}, "6-0")
        client.xadd(name, {"pending": 1}, "7-0")
        client.xdel(name, "6-0")
        for part in parts[:2]:
            client.xgroup_create(name, part, "0")
            client.execute_command("XREADGROUP", "GROUP", part, "some", "STREAMS", name, ">")
            client.execute_command("XACK", name, part, "5-0")
            client.xgroup_createconsumer(name, part, b"\xfe")
    if expires:
        client.execute_command("PEXPIREAT", name, FAR + len(parts))


def fill(client: redis.Redis, space: Mapping[bytes, Content]) -> None:
    with like(client, decode_responses=False) as plain:
        for name, content in space.items():
            put(plain, name, content)


def some(count: int) -> dict[bytes, Content]:
    kinds = ("string", "list", "set", "zset", "hash", "stream")
    return {
        b"key:\xff%d" % number: (kinds[number % 6], [b"a", b"\x80%d" % number], number % 4 == 0)
        for number in range(count)
    }


def like(client: redis.Redis, **options: Any) -> redis.Redis:
    """Another client of the same server."""
    pool = client.connection_pool
    how = pool.connection_kwargs | options
    return redis.Redis.from_pool(
        redis.ConnectionPool(connection_class=pool.connection_class, **how)
    )


def state(client: redis.Redis) -> dict[bytes, Any]:
    """What the server says of each key of a database, by plain commands."""
    with like(client, decode_responses=False) as plain:
        names: Any = list(plain.scan_iter())
        return {name: (plain.pexpiretime(name), value(plain, name)) for name in names}


def value(plain: Any, name: bytes) -> tuple[Any, ...]:
    kind = plain.type(name)
    if kind == b"stream":
        groups = plain.xinfo_groups(name)
        pending = [plain.xpending_range(name, one["name"], "-", "+", 99) for one in groups]
        rows = [
            [(row["message_id"], row["consumer"], row["times_delivered"]) for row in some]
            for some in pending
        ]
        consumers = [
            [one["name"] for one in plain.xinfo_consumers(name, group["name"])] for group in groups
        ]
        last = plain.xinfo_stream(name)["last-generated-id"]
        return kind, plain.xrange(name), last, groups, rows, consumers
    read = {
        b"string": plain.get,
        b"list": lambda name: plain.lrange(name, 0, -1),
        b"set": plain.smembers,
        b"zset": lambda name: plain.zrange(name, 0, -1, withscores=True),
        b"hash": plain.hgetall,
    }
    return kind, read[kind](name)


@contextmanager
def stepwise(batch: int, enough: int = backup.ENOUGH) -> Iterator[None]:
    """Steps of so many keys, or so many bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BATCH", batch)
        patch.setattr(blocks, "ENOUGH", enough)
        yield


def records(path: Path) -> list[tuple[int, bytes, int, bytes]]:
    """Database, key, expiry and dump of each record."""
    with Reader(path) as file:
        return [
            (block.database, *row)
            for _, block in file.blocks()
            for row in zip(block.keys, block.expiries, block.dumps, strict=True)
        ]


class Stopped(Exception):
    """The process ends here, as far as what it leaves behind goes."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spaces=st.tuples(SPACES, SPACES),
    batch=st.integers(1, 5),
    enough=st.sampled_from([1, 100, 10_000]),
    decodes=st.booleans(),
)
def test_what_is_saved_comes_back_as_it_was(
    client: redis.Redis,
    tmp_path: Path,
    spaces: tuple[dict[bytes, Content], dict[bytes, Content]],
    batch: int,
    enough: int,
    decodes: bool,
) -> None:
    client.flushall()
    path = tmp_path / "backup"
    with like(client, decode_responses=decodes) as own, like(client, db=1) as second:
        fill(own, spaces[0])
        fill(second, spaces[1])
        before = state(own), state(second)
        with stepwise(batch, enough):
            saved = backup.save(own, path, databases=[0, 1])
            assert saved == backup.verify(path)
            client.flushall()
            done = backup.restore(own, path)
            assert (state(own), state(second)) == before
            assert done == backup.Restored(saved.keys, 0, 0, 0)
            assert saved.keys == sum(map(len, spaces))
            assert [*backup.compare(own, own)] == []
        kinds = [sum(counts.values()) for counts in saved.counts.values()]
        assert kinds == [len(space) for space in spaces]
    assert [file.name for file in tmp_path.iterdir()] == ["backup"]


def test_a_copy_on_another_server_is_the_same_until_something_differs(
    client: redis.Redis, tmp_path: Path
) -> None:
    with like(client, db=1) as other:
        fill(client, some(30))
        backup.save(client, tmp_path / "backup")
        client.swapdb(0, 1)
        backup.restore(client, tmp_path / "backup")
        assert [*backup.compare(client, other)] == []
        client.set("mine", 1)
        other.set("yours", 1)
        with stepwise(7):
            assert {*backup.compare(client, other)} == {
                (b"mine", "only in the first"),
                (b"yours", "only in the second"),
            }


DIFFERENCES: dict[str, tuple[list[list[Any]], list[Any], str]] = {
    "a type": ([["RPUSH", "key", "x"]], ["SET", "key", "x"], "type: list, string"),
    "an expiry": ([["SET", "key", "x"]], ["PEXPIREAT", "key", FAR], f"expiry: never, {FAR}"),
    "a string": ([["SET", "key", "x"]], ["SET", "key", "y"], "value"),
    "an order": ([["RPUSH", "key", "a", "b"]], ["LMOVE", "key", "key", "LEFT", "RIGHT"], "value"),
    "a member": ([["SADD", "key", "a"]], ["SADD", "key", "b"], "members"),
    "the last bit of a score": (
        [["ZADD", "key", "0.30000000000000004", "a"]],
        ["ZADD", "key", "0.3", "a"],
        "members",
    ),
    "a field": ([["HSET", "key", "f", "1"]], ["HSET", "key", "f", "2"], "fields"),
    "an entry": (
        [["XADD", "key", "1-1", "f", "v"]],
        ["XADD", "key", "2-2", "f", "v"],
        "entries, last-generated-id, entries-added",
    ),
    "a consumer": (
        [["XGROUP", "CREATE", "key", "g", "0", "MKSTREAM"]],
        ["XGROUP", "CREATECONSUMER", "key", "g", "c"],
        "groups",
    ),
    "what is pending": (
        [
            ["XADD", "key", "1-1", "f", "v"],
            ["XGROUP", "CREATE", "key", "g", "0"],
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "key", ">"],
        ],
        ["XACK", "key", "g", "1-1"],
        "groups",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_difference_is_told(client: redis.Redis, name: str) -> None:
    both, change, what = DIFFERENCES[name]
    with like(client, decode_responses=False) as plain, like(client, db=1) as other:
        client.flushall()
        for words in both:
            client.execute_command(*words)
        dump: Any = plain.dump("key")
        other.restore("key", 0, dump)
        assert [*backup.compare(client, other)] == []
        other.execute_command(*change)
        assert [*backup.compare(client, other)] == [(b"key", what)]


def test_every_byte_that_is_changed_and_every_cut_is_refused_and_nothing_is_sent(
    client: redis.Redis, tmp_path: Path
) -> None:
    fill(client, some(3))
    path, copy = tmp_path / "backup", tmp_path / "copy"
    with stepwise(2):
        backup.save(client, path)
    whole = path.read_bytes()
    flipped = [
        whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :]
        for at in range(len(whole))
        for mask in (1 << at % 8, 0xFF)
    ]
    cut = [whole[:length] for length in range(len(whole))]
    client.flushall()
    with CommandLog(client) as log:
        for data in [*flipped, *cut, whole + b"\0", whole + whole]:
            copy.write_bytes(data)
            with pytest.raises(backup.Damaged):
                backup.verify(copy)
            with pytest.raises(backup.Damaged):
                backup.restore(client, copy, conflict="replace")
    assert not len(log)


def test_what_is_damaged_says_where_and_what(client: redis.Redis, tmp_path: Path) -> None:
    client.set("key", "x")
    path = tmp_path / "backup"
    backup.save(client, path)
    whole = path.read_bytes()
    with Reader(path) as file:
        end = [end for _, end in file.parts()][-1]
    path.write_bytes(whole[:-1])
    with pytest.raises(backup.Damaged, match=f"{path} is damaged at byte .*: it is cut off") as cut:
        backup.verify(path)
    assert 0 < cut.value.where < len(whole)
    assert cut.value.what == "it is cut off"
    path.write_bytes(whole[:end])
    with pytest.raises(backup.Damaged, match=f"at byte {end:,}: its end is missing"):
        backup.verify(path)
    path.write_text("something else")
    with pytest.raises(backup.Damaged, match="at byte 0: it does not begin as a backup does"):
        backup.verify(path)


def test_a_file_is_for_its_owner_and_has_its_name_when_it_is_whole(
    client: redis.Redis, tmp_path: Path
) -> None:
    fill(client, some(20))
    path = tmp_path / "backup"
    path.write_text("that of yesterday")

    def look(_: int) -> None:
        assert path.read_text() == "that of yesterday"
        assert [*tmp_path.glob("*.part")] == [tmp_path / "backup.part"]

    with stepwise(3):
        backup.save(client, path, progress=look)
    assert [*tmp_path.iterdir()] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert backup.verify(path).keys == 20


def test_a_save_that_was_cut_off_goes_on(server: LocalServer, tmp_path: Path) -> None:
    path, whole = tmp_path / "backup", tmp_path / "whole"
    with server.client() as client, stepwise(5):
        client.flushall()
        fill(client, some(60))
        expected = backup.save(client, whole)
        with CommandLog(client) as all_steps:
            backup.save(client, whole)
        for stop in itertools.count(1):
            steps = itertools.count(1)

            def halt(_: int, stop: int = stop, steps: Iterator[int] = steps) -> None:
                if next(steps) == stop:
                    raise Stopped

            try:
                backup.save(client, path, progress=halt)
                break
            except Stopped:
                pass
            with CommandLog(client) as log:
                saved = backup.save(client, path)
            assert log.names.count("EVALSHA") == all_steps.names.count("EVALSHA") - stop
            assert (saved.counts, saved.repeated) == (expected.counts, 0)
            assert records(path) == records(whole)
    assert stop > 8


def test_a_torn_end_is_cut_off_and_written_again(server: LocalServer, tmp_path: Path) -> None:
    path, part = tmp_path / "backup", tmp_path / "backup.part"
    with server.client() as client, stepwise(2):
        client.flushall()
        fill(client, some(6))
        backup.save(client, path)
        whole, expected = path.read_bytes(), records(path)
        for length in range(len(whole) + 1):
            part.write_bytes(whole[:length])
            assert backup.save(client, path) == backup.verify(path)
            assert records(path) == expected
            assert not part.exists()


@pytest.mark.parametrize("changed", ["pattern", "databases", "server"])
def test_a_save_begins_anew_where_the_beginning_is_of_something_else(
    tmp_path: Path, changed: str
) -> None:
    if not find_servers():
        pytest.skip("no Redis or Valkey to start")

    def halt(_: int) -> None:
        raise Stopped

    how: dict[str, Any] = {"pattern": "k*"} if changed == "pattern" else {}
    how |= {"databases": [0, 1]} if changed == "databases" else {}
    with LocalServer() as server, server.client() as client, stepwise(3):
        fill(client, some(20))
        with pytest.raises(Stopped):
            backup.save(client, tmp_path / "backup", progress=halt)
        if changed == "server":
            server.kill()
            server.start()
            fill(client, {b"new": some(1)[b"key:\xff0"]})
        saved = backup.save(client, tmp_path / "backup", **how)
        assert saved.keys == client.dbsize()
        assert len(records(tmp_path / "backup")) == client.dbsize()


def test_two_processes_do_not_write_one_backup(client: redis.Redis, tmp_path: Path) -> None:
    client.set("key", "x")

    def second(_: int) -> None:
        with pytest.raises(BlockingIOError, match="another process is writing this backup"):
            backup.save(client, tmp_path / "backup")

    assert backup.save(client, tmp_path / "backup", progress=second).keys == 1


SAVING = """
import sys
import redis
from labkit.inspect import backup
from labkit.inspect.backup import blocks
blocks.BATCH = 20
client = redis.Redis.from_url(sys.argv[1])
backup.save(client, sys.argv[2], progress=lambda keys: print(keys, flush=True))
"""


def test_a_save_that_is_killed_again_and_again_becomes_what_it_would_have_been(
    server: LocalServer, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    path, whole = tmp_path / "backup", tmp_path / "whole"
    kills = 0
    with server.client() as client:
        client.flushall()
        fill(client, some(3000))
        with stepwise(20):
            expected = backup.save(client, whole)
    while not path.exists():
        command = [sys.executable, "-c", SAVING, server.url, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = list(itertools.islice(process.stdout, chance.randrange(10, 60)))
            assert lines or path.exists()
            process.kill()
            kills += 1
    saved = backup.verify(path)
    assert (saved.keys, saved.counts) == (3000, expected.counts)
    assert sorted(records(path)) == sorted(records(whole))
    assert kills > 2


@contextmanager
def stopping(client: redis.Redis, at: int) -> Iterator[None]:
    """Stop before the trip with this number, or before or after such a record of the notes."""
    numbers = itertools.count(1)
    append = Journal.append

    def tick(_: int = 0) -> None:
        if next(numbers) == at:
            raise Stopped

    def noted(journal: Journal, record: bytes, *, sync: bool = True) -> None:
        tick()
        append(journal, record, sync=sync)
        tick()

    with CommandLog(client, before=tick), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", noted)
        yield


@pytest.mark.parametrize("conflict", ["refuse", "skip", "replace"])
def test_a_restore_that_is_stopped_anywhere_goes_on(
    client: redis.Redis, tmp_path: Path, conflict: Any
) -> None:
    path = tmp_path / "backup"
    fill(client, some(12))
    before = state(client)
    with stepwise(2):
        backup.save(client, path)
    for at in itertools.count(1):
        client.flushall()
        try:
            with stopping(client, at):
                backup.restore(client, path, conflict=conflict)
            break
        except Stopped:
            assert client.dbsize() <= len(before) + 1
        assert backup.restore(client, path, conflict=conflict) == backup.Restored(12, 0, 0, 0)
        assert state(client) == before
        assert [*tmp_path.iterdir()] == [path]
    assert at > 12


def test_a_restore_that_is_stopped_again_and_again_ends(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    fill(client, some(12))
    before = state(client)
    with stepwise(2):
        backup.save(client, path)
    client.flushall()
    for at in itertools.count(1):
        try:
            with stopping(client, at):
                done = backup.restore(client, path)
            break
        except Stopped:
            pass
    assert done == backup.Restored(12, 0, 0, 0)
    assert state(client) == before
    assert at > 5


def test_a_restore_that_ended_before_it_could_forget_so_is_not_done_again(
    client: redis.Redis, tmp_path: Path
) -> None:
    path, notes = tmp_path / "backup", tmp_path / "backup.restoring"
    fill(client, some(5))
    backup.save(client, path)
    client.flushall()
    last: list[bytes] = []

    def keep(_: int) -> None:
        last[:] = [notes.read_bytes()] if notes.exists() else []

    with CommandLog(client, before=keep):
        backup.restore(client, path)
    notes.write_bytes(last[0])
    client.delete(*list(like(client, decode_responses=False).scan_iter())[:2])
    assert backup.restore(client, path) == backup.Restored(5, 0, 0, 0)
    assert client.dbsize() == 3  # what has become of the keys since is left alone
    assert not notes.exists()
    notes.write_bytes(last[0])
    client.flushall()
    assert backup.restore(client, path) == backup.Restored(5, 0, 0, 0)
    assert client.dbsize() == 5  # but where nothing is left, it begins anew


def test_a_restore_goes_on_when_the_server_has_memory_again(tmp_path: Path) -> None:
    if not find_servers():
        pytest.skip("no Redis or Valkey to start")
    path = tmp_path / "backup"
    with LocalServer() as server, server.client() as client:
        for number in range(200):
            client.set(f"key:{number}", f"{number}" * 10_000)
        before = state(client)
        with stepwise(5):
            backup.save(client, path)
        most = client.info("memory")["used_memory"]
        client.flushall()
        client.config_set("maxmemory", most - 2_000_000)
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            backup.restore(client, path)
        assert 0 < client.dbsize() < 200
        client.config_set("maxmemory", 0)
        assert backup.restore(client, path) == backup.Restored(200, 0, 0, 0)
        assert state(client) == before


class Twice(redis.Redis):
    """Sends each script again, as redis-py does when the reply is lost."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        if words[0] in ("EVAL", "EVALSHA"):
            super().execute_command(*words, **options)
        return super().execute_command(*words, **options)


def test_a_step_that_is_sent_again_finds_no_conflict_with_itself(
    client: redis.Redis, tmp_path: Path
) -> None:
    fill(client, some(10))
    before = state(client)
    with stepwise(3):
        backup.save(client, tmp_path / "backup")
    client.flushall()
    twice = Twice.from_pool(client.connection_pool)
    assert backup.restore(twice, tmp_path / "backup") == backup.Restored(10, 0, 0, 0)
    assert state(client) == before


def test_keys_that_are_there_are_conflicts(client: redis.Redis, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    fill(client, some(6))
    with stepwise(2):
        backup.save(client, path)
    was = state(client)
    client.flushall()
    client.set("other", 1)
    client.set(b"key:\xff5", "mine")
    before = state(client)
    with pytest.raises(
        backup.Conflict, match=r'1 of the keys .* such as "key:\\xff5"; nothing was'
    ):
        backup.restore(client, path)
    assert state(client) == before
    assert [*tmp_path.iterdir()] == [path]
    assert backup.restore(client, path, conflict="skip") == backup.Restored(5, 0, 1, 0)
    assert state(client) == was | before
    assert backup.restore(client, path, conflict="replace") == backup.Restored(0, 6, 0, 0)
    assert state(client) == before | was


def test_a_key_that_comes_meanwhile_ends_a_restore_and_stays(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    client.mset({f"key:{number}": number for number in range(20)})
    with stepwise(3):
        backup.save(client, path)
    last = records(path)[-1][1]
    client.flushall()

    def come(_: int) -> None:
        client.set(last, "mine")

    with pytest.raises(backup.Conflict, match="they came meanwhile and stay"):
        backup.restore(client, path, progress=come)
    assert client.get(last) == "mine"
    client.delete(last)
    assert backup.restore(client, path) == backup.Restored(20, 0, 0, 0)
    assert client.dbsize() == 20


def test_keys_that_have_expired_meanwhile_are_counted_and_not_written(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.set("short", 1, px=100)
    client.set("long", 1, px=1_000_000)
    saved = backup.save(client, tmp_path / "backup")
    deadline = time.monotonic() + DEADLINE
    while client.exists("short"):
        assert time.monotonic() < deadline
    client.flushall()
    done = backup.restore(client, tmp_path / "backup")
    assert done == backup.Restored(1, 0, 0, saved.keys - 1)
    assert [*client.scan_iter()] == ["long"]


@pytest.mark.parametrize("conflict", ["refuse", "skip", "replace"])
def test_of_a_key_that_was_given_twice_the_later_record_counts(
    client: redis.Redis, tmp_path: Path, conflict: Any
) -> None:
    path = tmp_path / "backup"
    client.flushall()
    client.set("once", 1)
    with stepwise(1):
        backup.save(client, path)
    with Reader(path) as file:
        header = file.header
    rows = [[(b"once", "1"), (b"twice", "old")], [(b"twice", "older"), (b"twice", "new")]]
    with Writer(path, header) as writer:
        for row in rows:
            dumps = [dumped(client, text) for _, text in row]
            keys = [key for key, _ in row]
            writer.write(Block(0, b"", keys, [b"string"], [0] * len(row), [0] * len(row), dumps))
        saved = writer.finish()
    assert (saved.keys, saved.repeated) == (2, 2)
    assert backup.verify(path) == saved
    client.flushall()
    assert backup.restore(client, path, conflict=conflict) == backup.Restored(2, 0, 0, 0)
    assert client.mget("once", "twice") == ["1", "new"]


def dumped(client: redis.Redis, text: str) -> bytes:
    with like(client, decode_responses=False) as plain:
        plain.set("dumped", text)
        found: Any = plain.dump("dumped")
        return bytes(found)


def test_a_value_and_its_expiry_are_of_one_moment(server: LocalServer, tmp_path: Path) -> None:
    ready, over = threading.Barrier(3), threading.Event()
    keys = [f"key:{number}" for number in range(200)]

    def write(number: int) -> None:
        with server.client() as own:
            for round_ in itertools.count():
                for key in keys[number::2]:
                    own.set(key, f"{round_}" * 20, pxat=FAR + round_)
                    own.set(f"{key}:new:{round_}", 1, px=1000)
                if round_ == 0:
                    ready.wait(DEADLINE)
                if over.is_set():
                    return

    with server.client() as client:
        client.flushall()
        writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for writer in writers:
            writer.start()
        try:
            ready.wait(DEADLINE)
            for _ in range(times(5)):
                with stepwise(10):
                    backup.save(client, tmp_path / "backup")
        finally:
            over.set()
            for writer in writers:
                writer.join(DEADLINE)
        client.flushall()
        backup.restore(client, tmp_path / "backup")
        for key in keys:
            at: Any = client.pexpiretime(key)
            assert client.get(key) == f"{at - FAR}" * 20


def test_a_step_is_larger_than_it_should_be_by_one_value_at_most(
    client: redis.Redis, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    for number in range(60):
        client.set(f"key:{number}", chance.randbytes(chance.choice([10, 1000, 5000])))
    with stepwise(20, 2000):
        assert backup.save(client, tmp_path / "backup").keys == 60
    with Reader(tmp_path / "backup") as file:
        steps = [[len(dump) for dump in block.dumps] for _, block in file.blocks()]
    assert all(sum(sizes[:-1]) < 2000 for sizes in steps)
    assert len(steps) > 10


def test_a_pattern_and_databases_choose(server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    with server.client() as client, server.client(db=3) as third:
        client.flushall()
        fill(client, some(4))
        third.mset({"user:1": 1, "user:2": 2, "other": 3})
        assert backup.save(third, path).counts == {3: {"string": 3}}
        assert backup.save(third, path, pattern="user:*").counts == {3: {"string": 2}}
        everything = backup.save(client, path, databases="all")
        assert (everything.keys, [*everything.counts]) == (7, [0, 3])
        before = state(client), state(third)
        client.flushall()
        backup.restore(third, path)  # each into its own database
        assert (state(client), state(third)) == before


def test_fakeredis_does_not_tell_which_databases_there_are(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="which databases have keys: it has no INFO"):
        backup.save(connect("fake://no-info"), tmp_path / "backup", databases="all")
    assert [*tmp_path.iterdir()] == []


def test_what_makes_no_sense_is_refused_before_anything_is_written(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    for wrong in ([], [1, 1], [-1]):
        with pytest.raises(ValueError, match=r"databases is \[.*expected \"all\", or numbers"):
            backup.save(client, path, databases=wrong)
    assert [*tmp_path.iterdir()] == []
    backup.save(client, path)
    wrong_way: Any = "overwrite"
    with pytest.raises(ValueError, match='conflict is \'overwrite\'; expected "refuse", "skip"'):
        backup.restore(client, path, conflict=wrong_way)
    with pytest.raises(ValueError, match="rate is 0"):
        backup.restore(client, path, rate=0)
    with pytest.raises(FileNotFoundError):
        backup.restore(client, tmp_path / "nothing")


def test_another_backup_of_the_same_name_does_not_go_on_with_the_notes_of_the_first(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "backup"

    def halt(_: int) -> None:
        raise Stopped

    client.set("key", 1)
    backup.save(client, path)
    client.flushall()
    with pytest.raises(Stopped):
        backup.restore(client, path, progress=halt)
    client.set("another", 1)
    backup.save(client, path, pattern="a*")
    with pytest.raises(ValueError, match="is of another backup, whose restore did not end"):
        backup.restore(client, path, conflict="replace")


def test_an_empty_database_is_an_empty_backup(client: redis.Redis, tmp_path: Path) -> None:
    assert backup.save(client, tmp_path / "backup").counts == {0: {}}
    client.set("key", 1)
    assert backup.restore(client, tmp_path / "backup") == backup.Restored(0, 0, 0, 0)
    assert [*tmp_path.iterdir()] == [tmp_path / "backup"]
    assert client.dbsize() == 1


def test_a_cluster_is_refused(tmp_path: Path) -> None:
    nodes: Any = redis.RedisCluster.__new__(redis.RedisCluster)
    with pytest.raises(TypeError, match="client is a RedisCluster; expected a synchronous"):
        backup.save(nodes, tmp_path / "backup")
    if not find_servers():
        pytest.skip("no Redis or Valkey to start")
    with (
        LocalServer(config={"cluster-enabled": "yes"}) as server,
        server.client() as client,
        pytest.raises(ValueError, match="the server is a node of a cluster"),
    ):
        backup.save(client, tmp_path / "backup")
    assert [*tmp_path.iterdir()] == []


def rights(what: Any, name: str) -> list[str]:
    """The rights that a docstring says a user needs."""
    said = what.__doc__.partition("user needs")[2].partition(name)[0]
    return [word.strip("`,.:") for word in said.split() if word.strip("`").startswith("+")]


def test_a_user_with_the_rights_that_are_said_can_save_and_restore(
    server: LocalServer, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    with server.client() as client:
        client.flushall()
        fill(client, some(12))
        before = state(client)
        for name, what in (("saver", backup.save), ("restorer", backup.restore)):
            client.execute_command(
                "ACL", "SETUSER", name, "on", ">secret", "~*", *rights(what, "conflict:")
            )
        how: dict[str, Any] = {"port": server.port, "password": "secret"}
        with (
            redis.Redis(username="saver", **how) as saver,
            redis.Redis(username="restorer", **how) as restorer,
        ):
            backup.save(saver, path, databases="all")
            client.flushall()
            with pytest.raises(redis.exceptions.NoPermissionError, match="restore"):
                backup.restore(saver, path, conflict="replace")
            assert client.dbsize() == 0
            backup.restore(restorer, path)
        client.execute_command("ACL", "DELUSER", "saver", "restorer")
        assert state(client) == before


def test_a_user_that_may_not_ask_for_info_can_save(server: LocalServer, tmp_path: Path) -> None:
    with server.client() as client:
        client.flushall()
        client.set("key", 1)
        rules = ["on", ">secret", "%R~*", "+@read", "+@scripting", "+time"]
        client.execute_command("ACL", "SETUSER", "blind", *rules)
        with redis.Redis(port=server.port or 0, username="blind", password="secret") as blind:
            saved = backup.save(blind, tmp_path / "backup")
        client.execute_command("ACL", "DELUSER", "blind")
    assert (saved.keys, saved.version) == (1, None)


def test_a_replica_can_save_and_refuses_to_be_restored_to(
    server: LocalServer, tmp_path: Path
) -> None:
    path = tmp_path / "backup"
    with server.client() as client:
        client.flushall()
        fill(client, some(12))
        client.config_set("repl-diskless-sync-delay", 0)
        password = client.connection_pool.connection_kwargs["password"]
        config = {"replicaof": f"127.0.0.1 {server.port}", "masterauth": password}
        with LocalServer(config=config) as replica, replica.client() as copy:
            deadline = time.monotonic() + DEADLINE
            while copy.dbsize() < 12:
                assert time.monotonic() < deadline
            assert backup.save(copy, path).keys == 12
            with pytest.raises(redis.exceptions.ReadOnlyError):
                backup.restore(copy, path, conflict="replace")
        assert backup.restore(client, path, conflict="replace") == backup.Restored(0, 12, 0, 0)
    assert [*tmp_path.iterdir()] == [path]


@pytest.fixture(scope="module")
def both() -> Iterator[dict[str, LocalServer]]:
    """A Redis 7.0 and a Valkey 9."""
    servers = [LocalServer(binary=binary) for binary in find_servers()]
    found = {f"{server.kind} {server.version}"[:9]: server for server in servers}
    if {"redis 7.0", "valkey 9."} - found.keys():
        for server in servers:
            server.close()
        pytest.skip("this machine has not both Redis 7.0 and Valkey 9")
    yield found
    for server in servers:
        server.close()


def test_a_newer_server_takes_what_an_older_one_dumped(
    both: dict[str, LocalServer], tmp_path: Path
) -> None:
    with both["redis 7.0"].client() as old, both["valkey 9."].client() as new:
        new.flushall()
        fill(old, some(30))
        backup.save(old, tmp_path / "backup")
        backup.restore(new, tmp_path / "backup")
        assert [*backup.compare(old, new)] == []
        assert {name: at for name, (at, _) in state(old).items()} == {
            name: at for name, (at, _) in state(new).items()
        }


@pytest.mark.parametrize("conflict", ["refuse", "skip", "replace"])
def test_an_older_server_refuses_what_a_newer_one_dumped_before_anything_is_written(
    both: dict[str, LocalServer], tmp_path: Path, conflict: Any
) -> None:
    with both["redis 7.0"].client() as old, both["valkey 9."].client() as new:
        new.flushall()
        old.flushall()
        fill(new, some(30))
        backup.save(new, tmp_path / "backup")
        said = r"redis 7\.0\S+ does not take values that valkey 9\S+ dumped .*nothing was written"
        with pytest.raises(backup.NotAccepted, match=said):
            backup.restore(old, tmp_path / "backup", conflict=conflict)
        assert old.dbsize() == 0
    assert [*tmp_path.iterdir()] == [tmp_path / "backup"]


def test_fields_keep_their_expiries(both: dict[str, LocalServer], tmp_path: Path) -> None:
    with both["valkey 9."].client() as client, both["valkey 9."].client(db=1) as other:
        client.flushall()
        client.hset("key", mapping={f"field:{number}": number for number in range(3000)})
        client.hpexpireat("key", FAR, "field:2999")
        backup.save(client, tmp_path / "backup")
        client.swapdb(0, 1)
        backup.restore(client, tmp_path / "backup")
        assert [*backup.compare(client, other)] == []
        assert client.hpexpiretime("key", "field:2999") == [FAR]
        other.hpexpireat("key", FAR + 1, "field:2999")
        assert [*backup.compare(client, other)] == [(b"key", "expiries of fields")]
