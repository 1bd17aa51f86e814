"""The guide's examples run as they stand, and print what they say."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.project import PROJECT


def test_the_examples_of_the_guide_run() -> None:
    guide = (PROJECT / "docs" / "chat.md").read_text("utf-8")
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", guide)
    assert len(blocks) == 4
    code = "\n".join(blocks)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == re.findall(r"print\(.*\)  # (.*)", code)
