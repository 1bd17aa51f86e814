"""What readers and writers meet while something goes wrong with Redis: a line for each fault.

16 threads of 4 processes read and write entities of eight policies through a `SmartCache` of memory
and Redis. "acts" are the reads and writes that met the fault, whose latencies these are; "refused"
counts the errors that a policy allows, also before and after. "lost" is how many trips to Redis
failed under one act at most, "back" how long after the fault all was as before. "oldest" is for how
long a value that was read had been overwritten, at most, beside what its policy allows; "wrong"
counts what none allows. tests/cache/chaos/ says how that is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.latency import format_time, percentile
from tests.cache.chaos.chaos import WHOLE, outcome, pool
from tests.cache.chaos.faults import FAULTS
from tests.cache.chaos.terms import BUDGET, LEASE, PAUSE, STALENESS, TERMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cache.chaos.chaos import Outcome, Scale
    from tests.cache.chaos.judge import Figures

SEED = "benchmark"
_WIDTH = max(map(len, FAULTS))


def rows(scale: Scale = WHOLE) -> Iterator[str]:
    """Yield one line a figure."""
    yield (
        f"{scale.processes} processes of {scale.threads} threads; budget {format_time(BUDGET)}, "
        f"pause {format_time(PAUSE)}, staleness {format_time(STALENESS)}, "
        f"lease {format_time(LEASE)}; each fault for {format_time(scale.fault)}"
    )
    yield _line("fault", "acts", "refused", "p50", "p99", "max", "lost", "back", "wrong", "oldest")
    found: dict[str, Outcome] = {}
    with pool(scale) as processes:
        for fault in FAULTS:
            found[fault] = outcome(fault, scale, processes, seed=SEED)
            yield _of_fault(fault, found[fault])
    yield _line("policy", "acts", "refused", "p50", "p99", "max", "lost", "", "wrong", "oldest")
    for policy in TERMS:
        yield _of_policy(policy, [each.figures[policy] for each in found.values()])


def _of_fault(fault: str, found: Outcome) -> str:
    figures = found.figures
    policy = max(figures, key=lambda name: figures[name].oldest / figures[name].allowed)
    return _summed(fault, list(figures.values()), format_time(found.recovery), policy)


def _of_policy(policy: str, figures: list[Figures]) -> str:
    return _summed(policy, figures, "", "")


def _summed(name: str, figures: list[Figures], back: str, oldest: str) -> str:
    during = [seconds for each in figures for seconds in each.during]
    refused = sum(count for each in figures for count in each.errors.values())
    worst = max(figures, key=lambda each: each.oldest / each.allowed)
    age = f"{worst.oldest:.2f} of {worst.allowed:.2f} s"
    return _line(
        name,
        f"{len(during):,}",
        f"{refused:,}",
        *(format_time(percentile(during, q)) for q in (50, 99, 100)),
        str(max(each.lost for each in figures)),
        back,
        str(sum(len(each.wrong) for each in figures)),
        f"{age} {oldest}".rstrip(),
    )


def _line(name: str, *words: str) -> str:
    *figures, last = words
    return f"{name:{_WIDTH}}" + "".join(f"{each:>9}" for each in figures) + f"  {last}"
