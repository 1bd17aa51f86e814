"""Conditional requests, as RFC 9110 has them: entity tags, and who has the response already."""

from __future__ import annotations

import hashlib
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers

_TAG = re.compile(r'\s*(?:(W/)?("[\x21\x23-\x7e\x80-\xff]*"))?\s*(?:,|\Z)')

# What a response must say of its body for the same bytes to mean the same.
_MEANING = (b"content-type", b"content-encoding", b"content-language")


def etag_of(body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> str:
    """The strong entity tag of a body: a digest of it, and of the headers that say how to read it.

    Args:
        body: The body.
        headers: The headers of the response, with names in lower case.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, value in headers:
        if name in _MEANING:
            digest.update(b"%b:%b\n" % (name, value))
    digest.update(b"\n")
    digest.update(body)
    return f'"{digest.hexdigest()}"'


def tags_in(text: str) -> frozenset[str] | None:
    """The opaque tags that an If-None-Match names, without `W/`; None stands for `*`, any.

    A text that is no list of entity tags names none, so that its sender gets the whole response.
    """
    if text.strip() == "*":
        return None
    found, at = set(), 0
    while at < len(text):
        match = _TAG.match(text, at)
        if match is None:
            return frozenset()
        if match[2]:
            found.add(match[2])
        at = match.end()
    return frozenset(found)


def has_it(request: Headers, etag: str | None, modified: str | None) -> bool:
    """Whether the sender of a request has the response already.

    Tags are compared weakly, as a GET wants it. If-Modified-Since counts only where there is no
    If-None-Match.

    Args:
        request: The headers of the request.
        etag: The ETag of the response.
        modified: Its Last-Modified.
    """
    lines = request.getlist("if-none-match")
    if lines:
        named = tags_in(",".join(lines))
        return named is None or (etag is not None and etag.removeprefix("W/") in named)
    since = request.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):  # one is no date, or only one has a zone
        return False
