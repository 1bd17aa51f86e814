"""Redis stops, freezes, forgets or fills while threads of several processes read and write.

No value is older than its policy allows, no error comes that it does not, and nobody waits for
Redis again and again: that is counted in failed trips under one act, for a machine may be slow.
`LABKIT_SOAK=2` lets 16 threads of 4 processes do so, and for longer; `python -m benchmarks chaos`
prints the figures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from labkit.server import find_server
from tests.cache.chaos.chaos import SHORT, WHOLE, outcome, pool
from tests.cache.chaos.faces import FACES
from tests.cache.chaos.faults import FAULTS
from tests.scale import FACTOR, SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ProcessPoolExecutor

    from tests.cache.chaos.chaos import Outcome

pytestmark = [
    pytest.mark.skipif(find_server() is None, reason="fakeredis neither dies nor freezes"),
    pytest.mark.skipif(os.name != "posix", reason="processes are frozen by signals"),
]

SCALE = WHOLE if FACTOR > 1 else SHORT


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with pool(SCALE) as processes:
        yield processes


def most_lost(fault: str, policy: str) -> int:
    """How many trips may fail under one act.

    After one has failed nobody asks for a while; the queue of writes is another place to ask. Where
    Redis answers others meanwhile, it may be asked a second time.
    """
    return 1 + (policy == "write-behind") + FAULTS[fault].flaps


def too_many_lost(fault: str, found: Outcome) -> dict[str, int]:
    return {
        policy: figures.lost
        for policy, figures in found.figures.items()
        if figures.lost > most_lost(fault, policy)
    }


def was_met(fault: str, found: Outcome) -> bool:
    """Whether the fault was one."""
    errors = sum(figures.errors.get("SourceAway", 0) for figures in found.figures.values())
    signs = {"failures": sum(found.failures), "deaf": found.deaf, "errors": errors, "": 1}
    return bool(signs[FAULTS[fault].seen]) and any(each.during for each in found.figures.values())


@pytest.mark.soak
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_policy_keeps_its_word(fault: str, face: str, processes: ProcessPoolExecutor) -> None:
    found = outcome(fault, SCALE, processes, seed=f"{SEED} {fault}", face=face)
    assert was_met(fault, found)
    wrong = [f"{policy}: {why}" for policy, each in found.figures.items() for why in each.wrong]
    assert not wrong, "\n".join([f"{len(wrong)} of seed {SEED}", *wrong[:10]])
    assert not too_many_lost(fault, found)
    assert sum(each.hung for each in found.figures.values()) == 0


def one_found(
    planted: str,
    face: str,
    processes: ProcessPoolExecutor,
    judge: Callable[[Outcome], object],
) -> bool:
    """Whether a bug is found in one of a few runs; the first one will do."""
    return any(
        judge(
            outcome("frozen", SHORT, processes, seed=f"{SEED} {number}", face=face, planted=planted)
        )
        for number in range(5)
    )


@pytest.mark.parametrize("face", FACES)
def test_forgotten_debts_are_found(face: str, processes: ProcessPoolExecutor) -> None:
    def is_old(found: Outcome) -> bool:
        return any(" s old, " in why for why in found.figures["read-through"].wrong)

    assert one_found("forgets debts", face, processes, is_old)


@pytest.mark.parametrize("face", FACES)
def test_a_store_that_is_asked_again_and_again_is_found(
    face: str, processes: ProcessPoolExecutor
) -> None:
    def is_asked_often(found: Outcome) -> bool:
        return bool(too_many_lost("frozen", found))

    assert one_found("tries always", face, processes, is_asked_often)
