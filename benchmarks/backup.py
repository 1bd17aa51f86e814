"""What a backup of every key costs, and bringing it back, beside the snapshot of `redis-cli --rdb`.

All in one run, on one server with a million keys of the usual kinds, a third of which expire. The
snapshot is of the same keys; there is no command that restores it into a running server.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks._pinning import pinned_server
from benchmarks.inspect import CLI, KEYS, _fill
from labkit import LocalServer
from labkit.inspect import backup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def rows(count: int = KEYS) -> Iterator[str]:
    """Yield one line a figure."""
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalServer() as empty,  # before this process has a core, which it would share
        empty.client() as target,
        pinned_server() as server,
        server.client() as client,
    ):
        client.config_set("repl-diskless-sync-delay", 0)  # else --rdb waits for five seconds
        _fill(client, count)
        path, snapshot = Path(directory, "backup"), Path(directory, "snapshot")
        ways: dict[str, Callable[[], object]] = {
            "backup.save": lambda: backup.save(client, path),
            "backup.verify": lambda: backup.verify(path),
            "backup.restore": lambda: backup.restore(target, path),
            "backup.compare": lambda: _expect_none(backup.compare(client, target)),
        }
        if CLI is not None:
            command = [CLI, "-u", server.url, "--no-auth-warning", "--rdb", str(snapshot)]
            ways["redis-cli --rdb"] = lambda: subprocess.run(
                command, check=True, capture_output=True
            )
        for name, way in ways.items():
            start = perf_counter()
            way()
            seconds = perf_counter() - start
            yield f"{name}: {seconds:.2f} s, {count / seconds:,.0f} keys/s"
        for file in (path, snapshot):
            if file.exists():
                yield f"size of the {file.name}: {file.stat().st_size / 2**20:.1f} MB"


def _expect_none(differences: Iterator[backup.Difference]) -> None:
    for difference in differences:
        raise AssertionError(f"the restored keys are not the same: {difference}")
