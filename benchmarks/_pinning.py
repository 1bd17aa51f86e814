"""Cores of their own for a server and for the process that measures it."""

from __future__ import annotations

import os

from labkit import LocalServer

_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pinned_server() -> LocalServer:
    """A server on a core of its own, and this process on another, where the system can do so."""
    server = LocalServer()
    if len(_CORES) > 1:
        os.sched_setaffinity(0, {_CORES[0]})
        os.sched_setaffinity(server.pid, {_CORES[1]})
    return server
