"""Whole responses of FastAPI routes, kept in a cache; needs the extra `api`.

    @app.get("/articles/{id}")
    @cached_response(cache, ttl="5m", tags=["article:{id}"])
    def article(id: int) -> Article: ...

    cache.invalidate(tag="article:17")

A load, a hit and an invalidation are those of any other value: a stampede makes the route run once,
in all processes; and what is stale is given out while the route runs in the background, where the
options say so. The readers are told what they may keep (RFC 9111, RFC 5861), and get a 304 for what
they have (RFC 9110).

Where things are: `routes` is the decorator, `identity` says which requests get the same response,
`parameters` what a route reads of a request, `kept` what is stored and what never is, `rendering`
how a route's value becomes a response, `answers` what readers get, `conditions` and `directives`
what the headers mean, and `lifespan` what an application does with its caches.
"""

from __future__ import annotations

from labkit.cache.web.kept import Kept
from labkit.cache.web.lifespan import install
from labkit.cache.web.routes import cached_response

__all__ = ["Kept", "cached_response", "install"]
