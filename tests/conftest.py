"""What several folders of tests share."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from labkit import LocalServer
from labkit.course.bench import Bench
from labkit.server import find_server
from tests.scale import FACTOR, SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

CLUSTER_DEADLINE = 20.0  # seconds

# A busy machine makes an example slow and nothing wrong; tests do not look at the clock.
hypothesis.settings.register_profile(
    "labkit", deadline=None, print_blob=True, max_examples=times(100)
)
hypothesis.settings.load_profile("labkit")


def pytest_report_header() -> str:
    return f"labkit: seed {SEED}, numbers x {FACTOR}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.soak)


@pytest.fixture(scope="session", params=["fakeredis", "server"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A server for checks: each test that takes it runs on fakeredis and on a real one."""
    bench = Bench(fake=request.param == "fakeredis")
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """Three nodes on loopback that share the slots."""
    if find_server() is None:
        pytest.skip("there is no Redis or Valkey to start")
    config = {"cluster-enabled": "yes", "cluster-node-timeout": "5000"}
    secret = "cluster-secret"
    with ExitStack() as stack:
        nodes = [stack.enter_context(LocalServer(config=config)) for _ in range(3)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        bounds = [0, 5461, 10923, 16384]
        for number, client in enumerate(clients):
            client.config_set("requirepass", secret)
            client.execute_command(
                "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1
            )
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        pause, deadline = threading.Event(), time.monotonic() + CLUSTER_DEADLINE
        while not all(map(_covers_all_slots, clients)):
            assert time.monotonic() < deadline, "the cluster did not come up"
            pause.wait(0.01)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        yield f"redis+cluster://:{secret}@{hosts}"


def _covers_all_slots(client: redis.Redis) -> bool:
    info: Any = client.cluster("INFO")
    return bool(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3")
