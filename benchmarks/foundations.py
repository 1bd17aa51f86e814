"""What the ground layer costs: importing, starting a server, listening to a client."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import CommandLog, LocalServer
from labkit.latency import measure
from labkit.server import find_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RUNS = 15


def rows() -> Iterator[str]:
    """Yield one line a figure."""
    yield imports()
    for binary in find_servers():
        yield start(binary)
    yield command_log()


def imports() -> str:
    """What `import labkit` takes beyond `import redis`, each in a fresh interpreter."""
    redis, labkit = _paired(lambda: _python("import redis"), lambda: _python("import labkit"))
    return f"import labkit: {1000 * (labkit - redis):.0f} ms more than import redis ({redis:.3f} s)"


def start(binary: Path) -> str:
    """A LocalServer until it answers, beside the bare binary until its port does."""
    bare, local = _paired(lambda: _bare(binary), lambda: _local(binary))
    return (
        f"LocalServer on {binary.name}: {1000 * local:.0f} ms until it answers, "
        f"{local / bare:.2f} x the bare binary ({1000 * bare:.0f} ms)"
    )


def command_log() -> str:
    """GET with a CommandLog listening, beside GET without."""
    with LocalServer(unix_socket=True) as server, server.client() as client:
        listened = server.client()
        with CommandLog(listened):
            result = measure(
                {"GET": lambda: client.get("a"), "GET, logged": lambda: listened.get("a")},
                rounds=400,
                batch=10,
            )
        listened.close()
    return f"CommandLog: GET takes {result.ratio('GET, logged', 'GET'):.2f} x as long while logged"


def _paired(*work: Callable[[], float]) -> list[float]:
    """The median seconds of each, taken in turn."""
    samples = [[each() for each in work] for _ in range(_RUNS)]
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def _python(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def _local(binary: Path) -> float:
    begin = time.perf_counter()
    with LocalServer(binary=binary):
        return time.perf_counter() - begin


def _bare(binary: Path) -> float:
    import redis

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        begin = time.perf_counter()
        command = [str(binary), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            client = redis.Redis(unix_socket_path=path)
            while not (Path(path).exists() and _answers(client)):
                pass
            seconds = time.perf_counter() - begin
            process.kill()
    return seconds


def _answers(client: object) -> bool:
    import redis

    try:
        return bool(client.ping())  # type: ignore[attr-defined]
    except redis.ConnectionError:
        return False
