"""Which requests get the same response: the key of a request.

    web:/articles/17?page=2|accept=text/html&:at=https://example.org

Before the last `|` stands what is asked for, and behind it what else tells requests apart; where
that is long, a digest of it. So `cache.invalidate(prefix="web:/articles/17|")` drops a page in all
its variants, and `prefix="web:/articles/"` all below.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from labkit.cache.keys import Template
from labkit.cache.keys.templates import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

PREFIX = "web:"
_LONGEST_VARIANT = 80
_IN_PATHS = "/:@!$&'()*+,;=~"
_IN_VARIANTS = "/:*,;"
_IN_TEXTS = _IN_PATHS + "?|<>[]{} "


class Identity:
    """What tells the requests of a route apart.

    Args:
        function: The route.
        key: A template over the route's parameters, or a function of the request. Default: host,
            path and query.
        vary: Headers of the request, in lower case, and what is made of the value of each.
        private: Whether each reader has responses of their own, by their Authorization and cookies,
            or a function of the request that says whose they are.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key: str | Callable[[Request], str] | None,
        vary: Mapping[str, Callable[[str], str] | None],
        private: bool | Callable[[Request], str],
    ) -> None:
        self._key = Template(key, function) if isinstance(key, str) else key
        self._vary = vary
        self._private = private
        self._prefix = PREFIX + (self._key.prefix if isinstance(self._key, Template) else "")

    def key_of(self, request: Request, arguments: Mapping[str, Any]) -> str:
        """The key of a request.

        Args:
            request: The request.
            arguments: The arguments of the route.
        """
        variant = _written(self._variant(request))
        return shorten(f"{PREFIX}{self._target(request, arguments)}|{variant}", self._prefix)

    def _target(self, request: Request, arguments: Mapping[str, Any]) -> str:
        if isinstance(self._key, Template):
            return filled(self._key, arguments)
        if self._key is not None:
            return quote(self._key(request), safe=_IN_TEXTS, errors="surrogatepass")
        path = quote(request.scope["path"], safe=_IN_PATHS, errors="surrogatepass")
        # The order of names means nothing, that of the values of a name does.
        query = sorted(request.query_params.multi_items(), key=lambda pair: pair[0])
        return f"{path}?{urlencode(query, errors='surrogatepass')}" if query else path

    def _variant(self, request: Request) -> Sequence[tuple[str, str]]:
        pairs = []
        for name, normal in sorted(self._vary.items()):
            lines = request.headers.getlist(name)
            if lines:
                text = ", ".join(line.strip() for line in lines)
                pairs.append((name, text if normal is None else str(normal(text))))
        if self._key is None:  # links may be made of it
            host = request.headers.get("host", "").lower()
            pairs.append((":at", f"{request.scope.get('scheme', 'http')}://{host}"))
        if callable(self._private):
            pairs.append((":who", str(self._private(request))))
        elif self._private:
            pairs.append((":who", _who(request)))
        return pairs


def _written(pairs: Sequence[tuple[str, str]]) -> str:
    """Pairs as a text without `|`, or a digest of them, which has no `=` either."""
    if sum(len(value) for _, value in pairs) <= _LONGEST_VARIANT:
        return "&".join(f"{name}={quote(value, safe=_IN_VARIANTS)}" for name, value in pairs)
    raw = "".join(f"{name}={len(value)}:{value}" for name, value in pairs)
    return hashlib.blake2b(raw.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def filled(template: Template, arguments: Mapping[str, Any]) -> str:
    """The text of a template for the arguments of a route."""
    return template.of((), arguments)


def _who(request: Request) -> str:
    """Who asks, in a form that tells nothing to who reads keys."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("authorization", "cookie"):
        for line in request.headers.getlist(name):
            digest.update(f"{name}:{len(line)}:{line}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
