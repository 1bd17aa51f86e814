"""Values in Redis or Valkey, shared by every process that uses the namespace.

A namespace lies under one prefix, in `buckets` hash slots (one is enough for a single server; a
cluster spreads over several). In each bucket stand, after the bucket's prefix:

    v:<key>   a value: 3 bytes of head, the generations it was stored under, its tags, its payload
    l:<key>   the lease of a load that is under way: its token, and a sign where somebody waits
    n:<key>   the note that wakes those who wait, a stream that lives two seconds
    t:<tag>   the generation of a tag: 8 random bytes, made when missing, deleted to drop the tag
    g         the generation of the namespace, likewise
    e         the epoch of deleted prefixes, likewise: the loads under way are held against it
    q:<name>  a queue of writes; see `redis_queue`

A read gets a value and its generations together: a value counts only under the generations of now.
What decides and writes is one script. Every change is published, with its author, on
`<prefix>changes`.

Only this module, `redis_lines` and the Lua beside them know Redis.
"""

from __future__ import annotations

import os
import re
import secrets
import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import redis
import redis.asyncio
from redis import exceptions

from labkit.cache.backends.base import Busy, Claim, Found, Seen, Times
from labkit.cache.backends.redis_feed import Echoes, RedisFeed
from labkit.cache.backends.redis_lines import line_of, listening_client
from labkit.cache.errors import Refused
from labkit.clock import duration
from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labkit.cache.backends.base import Listener, Queue
    from labkit.cache.backends.redis_lines import Command, Flow

_HEAD = b"\xc1\x01"  # 0xC1 begins no MessagePack, JSON or pickle; 1 is the version of the layout
_PARTS = frozenset({"v", "l", "n", "t", "g", "e", "q", "changes"})
_SCAN = 1000
_GONE = -2  # what PTTL says of a key that is not there
_LONGEST_WAIT = 1.0  # seconds, below the time-outs that a cluster's client is likely to have


class RedisTier:
    """Keeps values in Redis or Valkey.

    Args:
        client: What `labkit.connect()` or `connect_async()` returns, or any other client of
            redis-py: standalone, Sentinel or Cluster; `redis.asyncio` ones serve an `AsyncCache`
            only. The tier holds connections of its own to the same server, made like the client's.
        budget: The longest time that one trip to the server may take. A cluster's client keeps its
            own time-outs instead.
        buckets: In how many hash slots the namespace lies. Default: 1, and 16 in a cluster.
        tracking: Whether the server is asked to tell a memory in front of it what other programs
            change, such as a `redis-cli DEL`. What caches change is heard either way.

    Raises:
        TypeError: `client` is no client of redis-py.
    """

    def __init__(
        self,
        client: Any,
        *,
        budget: float | str = "250ms",
        buckets: int | None = None,
        tracking: bool = True,
    ) -> None:
        self.budget = duration(budget)
        if self.budget <= 0:
            raise ValueError(f"budget is {budget!r}; expected a time above 0")
        self._line = line_of(client, self.budget)
        self._cluster = isinstance(client, redis.RedisCluster | redis.asyncio.RedisCluster)
        self.buckets = buckets or (16 if self._cluster else 1)
        self.asynchronous = isinstance(client, redis.asyncio.Redis | redis.asyncio.RedisCluster)
        self.tracking = tracking and not self._cluster

    @property
    def client(self) -> Any:
        """The client whose connections carry the tier's traffic, for `labkit.CommandLog`."""
        return self._line.client

    def open(self, namespace: str) -> RedisStore:
        """A store for the values of one namespace.

        Raises:
            ValueError: A part of the name is one of those that tell the store's own keys apart.
        """
        if taken := _PARTS.intersection(namespace.split(":")):
            raise ValueError(
                f"the namespace {namespace!r} has the part {min(taken)!r}, and its keys could be "
                f"taken for those of another; expected none of {', '.join(sorted(_PARTS))}"
            )
        return RedisStore(self, self._line, namespace)

    def __repr__(self) -> str:
        return f"<RedisTier budget={self.budget:g}s buckets={self.buckets}>"


