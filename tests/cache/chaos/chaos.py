"""Let processes read and write while something goes wrong, and judge what they tell."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from labkit.server import LocalServer
from tests.cache.chaos.faces import FACES
from tests.cache.chaos.faults import FAULTS, Stage, Way
from tests.cache.chaos.judge import Figures, Span, judged, standstill
from tests.cache.chaos.signs import READY, STOP, WELL, Signs
from tests.cache.chaos.terms import TERMS
from tests.cache.chaos.traffic import IDS, Job, traffic
from tests.cache.chaos.truth import Truth
from tests.cache.crowd import until

if TYPE_CHECKING:
    from tests.cache.chaos.traffic import Told


class Scale(NamedTuple):
    """How much goes on.

    Attributes:
        processes: How many processes read and write.
        threads: With how many threads each.
        pause: For how many seconds a thread rests between two acts, on average.
        before: For how many seconds all is well.
        fault: For how many seconds it is not.
        after: For how many seconds all is well again.
    """

    processes: int
    threads: int
    pause: float
    before: float
    fault: float
    after: float


SHORT = Scale(2, 4, 0.006, before=0.3, fault=1.0, after=1.2)
WHOLE = Scale(4, 16, 0.08, before=1.0, fault=5.0, after=3.0)


class Outcome(NamedTuple):
    """What came of a fault.

    Attributes:
        figures: By policy.
        failures: How many trips to Redis failed in each process.
        openings: How often each process took Redis for away.
        recovery: After how many seconds all processes were as before.
        deaf: In how many processes memory has noticed that it did not hear.
        standstill: For how many seconds a process stood still, at most.
    """

    figures: dict[str, Figures]
    failures: list[int]
    openings: list[int]
    recovery: float
    deaf: int
    standstill: float


def pool(scale: Scale) -> ProcessPoolExecutor:
    """Processes for any number of faults."""
    return ProcessPoolExecutor(scale.processes, multiprocessing.get_context("spawn"))


def outcome(
    fault: str,
    scale: Scale,
    processes: ProcessPoolExecutor,
    *,
    seed: str,
    face: str = FACES[0],
    planted: str = "",
) -> Outcome:
    """Let a fault happen while processes read and write.

    Args:
        fault: One of FAULTS.
        scale: How much goes on.
        processes: Who does it.
        seed: What acts are drawn from.
        face: How they use the cache; one of FACES.
        planted: A bug that is planted, if one is.
    """
    what, rest = FAULTS[fault], threading.Event()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(LocalServer(persistence="aof", config={"appendfsync": "no"}))
        client = stack.enter_context(server.client())
        signs = Signs(f"{directory}/signs")
        truth = Truth(f"{directory}/truth")
        truth.begin(list(TERMS), IDS)
        stack.callback(truth.close)
        through = {"all": range(scale.processes), "first": range(1), "": range(0)}[what.by]
        ways = {number: Way(server.url) for number in through}
        for way in ways.values():
            stack.callback(way.close)
        asked = []
        for number in range(scale.processes):
            url = ways[number].url if number in ways else server.url
            job = Job(
                url,
                directory,
                number,
                scale.processes,
                scale.threads,
                scale.pause,
                seed,
                face,
                planted,
            )
            asked.append(processes.submit(traffic, job))
        try:
            until(
                lambda: signs.all_up(READY, scale.processes) or any(each.done() for each in asked),
                "the coming of the processes",
            )
            rest.wait(scale.before)
            begin = time.monotonic()
            with what.happens(Stage(server, client, ways, signs)):
                rest.wait(scale.fault)
            span = Span(begin, time.monotonic())
            for number in range(scale.processes):
                signs.set(WELL + number, up=False)  # what they said is from before
            until(lambda: signs.all_up(WELL, scale.processes), "the recovery")
            recovery = time.monotonic() - span.end
            rest.wait(scale.after)
        finally:
            signs.set(STOP)
            wait(asked)
        told = [each.result() for each in asked]
    return Outcome(
        judged(told, span, loses=what.loses, source_away=what.source),
        [each.failures for each in told],
        [each.openings for each in told],
        recovery,
        sum(map(_deaf, told)),
        standstill(told),
    )


def _deaf(told: Told) -> bool:
    return not all(beat.listening for beat in told.beats)
