"""The guide's examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.project import PROJECT


def test_the_examples_of_the_guide_run() -> None:
    guide = (PROJECT / "docs" / "leaderboard.md").read_text("utf-8")
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", guide)
    assert len(blocks) == 4
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    printed = result.stdout.splitlines()
    assert printed[0] == "1 None new"
    assert printed[2] == "2 ada 4200.0 {'country': 'PT'}"
    assert "member='dan'" in printed[-1]
