"""Cache-Control: what others say in it, and what a kept response says."""

from __future__ import annotations

import math
import re

_DIRECTIVE = re.compile(r"""([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?""")


def directives(text: str) -> dict[str, str | None]:
    """The directives of a Cache-Control by their names in lower case, with what follows their `=`.

    The first one of a name counts.
    """
    found: dict[str, str | None] = {}
    for name, quoted, plain in _DIRECTIVE.findall(text):
        found.setdefault(name.lower(), quoted or plain or None)
    return found


def seconds_of(found: dict[str, str | None], name: str) -> float | None:
    """The seconds of a directive; None where it is not there. What is no number counts as 0."""
    if name not in found:
        return None
    text = found[name] or ""
    return float(text) if text.isascii() and text.isdecimal() else 0.0


def control(
    *,
    lifetime: float | None,
    left: float | None,
    most: float | None,
    while_revalidate: float,
    if_error: float,
    private: bool,
) -> tuple[str, bool]:
    """What readers are told about a response, and whether its Age belongs to that.

    A lifetime is told whole and always the same, and Age says how much of it is over: readers
    subtract it (RFC 9111, 4.2). Where they are told less, it counts from now, without an Age.

    Args:
        lifetime: For how many seconds the response is fresh from when it was made; None: for ever,
            until it is invalidated, which readers do not hear of.
        left: How many of them are left.
        most: For how many seconds readers may keep it at most; None: as long as it is fresh.
        while_revalidate: For how many seconds after that it may be given out meanwhile.
        if_error: For how many seconds after that it may be given out where there is no new one.
        private: Whether it is for one reader.
    """
    told = ["private"] if private else []
    if most is not None:
        span = most if left is None else max(0.0, min(most, left))
        told.append(f"max-age={math.floor(span)}" if span >= 1 else "no-cache")
        return ", ".join(told), False
    if lifetime is None:
        return ", ".join([*told, "no-cache"]), False
    told.append(f"max-age={math.floor(lifetime)}")
    if while_revalidate >= 1:
        told.append(f"stale-while-revalidate={math.floor(while_revalidate)}")
    if if_error >= 1:
        told.append(f"stale-if-error={math.floor(if_error)}")
    return ", ".join(told), True
