"""Work on many keys does what its plan says, to these keys alone, and can be taken back."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.client import NEVER_DECODE
from redis.retry import Retry

from labkit import CommandLog
from labkit.clock import FakeClock
from labkit.inspect import bulk
from labkit.inspect.bulk import run
from labkit.inspect.journal import Damaged, Journal
from labkit.inspect.pace import Pace
from labkit.server import LocalServer, find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RAW: dict[str, Any] = {NEVER_DECODE: []}
HOUR = 3_600_000

ACTIONS: dict[str, Callable[[redis.Redis], bulk.Plan]] = {
    "delete": lambda client: bulk.delete(client, "old:*"),
    "expire": lambda client: bulk.expire(client, "old:*", "1h"),
    "persist": lambda client: bulk.persist(client, "old:*"),
    "rename": lambda client: bulk.rename(client, "old:*", lambda name: "new" + name[3:]),
    "copy": lambda client: bulk.copy(client, "old:*", "copy:{}"),
    "copy to a database": lambda client: bulk.copy(client, "old:*", database=1),
}

Key = tuple[Any, int]
State = dict[int, dict[bytes, Key]]


def put(client: redis.Redis, name: bytes, kind: int, expires: bool) -> None:
    """A key of one of eight kinds; of two, copies have another order."""
    many = [f"member {number:070}" for number in range(40)]  # too long for a compact encoding
    client.execute_command(*[
        ("SET", name, b"text \xff\x00"),
        ("RPUSH", name, *range(20)),
        ("SADD", name, "a", "b"),
        ("SADD", name, *many),
        ("ZADD", name, 1, "a", 2, "b"),
        ("HSET", name, "field", "value"),
        ("HSET", name, *[word for member in many for word in (member, member)]),
        ("XADD", name, "1-1", "field", "value"),
    ][kind % 8])  # fmt: skip
    if kind % 8 == 7:
        client.xgroup_create(name, "group", "0")
    if expires:
        client.pexpire(name, 10_000_000 + kind)


def fill(client: redis.Redis, count: int = 16) -> None:
    client.flushall()
    for number in range(count):
        put(client, b"old:\xff%d" % number, number, number % 3 == 0)
        put(client, b"other:%d" % number, number, number % 3 == 0)


def value(client: redis.Redis, name: bytes) -> Any:
    kind: Any = client.type(name)
    asked: Any = client.execute_command(*{
        "string": ("GET", name),
        "list": ("LRANGE", name, 0, -1),
        "set": ("SMEMBERS", name),
        "zset": ("ZRANGE", name, 0, -1, "WITHSCORES"),
        "hash": ("HGETALL", name),
        "stream": ("XRANGE", name, "-", "+"),
    }[kind], **RAW)  # fmt: skip
    groups = client.xinfo_groups(name) if kind == "stream" else None
    return kind, asked, groups


def keys_of(client: redis.Redis) -> dict[bytes, Key]:
    """What there is in a client's database: values, and when they expire (ms; -1: never)."""
    names = sorted(client.scan_iter(**RAW))
    return {name: (value(client, name), client.pexpiretime(name)) for name in names}


def another(client: redis.Redis, database: int = 0) -> redis.Redis:
    """A client of the same server, with connections of its own."""
    pool = client.connection_pool
    how = pool.connection_kwargs | {"db": database}
    own = redis.ConnectionPool(connection_class=pool.connection_class, **how)
    return redis.Redis(connection_pool=own)


def state(client: redis.Redis) -> State:
    with another(client, 1) as second:
        return {0: keys_of(client), 1: keys_of(second)}


