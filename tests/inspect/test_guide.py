"""The guide's examples run as they stand, and print what they say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from labkit.server import find_server
from tests.project import PROJECT


@pytest.mark.skipif(find_server() is None, reason="fakeredis tells no memory")
def test_the_examples_of_the_guide_run() -> None:
    guide = (PROJECT / "docs" / "inspect.md").read_text("utf-8")
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", guide)
    assert len(blocks) == 2
    code = "\n".join(blocks)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
