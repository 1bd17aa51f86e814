"""Routes whose responses are kept."""

from __future__ import annotations

import functools
import inspect
import operator
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from labkit.cache.engine import Call
from labkit.cache.keys import Template
from labkit.cache.keys.names import name_of
from labkit.cache.options import checked_tags, refuse_unknown
from labkit.cache.options import time as checked_time
from labkit.cache.origins import origins
from labkit.cache.serializers import MessagePack
from labkit.cache.smart import caches_of
from labkit.cache.steps import run_async
from labkit.cache.web.answers import Answers
from labkit.cache.web.conditions import etag_of
from labkit.cache.web.directives import directives, seconds_of
from labkit.cache.web.identity import Identity, filled
from labkit.cache.web.kept import Kept, of_error, of_response, own_lifetime, storable
from labkit.cache.web.parameters import parameter_of, reads, with_parameters
from labkit.cache.web.rendering import Renderer

if TYPE_CHECKING:
    from labkit.cache.base import BaseCache
    from labkit.cache.options import TTL
    from labkit.cache.smart import Hub
    from labkit.clock import Clock

    Vary = Sequence[str] | Mapping[str, Callable[[str], str] | None]

VARY = ("accept", "accept-language")
_GET = ("GET", "HEAD")
_REQUEST, _RESPONSE = "labkit_request", "labkit_response"


class Keeping(TypedDict, total=False):
    """How responses are kept; each as in `Cache`, whose options hold otherwise."""

    ttl: TTL | Callable[[Any], TTL]
    jitter: float
    errors: Mapping[type[Exception], float | str]
    stale_while_revalidate: float | str
    stale_if_error: float | str
    refresh_ahead: float
    early: float
    lease: float | str


