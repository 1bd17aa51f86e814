"""How the site answers over HTTP: documents, their headers, and 304 for what a reader has."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

FRESH = "public, max-age=5, stale-while-revalidate=60"
"""What browsers and proxies may do with a page."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "


def html(
    text: str, status: int = 200, headers: Mapping[str, str] | None = None, script: str = ""
) -> Response:
    """A document; unless its headers say otherwise, nobody keeps it.

    Args:
        text: The document.
        status: The status.
        headers: Headers.
        script: The one script that it may run, as its element holds it.
    """
    policy = _POLICY + "form-action 'self'"
    if script:
        digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'; connect-src 'self'"
    given = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    return Response(text, status, given | dict(headers or {}), "text/html; charset=utf-8")


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON, which nobody keeps."""
    given = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    text = msgspec.json.encode(value)
    return Response(text, status, given | dict(headers or {}), "application/json")


def is_json(request: Request) -> bool:
    """Whether a request carries JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def kept(etag: str, *, stale: bool, hit: bool, asked: bool = False) -> dict[str, str]:
    """The headers of a page that readers may keep, and that says whether it is out of date.

    Args:
        etag: Its ETag.
        stale: Whether it may be out of date.
        hit: Whether the cache had it.
        asked: Whether a browser has to ask each time if it still holds.
    """
    return {
        "ETag": etag,
        "Cache-Control": "no-cache" if stale or asked else FRESH,
        "X-Cache": "stale" if stale else "hit" if hit else "miss",
    }


def has(request: Request, etag: str) -> bool:
    """Whether a reader has the page of this ETag already."""
    shown = request.headers.get("if-none-match", "")
    known = {each.strip().removeprefix("W/") for each in shown.split(",")}
    return not known.isdisjoint({"*", etag.removeprefix("W/")})


def not_modified(headers: Mapping[str, str]) -> Response:
    """The answer to a reader who has the page."""
    return Response(status_code=304, headers=dict(headers))


def etag_of(text: str) -> str:
    """The ETag of a page that has no versions."""
    return f'"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"'
