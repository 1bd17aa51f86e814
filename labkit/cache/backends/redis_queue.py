"""Writes that wait in Redis until they have reached a source.

A queue lies in the buckets of its namespace, so that a write and its cached value are one script.
Each bucket is a partition of it, and has, after the bucket's prefix:

    q:<name>          the writes, a stream: key, name, and the value of those that do not delete
    q:<name>:latest   a hash: the id of the latest waiting write of each key
    q:<name>:owner    whose the partition is: a token, for a lease
    q:<name>:room     the note that wakes those who wait for room, a stream that lives five seconds
    q:<name>:aside    the writes that were put aside, a stream: the same with an id and a reason
    q:<name>:last     a hash: of each key that was not written since, its latest write put aside

An id of the stream, milliseconds and a number, is made one number: the version of the write. The
stream stays when it is empty, and with it the last id: versions grow also where a clock goes back.
Nothing but the owner and the note has a time to live.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.base import Busy, Full, PutAside, Queued, QueueState
from labkit.cache.backends.redis import _LONGEST_WAIT, _body, _first, _good, _milliseconds
from labkit.cache.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.cache.backends.redis import RedisStore
    from labkit.cache.backends.redis_lines import Flow

_SEQUENCE = 20  # bits of a version
_CHUNK = 1000  # keys of one call, of which Lua bears some thousand
_TURN = 0.05  # seconds for which a worker listens to one of a cluster's partitions


class RedisQueue:
    """A queue in Redis; the methods are described in `backends.base.Queue`.

    With a client of `redis.asyncio` every method returns an awaitable.
    """

    def __init__(self, store: RedisStore, name: str, depth: int) -> None:
        self.blocking = store.blocking
        self.partitions = len(store._prefixes)
        self._store = store
        self._line = store._line
        self._name = name
        self._most = math.ceil(depth / self.partitions)
        self._turn = 0

    # --- Writing

    def check(self) -> Any:
        """Make sure that the server keeps what it is given."""
        return self._line.run(self._check())

    def _check(self) -> Flow:
        policies = yield from self._everywhere("queue_check", [""])
        for policy in filter(None, policies):
            raise Refused(
                f"Redis may evict any key (maxmemory-policy {policy.decode()}), and with it writes "
                "that wait; set the policy to volatile-lru or noeviction, or give WriteBehind a "
                "Redis of its own"
            )

    def push(self, write: Queued, body: bytes, ttl: float | None, tags: Sequence[str]) -> Any:
        """Put a write into the queue and its value into the cache, both or neither."""
        return self._line.run(self._push(write, body, ttl, tags))

    def _push(self, write: Queued, payload: bytes, ttl: float | None, tags: Sequence[str]) -> Flow:
        body = _body(payload, tags)
        arguments = (
            secrets.token_bytes(8),
            -1 if ttl is not None and ttl <= 0 else _milliseconds(ttl),
            body,
            *self._changed(write.key),
            self._most,
            write.key,
            write.name,
            -1 if write.payload is None else len(body) - len(payload),
        )
        keys = (
            *self._store._keys(write.key, tags),
            *self._parts(write.key, ["", ":latest", ":last", ":room"]),
        )
        # Where an idle connection breaks, a line sends again on a new one. This may so be carried
        # out twice: with one value, as if what others wrote in between had come first.
        ((answer, full),) = yield from self._store._scripts("queue_push", [(keys, arguments)])
        return Full(answer.decode()) if full else _version(answer)

    def wait_for_room(self, key: str, since: str, seconds: float) -> Any:
        """Return when there may be room for a write of a key, or after `seconds`, or earlier."""
        (room,) = self._parts(key, [":room"])
        return self._line.run(_read(seconds, {room: since}))

    def latest(self, keys: Sequence[str]) -> Any:
        """The latest of the waiting writes of each key that has any."""
        return self._line.run(self._latest(keys))

    def _latest(self, keys: Sequence[str]) -> Flow:
        calls: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        for prefix, members in self._store._in_buckets(keys).items():
            parts = (f"{prefix}q:{self._name}", f"{prefix}q:{self._name}:latest")
            calls += [
                (parts, tuple(members[start : start + _CHUNK]))
                for start in range(0, len(members), _CHUNK)
            ]
        replies = yield from self._store._scripts("queue_latest", calls)
        found = [_write(*entry) for reply in replies for entry in reply if entry]
        return {write.key: write for write in found}

    # --- Working

    def take(self, partition: int, token: bytes, lease: float, most: int) -> Any:
        """The first writes of a partition, which is the caller's from now on; or `Busy`."""
        return self._line.run(self._take(partition, token, lease, most))

    def _take(self, partition: int, token: bytes, lease: float, most: int) -> Flow:
        keys, arguments = [":owner", ""], (token, _milliseconds(lease), most)
        reply = yield from self._in_partition("queue_take", partition, keys, arguments)
        if isinstance(reply, int):
            return Busy(max(reply, 1) / 1000)
        return [_write(*entry) for entry in reply]

    def done(self, partition: int, token: bytes, writes: Sequence[Queued]) -> Any:
        """Remove writes that were applied; answers how long the oldest waited, if it may."""
        return self._line.run(self._done(partition, token, writes))

    def _done(self, partition: int, token: bytes, writes: Sequence[Queued]) -> Flow:
        named = [word for write in writes for word in (write.key, _id(write.version))]
        keys = [":owner", "", ":latest", ":room"]
        reply = yield from self._in_partition("queue_done", partition, keys, (token, *named))
        if reply is None:
            return None
        oldest = min(write.version for write in writes)
        return max(0.0, _seconds(reply) - _moment(oldest))

    def put_aside(
        self, partition: int, token: bytes, write: Queued, before: Queued | None, reason: str
    ) -> Any:
        """Put a write aside that cannot be applied, and drop the cached value if it is that one."""
        earlier = "" if before is None else _id(before.version)
        words = (write.key, _id(write.version), earlier, reason)
        arguments = (token, *self._changed(write.key), *words)
        parts = [":owner", "", ":latest", ":last", ":room", ":aside"]
        return self._line.run(self._about_value("queue_aside", write.key, parts, arguments))

    def leave(self, partition: int, token: bytes) -> Any:
        """Give a partition back."""
        return self._line.run(self._in_partition("queue_leave", partition, [":owner"], (token,)))

    def wait(self, since: dict[int, int], seconds: float) -> Any:
        """Return when there is a write above a version in one of these partitions."""
        streams = {
            f"{self._store._prefixes[number]}q:{self._name}": _id(version)
            for number, version in since.items()
        }
        if self._store._tier._cluster:  # one command cannot listen to several nodes
            self._turn += 1
            one = list(streams)[self._turn % len(streams)]
            streams, seconds = {one: streams[one]}, min(seconds, _TURN)
        return self._line.run(_read(seconds, streams))

    # --- What was put aside

    def aside(self, most: int) -> Any:
        """The writes that were put aside, oldest first."""
        return self._line.run(self._aside(most))

    def _aside(self, most: int) -> Flow:
        replies = yield from self._everywhere("queue_asides", [":aside", ":last"], most)
        found = [
            _put_aside(number, *entry) for number, reply in enumerate(replies) for entry in reply
        ]
        return sorted(found, key=lambda each: (each.at, each.id))[:most]

    def again(self, ids: Sequence[str]) -> Any:
        """Let writes that were put aside wait again, as if they were new."""
        return self._line.run(self._again(ids))

    def _again(self, ids: Sequence[str]) -> Flow:
        done = {}
        for each in ids:
            partition, id_ = self._place(each)
            reply = yield from self._in_partition("queue_key", partition, [":aside"], (id_,))
            if reply is None:
                continue
            key = reply.decode()
            parts, words = ["", ":latest", ":last", ":aside"], (*self._changed(key), key, id_)
            if (yield from self._about_value("queue_again", key, parts, words)):
                done[each] = key
        return done

    def forget(self, ids: Sequence[str]) -> Any:
        """Drop writes that were put aside; answers how many."""
        return self._line.run(self._forget(ids))

    def _forget(self, ids: Sequence[str]) -> Flow:
        places = [self._place(each) for each in ids]
        calls = [(self._in(number, [":aside", ":last"]), (id_,)) for number, id_ in places]
        return sum((yield from self._store._scripts("queue_forget", calls)))

    def state(self) -> Any:
        """How the queue is now."""
        return self._line.run(self._state())

    def _state(self) -> Flow:
        replies = yield from self._everywhere("queue_state", ["", ":aside"])
        ages = [_seconds(now) - _moment(_version(id_)) for _, id_, _, now in replies if id_]
        return QueueState(
            sum(depth for depth, *_ in replies),
            max(0.0, *ages) if ages else 0.0,
            sum(aside for _, _, aside, _ in replies),
        )

    # --- Words

    def _in(self, partition: int, parts: Sequence[str]) -> tuple[str, ...]:
        prefix = self._store._prefixes[partition]
        return tuple(f"{prefix}q:{self._name}{part}" for part in parts)

    def _parts(self, key: str, parts: Sequence[str]) -> tuple[str, ...]:
        prefix = self._store._prefix(key)
        return tuple(f"{prefix}q:{self._name}{part}" for part in parts)

    def _changed(self, key: str) -> tuple[str, bytes]:
        """What is published, and where; by nobody, so that this process hears it as well.

        The answer may be lost, and what it says be done later. Then nothing else tells a memory.
        """
        return self._store.channel, self._store._message("changed", [key], author=b"")

    def _in_partition(
        self, name: str, partition: int, parts: Sequence[str], arguments: tuple[Any, ...]
    ) -> Flow:
        call = (self._in(partition, parts), arguments)
        return (yield from _first(self._store._scripts(name, [call])))

    def _everywhere(self, name: str, parts: Sequence[str], *arguments: Any) -> Flow:
        calls = [(self._in(number, parts), arguments) for number in range(self.partitions)]
        return (yield from self._store._scripts(name, calls))

    def _about_value(
        self, name: str, key: str, parts: Sequence[str], arguments: tuple[Any, ...]
    ) -> Flow:
        call = ((*self._store._keys(key), *self._parts(key, parts)), arguments)
        return bool((yield from _first(self._store._scripts(name, [call]))))

    def _place(self, id_: str) -> tuple[int, str]:
        """The partition of a write that was put aside, and its id there."""
        partition, _, found = id_.partition("/")
        if not (partition.isdigit() and int(partition) < self.partitions and "-" in found):
            raise ValueError(f"{id_!r} is no id of a write put aside; expected one of aside()")
        return int(partition), found


