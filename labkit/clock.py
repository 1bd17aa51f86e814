"""The time source that everything takes, a fake one, and durations as people write them."""

from __future__ import annotations

import asyncio
import math
import re
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import redis

T = TypeVar("T")

Clock = Callable[[], float]
"""Answers the present moment in seconds since the epoch, as `time.time` does."""

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_COMPOSED = re.compile(r"\s*".join(rf"(?:({_NUMBER})\s*{unit})?" for unit in _MILLISECONDS))
_ACCEPTED = (
    "expected a number of seconds that is not negative, or a text such as "
    '"250ms", "30s", "10m", "2h5m", "1.5h" or "1d" (units d, h, m, s, ms, the largest first)'
)
_CHUNK = 1000


def duration(value: float | str) -> float:
    """Read a duration.

    Args:
        value: Seconds as a number (`90`, `0.25`), or a text: `"250ms"`, `"30s"`, `"10m"`,
            `"2h5m"`, `"1.5h"`, `"1d"`, or seconds without a unit, `"90"`.

    Returns:
        The duration in seconds, finite and not negative.

    Raises:
        TypeError: `value` is neither a number nor a text.
        ValueError: `value` is negative, not finite, empty or written in another way.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(f"not a duration: {value!r}; {_ACCEPTED}")
    try:
        seconds = _parse(value.strip()) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"not a duration: {value!r}; {_ACCEPTED}")
    return seconds


def _parse(text: str) -> float:
    """Seconds in `text`; ValueError where it is no duration."""
    if re.fullmatch(_NUMBER, text):
        return float(text)
    match = _COMPOSED.fullmatch(text)
    if not text or not match:
        raise ValueError(text)
    amounts = zip(match.groups(default="0"), _MILLISECONDS.values(), strict=True)
    return sum(float(amount) * unit for amount, unit in amounts) / 1000


class FakeClock:
    """A clock that moves only when told to, for lessons and tests.

    Example:
        >>> clock = FakeClock()
        >>> clock.advance("10m")
        >>> clock()
        600.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._lock = threading.Lock()
        self.set(start)

    def __call__(self) -> float:
        """The present moment, in seconds since the epoch."""
        return self._now

    def advance(self, seconds: float | str) -> None:
        """Move forward by a `duration`; a negative one is refused with ValueError."""
        step = duration(seconds)
        with self._lock:
            self._now += step

    def set(self, moment: float) -> None:
        """Jump to `moment`, forward or back, as a system clock does when it is corrected.

        Raises:
            ValueError: `moment` is not a finite number.
        """
        if not math.isfinite(moment):
            raise ValueError(f"moment is {moment!r}; expected finite seconds since the epoch")
        with self._lock:
            self._now = float(moment)

    def __repr__(self) -> str:
        return f"FakeClock({self._now!r})"


def run_in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]], clock: FakeClock) -> T:
    """Run `async` code in the time of a clock: whoever sleeps wakes at once, and later.

    Nobody waits for real, and every run is the same: a day of a site takes as long as its work. The
    code must not wait for anything outside, such as a thread or a socket, since time goes on
    meanwhile.

    Args:
        main: A coroutine function without parameters.
        clock: Tells the time, which this moves.

    Returns:
        What `main` returned.

    Example:
        >>> clock = FakeClock()
        >>> async def nap() -> str:
        ...     await asyncio.sleep(3600)
        ...     return "rested"
        >>> run_in_virtual_time(nap, clock), clock()
        ('rested', 3600.0)
    """

    def run() -> T:
        with asyncio.Runner(loop_factory=lambda: _SimulatedLoop(clock)) as runner:
            return runner.run(main())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1) as apart:  # in a notebook, whose own event loop is running
        return apart.submit(run).result()


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        super().__init__(_LeapingSelector(clock))

    def time(self) -> float:
        return self._clock()


class _LeapingSelector(selectors.DefaultSelector):
    """Moves a clock on instead of waiting."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self._clock.advance(timeout)
        return ready


class Forwarded(NamedTuple):
    """How many keys `fast_forward` changed."""

    shortened: int
    expired: int


def fast_forward(
    client: redis.Redis | redis.RedisCluster, seconds: float | str, match: str | bytes = "*"
) -> Forwarded:
    """Let time pass for the keys of a server: every time to live shrinks by `seconds`.

    A key whose time runs out is deleted at once. Keys without a time to live stay as they
    are; so do the times to live that single hash fields may have.

    Args:
        client: A synchronous client, with decoded responses or without.
        seconds: A `duration`; whole milliseconds count.
        match: The keys it applies to, a pattern as in SCAN.

    Returns:
        How many keys were shortened, and how many expired.

    Raises:
        TypeError: `client` is not a synchronous client.
        ValueError: `seconds` is not a duration.
    """
    if not isinstance(client, (redis.Redis, redis.RedisCluster)):
        raise TypeError(
            f"client is a {type(client).__module__}.{type(client).__qualname__}; expected a "
            "synchronous redis.Redis: open one to the same server and pass that"
        )
    step = duration(seconds) * 1000
    shortened = expired = 0
    for keys in _chunks(_keys(client, match)):
        for left in _shorten(client, keys, step):
            shortened += left > 0
            expired += left == 0
    return Forwarded(shortened, expired)


def _keys(client: redis.Redis | redis.RedisCluster, match: str | bytes) -> list[bytes]:
    """Every key that matches, once: SCAN may repeat a key, and may not be shortened twice.

    Keys stay bytes whatever the client decodes, because a key need not be valid UTF-8.
    """
    return list(set(client.scan_iter(match=match, count=_CHUNK, NEVER_DECODE=True)))


def _chunks(keys: list[bytes]) -> Iterator[list[bytes]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))


def _shorten(client: redis.Redis | redis.RedisCluster, keys: list[bytes], step: float) -> list[int]:
    """Shorten the times to live of `keys` by `step`; answers the milliseconds left of each."""
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.pttl(key)
        ttls = pipeline.execute()
        # PTTL answers -1 for a key without a time to live and -2 for one that is gone.
        left = {
            key: round(max(ttl - step, 0)) for key, ttl in zip(keys, ttls, strict=True) if ttl >= 0
        }
        for key, milliseconds in left.items():
            pipeline.pexpire(key, milliseconds)  # 0 deletes the key
        changed = pipeline.execute()
    return [ms for ms, done in zip(left.values(), changed, strict=True) if done]
