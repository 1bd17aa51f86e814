"""What is stored of a response, and which ones never are."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache.web.directives import directives, seconds_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.exceptions import HTTPException
    from starlette.responses import Response

# Parts, and answers to conditions: they are of the request as much as of the resource.
_OF_THE_REQUEST = frozenset({206, 304})


class Kept(msgspec.Struct, frozen=True):
    """A response as it is stored.

    Attributes:
        status: The status.
        headers: Names in lower case and values, without Content-Length.
        body: The body; of an error that was raised, its detail as JSON.
        made: When it was made, seconds since 1970.
        lifetime: For how many seconds it is fresh; None: for ever; 0: it is not stored.
        raised: Whether it is an `HTTPException`.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    made: float = 0.0
    lifetime: float | None = None
    raised: bool = False

    def header(self, name: str) -> str | None:
        """The value of a header, its lines joined by commas; None where it is not there."""
        wanted = name.lower().encode("latin-1")
        lines = [value.decode("latin-1") for key, value in self.headers if key == wanted]
        return ", ".join(lines) if lines else None

    def detail(self) -> Any:
        """What the error says that was raised."""
        return json.loads(self.body)


def of_response(response: Response) -> Kept | None:
    """What there is to store of a response; None of a stream, a file or a part."""
    body = getattr(response, "body", None)
    if not isinstance(body, bytes | memoryview):
        return None
    headers = [(name.lower(), value) for name, value in response.raw_headers]
    kept = tuple(pair for pair in headers if pair[0] != b"content-length")
    return Kept(int(response.status_code), kept, bytes(body))


def of_error(error: HTTPException) -> Kept:
    """What there is to store of an error that a route raised."""
    headers = dict(error.headers or {})
    pairs = ((k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items())
    body = json.dumps(error.detail).encode()
    return Kept(int(error.status_code), tuple(pairs), body, raised=True)


def storable(
    kept: Kept, *, statuses: Collection[int], vary: Collection[str], private: bool
) -> bool:
    """Whether a response may be given to others who ask the same.

    Args:
        kept: The response.
        statuses: The statuses from 400 on that may.
        vary: The headers of the request that the key has, in lower case.
        private: Whether "others" are only the same reader.
    """
    if kept.status in _OF_THE_REQUEST or (kept.status >= 400 and kept.status not in statuses):
        return False
    if kept.header("set-cookie") is not None:
        return False
    named = {each.strip().lower() for each in (kept.header("vary") or "").split(",")} - {""}
    if not named.issubset(vary):
        return False
    said = directives(kept.header("cache-control") or "")
    return not ({"no-store", "no-cache"} & set(said) or ("private" in said and not private))


def own_lifetime(kept: Kept, now: float) -> float | None:
    """For how many seconds a response says itself that it is fresh; None: it does not say.

    Args:
        kept: The response.
        now: When it was made, seconds since 1970.
    """
    said = directives(kept.header("cache-control") or "")
    for name in ("s-maxage", "max-age"):
        if (found := seconds_of(said, name)) is not None:
            return found
    expires = kept.header("expires")
    if expires is None:
        return None
    try:
        return max(0.0, parsedate_to_datetime(expires).timestamp() - now)
    except (TypeError, ValueError, OverflowError):  # such as "0", which means at once
        return 0.0
