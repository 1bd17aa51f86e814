"""The guides in docs/: the examples of one, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.project import PROJECT


def examples(name: str, *, blocks: int) -> tuple[str, list[str]]:
    """The Python in a guide, so many blocks one after the other, and the lines that it prints."""
    guide = (PROJECT / "docs" / f"{name}.md").read_text("utf-8")
    found = re.findall(r"(?ms)^```python\n(.*?)^```", guide)
    assert len(found) == blocks
    code = "\n".join(found)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return code, result.stdout.splitlines()
