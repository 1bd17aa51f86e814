"""What a look at every key costs, beside redis-cli and beside redis-py one step at a time.

All in one run, on one server with a million keys of the usual kinds, a third of which expire. The
pipeline asks what the survey asks: type, time to live, memory, encoding and idle time.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._pinning import pinned_server
from labkit.inspect import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

KEYS = 1_000_000
PIPELINE = 1000
CLI = shutil.which("redis-cli") or shutil.which("valkey-cli")


def rows(count: int = KEYS) -> Iterator[str]:
    """Yield one line a figure."""
    with pinned_server() as server, server.client() as client:
        _fill(client, count)
        ways: dict[str, Callable[[], object]] = {
            "keys.survey": lambda: keys.survey(client),
            "keys.groups": lambda: keys.groups(client),
            "keys.survey without memory": lambda: keys.survey(client, samples=None),
            "redis-py, SCAN and a pipeline": lambda: _pipelined(client),
        }
        if CLI is not None:
            for option in ("--memkeys", "--bigkeys"):
                command = [CLI, "-u", server.url, "--no-auth-warning", option]
                ways[f"redis-cli {option}"] = partial(_run, command)
        for name, way in ways.items():
            start = perf_counter()
            way()
            seconds = perf_counter() - start
            yield f"{name}: {seconds:.2f} s, {count / seconds:,.0f} keys/s"


def _fill(client: redis.Redis, count: int) -> None:
    for start in range(0, count, 10_000):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, min(start + 10_000, count)):
                expires = 3600 + number if number % 3 == 0 else None
                if number % 10:
                    pipe.set(f"user:{number}:name", "x" * (number % 60), ex=expires)
                else:
                    pipe.hset(f"user:{number}:cart", mapping={"one": 1, "two": 2})
            pipe.execute()


def _pipelined(client: Any) -> int:
    cursor, found = 0, 0
    while True:
        cursor, names = client.scan(cursor, count=PIPELINE)
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name)
                pipe.pttl(name)
                pipe.memory_usage(name)
                pipe.object("ENCODING", name)
                pipe.object("IDLETIME", name)
            found += len(pipe.execute())
        if cursor == 0:
            return found


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
