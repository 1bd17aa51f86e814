"""Changes to single values in Redis or Valkey that no other client can come between.

Two ways lead there. A Lua script runs on the server, where nothing else runs meanwhile: one trip,
whatever happens. WATCH tells whether somebody changed a key since it was read, and the transaction
is then not carried out and tried anew: at least three trips, and more the more clients compete.

A value is a hash of the value itself, `v`, and its version, `n`; a counter is a plain number.

**Versions.** `compare_and_set` and `get_or_set` make up versions: each change adds 1, and a key
that is made anew begins at a random number, so that no version ever stands for two values.
`set_newer` takes the version from the database. Write a key in one of these ways, not in both.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import redis
from redis import exceptions

from labkit.cache.backends.redis_trips import Asker, errors_of_a_cache
from labkit.cache.errors import Contended
from labkit.cache.options import seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from labkit.cache.options import TTL
    from labkit.cache.steps import Steps

_HIGHEST = 2**63 - 1


class Versioned(NamedTuple):
    """A value, and the version that tells it from those before and after it."""

    value: bytes
    version: int


class Atomic(Protocol):
    """Changes to single values that no other client can come between.

    Every method raises `Unavailable` where Redis does not answer, and `Refused` where it answers
    with an error. Times to live are seconds or a text such as "10m"; None is for ever.
    """

    def get(self, key: str) -> Versioned | Awaitable[Versioned | None] | None:
        """The value of a key with its version, or None."""

    def compare_and_set(
        self, key: str, value: bytes, version: int | None, ttl: TTL = None
    ) -> Versioned | Awaitable[Versioned | None] | None:
        """Store a value, if that which is there has the version.

        Args:
            key: The key.
            value: The new value.
            version: The version on which the new value rests; 0 or None: there is no value.
            ttl: How long it lives.

        Returns:
            The new value with its version; None where another version is there.
        """

    def set_newer(
        self, key: str, value: bytes, version: int, ttl: TTL = None
    ) -> bool | Awaitable[bool]:
        """Store a value, unless one of the same or a higher version is there.

        So a reader that was held up between the database and the cache cannot put back what a
        writer has replaced meanwhile.

        Args:
            key: The key.
            value: The value.
            version: Its version in the database, a number that grows with each change.
            ttl: How long it lives.

        Returns:
            Whether it was stored.

        Raises:
            ValueError: `version` is no whole number from 0 up to below 2**63.
        """

    def get_or_set(
        self, key: str, value: bytes, ttl: TTL = None
    ) -> Versioned | Awaitable[Versioned]:
        """Store a value if there is none; answers the one that is there, whoever stored it."""

    def increment(self, key: str, by: int = 1, ttl: TTL = None) -> int | Awaitable[int]:
        """Add to a counter, which begins at 0; answers what it is then.

        Its time to live counts from when it is made, and later calls leave it as it is. A client
        of redis-py that retries may add twice where the answer to its first try was lost.
        """

    def delete(self, key: str) -> bool | Awaitable[bool]:
        """Delete a value or a counter; whether there was one."""


class _Plain:
    """What needs neither a script nor a transaction."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._asker = Asker(client)
        self._prefix = prefix

    def get(self, key: str) -> Any:
        """The value of a key with its version, or None. One trip."""
        return self._asker.carry_out(self._get(key))

    def _get(self, key: str) -> Steps[Versioned | None]:
        (reply,) = yield from self._asker.ask(("HMGET", self._name(key), "v", "n"))
        return _versioned(reply)

    def delete(self, key: str) -> Any:
        """Delete a value or a counter; whether there was one. One trip."""
        return self._asker.carry_out(self._delete(key))

    def _delete(self, key: str) -> Steps[bool]:
        (gone,) = yield from self._asker.ask(("UNLINK", self._name(key)))
        return bool(gone)

    def _name(self, key: str) -> str:
        return f"{self._prefix}:{key}"


class LuaAtomic(_Plain):
    """Atomic changes by Lua scripts; the methods are described in `Atomic`.

    Each is one round trip. A script that the server does not hold costs one more, once.

    Args:
        client: A client of redis-py; with one of `redis.asyncio` methods return awaitables.
        prefix: What its keys in Redis begin with, before a colon.

    Raises:
        TypeError: `client` is no client of redis-py.
    """

    def compare_and_set(self, key: str, value: bytes, version: int | None, ttl: TTL = None) -> Any:
        """Store a value, if that which is there has the version. One trip."""
        return self._asker.carry_out(self._compare_and_set(key, value, version or 0, ttl))

    def _compare_and_set(
        self, key: str, value: bytes, version: int, ttl: TTL
    ) -> Steps[Versioned | None]:
        stored = yield from self._script(
            "compare_and_set", key, value, version, _first(), _milliseconds(ttl)
        )
        return None if stored is None else Versioned(value, int(stored))

    def set_newer(self, key: str, value: bytes, version: int, ttl: TTL = None) -> Any:
        """Store a value, unless one of the same or a higher version is there. One trip."""
        return self._asker.carry_out(self._set_newer(key, value, _checked(version), ttl))

    def _set_newer(self, key: str, value: bytes, version: int, ttl: TTL) -> Steps[bool]:
        stored = yield from self._script("set_newer", key, value, version, _milliseconds(ttl))
        return bool(stored)

    def get_or_set(self, key: str, value: bytes, ttl: TTL = None) -> Any:
        """Store a value if there is none; answers the one that is there. One trip."""
        return self._asker.carry_out(self._get_or_set(key, value, ttl))

    def _get_or_set(self, key: str, value: bytes, ttl: TTL) -> Steps[Versioned]:
        found, version = yield from self._script(
            "get_or_set", key, value, _first(), _milliseconds(ttl)
        )
        return Versioned(found, int(version))

    def increment(self, key: str, by: int = 1, ttl: TTL = None) -> Any:
        """Add to a counter; answers what it is then. One trip."""
        return self._asker.carry_out(self._increment(key, by, ttl))

    def _increment(self, key: str, by: int, ttl: TTL) -> Steps[int]:
        return int((yield from self._script("increment", key, by, _milliseconds(ttl))))

    def _script(self, name: str, key: str, *arguments: Any) -> Steps[Any]:
        return (yield from self._asker.script(name, [self._name(key)], *arguments))


