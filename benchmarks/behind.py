"""Writing behind beside writing to the database itself, with drafts that are saved again and again.

A ratio is the time of a write over that of a direct one: below 1 is faster. "acknowledged" is the
call of `save`, "applied" the same with all that follows until the database has it. The databases
are those of the newsroom; PostgreSQL does not sync here, which spares direct writes the most.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._pinning import pinned_server
from labkit import LocalServer, newsroom
from labkit.cache import Cache, RedisTier, WriteBehind
from labkit.latency import format_time
from labkit.newsroom import Draft
from tests.postgres import find_postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITES, ROUNDS = 500, 7
BODY = "word " * 200


def rows() -> Iterator[str]:
    """Yield one line a figure."""
    with ExitStack() as stack:
        durable = stack.enter_context(LocalServer(persistence="aof"))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {"SQLite file": f"sqlite:///{directory / 'newsroom.db'}"}
        if (programs := find_postgres()) is not None:
            urls["PostgreSQL"] = stack.enter_context(postgres(programs))
        # Last, so that the others do not inherit the core of this process.
        servers = {"": stack.enter_context(pinned_server()), ", AOF synced always": durable}
        for name, url in urls.items():
            for keys, writers in ((10, 1), (WRITES, 1), (WRITES, 8)):
                threads = f" by {writers} threads" if writers > 1 else ""
                title = f"{name}, {WRITES} drafts of {keys} articles{threads}"
                yield _beside_direct(title, url, keys, writers, servers)


def _beside_direct(
    title: str, url: str, keys: int, writers: int, servers: dict[str, LocalServer]
) -> str:
    numbers = itertools.count()
    with ExitStack() as stack:
        db = stack.enter_context(newsroom.open(url, articles=1, authors=1))
        pool = stack.enter_context(ThreadPoolExecutor(writers))

        def some(save: Callable[[int, Draft], Any], first: int) -> None:
            for n in range(first, WRITES, writers):
                key = 1 + n % keys
                save(key, Draft(key, f"Draft {next(numbers)}", BODY, 0.0))

        def each(save: Callable[[int, Draft], Any]) -> None:
            list(pool.map(functools.partial(some, save), range(writers)))

        acts: dict[str, Callable[[], Any]] = {"direct": lambda: each(db.draft_source.save)}
        for kept, server in servers.items():
            client = stack.enter_context(server.client())
            cache = stack.enter_context(Cache([RedisTier(client, budget="10s")]))
            drafts: Any = WriteBehind(cache, db.draft_source, name="draft", type=Draft)
            acts[f"acknowledged{kept}"] = functools.partial(each, drafts.save)
            acts[f"applied{kept}"] = drafts.drain  # what the one before it has left
        times: dict[str, list[float]] = {name: [] for name in acts}
        for _ in range(ROUNDS):
            for name, act in acts.items():
                start = time.perf_counter()
                act()
                times[name].append((time.perf_counter() - start) / WRITES)
    figures = []
    for name, seconds in times.items():
        if name.startswith("applied"):
            before = times[name.replace("applied", "acknowledged")]
            seconds = [a + b for a, b in zip(seconds, before, strict=True)]
        ratio = statistics.median(a / b for a, b in zip(seconds, times["direct"], strict=True))
        of_direct = "" if name == "direct" else f" {ratio:.2f} x"
        figures.append(f"{name}{of_direct} ({format_time(statistics.median(seconds))})")
    return f"{title}: {'; '.join(figures)}"