def cached_response(
    cache: BaseCache | Hub[Any],
    *,
    key: str | Callable[[Request], str] | None = None,
    tags: Sequence[str] | Callable[[Request], Sequence[str]] = (),
    vary: Vary = VARY,
    private: bool | Callable[[Request], str] = False,
    statuses: Collection[int] = (),
    max_age: float | str | None = None,
    obey_client: bool = False,
    x_cache: bool = False,
    clock: Clock = time.time,
    **keeping: Unpack[Keeping],
) -> Callable[[Callable[..., Any]], Callable[..., Coroutine[Any, Any, Any]]]:
    """Keep the responses of a FastAPI route: status, headers and body.

        @app.get("/articles/{id}")
        @cached_response(cache, ttl="5m", tags=["article:{id}"])
        def article(id: int) -> Article: ...

    It stands under the decorator of the route, which may be a function or a coroutine function,
    over a `Cache` or an `AsyncCache`. What FastAPI does before it calls a route is done each time:
    parameters are checked, and dependencies run, such as those that let nobody in. Tags are said
    before the route runs, since a load is claimed together with its tags: they are templates over
    the parameters of the route, or a function of the request.

    GET and HEAD requests get the same response where host, path, query, the headers of `vary` and
    those that are parameters of the route are the same. Never shared are requests with other
    methods, with a body, and, unless `private` or `key` says whose response it is, those that have
    an Authorization, an API key of `fastapi.security`, a cookie that is a parameter, or a session
    or user of Starlette's middlewares. What a route or a dependency takes out of the `Request`
    itself nobody can see: name it in `vary` or `key`.

    Never stored are responses with Set-Cookie, with `no-store`, `no-cache` or `private` in their
    Cache-Control, with a Vary that names what the key does not have, with a status from 400 on that
    `statuses` does not name, and streams and files. A max-age of the route's own bounds the `ttl`.

    Args:
        cache: Where responses are kept, under keys that begin with `web:`; see
            `labkit.cache.web.identity`. Of a smart cache it is its `cache`.
        key: What is asked for: a template over the parameters of the route, such as
            `"article:{id}"`, or a function of the request; routes with the same key are one.
            Default: host, path and query.
        tags: Templates of tags, or a function of the request.
        vary: The headers of a request that choose among variants, or by their names functions that
            bring the value into a common form, such as `lambda text: text[:2]`; None leaves it.
        private: Whether a response is for one reader: each who shows another Authorization or other
            cookies has their own, or whom a function of the request says. Proxies do not keep it.
        statuses: The statuses from 400 on that are stored, such as `{404}`; also where an
            `HTTPException` was raised.
        max_age: For how long browsers and proxies may keep a response without asking, at most: they
            hear of no invalidation. 0 makes them ask each time, and get a 304. Default: as long as
            it is fresh here.
        obey_client: Whether `no-cache`, `no-store` and `max-age` in the Cache-Control of a request
            are obeyed. Then everybody can make the route run.
        x_cache: Whether responses say in `X-Cache` what they are: `hit`, `miss`, `stale`, or
            `bypass` for what is never shared.
        clock: The time by which ages are told, the same in all processes.
        **keeping: How responses are kept; see `Keeping`. A `ttl` that is a function gets a `Kept`.

    Returns:
        A decorator; what takes the route's place is a coroutine function.

    Raises:
        TypeError: It is no function, or streams; or there is no such cache or option.
        ValueError: A template names no parameter, an option makes no sense, or values are to be
            loaded in the background while a parameter of the route ends with its request.
    """
    first, *_ = caches_of(cache).values()
    refuse_unknown(keeping, Keeping.__annotations__)

    def decorate(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
        return _Route(
            first,
            function,
            key=key,
            tags=tags,
            vary=vary,
            private=private,
            statuses=statuses,
            max_age=None if max_age is None else checked_time("max_age", max_age),
            obey_client=obey_client,
            x_cache=x_cache,
            clock=clock,
            keeping=keeping,
        ).endpoint()

    return decorate


class _Failed(Exception):
    """A route answered with a status from 500 on: a load that failed."""


class _Route:
    """A route whose responses are kept; the arguments are those of `cached_response`."""

    def __init__(
        self,
        cache: BaseCache,
        function: Callable[..., Any],
        *,
        key: str | Callable[[Request], str] | None,
        tags: Sequence[str] | Callable[[Request], Sequence[str]],
        vary: Vary,
        private: bool | Callable[[Request], str],
        statuses: Collection[int],
        max_age: float | None,
        obey_client: bool,
        x_cache: bool,
        clock: Clock,
        keeping: Keeping,
    ) -> None:
        _check(function)
        self._function = function
        self._engine = cache._engine
        self._shown = cache._options.but(sliding=False, **keeping)
        # The lifetime is drawn when the response is made, so that it can be told.
        self._options = self._shown.but(
            ttl=operator.attrgetter("lifetime"),
            jitter=0.0,
            negative_ttl="same",
            serializer=MessagePack(Kept),
            copy=False,
        )
        self._counters = self._engine.counters_for(name_of(function))
        self._reads = reads(function)
        self._check_ends()
        if isinstance(vary, str):
            raise TypeError(f"vary is the text {vary!r}; expected several headers: [{vary!r}]")
        normal = dict(vary) if isinstance(vary, Mapping) else dict.fromkeys(vary)
        self._vary = dict.fromkeys(sorted(self._reads.headers)) | {
            name.lower(): how for name, how in normal.items()
        }
        self._identity = Identity(function, key=key, vary=self._vary, private=private)
        self._private = bool(private)
        self._shares_secrets = bool(private) or key is not None
        # Headers that cannot make a difference: they are in the key, or their requests not shared.
        who = self._who(private=bool(private), shared=self._shares_secrets)
        self._covered = frozenset(self._vary) | (who if private else who - {"cookie"})
        if isinstance(tags, str):
            raise TypeError(f"tags is the text {tags!r}; expected several tags: [{tags!r}]")
        self._tags = tags if callable(tags) else [Template(tag, function) for tag in tags]
        self._statuses = frozenset(statuses)
        self._answers = Answers(
            self._shown,
            vary=[*self._vary, *sorted(who)],
            sessions=not self._shares_secrets,
            private=self._private,
            max_age=max_age,
            x_cache=x_cache,
            clock=clock,
        )
        self._obeys = obey_client
        self._clock = clock
        self._renders = Renderer()
        self._awaited = any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function))))
        self._request_name = parameter_of(function, HTTPConnection)
        self._response_name = parameter_of(function, Response)

    def endpoint(self) -> Callable[..., Coroutine[Any, Any, Any]]:
        """What takes the place of the function."""
        # FastAPI fills one parameter of each kind.
        added: dict[str, type] = {}
        if self._request_name is None:
            added[_REQUEST] = Request
        if self._response_name is None:
            added[_RESPONSE] = Response

        @functools.wraps(self._function)
        async def answer(**arguments: Any) -> Any:
            request = arguments[self._request_name or _REQUEST]
            told = arguments[self._response_name or _RESPONSE]
            for name in added:
                del arguments[name]
            return await self.answer(request, told, arguments)

        answer.__signature__ = with_parameters(self._function, added)  # type: ignore[attr-defined]
        return answer

    async def answer(self, request: Request, told: Response, arguments: dict[str, Any]) -> Any:
        """The response to a request, or what FastAPI makes one of.

        Args:
            request: The request.
            told: Has the headers that dependencies set.
            arguments: The arguments of the function.
        """
        said = directives(_lines(request, "cache-control")) if self._obeys else {}
        if not self._shared(request) or "no-store" in said:
            return await self._aside(told, arguments, "bypass")
        load = _Load(self, request, arguments)
        refresh = "no-cache" in said or (
            self._obeys and not said and _lines(request, "pragma").strip().lower() == "no-cache"
        )
        found, where = await self._found(load, refresh=refresh)
        most = seconds_of(said, "max-age")
        old = found is not None and most is not None and self._clock() - found.made > most
        if old and where != "miss":
            load = _Load(self, request, arguments)
            found, where = await self._found(load, refresh=True)
        if found is not None and found.lifetime != 0:
            return self._answers.of(found, request, told, where, load.background)
        if load.made is None:  # another one's, and theirs alone
            return await self._aside(told, arguments, "miss")
        return self._answers.handed(load.made, told)

    async def call(self, arguments: dict[str, Any]) -> Any:
        """What the function returns; one that blocks runs in a thread."""
        if self._awaited:
            value = self._function(**arguments)
            return await value if inspect.isawaitable(value) else value
        return await run_in_threadpool(self._function, **arguments)

    async def render(self, request: Request, arguments: dict[str, Any]) -> Response:
        """The response that FastAPI makes of what the function returns."""

        async def call(fresh: Response) -> Any:
            if self._response_name is None:
                return await self.call(arguments)
            # Not the one that dependencies have set headers on, which are of one request.
            return await self.call({**arguments, self._response_name: fresh})

        return await self._renders(request, call)

    async def measured(self, kept: Kept, key: str, *, replaces: bool) -> Kept:
        """What was made, with what is told of it; with a lifetime of 0 where it is not stored.

        Args:
            kept: The response.
            key: Its key.
            replaces: Whether an older one may be there.
        """
        if not storable(kept, statuses=self._statuses, vary=self._covered, private=self._private):
            lifetime: float | None = 0.0
        else:
            lifetime, own = self._shown.lifetime(kept, key), own_lifetime(kept, self._clock())
            if own is not None:
                lifetime = own if lifetime is None else min(lifetime, own)
        if lifetime is not None and lifetime <= 0:
            if replaces:  # it is not what the route answers any more
                await run_async(self._engine.delete([key]))
            return Kept(kept.status, (), b"", lifetime=0.0)
        headers = kept.headers
        if not kept.raised and kept.header("etag") is None:
            headers += ((b"etag", etag_of(kept.body, headers).encode()),)
        made = float(self._clock())
        return Kept(kept.status, headers, kept.body, made, lifetime, kept.raised)

    async def _found(self, load: _Load, *, refresh: bool) -> tuple[Kept | None, str]:
        """What is kept or was loaded, None for a load that failed; and what `X-Cache` says."""
        request, arguments = load.request, load.arguments
        if callable(self._tags):
            tags = checked_tags(self._tags(request))
        else:
            tags = tuple(filled(template, arguments) for template in self._tags)
        load.replaces = refresh or self._options.aging
        load.key = self._identity.key_of(request, arguments)
        call = Call(load.key, tags, self._options, self._counters, load)
        try:
            with origins() as seen:
                kept: Kept = await run_async(self._engine.load(call, refresh=refresh))
        except _Failed:
            return None, "miss"
        origin = seen.get(load.key)
        if origin is None or (origin.where == "loaded" and not origin.stale):
            return kept, "miss"
        return kept, "stale" if origin.stale else "hit"

    def _shared(self, request: Request) -> bool:
        """Whether the response of a request may be another one's too."""
        if request.method not in _GET or "transfer-encoding" in request.headers:
            return False
        if request.headers.get("content-length", "0") != "0":
            return False
        if self._shares_secrets:
            return True
        return not (
            any(name in request.headers for name in self._reads.secret_headers)
            or any(name in request.cookies for name in self._reads.cookies)
            # What Starlette's middlewares know of who asks.
            or request.scope.get("session")
            or getattr(request.scope.get("user"), "is_authenticated", False)
        )

    async def _aside(self, told: Response, arguments: dict[str, Any], what: str) -> Any:
        """What the function returns, without the cache."""
        value = await self.call(arguments)
        if isinstance(value, Response):
            return self._answers.handed(value, told, what)
        self._answers.mark(told, what)
        return value

    def _who(self, *, private: bool, shared: bool) -> frozenset[str]:
        """The headers that say who asks, in so far as that makes a difference."""
        if private:
            return frozenset({"authorization", "cookie"})
        if shared:
            return frozenset()
        return frozenset(
            self._reads.secret_headers | ({"cookie"} if self._reads.cookies else set())
        )

    def _check_ends(self) -> None:
        options, ending = self._shown, self._reads.ending
        if ending and (options.stale_while_revalidate or options.refresh_ahead or options.early):
            raise ValueError(
                f"{self._function.__qualname__} gets {', '.join(ending)}, which ends with the "
                "request, and the options have it run in the background after that; open what it "
                "needs inside of it, or leave out stale_while_revalidate, refresh_ahead and early"
            )


