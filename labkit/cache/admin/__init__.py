"""A cache over HTTP, for those who run it: what it holds and does, and what shall go or come.

    app = create_app(smart, keys=["ops:admin:SECRET"])

or, in an application of one's own:

    app.include_router(router(smart), prefix="/cache")

Keys have a scope, as those of the leaderboard: `read` sees numbers, `write` drops and warms, and
`admin` may clear everything and see how a value begins. Without keys it answers this machine alone.
It needs the extra `api`.
"""

from __future__ import annotations

from labkit.apikeys import ApiKey
from labkit.cache.admin.app import create_app
from labkit.cache.admin.routes import router

__all__ = ["ApiKey", "create_app", "router"]
