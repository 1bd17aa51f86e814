"""Where a comment stands: texts whose order, byte by byte, is that of the comments.

A sorted set puts members of the same score into the order of their bytes. So the views give every
member the score 0, and write into the member what the order rests on. A score is a double, which
has 53 bits: too few for votes, a moment and a number at once. The order of texts is exact, and a
page begins after any of them, whether or not a comment stands there still (ZRANGEBYLEX, O(log N)).
"""

from __future__ import annotations

import re
import struct

from labkit.newsroom import Comment

_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_RANK = re.compile(r"([0-9a-f]{16})([0-9a-f]{16})([0-9]{19})")


def place(comment: Comment) -> str:
    """A text that orders comments by time, and by their numbers where that is the same.

    16 hex digits of the moment, and the number in 19 digits.
    """
    return f"{_rising(comment.posted_at):016x}{comment.id:019d}"


def rank(comment: Comment) -> str:
    """A text that orders comments by score, the highest first, and else as `place` does.

    16 hex digits that fall as the score rises, and the place.
    """
    return f"{_SIGN - comment.score:016x}{place(comment)}"


def comment_at(rank: str) -> Comment:
    """A comment that stands there, of which nothing else is known.

    Raises:
        ValueError: No comment has that rank.
    """
    parts = _RANK.fullmatch(rank)
    number = int(parts[3]) if parts else 0
    if parts is None or not 0 < number < _SIGN:
        raise ValueError(f"{rank[:60]!r} is no place among comments; take it from a page of them")
    bits = int(parts[2], 16)
    moment = struct.unpack(">d", struct.pack(">Q", bits ^ (_SIGN if bits & _SIGN else _ALL)))[0]
    if moment - moment != 0:
        raise ValueError(f"{rank[:60]!r} is no place among comments; take it from a page of them")
    return Comment(number, 0, "", "", moment, False, score=_SIGN - int(parts[1], 16))


def _rising(moment: float) -> int:
    """The bits of a double, as a whole number that rises with it."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", moment + 0.0))  # -0.0 becomes 0.0
    return int(bits ^ (_ALL if bits & _SIGN else _SIGN))
