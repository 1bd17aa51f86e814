"""Reports of processes in Redis or Valkey: short texts that live as long as their process.

The reports of a name lie in one hash slot:

    labkit:reports:{<name>}:<id>    the report of a process; it expires when no other one follows
    labkit:reports:{<name>}         a sorted set of these ids, with the time of their last report

So they are found without a SCAN, however many other keys there are.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.redis_trips import Asker

if TYPE_CHECKING:
    from labkit.cache.steps import Steps

_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,200}")
_FORGOTTEN = 600.0  # seconds after which an id that reports no more leaves the set
_DAY = 86_400


class RedisReports:
    """The reports of one name.

    Args:
        client: What `labkit.connect()` or `connect_async()` returns, or any other client of
            redis-py. With one of `redis.asyncio` every method returns an awaitable.
        name: The name.

    Attributes:
        asynchronous: Whether methods return awaitables.

    Raises:
        TypeError: `client` is no client of redis-py.
        ValueError: The name has other signs than letters, digits and _ . : / -.
    """

    def __init__(self, client: Any, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"name is {name!r}; expected letters, digits and any of _ . : / -")
        self._asker = Asker(client)
        self.asynchronous = self._asker.asynchronous
        self._index = f"labkit:reports:{{{name}}}"

    def put(self, process: str, report: bytes, ttl: float) -> Any:
        """Keep the report of a process for some seconds, in place of its last one.

        Raises:
            Unavailable: Redis does not answer, or refuses.
        """
        return self._asker.carry_out(self._put(process, report, ttl))

    def _put(self, process: str, report: bytes, ttl: float) -> Steps[None]:
        now = time.time()
        yield from self._asker.ask(
            ("SET", self._key(process), report, "PX", max(1, round(ttl * 1000))),
            ("ZADD", self._index, now, process),
            ("ZREMRANGEBYSCORE", self._index, "-inf", now - _FORGOTTEN),
            ("EXPIRE", self._index, _DAY),
        )

    def all(self) -> Any:
        """The reports of all processes that live.

        Raises:
            Unavailable: Redis does not answer, or refuses.
        """
        return self._asker.carry_out(self._all())

    def _all(self) -> Steps[list[bytes]]:
        (ids,) = yield from self._asker.ask(("ZRANGE", self._index, 0, -1))
        if not ids:
            return []
        keys = [self._key(each.decode("utf-8", "replace")) for each in ids]
        (found,) = yield from self._asker.ask(("MGET", *keys))
        return [report for report in found if report is not None]

    def remove(self, process: str) -> Any:
        """Forget a process, which has ended.

        Raises:
            Unavailable: Redis does not answer, or refuses.
        """
        return self._asker.carry_out(self._remove(process))

    def _remove(self, process: str) -> Steps[None]:
        yield from self._asker.ask(("UNLINK", self._key(process)), ("ZREM", self._index, process))

    def _key(self, process: str) -> str:
        return f"{self._index}:{process}"
