"""Saying what the caches of a process have counted, every few seconds, to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from labkit.cache.backends.redis_reports import RedisReports
from labkit.cache.monitor.reports import Recorder, write
from labkit.clock import duration

if TYPE_CHECKING:
    from typing import Self

    from labkit.cache.base import BaseCache
    from labkit.cache.smart import Hub

MISSED = 3
"""After so many reports that did not come a process counts as gone."""


class BaseReporter:
    """What `Reporter` and `AsyncReporter` have in common.

    Attributes:
        name: The name that it reports under.
        published: How many reports have reached Redis.
        failures: How many have not.
        error: Why the last one has not; None where it has.
    """

    _asynchronous: bool

    def __init__(
        self,
        cache: BaseCache | Hub[Any],
        client: Any,
        *,
        name: str | None = None,
        every: float | str = "2s",
    ) -> None:
        self._every = duration(every)
        if self._every <= 0:
            raise ValueError(f'every is {every!r}; expected a time above 0, such as "2s"')
        self.name = cache.namespace if name is None else name
        self._reports = RedisReports(client, self.name)
        if self._reports.asynchronous != self._asynchronous:
            raise TypeError(
                f"a {type(self).__name__} got a client of redis.asyncio; use an AsyncReporter, or "
                "a client of labkit.connect()"
                if self._reports.asynchronous
                else f"an {type(self).__name__} got a client that blocks; use a Reporter, which "
                "has a thread for it, or a client of labkit.connect_async()"
            )
        self._cache = cache
        self._recorder = Recorder(cache)
        self.published = self.failures = 0
        self.error: Exception | None = None

    @property
    def id(self) -> str:
        """What the process is called among those that report."""
        return self._recorder.id

    def _arguments(self) -> tuple[str, bytes, float]:
        return self.id, write(self._recorder.report()), MISSED * self._every

    def _went(self, error: Exception | None) -> bool:
        self.error = error
        self.failures += error is not None
        self.published += error is None
        return error is None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name!r}: {self.published} reports>"


class Reporter(BaseReporter):
    """Reports from a thread of its own, from now on until it is closed.

    It reads what the caches have counted anyway, so that a hit costs what it did before. Nothing
    that goes wrong is raised: it is noted in `error`, and tried again. A forked process reports for
    itself.

    Args:
        cache: A cache, or a smart one, of either kind.
        client: What `labkit.connect()` returns, or another blocking client; it stays the caller's.
            Its time-outs bound how long `close` may take.
        name: What the page asks for. Default: the namespace of the cache.
        every: How often it reports.

    Raises:
        TypeError: The client is none of redis-py, or one of `redis.asyncio`.
        ValueError: The name has signs that names do not have, or `every` is no time above 0.

    Example:
        >>> import labkit
        >>> from labkit.cache import Cache
        >>> from labkit.cache.monitor import gather
        >>> client = labkit.connect("fake://")
        >>> cache = Cache(namespace="news")
        >>> with Reporter(cache, client) as reporter:
        ...     _ = cache.get_or_load("front", lambda: 1), cache.get("front")
        ...     _ = reporter.publish()
        ...     print(gather(client, "news"))
        news: 1 process, 2 reads, 50.0 % hits, 1 load
    """

    _asynchronous = False

    def __init__(
        self,
        cache: BaseCache | Hub[Any],
        client: Any,
        *,
        name: str | None = None,
        every: float | str = "2s",
    ) -> None:
        super().__init__(cache, client, name=name, every=every)
        self._begin()
        _reporters.add(self)

    def _begin(self) -> None:
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(
            target=self._keep_on, name="labkit-cache-reporter", daemon=True
        )
        self._thread.start()

    def _keep_on(self) -> None:
        ended = self._ended
        while True:
            self.publish()
            if ended.wait(self._every):
                return

    def publish(self) -> bool:
        """Report now; whether that has worked."""
        try:
            with self._turn:
                if self._ended.is_set():
                    return False
                self._reports.put(*self._arguments())
        except Exception as error:
            return self._went(error)
        return self._went(None)

    def close(self) -> None:
        """Report no more, and be gone at once. Harmless when repeated."""
        if self._ended.is_set():
            return
        self._ended.set()
        with self._turn, contextlib.suppress(Exception):
            self._reports.remove(self.id)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def forget_parent(self) -> None:
        """In a forked process, which has no thread yet: report for itself."""
        if not self._ended.is_set():
            self._recorder = Recorder(self._cache, anew=True)
            self._begin()


class AsyncReporter(BaseReporter):
    """Reports from a task of the running event loop, until it is closed; see `Reporter`.

    Args:
        cache: A cache, or a smart one, of either kind.
        client: What `labkit.connect_async()` returns, or another client of `redis.asyncio`.
        name: What the page asks for. Default: the namespace of the cache.
        every: How often it reports.

    Raises:
        RuntimeError: There is no running event loop.
        TypeError: The client is none of `redis.asyncio`.
        ValueError: The name has signs that names do not have, or `every` is no time above 0.
    """

    _asynchronous = True

    def __init__(
        self,
        cache: BaseCache | Hub[Any],
        client: Any,
        *,
        name: str | None = None,
        every: float | str = "2s",
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(cache, client, name=name, every=every)
        self._closed = False
        self._task = loop.create_task(self._keep_on(), name="labkit-cache-reporter")

    async def _keep_on(self) -> None:
        while True:
            await self.publish()
            await asyncio.sleep(self._every)

    async def publish(self) -> bool:
        """Report now; whether that has worked."""
        if self._closed:
            return False
        try:
            await self._reports.put(*self._arguments())
        except Exception as error:
            return self._went(error)
        return self._went(None)

    async def close(self) -> None:
        """Report no more, and be gone at once. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._reports.remove(self.id)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


_reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()


def _forget_parents() -> None:
    for reporter in list(_reporters):
        reporter.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
