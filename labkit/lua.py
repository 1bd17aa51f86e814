"""Lua scripts that stand in files beside the module that sends them."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources

_INCLUDE = re.compile(r"(?m)^--!include (\w+)\n")
_COMMENT = re.compile(r"(?m)^\s*--[^\n]*\n")


@dataclass(frozen=True)
class Script:
    """A Lua script.

    Attributes:
        text: What is sent, includes put in and comments taken out.
        digest: The SHA-1 under which a server keeps it.
    """

    text: str
    digest: str


@functools.cache
def script(package: str, name: str) -> Script:
    """The script in the file `lua/<name>.lua` of a package.

    A line `--!include other` stands for the text of `lua/other.lua`.
    """
    text = _COMMENT.sub("", _source(package, name))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _source(package: str, name: str) -> str:
    text = (resources.files(package) / "lua" / f"{name}.lua").read_text("utf-8")
    return _INCLUDE.sub(lambda match: _source(package, match[1]), text)
