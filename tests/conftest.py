"""What several folders of tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

from labkit.course.bench import Bench
from tests.scale import FACTOR, SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterator

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
