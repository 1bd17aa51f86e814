"""Children that carry out a script of operations, and may be killed on the way, or see that happen.

A driver process without threads forks them, which takes a few milliseconds each.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache import (
    Cache,
    CacheAside,
    ReadThrough,
    RedisTier,
    Unavailable,
    WriteAround,
    WriteBehind,
    WriteThrough,
)
from tests.cache.crash.doom import (
    Doom,
    DoomedLedger,
    DoomedPlainLedger,
    doomed_client,
    kill_server,
)
from tests.cache.crowd import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from labkit.cache.steps import Steps

SPAWN = multiprocessing.get_context("spawn")

TTL, LEASE = 100, 30  # seconds


class CacheFirst(WriteThrough[Any, Any, Any]):
    """A planted bug: the cache has the value before the source has it."""

    def _write(self, method: str, key: Any, *value: Any) -> Steps[None]:
        yield from self._engine.set(self._call(key), value[0] if value else None)
        yield from self._of_source(method, key, *value)


KINDS: dict[str, Any] = {
    "aside": CacheAside,
    "read": ReadThrough,
    "through": WriteThrough,
    "around": WriteAround,
    "behind": WriteBehind,
    "behind plain": WriteBehind,
}
PLANTED = {"through, cache first": CacheFirst}


class Op(NamedTuple):
    """An operation of a script.

    Attributes:
        what: "save", "delete", "get" or "apply".
        key: The key; 0 for "apply".
        value: What "save" writes, else None.
    """

    what: str
    key: int = 0
    value: int | None = None


class Outcome(NamedTuple):
    """How a script ended.

    Attributes:
        begun: How many operations were begun.
        answers: What those that ended have answered; for a write that is its acknowledgement.
        died: The step at which the process was killed, or its server; empty where none was.
    """

    begun: int
    answers: list[Any]
    died: str


def strategy_of(kind: str, client: redis.Redis, source: Any) -> Any:
    """A strategy that does not take a busy machine for a dead server."""
    cache = Cache([RedisTier(client, budget="10s")], ttl=TTL, pause=0.001)
    how = {"attempts": 1, "batch": 2, "ownership": LEASE} if "behind" in kind else {"lease": LEASE}
    return (KINDS | PLANTED)[kind](cache, source, name="d", **how)


def carry_out(strategy: Any, op: Op) -> Any:
    """Do what an operation says; answers what was read, None for a write."""
    if op.what == "get":
        return strategy.get(op.key)
    if op.what == "apply":
        strategy.apply_some()
    elif op.what == "delete":
        strategy.delete(op.key)
    else:
        strategy.save(op.key, op.value)
    return None


class Victim(NamedTuple):
    """A server that is killed, and not the process that talks to it.

    Attributes:
        pid: Its process.
        port: Where it listens on this machine.
    """

    pid: int
    port: int


def _act(job: tuple[str, str, str, Sequence[Op], int, Victim | None], told: int) -> None:
    """In a child: carry out a script, and tell each beginning and end."""
    url, path, kind, script, at, victim = job

    def tell(*words: Any) -> None:
        os.write(told, json.dumps(words).encode() + b"\n")  # what a pipe holds outlives a process

    kill = None if victim is None else functools.partial(kill_server, *victim)
    doom = Doom(at, lambda name: tell("died", name), kill)
    source = (DoomedLedger if kind == "behind" else DoomedPlainLedger)(path, doom)
    with doomed_client(url, doom) as client:
        strategy = strategy_of(kind, client, source)
        strategy.cache.get("nothing")  # it is connected now
        doom.armed = True
        for op in script:
            tell("begun", "")
            try:
                tell("ended", carry_out(strategy, op))
            except Unavailable:
                if victim is None:
                    raise
                return  # as a request that fails


def _drive(pipe: Any) -> None:
    """In the driver: fork a child for each job, and tell what became of it."""
    while (job := pipe.recv()) is not None:
        here, there = os.pipe()
        pid = os.fork()
        if not pid:
            signal.alarm(int(PATIENCE))
            os.close(here)
            try:
                _act(job, there)
            except BaseException as error:
                os.write(there, json.dumps(["raised", repr(error)]).encode() + b"\n")
            os._exit(0)
        os.close(there)
        with os.fdopen(here, "rb") as lines:
            told = [json.loads(line) for line in lines]
        pipe.send((os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told))


class Driver:
    """A process that runs scripts in forked children.

    Args:
        url: Where Redis is.
        path: The file of the source.
    """

    def __init__(self, url: str, path: str) -> None:
        self._job = (url, path)
        self._pipe, there = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_drive, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def run(
        self, kind: str, script: Sequence[Op], at: int = 0, victim: Victim | None = None
    ) -> Outcome:
        """Run a script in a child, which is killed at a step.

        Args:
            kind: Which strategy; one of KINDS.
            script: The operations.
            at: The step, from 1; 0 for none.
            victim: Who is killed in place of the child.
        """
        self._pipe.send((*self._job, kind, script, at, victim))
        assert self._pipe.poll(2 * PATIENCE), "the child does not come to an end"
        code, told = self._pipe.recv()
        words: dict[str, list[Any]] = {"begun": [], "ended": [], "died": [], "raised": []}
        for what, answer in told:
            words[what].append(answer)
        assert not words["raised"], words["raised"]
        assert code == (-signal.SIGKILL if words["died"] and victim is None else 0)
        return Outcome(len(words["begun"]), words["ended"], "".join(words["died"]))

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join(PATIENCE)
