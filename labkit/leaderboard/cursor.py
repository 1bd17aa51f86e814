"""Cursors: a place in a board's order, signed, that a client keeps without understanding it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

import msgspec

from labkit.leaderboard.errors import CursorRefused

_SIGNATURE = 16
_ROW = re.compile(r"[0-9a-f]{18}.+", re.DOTALL)
_SCORE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
_DAMAGED = "the cursor is damaged, or was not made by this board; start again without one"


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The place of a row, and the direction in which to go on from it.

    Attributes:
        where: `"after"` or `"before"` the row.
        period: The id of the period that it leads through.
        snapshot: The name of the snapshot that it leads through; empty for the live board.
        score: The row's score as Redis wrote it: every digit counts.
        row: The row.
        position: How many rows came before it: where to look first if it has moved away.
    """

    where: str
    period: str
    snapshot: str
    score: str
    row: str
    position: int

    def sign(self, board: str, secret: str) -> str:
        """The text that a client gets."""
        body = msgspec.json.encode(self)
        return base64.urlsafe_b64encode(_signature(body, board, secret) + body).decode()


class SignedCursor:
    """A cursor as it came back: read at once, and believed after `verify`.

    Raises:
        CursorRefused: The text is no cursor.
    """

    def __init__(self, text: object) -> None:
        if not isinstance(text, str):
            raise CursorRefused(f"the cursor is {text!r}; expected the text that a page gave")
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii"))
            self._signature, self._body = raw[:_SIGNATURE], raw[_SIGNATURE:]
            self.cursor = msgspec.json.decode(self._body, type=Cursor)
            valid = (
                base64.urlsafe_b64encode(raw).decode() == text
                and self.cursor.where in ("after", "before")
                and _SCORE.fullmatch(self.cursor.score)
                and _ROW.fullmatch(self.cursor.row)
            )
        except (UnicodeEncodeError, binascii.Error, ValueError, msgspec.DecodeError):
            valid = None
        if not valid:
            raise CursorRefused(_DAMAGED)

    def verify(self, board: str, secret: str | None) -> None:
        """Compare the signature, in constant time.

        Raises:
            CursorRefused: The cursor is not one that this board gave.
        """
        expected = _signature(self._body, board, secret or "")
        if not secret or not hmac.compare_digest(self._signature, expected):
            raise CursorRefused(_DAMAGED)


def _signature(body: bytes, board: str, secret: str) -> bytes:
    message = board.encode() + b"\0" + body
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()[:_SIGNATURE]
