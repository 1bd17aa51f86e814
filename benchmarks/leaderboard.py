"""The leaderboard beside the redis-py calls that one would write for it on a plain sorted set.

A ratio is labkit's throughput over that of the plain calls: above 1 labkit is faster. The plain
calls do less: no policy beyond ZADD GT, no first-come order of ties, no windows, no event.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks._pinning import pinned_server
from labkit.latency import measure
from labkit.leaderboard import Leaderboard
from tests.scale import SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (10_000, 100_000, 1_000_000)
_ROUNDS = 300
_BATCH = 5
_CHUNK = 1000


def rows() -> Iterator[str]:
    """Yield one line a figure."""
    for size in SIZES:
        with pinned_server() as server, server.client() as client:
            board = Leaderboard(client, "bench")
            yield _loading(client, board, size)
            for name, (plain, ours) in _pairs(client, board, size).items():
                yield f"{size:>9,} members, {name}: {_ratio(plain, ours)}"
    with pinned_server() as server, server.client() as client:
        yield _tied_page(client)


def _ratio(plain: Callable[[], Any], ours: Callable[[], Any]) -> str:
    result = measure({"plain": plain, "labkit": ours}, rounds=_ROUNDS, batch=_BATCH)
    plain_us, ours_us = (
        1e6 * statistics.median(result.samples[name]) for name in ("plain", "labkit")
    )
    return f"{result.ratio('plain', 'labkit'):.2f} x ({ours_us:.0f} us, plain {plain_us:.0f} us)"


def _names(size: int) -> Iterator[tuple[str, float]]:
    draw = random.Random(SEED)
    for number in range(size):
        yield f"player:{number:07}", float(draw.randrange(10_000_000))


def _loading(client: Any, board: Leaderboard, size: int) -> str:
    begin = time.perf_counter()
    rows = _names(size)
    while part := dict(itertools.islice(rows, _CHUNK)):
        client.zadd("plain", part)
    plain = size / (time.perf_counter() - begin)
    begin = time.perf_counter()
    board.load(_names(size))
    ours = size / (time.perf_counter() - begin)
    used = [client.memory_usage(key, samples=0) for key in client.keys("leaderboard:*:all*")]
    return (
        f"{size:>9,} members, load: {ours / plain:.2f} x ({ours:,.0f}/s, plain {plain:,.0f}/s); "
        f"{sum(used) / size:.0f} bytes a member, plain "
        f"{client.memory_usage('plain', samples=0) / size:.0f}"
    )


def _pairs(
    client: Any, board: Leaderboard, size: int
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """For each operation the plain calls and labkit's."""
    draw = random.Random(SEED)
    members = itertools.cycle([f"player:{draw.randrange(size):07}" for _ in range(10_000)])
    scores = itertools.cycle([float(draw.randrange(10_000_000)) for _ in range(10_000)])

    def plain_submit() -> Any:
        member, score = next(members), next(scores)
        with client.pipeline() as pipe:
            pipe.zrevrank("plain", member)
            pipe.zscore("plain", member)
            pipe.zadd("plain", {member: score}, gt=True)
            pipe.zrevrank("plain", member)
            pipe.zscore("plain", member)
            return pipe.execute()

    def plain_get() -> Any:
        member = next(members)
        with client.pipeline(transaction=False) as pipe:
            pipe.zrevrank("plain", member)
            pipe.zscore("plain", member)
            return pipe.execute()

    def plain_around() -> Any:
        rank = client.zrevrank("plain", next(members))
        start = max(0, rank - 5)
        return client.zrevrange("plain", start, start + 9, withscores=True)

    def plain_friends() -> Any:
        with client.pipeline(transaction=False) as pipe:
            for _ in range(50):
                member = next(members)
                pipe.zrevrank("plain", member)
                pipe.zscore("plain", member)
            return pipe.execute()

    return {
        "submit": (plain_submit, lambda: board.submit(next(members), next(scores))),
        "rank and score": (plain_get, lambda: board.get(next(members))),
        "top 10": (
            lambda: client.zrevrange("plain", 0, 9, withscores=True),
            lambda: board.top(10),
        ),
        "around 10": (plain_around, lambda: board.around(next(members), 10)),
        "50 friends": (
            plain_friends,
            lambda: board.among([next(members) for _ in range(50)]),
        ),
    }


def _tied_page(client: Any) -> str:
    """A page deep in 10,000 equal scores whose cursor's row has just moved away."""
    board = Leaderboard(client, "tied", policy="last")
    board.load((f"player:{number:07}", 1.0) for number in range(10_000))
    client.zadd("plain", {f"player:{number:07}": 1.0 for number in range(10_000)})
    cursor = board.page(1000).next_cursor
    for _ in range(4):
        cursor = board.page(1000, cursor).next_cursor
    still = _ratio(
        lambda: client.zrange("plain", 5000, 5049, withscores=True),
        lambda: board.page(50, cursor),
    )
    board.submit("player:0004999", 2.0)
    moved = _ratio(
        lambda: client.zrange("plain", 5000, 5049, withscores=True),
        lambda: board.page(50, cursor),
    )
    return f"page of 50 among 10,000 ties beside ZRANGE: {still}; its row moved away: {moved}"