class WatchAtomic(_Plain):
    """Atomic changes by WATCH, MULTI and EXEC; the methods are described in `Atomic`.

    A change that depends on what is there is three round trips: WATCH, the reading, and the
    transaction (or UNWATCH, where nothing is to be stored). Where another client changes the key
    between the first and the last, it begins anew.

    Args:
        client: A blocking client of a single server or of Sentinel.
        prefix: What its keys in Redis begin with, before a colon.
        attempts: How often a change is tried at most.

    Raises:
        TypeError: `client` is another one: a transaction needs one connection for itself, from
            WATCH to EXEC, and here a thread that waits for it.
        ValueError: `attempts` is below 1.
    """

    def __init__(self, client: redis.Redis, prefix: str, attempts: int = 100) -> None:
        super().__init__(client, prefix)
        if not isinstance(client, redis.Redis):
            raise TypeError(
                f"client is a {type(client).__module__}.{type(client).__qualname__}; expected a "
                "redis.Redis, or use LuaAtomic, which serves every kind of client"
            )
        if attempts < 1:
            raise ValueError(f"attempts is {attempts!r}; expected a number, 1 or more")
        self._client: Any = client
        self._attempts = attempts

    def compare_and_set(
        self, key: str, value: bytes, version: int | None, ttl: TTL = None
    ) -> Versioned | None:
        """Store a value, if that which is there has the version. Three trips an attempt."""

        def decide(found: Versioned | None) -> Versioned | None:
            if (found.version if found else 0) != (version or 0):
                return None
            return Versioned(value, found.version + 1 if found else _first())

        return self._change(key, decide, ttl)[1]

    def set_newer(self, key: str, value: bytes, version: int, ttl: TTL = None) -> bool:
        """Store a value, unless one of a higher version is there. Three trips an attempt."""
        new = Versioned(value, _checked(version))

        def decide(found: Versioned | None) -> Versioned | None:
            return None if found and found.version >= version else new

        return self._change(key, decide, ttl)[1] is not None

    def get_or_set(self, key: str, value: bytes, ttl: TTL = None) -> Versioned:
        """Store a value if there is none; answers the one that is there. Three trips an attempt."""
        new = Versioned(value, _first())
        found, _ = self._change(key, lambda found: None if found else new, ttl)
        return found or new

    def increment(self, key: str, by: int = 1, ttl: TTL = None) -> int:
        """Add to a counter; answers what it is then. One trip: nothing has to be read before."""
        milliseconds = _milliseconds(ttl)
        name = self._name(key)
        with errors_of_a_cache(), self._client.pipeline(transaction=True) as pipe:
            if milliseconds:
                pipe.set(name, 0, px=milliseconds, nx=True)
            pipe.incrby(name, by)
            return int(pipe.execute()[-1])

    def _change(
        self, key: str, decide: Callable[[Versioned | None], Versioned | None], ttl: TTL
    ) -> tuple[Versioned | None, Versioned | None]:
        """What is there, and what was stored instead; `decide` makes the one of the other."""
        name, milliseconds = self._name(key), _milliseconds(ttl)
        for _ in range(self._attempts):
            with (
                errors_of_a_cache(),
                contextlib.suppress(exceptions.WatchError),
                self._client.pipeline(transaction=True) as pipe,
            ):
                pipe.watch(name)
                found = _versioned(pipe.execute_command("HMGET", name, "v", "n", NEVER_DECODE=True))
                new = decide(found)
                if new is not None:
                    pipe.multi()
                    pipe.hset(name, mapping={"v": new.value, "n": new.version})
                    if milliseconds:
                        pipe.pexpire(name, milliseconds)
                    else:
                        pipe.persist(name)
                    pipe.execute()
                return found, new
        raise Contended(
            f"{key!r} was changed by others each of the {self._attempts} times that this was "
            "tried; use LuaAtomic where many write the same key"
        )


def _versioned(fields: list[bytes | None]) -> Versioned | None:
    value, version = fields
    return None if value is None or version is None else Versioned(value, int(version))


def _first() -> int:
    """The version of a key that is made anew: never one that somebody remembers from before."""
    return secrets.randbits(48) + 1


def _checked(version: int) -> int:
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= _HIGHEST:
        raise ValueError(
            f"version is {version!r}; expected a whole number from 0 up to {_HIGHEST}, such as a "
            "number that the database counts up with each change"
        )
    return version


def _milliseconds(ttl: TTL) -> int:
    """As the scripts want it: 0 for no expiry, else at least 1."""
    found = seconds("ttl", ttl)
    return 0 if found is None else max(1, round(found * 1000))