class RedisStore:
    """The values of one namespace in Redis; the methods are described in `backends.base.Store`.

    With a client of `redis.asyncio` every method returns an awaitable.
    """

    def __init__(self, tier: RedisTier, line: Any, namespace: str) -> None:
        self._tier = tier
        self._line = line
        self._token = secrets.token_bytes(8)
        self.blocking = not tier.asynchronous
        braces = tier.buckets > 1 or tier._cluster
        self._prefixes = [
            f"{{{namespace}/{bucket}}}:" if braces else f"{namespace}:"
            for bucket in range(tier.buckets)
        ]
        self.channel = f"{self._prefixes[0]}changes"
        self._echoes = Echoes()
        self._known: set[str] = set()  # the scripts that the server is known to hold

    # --- Reading

    def get(self, key: str, tags: Sequence[str] = (), *, ttl: bool = False) -> Any:
        """The value of a key, or None."""
        return self._line.run(self._get(key, tags, ttl))

    def _get(self, key: str, tags: Sequence[str], ttl: bool) -> Flow:
        prefix = self._prefix(key)
        command: Command = (
            "MGET",
            f"{prefix}v:{key}",
            f"{prefix}g",
            *(f"{prefix}t:{t}" for t in tags),
        )
        if ttl:
            replies = yield [command, ("PTTL", command[1])], 0.0
            found, left = _good(replies[0]), _seconds(_good(replies[1]))
        else:
            (reply,) = yield [command], 0.0
            found, left = _good(reply), None
        blob = found[0]
        if blob is None:
            return None
        stored = tuple(tags)
        payload = _read(blob, found[1:], stored)
        if payload is _OTHER_TAGS:
            stored = _tags(blob) or ()
            (reply,) = yield [("MGET", f"{prefix}g", *(f"{prefix}t:{t}" for t in stored))], 0.0
            payload = _read(blob, _good(reply), stored)
        return None if payload is None or payload is _OTHER_TAGS else Found(payload, left, stored)

    def get_many(self, keys: Sequence[str], *, ttl: bool = False) -> Any:
        """The values of keys, in their order, None where there is none."""
        return self._line.run(self._get_many(keys, ttl))

    def _get_many(self, keys: Sequence[str], ttl: bool) -> Flow:
        if not keys:
            return []
        buckets = self._in_buckets(keys)
        commands: list[Command] = [
            ("MGET", f"{prefix}g", *[f"{prefix}v:{key}" for key in members])
            for prefix, members in buckets.items()
        ]
        if ttl:
            commands += [
                ("PTTL", f"{prefix}v:{key}")
                for prefix, members in buckets.items()
                for key in members
            ]
        replies = yield commands, 0.0
        result: dict[str, Found | None] = {}
        tagged: list[tuple[str, str, bytes, tuple[str, ...]]] = []
        for (prefix, members), reply in zip(buckets.items(), replies, strict=False):
            generation, *blobs = _good(reply)
            plain = _HEAD + b"\x01" + (generation or b"")
            skip = len(plain)
            for key, blob in zip(members, blobs, strict=True):
                if blob is None:
                    continue
                if skip == 11 and blob.startswith(plain):
                    result[key] = Found(blob[11:])
                elif (stored := _tags(blob)) is not None:
                    tagged.append((prefix, key, blob, stored))
        if ttl:
            ordered = [key for members in buckets.values() for key in members]
            lefts = dict(zip(ordered, replies[len(buckets) :], strict=True))
        if tagged:
            # One more trip for all that carry tags.
            checks: list[Command] = [
                ("MGET", f"{prefix}g", *(f"{prefix}t:{tag}" for tag in stored))
                for prefix, _, _, stored in tagged
            ]
            generations = yield checks, 0.0
            for (_, key, blob, stored), reply in zip(tagged, generations, strict=True):
                payload = _read(blob, _good(reply), stored)
                if payload is not None and payload is not _OTHER_TAGS:
                    result[key] = Found(payload, None, stored)
        if ttl:
            result = {
                key: Found(found.payload, _seconds(_good(lefts[key])), found.tags)
                for key, found in result.items()
                if found
            }
        return [result.get(key) for key in keys]

    def times(self, most: int) -> Any:
        """How long values have left, so many of them at most; see `backends.base.Timed`."""
        return self._line.run(self._times(most))

    def _times(self, most: int) -> Flow:
        # SCAN goes through a table of hashes: the first keys that it meets are a sample of all.
        found: list[float | None] = []
        complete = True
        for number, prefix in enumerate(self._prefixes):
            enough = len(found) + (most - len(found)) // (len(self._prefixes) - number)
            pattern, met = f"{_literally(f'{prefix}v:')}*", set[bytes]()
            cursor: Any = b"0"
            while True:
                (reply,) = yield [("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN)], 0.0
                cursor, keys = _good(reply)
                fresh = list(dict.fromkeys(key for key in keys if key not in met))
                met.update(fresh)  # which SCAN may answer again
                lefts = (yield [("PTTL", key) for key in fresh], 0.0) if fresh else []
                found += [_seconds(left) for left in map(_good, lefts) if left != _GONE]
                if int(cursor) == 0 or len(found) > enough:
                    break
            complete = complete and int(cursor) == 0 and len(found) <= enough
            del found[enough:]
        return Times(found, complete)

    def look(self, key: str) -> Any:
        """What stands under a key; see `backends.base.Seeing`.

        The server counts it as a use: it has no other way to read a value, but with OBJECT.
        """
        return self._line.run(self._look(key))

    def _look(self, key: str) -> Flow:
        value, lease, _, _, generation = self._keys(key)
        commands: list[Command] = [("MGET", value, generation), ("PTTL", value), ("PTTL", lease)]
        replies = yield commands, 0.0
        (blob, *generations), left, claimed = map(_good, replies)
        held = _seconds(claimed)
        if blob is None:
            return Seen(None, claimed=held)
        stored = _tags(blob)
        if stored:
            tags = self._keys(key, stored)[5:]
            (reply,) = yield [("MGET", generation, *tags)], 0.0
            generations = _good(reply)
        payload = None if stored is None else _read(blob, generations, stored)
        if payload is None or payload is _OTHER_TAGS:
            return Seen(None, dead=True, claimed=held)
        return Seen(Found(payload, _seconds(left), stored or ()), claimed=held)

    # --- Writing

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> Any:
        """Store a value; loads of the key that are under way will not be kept."""
        return self._line.run(self._set_many([(key, payload)], [ttl], tags))

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> Any:
        """Store several values, each as `set` does."""
        return self._line.run(self._set_many(items, ttls, tags))

    def _set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str],
    ) -> Flow:
        self._echoes.expect([key for key, _ in items])
        calls = [
            (
                self._keys(key, tags),
                (
                    secrets.token_bytes(8),
                    _milliseconds(ttl),
                    _body(payload, tags),
                    self.channel,
                    self._message("changed", [key]),
                ),
            )
            for (key, payload), ttl in zip(items, ttls, strict=True)
        ]
        yield from self._scripts("set", calls)
        return None

    def expire(self, key: str, ttl: float) -> Any:
        """Give a value a new time to live; False where there is none."""
        return self._line.run(self._expire(key, ttl))

    def _expire(self, key: str, ttl: float) -> Flow:
        self._echoes.expect([key])
        arguments = (_milliseconds(ttl), f"{self._prefix(key)}t:")
        (done,) = yield from self._scripts("expire", [(self._keys(key), arguments)])
        return bool(done)

    def delete(self, keys: Sequence[str]) -> Any:
        """Delete values and refuse the loads of them that are under way; answers how many."""
        return self._line.run(self._delete(keys))

    def _delete(self, keys: Iterable[str]) -> Flow:
        calls = [(self._keys(key), (self.channel, self._message("changed", [key]))) for key in keys]
        replies = yield from self._scripts("delete", calls)
        return sum(replies)

    def drop_tags(self, tags: Sequence[str]) -> Any:
        """Make every value with one of the tags unreadable, and refuse loads that carry one."""
        return self._line.run(self._drop_tags(tags))

    def _drop_tags(self, tags: Sequence[str]) -> Flow:
        if tags:
            yield from self._announced(
                [("UNLINK", *(f"{prefix}t:{tag}" for tag in tags)) for prefix in self._prefixes],
                self._message("dropped", list(tags)),
            )
        return None

    def delete_prefix(self, prefix: str) -> Any:
        """Delete every value whose key starts so; refuse the loads under way; answers how many."""
        return self._line.run(self._delete_prefix(prefix))

    def _delete_prefix(self, start: str) -> Flow:
        for reply in (yield [("UNLINK", f"{prefix}e") for prefix in self._prefixes], 0.0):
            _good(reply)
        gone = 0
        for prefix in self._prefixes:
            pattern = f"{_literally(f'{prefix}v:{start}')}*"
            cursor: Any = b"0"
            while True:
                (reply,) = yield [("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN)], 0.0
                cursor, found = _good(reply)
                if found:
                    (reply,) = yield [("UNLINK", *found)], 0.0
                    gone += _good(reply)
                if int(cursor) == 0:
                    break
        yield from self._announced([], self._message("prefix_deleted", start))
        return gone

    def clear(self) -> Any:
        """Make every value of the namespace unreadable, and refuse the loads under way."""
        return self._line.run(self._clear())

    def _clear(self) -> Flow:
        yield from self._announced(
            [("UNLINK", f"{prefix}g") for prefix in self._prefixes],
            self._message("cleared", None),
        )
        return None

    def _announced(self, commands: list[Command], message: bytes) -> Flow:
        replies = yield [*commands, ("PUBLISH", self.channel, message)], 0.0
        for reply in replies:
            _good(reply)

    # --- Loading

    def claim(
        self,
        key: str,
        tags: Sequence[str] = (),
        *,
        lease: float,
        force: bool = False,
        over: bool = False,
        write: bool = False,
    ) -> Any:
        """Take the right to load a key for `lease` seconds, or say why not."""
        how = "write" if write else "force" if force else "over" if over else ""
        return self._line.run(_first(self._claim_many([key], tuple(tags), lease, how)))

    def claim_many(
        self, keys: Sequence[str], tags: Sequence[str] = (), *, lease: float, over: bool = False
    ) -> Any:
        """Take the right to load several keys, each as `claim` does."""
        return self._line.run(self._claim_many(keys, tuple(tags), lease, "over" if over else ""))

    def _claim_many(
        self, keys: Sequence[str], tags: tuple[str, ...], lease: float, how: str
    ) -> Flow:
        # Whoever writes has a token that the script tells from those of loads.
        kind = b"W" if how == "write" else b"L"
        tokens = [kind + secrets.token_bytes(15) for _ in keys]
        if how == "write":
            self._echoes.expect(keys)
        milliseconds = _milliseconds(lease)
        calls = []
        for key, token in zip(keys, tokens, strict=True):
            arguments: tuple[Any, ...] = (token, milliseconds, secrets.token_bytes(8), how)
            if how == "write":
                arguments += (self.channel, self._message("changed", [key]))
            calls.append((self._keys(key, tags), arguments))
        replies = yield from self._scripts("claim", calls)
        answers: list[Claim | Busy | Found] = []
        for key, token, reply in zip(keys, tokens, replies, strict=True):
            if reply[0] == b"granted":
                answers.append(Claim(key, tags, token, (reply[1], reply[2])))
            elif reply[0] == b"busy":
                answers.append(Busy(max(reply[1], 1) / 1000))
            else:
                answers.append(Found(_payload(reply[1], len(tags)), _seconds(reply[2]), tags))
        return answers

    def fill(self, claim: Claim, payload: bytes, ttl: float | None = None) -> Any:
        """Store what a claim loaded and end the claim; False where a fence refused it."""
        return self._line.run(_first(self._fill_many([(claim, payload, ttl)])))

    def fill_many(self, fills: Sequence[tuple[Claim, bytes, float | None]]) -> Any:
        """Store what claims loaded, each as `fill` does."""
        return self._line.run(self._fill_many(fills))

    def _fill_many(self, fills: Sequence[tuple[Claim, bytes, float | None]]) -> Flow:
        self._echoes.expect([claim.key for claim, _, _ in fills])
        calls = [
            (
                self._keys(claim.key, claim.tags),
                (
                    claim.token,
                    *claim.proof,
                    _milliseconds(ttl),
                    _body(payload, claim.tags),
                    self.channel,
                    self._message("changed", [claim.key]),
                ),
            )
            for claim, payload, ttl in fills
        ]
        replies = yield from self._scripts("fill", calls)
        return [bool(reply) for reply in replies]

    def release(self, claim: Claim) -> Any:
        """End a claim without a value."""
        return self._line.run(self._release(claim))

    def _release(self, claim: Claim) -> Flow:
        yield from self._scripts("release", [(self._keys(claim.key), (claim.token,))])
        return None

    def wait(self, key: str, seconds: float) -> Any:
        """Return when a claim of the key ends, or after `seconds`, or earlier."""
        return self._line.run(self._wait(key, seconds))

    def _wait(self, key: str, seconds: float) -> Flow:
        note = f"{self._prefix(key)}n:{key}"
        seconds = min(seconds, _LONGEST_WAIT)
        milliseconds = max(1, int(seconds * 1000))
        (reply,) = yield (
            [("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", note, "0-0")],
            seconds,
        )
        _good(reply)
        return None

    def close(self) -> Any:
        """Give back the connections, which other namespaces of the tier then make anew."""
        return self._line.close()

    def listen(self, listener: Listener, bound: float) -> RedisFeed:
        """Tell the changes that others make."""
        # A budget above the bound must not hide for its time that the line is silent.
        client = listening_client(self._line.client, min(self._tier.budget, bound / 3))
        values = [f"{prefix}v:" for prefix in self._prefixes] if self._tier.tracking else []
        return RedisFeed(client, self.channel, values, self._author, self._echoes, listener, bound)

    def queue(self, name: str, depth: int) -> Queue:
        """The queue of that name, in which `depth` writes may wait; see `backends.base.Queue`."""
        from labkit.cache.backends.redis_queue import RedisQueue

        return RedisQueue(self, name, depth)

    # --- Words

    @property
    def _author(self) -> bytes:
        """Who changes something here: this store, in this process."""
        return self._token + os.getpid().to_bytes(4, "big")

    def _prefix(self, key: str) -> str:
        if len(self._prefixes) == 1:
            return self._prefixes[0]
        return self._prefixes[
            zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(self._prefixes)
        ]

    def _in_buckets(self, keys: Iterable[str]) -> dict[str, list[str]]:
        if len(self._prefixes) == 1:
            return {self._prefixes[0]: list(dict.fromkeys(keys))}
        found: dict[str, list[str]] = {}
        for key in dict.fromkeys(keys):
            found.setdefault(self._prefix(key), []).append(key)
        return found

    def _keys(self, key: str, tags: Sequence[str] = ()) -> tuple[str, ...]:
        prefix = self._prefix(key)
        return (
            f"{prefix}v:{key}",
            f"{prefix}l:{key}",
            f"{prefix}n:{key}",
            f"{prefix}e",
            f"{prefix}g",
            *[f"{prefix}t:{tag}" for tag in tags],
        )

    def _message(self, what: str, which: Any, author: bytes | None = None) -> bytes:
        return msgspec.msgpack.encode((self._author if author is None else author, what, which))

    def _scripts(self, name: str, calls: list[tuple[tuple[str, ...], tuple[Any, ...]]]) -> Flow:
        """Run one script several times in one trip; a script is sent in full until it is known."""
        if not calls:
            return []
        known = script("labkit.cache.backends", name)
        words = [(len(keys), *keys, *arguments) for keys, arguments in calls]
        first = ("EVALSHA", known.digest) if name in self._known else ("EVAL", known.text)
        replies = yield (
            [(*first, *words[0]), *(("EVALSHA", known.digest, *rest) for rest in words[1:])],
            0.0,
        )
        # In a cluster each node learns a script by itself, and a server forgets them all.
        for i, reply in enumerate(replies):
            if isinstance(reply, exceptions.NoScriptError):
                (replies[i],) = yield [("EVAL", known.text, *words[i])], 0.0
        self._known.add(name)
        return [_good(reply) for reply in replies]


def _first(flow: Flow) -> Flow:
    (answer,) = yield from flow
    return answer


# --- The bytes of a value

_OTHER_TAGS: Any = object()


def _body(payload: bytes, tags: Sequence[str]) -> bytes:
    """What the scripts get: a value without its generations, which they put in after the head."""
    if not tags:
        return _HEAD + b"\x01" + payload
    names = "\0".join(tags).encode("utf-8", "surrogatepass")
    return _HEAD + bytes([1 + len(tags)]) + len(names).to_bytes(2, "big") + names + payload


def _read(blob: bytes, generations: Sequence[bytes | None], tags: tuple[str, ...]) -> Any:
    """The payload under these generations; None: it does not count; _OTHER_TAGS: ask for those."""
    count = len(generations)
    if blob[:2] != _HEAD or len(blob) < 3 or len(blob) < 3 + 8 * blob[2]:
        return None
    if blob[2] != count:
        return _OTHER_TAGS
    if None in generations or blob[3 : 3 + 8 * count] != b"".join(generations):  # type: ignore[arg-type]
        return _OTHER_TAGS if tags and _tags(blob) != tags else None
    if count > 1 and _tags(blob) != tags:
        return _OTHER_TAGS
    return _payload(blob, count - 1)


def _payload(blob: bytes, tags: int) -> bytes:
    start = 3 + 8 * (1 + tags)
    if tags:
        start += 2 + int.from_bytes(blob[start : start + 2], "big")
    return blob[start:]


def _tags(blob: bytes) -> tuple[str, ...] | None:
    """The tags that a value carries; None where it is no value of this layout."""
    if blob[:2] != _HEAD or len(blob) < 3 or len(blob) < 3 + 8 * blob[2] or blob[2] == 0:
        return None
    if blob[2] == 1:
        return ()
    start = 3 + 8 * blob[2]
    end = start + 2 + int.from_bytes(blob[start : start + 2], "big")
    try:
        names = blob[start + 2 : end].decode("utf-8", "surrogatepass").split("\0")
    except UnicodeDecodeError:
        return None
    return tuple(names) if len(names) == blob[2] - 1 else None


def _good(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise Refused(f"Redis refused: {reply}") from reply
    return reply


def _milliseconds(ttl: float | None) -> int:
    """As the scripts want it: 0 for no expiry, else at least 1."""
    return 0 if ttl is None else max(1, round(ttl * 1000))


def _seconds(milliseconds: int) -> float | None:
    return None if milliseconds < 0 else milliseconds / 1000


def _literally(text: str) -> str:
    """A pattern that matches the text itself."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", text)
