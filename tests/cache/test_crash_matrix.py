"""Processes that are killed at every step of a write: what each strategy says of it holds."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from labkit.server import LocalServer, find_server
from tests.cache.crash.children import KINDS, Driver, Op
from tests.cache.crash.world import World
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
]

WRITES = {"save": Op("save", 1, 2), "delete": Op("delete", 1)}
MOST = 200  # steps, above what any of the scripts takes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """Makes a world of a kind, in place of the one before, in which children are killed."""
    with LocalServer() as server:
        yield from _worlds(server, tmp_path_factory, server_dies=False)


@pytest.fixture(scope="module")
def frail_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """The same, in which the server is killed and comes back with what its AOF has."""
    with LocalServer(persistence="aof") as server:
        yield from _worlds(server, tmp_path_factory, server_dies=True)


def _worlds(
    server: LocalServer, paths: pytest.TempPathFactory, *, server_dies: bool
) -> Iterator[Callable[[str], World]]:
    path = str(paths.mktemp("crash") / "ledger")
    driver = Driver(server.url, path)
    worlds: list[World] = []

    def make(kind: str) -> World:
        while worlds:
            worlds.pop().close()
        worlds.append(World(kind, client, path, driver, server if server_dies else None))
        return worlds[0]

    with server.client() as client:
        yield make
        while worlds:
            worlds.pop().close()
        driver.close()


def every_step(
    make: Callable[[str], World], kind: str, before: list[Op], script: list[Op]
) -> list[tuple[str, bool]]:
    """Kill at each step of a script; answers the steps, and whether the old was read then."""
    found: list[tuple[str, bool]] = []
    for at in range(1, MOST):
        world = make(kind)
        world.run(before)
        outcome = world.run(script, at)
        world.check()
        if not outcome.died:
            return found
        found.append((outcome.died, world.stale > 0))
    raise AssertionError("the script takes more steps than it may")


COMMAND = ["redis before", "redis half", "redis sent", "redis answered"]
SOURCE = ["source before", "source written", "source committed"]


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("aside", SOURCE + COMMAND),
        ("read", SOURCE + COMMAND),
        ("around", SOURCE),
        ("through", COMMAND + SOURCE + COMMAND),
        ("behind", COMMAND + COMMAND),  # a process asks first what the server may evict
        ("behind plain", COMMAND + COMMAND),
    ],
)
def test_a_write_may_be_killed_at_every_step(
    world: Callable[[str], World], kind: str, steps: list[str], what: str
) -> None:
    before = [Op("save", 1, 1), Op("get", 1)]
    found = every_step(world, kind, before, [WRITES[what]])
    assert [step for step, _ in found] == steps
    stale = [step for step, old in found if old]
    # The docstrings say when the old value outlives its writer, and here it does.
    invalidates = ["source committed", "redis before", "redis half"]
    expected = {"aside": invalidates, "read": invalidates, "around": ["source committed"]}
    assert stale == expected.get(kind, [])


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("through", COMMAND + SOURCE + COMMAND),
        ("behind", COMMAND + COMMAND),
        ("behind plain", COMMAND + COMMAND),
    ],
)
def test_redis_may_be_killed_at_every_step_of_a_write(
    frail_world: Callable[[str], World], kind: str, steps: list[str], what: str
) -> None:
    before = [Op("save", 1, 1), Op("get", 1)]
    found = every_step(frail_world, kind, before, [WRITES[what], Op("get", 1)])
    assert [step for step, _ in found][: len(steps)] == steps
    assert not any(old for _, old in found)


@pytest.mark.parametrize("kind", ["behind", "behind plain"])
def test_a_worker_may_be_killed_at_every_step(world: Callable[[str], World], kind: str) -> None:
    before = [Op("save", 1, 1), Op("save", 2, 2), Op("delete", 1), Op("save", 3, 3)]
    found = every_step(world, kind, before, [Op("apply"), Op("save", 1, 4), Op("apply")])
    assert {step for step, _ in found} == {*COMMAND, *SOURCE}


@pytest.mark.parametrize("kind", ["behind", "behind plain"])
def test_redis_may_be_killed_at_every_step_of_a_worker(
    frail_world: Callable[[str], World], kind: str
) -> None:
    before = [Op("save", 1, 1), Op("save", 2, 2), Op("delete", 1), Op("save", 3, 3)]
    found = every_step(frail_world, kind, before, [Op("apply"), Op("save", 1, 4), Op("apply")])
    assert {step for step, _ in found} == {*COMMAND, *SOURCE}


@pytest.mark.parametrize("who", ["world", "frail_world"])
@pytest.mark.parametrize("what", WRITES)
def test_a_planted_bug_is_found(what: str, who: str, request: pytest.FixtureRequest) -> None:
    before = [Op("save", 1, 1), Op("get", 1)]
    with pytest.raises(AssertionError, match="cache and source differ"):
        every_step(request.getfixturevalue(who), "through, cache first", before, [WRITES[what]])


def drawn_script(draw: random.Random, kind: str, numbers: Iterator[int]) -> list[Op]:
    """Operations on few keys; the values are unique."""
    whats = ["save", "save", "delete", "get"] + ["apply"] * ("behind" in kind)
    script = []
    for _ in range(draw.randrange(1, 7)):
        what, key = draw.choice(whats), draw.randrange(1, 4)
        script.append(Op(what, 0 if what == "apply" else key))
        if what == "save":
            script[-1] = Op(what, key, next(numbers))
    return script


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_processes_that_die_one_after_another_keep_the_word_of_their_strategy(
    world: Callable[[str], World], kind: str
) -> None:
    _hunt(world, kind, times(12))


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["through", "behind", "behind plain"])
def test_servers_that_die_one_after_another_keep_the_word_of_a_strategy(
    frail_world: Callable[[str], World], kind: str
) -> None:
    _hunt(frail_world, kind, times(4))


def _hunt(world: Callable[[str], World], kind: str, runs: int) -> None:
    """Random scripts, each with deaths at random steps; everything is checked after each."""
    died: dict[str, int] = {}
    for number in range(runs):
        draw = random.Random(f"{SEED} {kind} {number}")
        here = world(kind)
        numbers: Any = iter(range(1, 1000))
        scripts: list[Any] = []
        for _ in range(draw.randrange(1, 4)):
            scripts.append((drawn_script(draw, kind, numbers), draw.randrange(1, 36)))
            outcome = here.run(*scripts[-1])
            died[outcome.died] = died.get(outcome.died, 0) + 1
        try:
            here.check()
        except AssertionError as error:
            raise AssertionError(f"run {number} of seed {SEED}: {scripts}: {error}") from error
    assert sum(count for step, count in died.items() if step) > 0