def roughly(found: State) -> Any:
    """Without the exact moments, which differ between two runs."""
    return {
        number: {name: (what, at // HOUR) for name, (what, at) in found[number].items()}
        for number in found
    }


def counts(done: bulk.Done) -> tuple[int, int, int]:
    return done.changed, done.skipped, done.gone


class Stopped(Exception):
    """The process ends here, as far as what it leaves behind goes."""


@contextmanager
def stopping(client: redis.Redis, at: int) -> Iterator[None]:
    """Stop before the trip or the record with this number; a record is written by half then."""
    numbers = itertools.count(1)
    append = Journal.append

    def tick(_: int = 0) -> None:
        if next(numbers) == at:
            raise Stopped

    def torn(journal: Journal, record: bytes, *, sync: bool = True) -> None:
        try:
            tick()
        except Stopped:
            append(journal, record)
            with journal.path.open("r+b") as file:
                file.truncate(journal.path.stat().st_size - (len(record) + 1) // 2)
            raise
        append(journal, record, sync=sync)

    with CommandLog(client, before=tick), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", torn)
        yield


def unless_unstarted(
    work: Callable[[redis.Redis, Path], bulk.Done], client: redis.Redis, path: Path
) -> bulk.Done | None:
    """What came of a journal's run; None if it had not begun when it was stopped."""
    try:
        return work(client, path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        if "has no plan: the run was stopped before it changed anything" in str(error):
            return None
        raise


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_stopped_anywhere_goes_on_and_is_undone(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    fill(client)
    ACTIONS[name](client).run(undo=None, batch=6)
    wanted = roughly(state(client))
    for at in itertools.count(1):
        fill(client)
        before = state(client)
        plan, path = ACTIONS[name](client), tmp_path / f"{at}"
        try:
            with stopping(client, at):
                plan.run(undo=path, batch=6)
            break
        except Stopped:
            pass
        done = unless_unstarted(bulk.resume, client, path)
        if done is None:
            assert state(client) == before
            continue
        assert sum(counts(done)) == len(plan)
        assert roughly(state(client)) == wanted
        bulk.undo(client, path)
        assert state(client) == before
    assert at > 10


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_stopped_anywhere_is_undone_at_once(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    for at in itertools.count(1):
        fill(client)
        before = state(client)
        path = tmp_path / f"{at}"
        try:
            with stopping(client, at):
                ACTIONS[name](client).run(undo=path, batch=6)
            break
        except Stopped:
            pass
        if unless_unstarted(bulk.undo, client, path):
            with pytest.raises(ValueError, match="is being undone"):
                bulk.resume(client, path)
        assert state(client) == before
    assert at > 10


@pytest.mark.parametrize("name", ACTIONS)
def test_what_is_stopped_again_and_again_ends_as_if_it_had_not_been(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    def insist(work: Callable[[], bulk.Done], first: int) -> bulk.Done:
        for at in itertools.count(first):
            try:
                with stopping(client, at):
                    return work()
            except Stopped:
                pass
        raise AssertionError("never reached")

    fill(client)
    before = state(client)
    plan, path = ACTIONS[name](client), tmp_path / "journal"
    with pytest.raises(Stopped), stopping(client, 7):
        plan.run(undo=path, batch=6)
    done = insist(lambda: bulk.resume(client, path), 1)
    ended = roughly(state(client))
    assert insist(lambda: bulk.undo(client, path), 1).changed == done.changed
    assert state(client) == before
    assert bulk.undo(client, path).changed == done.changed
    assert state(client) == before
    assert ACTIONS[name](client).run(undo=None) == done
    assert roughly(state(client)) == ended


CHILD = """
import sys, redis
from labkit.inspect import bulk
url, path, action = sys.argv[1:]
client = redis.Redis.from_url(url)
plan = {
    "delete": lambda: bulk.delete(client, "old:*"),
    "rename": lambda: bulk.rename(client, "old:*", lambda name: "new" + name[3:]),
    "copy": lambda: bulk.copy(client, "old:*", "copy:{}"),
}[action]()
plan.run(undo=path, batch=2, progress=lambda count: print(count, flush=True))
"""


@pytest.mark.parametrize("name", ["delete", "rename", "copy"])
@pytest.mark.parametrize("steps", [1, 40])
def test_a_process_that_is_killed_leaves_what_goes_on(
    server: LocalServer, tmp_path: Path, name: str, steps: int
) -> None:
    path = tmp_path / "journal"
    with server.client() as client:
        client.flushall()
        client.mset({f"old:{number}": f"value {number}" for number in range(2000)})
        command = [sys.executable, "-c", CHILD, server.url, str(path), name]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            seen = [int(process.stdout.readline()) for _ in range(steps)]
            process.kill()
            process.wait(60)
        assert process.returncode == -signal.SIGKILL
        assert seen[-1] == 2 * steps
        assert counts(bulk.resume(client, path)) == (2000, 0, 0)
        first = {"delete": None, "rename": "new:{}", "copy": "copy:old:{}"}[name]
        names = [] if first is None else [first.format(number) for number in range(2000)]
        kept = [f"old:{number}" for number in range(2000)] if name == "copy" else []
        assert {*client.scan_iter()} == {*names, *kept}
        assert not names or client.mget(names) == [f"value {number}" for number in range(2000)]
        assert counts(bulk.undo(client, path)) == (2000, 0, 0)
        values = {key: client.get(key) for key in client.scan_iter()}
        assert values == {f"old:{number}": f"value {number}" for number in range(2000)}


class Deaf(redis.Connection):
    """Loses one answer, after the server has done what it answers."""

    lost = 0

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().read_response(*args, **kwargs)
        Deaf.lost -= 1
        if Deaf.lost == 0:
            raise redis.ConnectionError("the answer is lost")
        return answer


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("retries", [0, 3])
def test_an_answer_that_is_lost_loses_nothing_and_nothing_is_done_twice(
    server: LocalServer, tmp_path: Path, name: str, retries: int
) -> None:
    retry = Retry(NoBackoff(), retries)
    pool = redis.ConnectionPool.from_url(server.url, connection_class=Deaf, retry=retry)
    with server.client() as client, redis.Redis(connection_pool=pool) as deaf:
        fill(client, 8)
        done = ACTIONS[name](client).run(undo=None)
        for lost in itertools.count(1):
            fill(client, 8)
            before = state(client)
            plan, path = ACTIONS[name](deaf), tmp_path / f"{lost}"
            Deaf.lost = lost
            try:
                assert plan.run(undo=path, batch=4) == done
                if Deaf.lost > 0:
                    break
            except redis.ConnectionError:
                if path.exists():
                    assert retries == 0
                    assert bulk.resume(deaf, path) == done
            if path.exists():
                assert bulk.undo(deaf, path).changed == done.changed
            assert state(client) == before
    Deaf.lost = 0
    assert lost > 20


@pytest.mark.parametrize("name", ACTIONS)
def test_an_answer_that_is_lost_while_it_is_undone_is_asked_for_again(
    server: LocalServer, tmp_path: Path, name: str
) -> None:
    retry = Retry(NoBackoff(), 3)
    pool = redis.ConnectionPool.from_url(server.url, connection_class=Deaf, retry=retry)
    with server.client() as client, redis.Redis(connection_pool=pool) as deaf:
        for lost in (1, 2):
            fill(client, 8)
            before = state(client)
            path = tmp_path / f"{lost}"
            done = ACTIONS[name](deaf).run(undo=path, batch=4)
            Deaf.lost = lost
            undone = bulk.undo(deaf, path)
            assert Deaf.lost <= 0
            assert sum(counts(undone)) == done.changed
            assert not undone.gone or "copy" in name  # deleted, or gone before: who could tell
            assert not undone.skipped or name == "delete"  # of large sets and hashes, likewise
            assert undone.skipped <= 2  # there are two of them in a batch
            assert state(client) == before


def test_a_plan_says_what_would_be_done_and_changes_nothing(client: redis.Redis) -> None:
    fill(client)
    before = state(client)
    first = [r'"old:\xff0"', r'"old:\xff1"', r'"old:\xff10"']
    texts = {
        "delete": "Delete 16 keys: {}, {}, {} and 13 more",
        "expire": "Let 16 keys expire in 3,600 s: {}, {}, {} and 13 more",
        "persist": "Let 16 keys live for ever: {}, {}, {} and 13 more",
    }
    for name, text in texts.items():
        assert str(ACTIONS[name](client)) == text.format(*first)
    assert str(bulk.rename(client, "old:?7", "{}!")) == r'Rename 1 key: "old:\xff7" to "old:\xff7!"'
    copies = bulk.copy(client, b"old:\xff7", "x", database=2)
    assert str(copies) == r'Copy 1 key to database 2: "old:\xff7" to "x"'
    assert copies.keys == (b"old:\xff7",)
    assert copies.targets == (b"x",)
    assert str(bulk.delete(client, "none:*")) == "Delete 0 keys"
    assert state(client) == before


def test_type_and_only_choose(client: redis.Redis) -> None:
    fill(client)
    assert bulk.delete(client, "old:*", type="list").keys == (b"old:\xff1", b"old:\xff9")
    assert {*bulk.rename(client, "old:*", "x{}", type="set").targets} == {
        b"xold:\xff%d" % number for number in (2, 3, 10, 11)
    }
    mortal = {name for name, (_, at) in keys_of(client).items() if at >= 0}
    plan = bulk.expire(client, "*", "1h", only="immortal")
    assert {*plan.keys} == {*client.scan_iter(**RAW)} - mortal
    client.expire("other:1", 10)
    done = plan.run(undo=None)
    assert counts(done) == (len(plan) - 1, 1, 0)
    assert done.reasons == {"it expires already": 1}
    assert 0 < client.ttl("other:1") <= 10


def test_nothing_to_do_is_done(client: redis.Redis, tmp_path: Path) -> None:
    client.set("a", 1)
    for number, pattern in enumerate(["", "none:*"]):
        assert counts(bulk.delete(client, pattern).run(undo=tmp_path / f"{number}")) == (0, 0, 0)
        assert counts(bulk.resume(client, tmp_path / f"{number}")) == (0, 0, 0)
        assert counts(bulk.undo(client, tmp_path / f"{number}")) == (0, 0, 0)
    assert client.get("a") == "1"


def test_only_the_keys_of_the_plan_are_touched(client: redis.Redis, tmp_path: Path) -> None:
    fill(client)
    plan = bulk.delete(client, "old:*")
    client.set("old:later", "came later")
    client.delete(b"old:\xff1", b"old:\xff2")
    kept = {name: key for name, key in keys_of(client).items() if name not in plan.keys}
    assert counts(plan.run(undo=tmp_path / "journal")) == (14, 0, 2)
    assert keys_of(client) == kept
    assert counts(bulk.undo(client, tmp_path / "journal")) == (14, 0, 0)
    assert client.exists(b"old:\xff1", b"old:\xff2") == 0


def meanwhile(
    client: redis.Redis, trips: range, happen: Callable[[redis.Redis], Any]
) -> CommandLog:
    """While it records, something happens before each of these trips.

    Of a run, the first trip asks what the server would refuse. Each step of a deletion or of
    expiries takes two more: it looks, and it changes; renaming and copying have one before these.
    """
    other = another(client)

    def before(trip: int) -> None:
        if trip in trips:
            happen(other)

    return CommandLog(client, before=before)


def test_a_value_that_changes_before_it_is_deleted_is_read_again(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.mset({"a": "1", "b": "1", "c": "1"})
    client.expire("c", 100)
    plan = bulk.delete(client, "*")
    with meanwhile(client, range(3, 4), lambda other: (other.incr("a"), other.persist("c"))) as log:
        assert counts(plan.run(undo=tmp_path / "journal")) == (3, 0, 0)
    assert log.round_trips == 5
    assert client.dbsize() == 0
    assert counts(bulk.undo(client, tmp_path / "journal")) == (3, 0, 0)
    assert client.mget("a", "b", "c") == ["2", "1", "1"]
    assert client.ttl("c") == -1


@pytest.mark.parametrize("name", ["delete", "rename", "copy"])
def test_a_value_that_never_stands_still_is_skipped(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    client.mset({"old:a": "1", "old:b": "1"})
    plan = ACTIONS[name](client)
    with meanwhile(client, range(100), lambda other: other.incr("old:a")):
        done = plan.run(undo=tmp_path / "journal")
    assert counts(done) == (1, 1, 0)
    assert done.reasons == {"it was changed meanwhile": 1}
    assert str(done) == "1 changed, 1 skipped, 0 gone\n1 skipped: it was changed meanwhile"
    assert client.exists("old:a")
    assert counts(bulk.undo(client, tmp_path / "journal")) == (1, 0, 0)
    assert {*client.scan_iter()} == {"old:a", "old:b"}


@pytest.mark.parametrize("name", ["rename", "copy"])
@pytest.mark.parametrize("trip", [1, 2, 3, 4])
def test_a_key_that_comes_where_one_is_to_be_stays(
    client: redis.Redis, tmp_path: Path, name: str, trip: int
) -> None:
    client.mset({"old:a": "1", "old:b": "1"})
    plan = ACTIONS[name](client)
    target = plan.targets[0].decode()
    with meanwhile(client, range(trip, trip + 1), lambda other: other.set(target, "mine")):
        done = plan.run(undo=tmp_path / "journal")
    assert counts(done) == (1, 1, 0)
    assert done.reasons == {"a key of that name is there": 1}
    assert counts(bulk.undo(client, tmp_path / "journal")) == (1, 0, 0)
    assert {*client.scan_iter()} == {"old:a", "old:b", target}
    assert client.get(target) == "mine"


@pytest.mark.parametrize("name", ACTIONS)
def test_a_key_that_goes_before_it_is_changed_is_gone_or_deleted(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    client.mset({"old:a": "1", "old:b": "1"})
    client.expire("old:a", 100)
    client.expire("old:b", 100)
    last = 4 if {"rename", "copy"} & {*name.split()} else 3
    plan = ACTIONS[name](client)
    with meanwhile(client, range(last, last + 1), lambda other: other.delete("old:a")):
        done = plan.run(undo=tmp_path / "journal")
    assert counts(done) == ((2, 0, 0) if name == "delete" else (1, 0, 1))


def test_an_expiry_that_changes_before_it_is_set_is_read_again(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.set("a", 1)
    plan = bulk.expire(client, "*", "1h")
    with meanwhile(client, range(3, 4), lambda other: other.expire("a", 500)):
        assert counts(plan.run(undo=tmp_path / "journal")) == (1, 0, 0)
    assert 3500 < client.ttl("a") <= 3600
    assert counts(bulk.undo(client, tmp_path / "journal")) == (1, 0, 0)
    assert 400 < client.ttl("a") <= 500


def test_undo_leaves_what_has_come_or_changed_since(client: redis.Redis, tmp_path: Path) -> None:
    def run(name: str, happen: Callable[[], Any]) -> tuple[bulk.Done, dict[Any, Any]]:
        client.flushall()
        client.mset({"old:a": "1", "old:b": "1", "old:c": "1"})
        ACTIONS[name](client).run(undo=tmp_path / name)
        happen()
        done = bulk.undo(client, tmp_path / name)
        return done, {key: client.get(key) for key in client.scan_iter()}

    done, left = run("delete", lambda: client.set("old:a", "new"))
    assert done == bulk.Done(2, 1, 0, {"a key of that name is there": 1})
    assert left == {"old:a": "new", "old:b": "1", "old:c": "1"}

    done, left = run("expire", lambda: (client.expire("old:a", 7), client.delete("old:b")))
    assert done == bulk.Done(1, 1, 1, {"it was changed meanwhile": 1})
    assert client.ttl("old:c") == -1

    done, left = run(
        "rename",
        lambda: (client.set("old:a", "new"), client.set("new:b", "2"), client.delete("new:c")),
    )
    assert done == bulk.Done(1, 1, 1, {"a key of that name is there": 1})
    assert left == {"old:a": "new", "new:a": "1", "old:b": "2"}

    done, left = run(
        "copy", lambda: (client.set("copy:old:a", "mine"), client.delete("copy:old:b"))
    )
    assert done == bulk.Done(1, 1, 1, {"it was changed meanwhile": 1})
    assert left == {"old:a": "1", "old:b": "1", "old:c": "1", "copy:old:a": "mine"}


@pytest.mark.parametrize("name", ["delete", "expire", "persist"])
def test_a_key_whose_time_is_over_is_gone_when_it_is_undone(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    def now() -> int:
        seconds, microseconds = client.time()
        return seconds * 1000 + microseconds // 1000

    over = now() + 300
    client.set("old:a", 1, pxat=over)
    client.set("old:b", 1, px=HOUR)
    done = ACTIONS[name](client).run(undo=tmp_path / "journal")
    assert counts(done) == (2, 0, 0)
    while now() <= over:
        pass
    assert counts(bulk.undo(client, tmp_path / "journal")) == (1, 0, 1)
    assert [*client.scan_iter()] == ["old:b"]


def test_what_was_stopped_does_not_delete_what_has_come_since(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.mset({"old:a": "1", "old:b": "1"})
    plan, path = bulk.delete(client, "*"), tmp_path / "journal"
    with pytest.raises(Stopped), stopping(client, 6):  # deleted, and not written down
        plan.run(undo=path)
    assert client.dbsize() == 0
    client.set("old:a", "new")
    assert bulk.resume(client, path) == bulk.Done(1, 1, 0, {"it was changed meanwhile": 1})
    assert client.get("old:a") == "new"


@pytest.mark.parametrize("decode", [True, False])
def test_clients_that_decode_and_those_that_do_not_do_the_same(
    server: LocalServer, tmp_path: Path, decode: bool
) -> None:
    with server.client() as client, server.client(decode_responses=decode) as mine:
        for number, make in enumerate(ACTIONS.values()):
            fill(client)
            before = state(client)
            done = make(mine).run(undo=tmp_path / f"{number}", batch=5)
            assert done.changed > 4
            assert bulk.undo(mine, tmp_path / f"{number}").changed == done.changed
            assert state(client) == before


@pytest.mark.parametrize("binary", find_servers(), ids=lambda path: path.name)
def test_every_server_can_do_it(tmp_path: Path, binary: Path) -> None:
    with LocalServer(binary=binary) as server, server.client() as client:
        for number, make in enumerate(ACTIONS.values()):
            fill(client)
            before = state(client)
            done = make(client).run(undo=tmp_path / f"{number}", batch=5)
            assert done.changed > 4
            bulk.undo(client, tmp_path / f"{number}")
            assert state(client) == before


def test_names_that_clash_are_refused(client: redis.Redis) -> None:
    client.mset({"a1": 1, "a2": 2, "a3": 3, "b1": 4})
    for make in (bulk.rename, bulk.copy):
        with pytest.raises(ValueError, match=r'"a1", "a2", "a3" would share a name with another'):
            make(client, "a*", "same")
        with pytest.raises(ValueError, match=r'"a2" would get their own name'):
            make(client, "a[12]", lambda name: name.replace("1", "7"))
        with pytest.raises(ValueError, match=r'"a1" would get the name of a key that is there'):
            make(client, "a[12]", lambda name: name.replace("a", "b"))
    with pytest.raises(ValueError, match=r'"a1", "a2" would get the name of one of them'):
        bulk.rename(client, "a*", lambda name: f"a{int(name[1]) + 1}")
    with pytest.raises(ValueError, match='"a1", "a2", "a3" and 1 more would get their own name'):
        bulk.copy(client, "*", database=0)
    with another(client, 1) as second:
        second.set("a2", 1)
    with pytest.raises(ValueError, match='"a2" would get the name of a key that is there'):
        bulk.copy(client, "*", database=1)


def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    client: redis.Redis, tmp_path: Path
) -> None:
    client.set("a", 1)
    plan = bulk.delete(client, "*")
    with CommandLog(client) as log:
        for ttl in (0, "0.4ms", 1e12):
            with pytest.raises(ValueError, match="expected a millisecond to 1,000 years"):
                bulk.expire(client, "*", ttl)
        with pytest.raises(ValueError, match="only is 'mortal'"):
            bulk.expire(client, "*", "1h", only="mortal")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="batch is 0"):
            plan.run(undo=tmp_path / "journal", batch=0)
        with pytest.raises(ValueError, match="rate is 0"):
            plan.run(undo=tmp_path / "journal", rate=0)
        with pytest.raises(TypeError, match=r"expected a synchronous redis\.Redis"):
            bulk.delete(redis.asyncio.Redis(), "*")  # type: ignore[arg-type]
    assert not len(log)
    assert not (tmp_path / "journal").exists()


def test_a_run_asks_in_batches_and_never_for_all_keys(client: redis.Redis) -> None:
    client.mset({f"key:{number}": number for number in range(100)})
    seen: list[int] = []
    with CommandLog(client) as log:
        plan = bulk.delete(client, "*")
        plan.run(undo=None, batch=30, progress=seen.append)
    assert seen == [30, 60, 90, 100]
    assert {*log.names} == {"SCAN", "MULTI", "PTTL", "UNLINK", "DISCARD", "EVAL", "EVALSHA"}
    scripts = [command for command in log if command.name.startswith("EVAL")]
    assert [int(command.args[1]) for command in scripts] == [30, 30, 30, 30, 30, 30, 10, 10]


def test_a_batch_ends_where_values_are_large(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ENOUGH", 1000)
    client.mset({f"key:{number}": Random(number).randbytes(500) for number in range(10)})
    before = state(client)
    seen: list[int] = []
    plan = bulk.delete(client, "*")
    assert counts(plan.run(undo=tmp_path / "journal", progress=seen.append)) == (10, 0, 0)
    assert len(seen) > 1
    bulk.undo(client, tmp_path / "journal")
    assert state(client) == before


def test_a_value_that_could_not_be_put_back_is_not_deleted(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LARGEST", 1000)
    client.mset({"small": "x", "large": Random(1).randbytes(1000)})
    done = bulk.delete(client, "*").run(undo=tmp_path / "journal")
    assert done == bulk.Done(1, 1, 0, {"a value of more than 512 MB could not be put back": 1})
    assert [*client.scan_iter()] == ["large"]
    assert counts(bulk.delete(client, "*").run(undo=None)) == (1, 0, 0)


def test_no_more_keys_go_in_a_second_than_the_rate_says() -> None:
    clock = FakeClock()
    pace = Pace(100, clock, clock.advance)
    assert pace.most(500) == 100
    went = []
    for keys, work in [(100, 0.2), (50, 0.7), (10, 0.0), (100, 5.0), (1, 0.0)]:
        pace.wait(keys)
        went.append(clock())
        clock.advance(work)
    assert went == pytest.approx([0, 1, 1.7, 1.8, 6.8])
    assert Pace(0.5).most(500) == 1
    assert Pace(None).most(500) == 500


def test_a_run_keeps_to_its_rate_also_when_it_goes_on(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(Pace.__init__, "__defaults__", (clock, clock.advance))
    client.mset({f"key:{number}": number for number in range(40)})
    plan = bulk.delete(client, "*")
    with pytest.raises(Stopped), stopping(client, 7):
        plan.run(undo=tmp_path / "journal", rate=10)
    assert clock() == 1
    assert counts(bulk.resume(client, tmp_path / "journal")) == (40, 0, 0)
    assert clock() == 3


@pytest.fixture
def replica() -> Iterator[redis.Redis]:
    with LocalServer() as server, server.client() as client:
        fill(client)
        client.replicaof("127.0.0.1", 1)  # nobody is there; what it has stays, and is read-only
        yield client


@pytest.mark.parametrize("name", ACTIONS)
def test_a_replica_refuses_before_anything_is_written(
    replica: redis.Redis, tmp_path: Path, name: str
) -> None:
    plan = ACTIONS[name](replica)
    with pytest.raises(redis.ReadOnlyError, match=r"old:\\xff0.* as user default; nothing was"):
        plan.run(undo=tmp_path / "journal")
    assert not (tmp_path / "journal").exists()


COMMANDS = {
    "delete": "unlink",
    "expire": "pexpireat",
    "persist": "persist",
    "rename": "renamenx",
    "copy": "copy",
    "copy to a database": "copy",
}


@contextmanager
def user(server: LocalServer, *rules: str) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "clerk", "reset", "on", ">secret", *rules)
        port = server.port or 0
        with redis.Redis(port=port, username="clerk", password="secret") as clerk:
            yield clerk
        client.execute_command("ACL", "DELUSER", "clerk")


@pytest.mark.parametrize("name", ACTIONS)
def test_what_a_user_may_not_is_refused_before_anything_is_written(
    server: LocalServer, tmp_path: Path, name: str
) -> None:
    command = COMMANDS[name]
    with server.client() as client:
        fill(client)
        before = state(client)
        with user(server, "~*", "+@all", f"-{command}") as clerk:
            plan = ACTIONS[name](clerk)
            with pytest.raises(redis.exceptions.NoPermissionError) as caught:
                plan.run(undo=tmp_path / "journal")
        assert f"'{command}' command ({command.upper()} " in str(caught.value)
        assert "as user clerk; nothing was changed" in str(caught.value)
        with user(server, "+@all", "~old:*", "~new*", "~copy*") as clerk:
            allowed = ACTIONS[name](clerk).run(undo=tmp_path / "journal")
            assert bulk.undo(clerk, tmp_path / "journal").changed == allowed.changed
        assert state(client) == before


def test_a_key_that_a_user_may_not_change_is_named(server: LocalServer) -> None:
    with server.client() as client:
        client.flushall()
        client.mset({"a:1": 1, "a:2": 1, "b:1": 1})
        with user(server, "~a:*", "+@all") as clerk:
            with pytest.raises(redis.exceptions.NoPermissionError, match=r'UNLINK "b:1" as user'):
                bulk.delete(clerk, "*").run(undo=None)
            assert client.dbsize() == 3
            assert counts(bulk.delete(clerk, "a:*").run(undo=None)) == (2, 0, 0)
            assert client.dbsize() == 1


def test_a_user_who_may_not_ask_is_refused_when_it_comes(server: LocalServer) -> None:
    words = {"redis": "can't run this command", "valkey": "no permissions to run the 'unlink'"}
    with server.client() as client:
        client.flushall()
        client.set("a", 1)
        with (
            user(server, "~*", "+@all", "-multi", "-unlink") as clerk,
            pytest.raises(redis.ResponseError, match=words[server.kind]),
        ):
            bulk.delete(clerk, "*").run(undo=None)
        assert client.get("a") == "1"


def test_expiries_are_put_back_without_pexpiretime_to_a_few_milliseconds(
    server: LocalServer, tmp_path: Path
) -> None:
    with server.client() as client:
        for name in ACTIONS:
            fill(client)
            before = state(client)
            with user(server, "~*", "+@all", "-pexpiretime") as clerk:
                done = ACTIONS[name](clerk).run(undo=tmp_path / name, batch=4)
                assert bulk.undo(clerk, tmp_path / name).changed == done.changed > 4
            after = state(client)
            assert roughly(after) == roughly(before)
            for number, keys in before.items():
                for key, (_, at) in keys.items():
                    assert abs(after[number][key][1] - at) <= 2


def test_a_journal_is_new_and_private_and_of_one_process_and_database(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    client.mset({"a": 1, "b": 1})
    plan = bulk.delete(client, "a")
    plan.run(undo=path)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_bytes()
    with pytest.raises(FileExistsError, match="a journal must be a new file"):
        bulk.delete(client, "b").run(undo=path)
    with Journal(path), pytest.raises(BlockingIOError, match="another process works with"):
        bulk.undo(client, path)
    with another(client, 1) as second, pytest.raises(ValueError, match="is of database 0, and"):
        bulk.undo(second, path)
    for work in (bulk.undo, bulk.resume):
        with pytest.raises(FileNotFoundError):
            work(client, tmp_path / "none")
    assert path.read_bytes() == text
    assert client.get("b") == "1"


def test_a_journal_that_is_damaged_is_refused_before_anything_is_written(
    client: redis.Redis, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    client.mset({"old:a": "1", "old:b": "1"})
    ACTIONS["delete"](client).run(undo=path)
    sound = path.read_bytes()
    whole = [*Journal(path).records()]
    last = len(sound) - len(whole[-1])
    for at in range(last):
        damaged = bytearray(sound)
        damaged[at] ^= 0x40
        path.write_bytes(damaged)
        for work in (bulk.resume, bulk.undo):
            with pytest.raises(Damaged):
                work(client, path)
        assert path.read_bytes() == damaged
        assert client.dbsize() == 0
    mixed = sound[:-1] + b"?"  # as long as it should be, and not all of it there
    for torn in (mixed, *(sound[:at] for at in range(last, len(sound)))):
        path.write_bytes(torn)  # what it said is found out again
        assert counts(bulk.resume(client, path)) == (2, 0, 0)
        assert [*Journal(path).records()] == whole
    assert counts(bulk.undo(client, path)) == (2, 0, 0)
    assert client.mget("old:a", "old:b") == ["1", "1"]


@given(records=st.lists(st.binary(max_size=40), max_size=6), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_gives_the_records_that_are_whole(
    tmp_path: Path, records: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path / uuid.uuid4().hex
    ends = []
    with Journal(path, new=True) as journal:
        ends.append(path.stat().st_size)
        for record in records:
            journal.append(record, sync=False)
            ends.append(path.stat().st_size)
        assert [*journal.records()] == records
    torn = data.draw(st.integers(ends[0], ends[-1]))
    path.write_bytes(path.read_bytes()[:torn])
    kept = records[: sum(end <= torn for end in ends) - 1]
    with Journal(path) as journal:
        assert [*journal.records()] == kept
        journal.append(b"more")
        assert [*journal.records()] == [*kept, b"more"]


PREFIXES = [b"", b"a:", b"b:\xff", b"new:"]
KEYS = st.dictionaries(
    st.builds(bytes.__add__, st.sampled_from(PREFIXES), st.binary(max_size=3)),
    st.tuples(st.integers(0, 7), st.booleans()),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    keys=KEYS,
    prefix=st.sampled_from(PREFIXES),
    name=st.sampled_from([*ACTIONS, "expire only"]),
    batch=st.integers(1, 5),
    chance=st.randoms(use_true_random=False),
)
def test_what_is_done_is_what_a_model_does(
    client: redis.Redis,
    tmp_path: Path,
    keys: dict[bytes, tuple[int, bool]],
    prefix: bytes,
    name: str,
    batch: int,
    chance: Any,
) -> None:
    client.flushall()
    for key, (kind, expires) in keys.items():
        put(client, key, kind, expires)
    model = state(client)
    chosen = sorted(key for key in keys if key.startswith(prefix))
    targets = {key: b"new:" + key for key in chosen}
    pattern = prefix + b"*"
    make: dict[str, Callable[[], bulk.Plan]] = {
        "delete": lambda: bulk.delete(client, pattern),
        "expire": lambda: bulk.expire(client, pattern, "1h"),
        "expire only": lambda: bulk.expire(client, pattern, "1h", only="immortal"),
        "persist": lambda: bulk.persist(client, pattern),
        "rename": lambda: bulk.rename(client, pattern, "new:{}"),
        "copy": lambda: bulk.copy(client, pattern, lambda key: "new:" + key),
        "copy to a database": lambda: bulk.copy(client, pattern, "new:{}", database=1),
    }
    if name in ("rename", "copy") and keys.keys() & {*targets.values()}:
        with pytest.raises(ValueError, match="would get the name of"):
            make[name]()
        assert state(client) == model
        return
    if name == "expire only":
        chosen = [key for key in chosen if model[0][key][1] == -1]
    plan = make[name]()
    assert plan.keys == tuple(chosen)

    gone = [key for key in chosen if chance.random() < 0.2]
    if gone:
        client.delete(*gone)
    model = state(client)
    dumps = {key: client.execute_command("DUMP", key, **RAW) for key in model[0]}
    after = {number: dict(found) for number, found in model.items()}
    changed = [key for key in chosen if key not in gone]
    if name == "persist":
        changed = [key for key in changed if model[0][key][1] >= 0]
    for key in changed:
        what, at = after[0][key]
        match name:
            case "delete":
                del after[0][key]
            case "expire" | "expire only":
                seconds, _ = client.time()
                after[0][key] = (what, seconds * 1000 + HOUR)
            case "persist":
                after[0][key] = (what, -1)
            case "rename":
                after[0][targets[key]] = after[0].pop(key)
            case "copy":
                after[0][targets[key]] = after[0][key]
            case _:
                after[1][targets[key]] = after[0][key]

    path = tmp_path / uuid.uuid4().hex
    done = plan.run(undo=path, batch=batch)
    assert counts(done) == (len(changed), len(chosen) - len(changed) - len(gone), len(gone))
    found = state(client)
    for number in (0, 1):
        assert found[number].keys() == after[number].keys()
        for key, (what, at) in after[number].items():
            assert found[number][key][0] == what
            assert abs(found[number][key][1] - at) <= (60_000 if "expire" in name else 0)
    for key in dumps.keys() - {*chosen}:
        assert client.execute_command("DUMP", key, **RAW) == dumps[key]
    assert bulk.undo(client, path).changed == len(changed)
    assert state(client) == model
