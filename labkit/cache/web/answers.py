"""The responses to requests: what is kept, and what its readers are told of it."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from starlette.responses import Response

from labkit.cache.web.conditions import has_it
from labkit.cache.web.directives import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from labkit.cache.options import Options
    from labkit.cache.web.kept import Kept
    from labkit.clock import Clock

# What RFC 9110, 15.4.5 wants in a 304; with Age, so that what was kept is not taken for new.
_OF_304 = frozenset(
    {
        *(b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"),
        *(b"age", b"x-cache"),
    }
)


class Answers:
    """Answers the requests of one route.

    Args:
        options: How its responses are kept.
        vary: The headers of requests that choose among responses.
        sessions: Whether requests that have a session are not shared.
        private: Whether a response is for one reader.
        max_age: For how many seconds readers may keep it at most; None: as long as it is fresh.
        x_cache: Whether responses say what they are.
        clock: Tells ages.
    """

    def __init__(
        self,
        options: Options,
        *,
        vary: Sequence[str],
        sessions: bool,
        private: bool,
        max_age: float | None,
        x_cache: bool,
        clock: Clock,
    ) -> None:
        self._options = options
        self._vary = vary
        self._sessions = sessions
        self._private = private
        self._max_age = max_age
        self._x_cache = x_cache
        self._clock = clock

    def of(
        self, kept: Kept, request: Request, told: Response, where: str, background: Any
    ) -> Response:
        """The response to a request that gets what is kept.

        Args:
            kept: What is kept.
            request: The request.
            told: Has the headers that dependencies set for this request.
            where: `hit`, `miss` or `stale`.
            background: What is to be done when the response was sent.

        Raises:
            HTTPException: One is kept.
        """
        answer = Response(status_code=kept.status, background=background)
        answer.raw_headers = list(kept.headers)
        headers = answer.headers
        for name in self._vary:
            headers.add_vary_header(name)
        if self._sessions and "session" in request.scope:  # whose cookie has a name of its own
            headers.add_vary_header("cookie")
        self._say_how_long(kept, answer, where, private="set-cookie" in told.headers)
        self.mark(answer, where)
        if kept.raised:
            raise HTTPException(kept.status, kept.detail(), dict(headers))
        successful = HTTPStatus.OK <= kept.status < HTTPStatus.MULTIPLE_CHOICES
        if successful and has_it(
            request.headers, kept.header("etag"), kept.header("last-modified")
        ):
            answer.status_code = HTTPStatus.NOT_MODIFIED
            answer.raw_headers = [pair for pair in answer.raw_headers if pair[0] in _OF_304]
        else:
            if request.method == "GET":
                answer.body = kept.body
            if kept.status != HTTPStatus.NO_CONTENT:
                headers["Content-Length"] = str(len(kept.body))
        answer.raw_headers.extend(told.headers.raw)
        return answer

    def handed(self, made: Response | Exception, told: Response, what: str = "miss") -> Response:
        """What was made for this request, and nobody else gets.

        Args:
            made: A response, or an error.
            told: Has the headers that dependencies set for this request.
            what: What it is.

        Raises:
            Exception: It is one.
        """
        if isinstance(made, Exception):
            raise made
        made.headers.raw.extend(told.headers.raw)
        self.mark(made, what)
        return made

    def mark(self, answer: Response, what: str) -> None:
        """Say in a response what it is."""
        if self._x_cache:
            answer.headers["X-Cache"] = what

    def _say_how_long(self, kept: Kept, answer: Response, where: str, *, private: bool) -> None:
        age = max(0.0, self._clock() - kept.made)
        counts = True
        if private or kept.header("cache-control") is None:
            text, counts = control(
                lifetime=kept.lifetime,
                left=None if kept.lifetime is None else kept.lifetime - age,
                most=self._max_age,
                while_revalidate=self._options.stale_while_revalidate,
                if_error=self._options.stale_if_error,
                private=self._private or private,
            )
            answer.headers["Cache-Control"] = text
        if counts and where != "miss":
            # Rounded up: nobody keeps it for longer than it is fresh here.
            answer.headers["Age"] = str(math.ceil(age))