class _Load:
    """Runs a route for one request.

    Attributes:
        request: The request.
        arguments: The arguments of the function.
        key: The key of the request.
        replaces: Whether an older response may be there.
        made: What this made and nobody else may get: a response, or an error.
        background: What is to be done after the response was sent.
    """

    def __init__(self, route: _Route, request: Request, arguments: dict[str, Any]) -> None:
        self._route = route
        self.request = request
        self.arguments = arguments
        self.key = ""
        self.replaces = False
        self.made: Response | AnyHTTPException | None = None
        self.background: Any = None

    async def __call__(self) -> Kept:
        """What the route answers; with a lifetime of 0 where that is for this request alone."""
        try:
            self.made = response = await self._route.render(self.request, self.arguments)
        except AnyHTTPException as error:
            if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR and not self._asked(error):
                raise
            self.made = error
            # One of a class of its own may be shown in a way of its own.
            plain = type(error) in (HTTPException, AnyHTTPException)
            kept = of_error(error) if plain and self._asked(error) else None
        else:
            self.background = response.background
            kept = of_response(response)
            status = response.status_code
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not self._asked(response):
                raise _Failed
        if kept is None:
            kept = Kept(HTTPStatus.PARTIAL_CONTENT, (), b"")
        return await self._route.measured(kept, self.key, replaces=self.replaces)

    def _asked(self, answer: Response | AnyHTTPException) -> bool:
        return answer.status_code in self._route._statuses


def _lines(request: Request, name: str) -> str:
    return ",".join(request.headers.getlist(name))


def _check(function: Any) -> None:
    if not inspect.isroutine(function):
        raise TypeError(f"{function!r} is no route; expected a function")
    plain = inspect.unwrap(function)
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise TypeError(
            f"{function.__qualname__} streams what it yields; expected a function that returns a "
            "response or what one is made of"
        )
