"""Nested fragments, each kept under a key that says what it shows ("Russian dolls").

    title = Fragment("title:17", version=3, render=lambda: "<h1>Ferry is back</h1>")
    body = Fragment("body:17", version=8, render=lambda: "<p>At noon ...</p>")
    page = Fragment("page:17", version=1, render=lambda *parts: "".join(parts), parts=(title, body))
    Fragments(cache).render(page).text

The key of a fragment is made of its own version and of those of its parts, so that an outer one has
another key as soon as an inner one has. Nothing is invalidated: what changed is asked for by a key
that nobody has seen yet, what did not is found where it was, and old ones expire.

The texts of a name and a version must be the same whoever renders them. Read versions first and
then what they are of: a text may be newer than its version says, but never older.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from labkit.cache.aio import AsyncCache
from labkit.cache.batches import load_many
from labkit.cache.engine import Call
from labkit.cache.keys import encode
from labkit.cache.origins import note, origins
from labkit.cache.stats import Counters, Counts, summed
from labkit.cache.steps import Load, run, run_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.engine import Engine
    from labkit.cache.options import TTL, Options
    from labkit.cache.steps import Steps

C = TypeVar("C", bound="BaseCache")


@dataclass(frozen=True, eq=False)
class Fragment:
    """A piece of a page.

    Attributes:
        name: What it is a piece of, such as `"header:17"`.
        version: What changes whenever its own content does: a number, or several in a tuple; see
            `labkit.cache.keys.encode`.
        render: Makes its text, and gets the texts of its parts in their order. With an `AsyncCache`
            it may be a coroutine function.
        parts: The fragments inside it.
    """

    name: str
    version: Any
    render: Callable[..., str | Awaitable[str]]
    parts: tuple[Fragment, ...] = ()

    @cached_property
    def digest(self) -> str:
        """What it shows, in 32 characters: versions, not texts."""
        shown = encode((self.name, self.version, tuple(part.digest for part in self.parts)))
        return hashlib.blake2b(shown.encode(), digest_size=16).hexdigest()

    @cached_property
    def height(self) -> int:
        """How many fragments lie inside one another here, itself included."""
        return 1 + max((part.height for part in self.parts), default=0)


class Piece(NamedTuple):
    """What became of a fragment that was looked at.

    Attributes:
        name: The name of the fragment.
        key: Its key in the cache.
        where: The tier that had it; "rendered" by this caller, or "waited" for another one.
        seconds: How long rendering it took, without its parts; else how long it took to get it and
            those that were asked for together with it.
        bytes: The size of its text.
    """

    name: str
    key: str
    where: str
    seconds: float
    bytes: int


class Rendered(NamedTuple):
    """A text, and what it was made of.

    Attributes:
        text: The text of the outermost fragment.
        pieces: The fragments that were looked at, the outermost first. What lies inside one that
            some tier had was not.
    """

    text: str
    pieces: tuple[Piece, ...]


class Fragments(Generic[C]):
    """Renders fragments, and keeps what it rendered.

    The outermost fragment is looked up first; a hit there is one trip, and ends it. Otherwise its
    parts are looked up together, then the parts of those that are missing, and so on inwards. What
    is missing is rendered from the inside out, once among all who ask for it meanwhile.

    Args:
        cache: Where texts are kept; with an `AsyncCache`, `render` is awaited.
        ttl: How long a text lives. Nothing becomes wrong meanwhile: this only clears away the texts
            of old versions. The times and shares that have other values loaded anew do not apply.
        name: What the keys begin with, and what statistics call them.
    """

    def __init__(self, cache: C, *, ttl: TTL = "1d", name: str = "fragment") -> None:
        if not name or ":" in name:
            raise ValueError(
                f"name is {name!r}; expected a text without a colon, such as 'fragment'"
            )
        self.cache = cache
        self.name = name
        self._engine: Engine = cache._engine
        # A text is right for as long as it has its key: age does not count.
        self._options: Options = cache._options.but(
            ttl=ttl,
            serializer=cache._options.serializer.for_type(str),
            stale_while_revalidate=0.0,
            stale_if_error=0.0,
            refresh_ahead=0.0,
            early=0.0,
        )
        # What happens to a fragment is counted for its kind, and what to a batch for nobody.
        self._stores = [guard.name for guard in self._engine.stores]
        self._kinds: dict[str, Counters] = {}
        self._batch = Counters(name, self._stores)
        self._run: Callable[[Any], Any] = run_async if isinstance(cache, AsyncCache) else run

    @overload
    def render(self: Fragments[Cache], fragment: Fragment) -> Rendered: ...
    @overload
    def render(self: Fragments[AsyncCache], fragment: Fragment) -> Awaitable[Rendered]: ...
    def render(self, fragment: Fragment) -> Any:
        """The text of a fragment, of which only what is missing is rendered.

        Raises:
            Exception: What a `render` raised; texts that were complete by then are kept.
            TypeError: A `render` made something else than a text.
        """
        return self._run(self._render(fragment))

    def key(self, fragment: Fragment) -> str:
        """What stands for a fragment in the cache."""
        return f"{self.name}:{fragment.name}:{fragment.digest}"

    def stats(self) -> Counts:
        """What was counted until now; the cache's statistics tell each kind by itself.

        The kind of a fragment is what its name begins with: that of `header:17` is "header", and
        stands there as `fragment:header`.
        """
        return summed(self.name, self._kinds.values(), self._stores)

    def _render(self, fragment: Fragment) -> Steps[Rendered]:
        pieces: dict[str, Piece] = {}
        texts = yield from self._texts([fragment], pieces)
        ordered = self._outermost_first(fragment, pieces, {})
        return Rendered(texts[self.key(fragment)], tuple(ordered.values()))

    def _outermost_first(
        self, fragment: Fragment, pieces: dict[str, Piece], ordered: dict[str, Piece]
    ) -> dict[str, Piece]:
        key = self.key(fragment)
        if key in pieces and key not in ordered:
            ordered[key] = pieces[key]
            for part in fragment.parts:
                self._outermost_first(part, pieces, ordered)
        return ordered

    def _texts(self, wanted: Sequence[Fragment], pieces: dict[str, Piece]) -> Steps[dict[str, str]]:
        """The texts of fragments by their keys, from one trip and from what is rendered."""
        by_key = {self.key(fragment): fragment for fragment in wanted}
        known: float | None = None  # when it was known what is missing
        begun = perf_counter()

        def load(keys: list[str]) -> Any:
            nonlocal known
            known = known or perf_counter()
            return self._run(self._rendered([by_key[key] for key in keys], pieces))

        with origins() as found:
            call = Call("", (), self._options, self._batch)
            texts = yield from load_many(self._engine, list(by_key), load, call)
        ended = perf_counter()
        for key, origin in found.items():  # for a block around this one
            note(key, origin.where)
        for key, text in texts.items():
            if key not in pieces:
                where = found[key].where
                until = known if known and where != "waited" else ended
                size = len(text.encode())
                pieces[key] = Piece(by_key[key].name, key, where, until - begun, size)
                self._counters(by_key[key]).count_found(key, where, waited=where == "waited")
        return texts

    def _counters(self, fragment: Fragment) -> Counters:
        kind = fragment.name.partition(":")[0]
        if kind not in self._kinds:
            self._kinds[kind] = self._engine.counters_for(f"{self.name}:{kind}")
        return self._kinds[kind]

    def _rendered(
        self, missing: Sequence[Fragment], pieces: dict[str, Piece]
    ) -> Steps[dict[str, str]]:
        """Render fragments, and before them whatever lies inside them and is missing as well."""
        keys = [self.key(fragment) for fragment in missing]
        inner = [part for fragment in missing for part in fragment.parts]
        inner = [part for part in inner if self.key(part) not in keys]
        texts = (yield from self._texts(inner, pieces)) if inner else {}
        for fragment in sorted(missing, key=lambda fragment: fragment.height):
            key, parts = self.key(fragment), [texts[self.key(part)] for part in fragment.parts]
            begun = perf_counter()
            text, raised = yield Load(lambda: fragment.render(*parts))  # noqa: B023 - done at once
            seconds = perf_counter() - begun
            counters = self._counters(fragment)
            counters.misses += 1
            counters.loaded(seconds, failed=raised)
            if raised:
                raise text
            if not isinstance(text, str):
                raise TypeError(
                    f"the fragment {fragment.name!r} rendered {text!r}; expected a text. Coroutine "
                    "functions need an AsyncCache"
                )
            pieces[key] = Piece(fragment.name, key, "rendered", seconds, len(text.encode()))
            texts[key] = text
        return {key: texts[key] for key in keys}