def _read(seconds: float, streams: dict[str, str]) -> Flow:
    """Wait for what comes after these ids of streams."""
    seconds = min(seconds, _LONGEST_WAIT)
    milliseconds = max(1, int(seconds * 1000))
    command = ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", *streams, *streams.values())
    (reply,) = yield [command], seconds
    _good(reply)


# --- Entries of streams


def _fields(words: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(words[::2], words[1::2], strict=True))


def _write(id_: bytes, words: Sequence[bytes]) -> Queued:
    fields = _fields(words)
    return Queued(fields[b"key"].decode(), fields[b"name"], _version(id_), fields.get(b"value"))


def _put_aside(partition: int, id_: bytes, words: Sequence[bytes], superseded: int) -> PutAside:
    fields = _fields(words)
    write = _write(fields[b"id"], words)
    reason = fields[b"reason"].decode("utf-8", "replace")
    at = _moment(_version(id_))
    return PutAside(f"{partition}/{id_.decode()}", write, reason, at, bool(superseded))


def _version(id_: bytes) -> int:
    milliseconds, _, sequence = id_.partition(b"-")
    return int(milliseconds) << _SEQUENCE | int(sequence)


def _id(version: int) -> str:
    return f"{version >> _SEQUENCE}-{version & (1 << _SEQUENCE) - 1}"


def _moment(version: int) -> float:
    """When a write came, in seconds since the epoch by the server's clock."""
    return (version >> _SEQUENCE) / 1000


def _seconds(time: Sequence[bytes]) -> float:
    return int(time[0]) + int(time[1]) / 1e6
