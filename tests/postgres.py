"""A PostgreSQL server for tests, on a unix socket in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEADLINE = 60  # seconds
_USERS = ("postgres", "nobody")  # the server refuses to run as root
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

# Comes to its end with the process that holds the other end of its input, however that one ends.
_GUARD = """
while read -r _; do :; done
"$1"/pg_ctl stop --silent --mode=immediate --pgdata="$2"/data
rm -rf -- "$2"
"""


def find_postgres() -> Path | None:
    """The directory with the newest `postgres` and its `initdb`; None: they are not there."""
    on_path = shutil.which("postgres")
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest_first = sorted(installed, key=lambda path: float(path.parts[-3]), reverse=True)
    for program in [*([Path(on_path).resolve()] if on_path else []), *newest_first]:
        if (program.parent / "initdb").is_file():
            return program.parent
    return None


@contextlib.contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """The address of a server that is there while the block runs; its data may be lost."""
    directory = Path(tempfile.mkdtemp(prefix="labkit-pg-", dir="/tmp"))  # sockets want a short path
    user = _user(directory)
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "sh", programs, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        **user,
    )
    assert guard.stdin is not None
    settings = {**_SETTINGS, "unix_socket_directories": directory}
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    data = f"--pgdata={directory / 'data'}"
    make = ["--no-sync", "--auth=trust", "--username=labkit", "--encoding=UTF8", "--locale=C"]
    try:
        _run(programs / "initdb", [data, *make], directory / "log", user)
        start = ["start", data, "--wait", f"--options={options}"]
        _run(programs / "pg_ctl", start, directory / "log", user)
        yield f"postgresql://labkit@/postgres?host={directory}"
    finally:
        guard.stdin.close()
        guard.wait(DEADLINE)


def _run(program: Path, arguments: Sequence[str], log: Path, user: dict[str, Any]) -> None:
    with log.open("ab") as out:
        ended = subprocess.run(
            [program, *arguments],
            stdout=out,
            stderr=out,
            cwd="/",
            timeout=DEADLINE,
            check=False,
            **user,
        )
    assert ended.returncode == 0, log.read_text("utf-8", "replace")


def _user(directory: Path) -> dict[str, Any]:
    """Who runs the server, as arguments of Popen; the directory is theirs."""
    if os.geteuid() != 0:
        return {}
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = next(known[name] for name in _USERS if name in known)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
