"""Names with a slash in a path: `/members/red%2Fada` is the member `red/ada`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from labkit.leaderboard.api.problems import respond

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SLASH = re.compile(rb"%2f", re.IGNORECASE)


class EncodedSlashes:
    """Keeps a slash that came encoded from dividing the path.

    Servers decode the whole path before it is divided. Until the path's parts are read (`plain`),
    such a slash is a NUL, which no name may have.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks."""
        if "\0" in scope.get("path", ""):
            response = respond(scope, 404, "", "The path has a NUL (%00); no name has one.")
            await response(scope, receive, send)
            return
        raw: bytes = scope.get("raw_path") or b""
        if _SLASH.search(raw):
            scope["path"] = unquote(_SLASH.sub(b"%00", raw).decode("latin-1"))
        await self.app(scope, receive, send)


def plain(part: str) -> str:
    """A part of the path, its slashes put back."""
    return part.replace("\0", "/")
