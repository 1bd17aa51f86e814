"""How the values of one kind of entity are cached, and the strategy that does it so."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.cache.backends.memory import MemoryTier
from labkit.cache.options import checked_tags
from labkit.cache.policies import checks
from labkit.cache.policies.checks import Check, Checked
from labkit.cache.policies.refusals import InvalidPolicy, nearest, shown
from labkit.cache.serializers import Json, MessagePack, Raw
from labkit.cache.sources import Coalesced, Limited
from labkit.cache.strategies import (
    CacheAside,
    ReadThrough,
    RefreshAhead,
    Strategy,
    WriteAround,
    WriteBehind,
    WriteThrough,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labkit.cache.known import Known
    from labkit.cache.sources import Source
    from labkit.cache.strategies.base import C, K, V

STRATEGIES: dict[str, type[Strategy[Any, Any, Any]]] = {
    "read-through": ReadThrough,
    "cache-aside": CacheAside,
    "refresh-ahead": RefreshAhead,
    "write-through": WriteThrough,
    "write-around": WriteAround,
    "write-behind": WriteBehind,
}
SERIALIZERS: dict[str, type[Any]] = {"msgpack": MessagePack, "json": Json, "raw": Raw}
AHEAD = 0.2  # what RefreshAhead takes where nothing is said

_AGING = ("stale_while_revalidate", "stale_if_error", "refresh_ahead", "early")


@dataclasses.dataclass(frozen=True)
class Warm(Checked):
    """What is loaded before readers come; see `labkit.cache.warming.warm`.

    Attributes:
        keys: A file with one key a line, the most important first; None: whoever warms names them.
            In a file of policies its path begins where that file is.
        rate: How many keys a second at most; None: as fast as they load.
        batch: How many keys go together.
        on_start: Whether it is done when the application starts, by `smart.warm(on_start=True)`.

    Raises:
        InvalidPolicy: A value makes no sense, or there are no keys for the start.
    """

    keys: str | None = None
    rate: float | None = None
    batch: int = 100
    on_start: bool = False

    table: ClassVar[str] = "warm"
    options: ClassVar[Mapping[str, Check]] = {
        "keys": checks.path(),
        "rate": checks.number(optional=True),
        "batch": checks.whole(1),
        "on_start": checks.flag(),
    }

    def contradictions(self) -> Iterator[InvalidPolicy]:
        """A start at which there is nothing to load."""
        if self.on_start and self.keys is None:
            yield InvalidPolicy(
                self.where("on_start"),
                "is True, and there are no keys: nothing is loaded when the application starts",
                'Write keys = "warm/articles.txt", a file with one id a line, or leave on_start '
                "out.",
            )


@dataclasses.dataclass(frozen=True)
class Limits(Checked):
    """What the source is spared; see `labkit.cache.sources.Limited` and `Coalesced`.

    Attributes:
        at_once: How many loads may run at a time; None: as many as there are.
        wait: How long a load waits for its turn at most.
        timeout: How long a load may take; None: as long as it likes.
        coalesce: How many keys that are missed at the same time are loaded together at most; None:
            they are not.

    Raises:
        InvalidPolicy: A value makes no sense, or nothing is limited.
    """

    at_once: int | None = None
    wait: float | str = "1s"
    timeout: float | str | None = None
    coalesce: int | None = None

    table: ClassVar[str] = "limits"
    options: ClassVar[Mapping[str, Check]] = {
        "at_once": checks.whole(1, optional=True),
        "wait": checks.time(zero=True),
        "timeout": checks.time(optional=True),
        "coalesce": checks.whole(1, optional=True),
    }

    def contradictions(self) -> Iterator[InvalidPolicy]:
        """Limits that limit nothing."""
        if self.at_once is self.timeout is self.coalesce is None:
            yield InvalidPolicy(
                "limits",
                "has no at_once, timeout or coalesce, and so limits nothing",
                "Give it one of them, such as at_once = 8, or leave limits out.",
            )

    def around(self, source: Source[K, V]) -> Source[K, V]:
        """A source that keeps to these limits.

        A load that several wait for together is one load, and takes one place of `at_once`.
        """
        if self.at_once is not None or self.timeout is not None:
            at_once = sys.maxsize if self.at_once is None else self.at_once
            source = Limited(source, at_once, self.wait, self.timeout)
        return source if self.coalesce is None else Coalesced(source, self.coalesce)


@dataclasses.dataclass(frozen=True)
class Queue(Checked):
    """How writes wait and are applied; see `labkit.cache.WriteBehind`.

    Attributes:
        depth: How many writes may wait.
        wait: How long a write waits for room at most.
        batch: How many writes a worker reads at a time.
        attempts: How often a write is tried that the source refuses.
        ownership: For how long a worker that says nothing keeps what it works on.

    Raises:
        InvalidPolicy: A value makes no sense.
    """

    depth: int = 10_000
    wait: float | str = "1s"
    batch: int = 500
    attempts: int = 5
    ownership: float | str = "10s"

    table: ClassVar[str] = "queue"
    options: ClassVar[Mapping[str, Check]] = {
        "depth": checks.whole(1),
        "wait": checks.time(zero=True),
        "batch": checks.whole(1, 5_000),
        "attempts": checks.whole(1),
        "ownership": checks.time(),
    }


@dataclasses.dataclass(frozen=True)
class Policy(Checked):
    """How the values of one kind of entity are cached.

    Every value is checked when a policy is made, also beside the others. Times may be given as
    texts, such as "10m", and are kept as seconds: policies that mean the same are equal.

    Attributes:
        strategy: How values are read and written: "read-through", "cache-aside", "refresh-ahead",
            "write-through", "write-around" or "write-behind"; see `labkit.cache.strategies`.
        ttl: How long a value lives; None: for ever.
        jitter: By which share of it at most a time to live is shortened at random.
        negative_ttl: How long it is remembered that there is no value; "same" as long as any value
            lives, 0 not at all, None for ever.
        stale_while_revalidate: How long after its time a value is given out while it is loaded
            anew in the background.
        stale_if_error: How long after its time a value is given out where its load fails.
        refresh_ahead: In which last share of its time a value that is read is loaded anew; with
            the strategy "refresh-ahead" 0 stands for a fifth.
        early: How eagerly one of many readers has a value loaded anew before its time is over.
        tiers: The names of tiers, nearest first; () for all that there are.
        serializer: How stores keep values: "msgpack", "json" or "raw".
        compress_over: The size in bytes above which stores get compressed values; None: never.
        copy: Whether each caller gets a value that it may change.
        lease: How long one caller may load a key before another is let.
        tags: The tags that all values carry.
        warm: What is loaded before readers come; None: nothing.
        limits: What the source is spared; None: nothing.
        queue: How writes wait, for "write-behind" alone; None: as `Queue()` says.

    Raises:
        InvalidPolicy: A value makes no sense, or two of them do not go together.

    Example:
        >>> articles = Policy(ttl="10m", jitter=0.1)
        >>> articles.but(strategy="write-through").ttl
        600.0
        >>> articles.but(strategy="write-thru")
        Traceback (most recent call last):
        ...
        labkit.cache.policies.refusals.InvalidPolicy: strategy is "write-thru"; expected \
"read-through", "cache-aside", "refresh-ahead", "write-through", "write-around" or "write-behind". \
Did you mean "write-through"?
    """

    strategy: str = "read-through"
    ttl: float | str | None = None
    jitter: float = 0.0
    negative_ttl: float | str | None = "same"
    stale_while_revalidate: float | str = 0.0
    stale_if_error: float | str = 0.0
    refresh_ahead: float = 0.0
    early: float = 0.0
    tiers: Sequence[str] = ()
    serializer: str = "msgpack"
    compress_over: int | None = 16_384
    copy: bool = True
    lease: float | str = "10s"
    tags: Sequence[str] = ()
    warm: Warm | None = None
    limits: Limits | None = None
    queue: Queue | None = None

    options: ClassVar[Mapping[str, Check]] = {
        "strategy": checks.choice(STRATEGIES),
        "ttl": checks.time(optional=True),
        "jitter": checks.share(),
        "negative_ttl": checks.time(zero=True, optional=True, same=True),
        "stale_while_revalidate": checks.time(zero=True),
        "stale_if_error": checks.time(zero=True),
        "refresh_ahead": checks.share(),
        "early": checks.number(zero=True),
        "tiers": checks.texts("tiers"),
        "serializer": checks.choice(SERIALIZERS),
        "compress_over": checks.whole(0, optional=True),
        "copy": checks.flag(),
        "lease": checks.time(),
        "tags": checks.texts("tags"),
        "warm": checks.part(Warm),
        "limits": checks.part(Limits),
        "queue": checks.part(Queue),
    }
    parts: ClassVar[Mapping[str, type[Checked]]] = {"warm": Warm, "limits": Limits, "queue": Queue}

    @property
    def ahead(self) -> float:
        """In which last share of its time a value that is read is loaded anew."""
        return self.refresh_ahead or (AHEAD if self.strategy == "refresh-ahead" else 0.0)

    def contradictions(self) -> Iterator[InvalidPolicy]:
        """Options that do not go together."""
        aging = [name for name in _AGING if getattr(self, name)]
        if self.strategy == "cache-aside":
            for name in aging:
                yield InvalidPolicy(
                    name,
                    f"is {shown(getattr(self, name))}, and strategy cache-aside, which loads on a "
                    "miss and at no other time",
                    f'Leave {name} out, or set strategy = "read-through".',
                )
        elif self.ttl is None:
            for name in aging:
                yield InvalidPolicy(
                    name,
                    f"is {shown(getattr(self, name))}, and there is no ttl: what lives for ever "
                    "never comes near its end",
                    f'Set a ttl such as "10m", or leave {name} out.',
                )
        if self.strategy == "refresh-ahead" and self.ttl is None:
            yield InvalidPolicy(
                "strategy",
                "is refresh-ahead, and there is no ttl: what lives for ever is never loaded ahead",
                'Set a ttl such as "10m", or strategy = "read-through".',
            )
        if self.strategy == "write-around":
            yield from self._around()
        if self.strategy == "write-behind" and tuple(self.tiers) == ("memory",):
            yield InvalidPolicy(
                "tiers",
                'is ["memory"], and strategy write-behind, whose writes wait in Redis',
                'Add a Redis tier as the last, such as tiers = ["memory", "redis"], or set '
                'strategy = "write-through".',
            )
        if self.strategy != "write-behind" and self.queue is not None:
            yield InvalidPolicy(
                "queue",
                f"is given, and strategy is {self.strategy}, whose writes wait for nothing",
                'Leave queue out, or set strategy = "write-behind".',
            )

    def _around(self) -> Iterator[InvalidPolicy]:
        """What lives for ever, and would hide each write for ever."""
        for name in ("ttl", "negative_ttl"):
            if getattr(self, name) is None:
                yield InvalidPolicy(
                    name,
                    "is None, and strategy write-around, which leaves what is cached alone: a "
                    "write would never be seen",
                    f'Set a {name} such as "1m", or strategy = "read-through".',
                )

    def but(self, **changes: Any) -> Policy:
        """This policy with some of its options changed, and checked again.

        Raises:
            InvalidPolicy: There is no such option, or the whole makes no sense.
        """
        for name in changes:
            self.of(name)
        return dataclasses.replace(self, **changes)

    def keeping(self) -> dict[str, Any]:
        """How values are kept: the keyword arguments of a strategy, and of `cache.cached`."""
        return {
            "ttl": self.ttl,
            "jitter": self.jitter,
            "negative_ttl": self.negative_ttl,
            "stale_while_revalidate": self.stale_while_revalidate,
            "stale_if_error": self.stale_if_error,
            "refresh_ahead": self.ahead,
            "early": self.early,
            "serializer": SERIALIZERS[self.serializer](),
            "compress_over": self.compress_over,
            "copy": self.copy,
            "lease": self.lease,
        }

    def source(self, source: Source[K, V]) -> Source[K, V]:
        """The source, spared as `limits` say."""
        return source if self.limits is None else self.limits.around(source)

    def build(
        self,
        cache: C,
        source: Source[K, V],
        *,
        name: str,
        type: Any = Any,  # noqa: A002 - it is one
        tags: Sequence[str] | Callable[[K], Sequence[str]] = (),
        known: Known | None = None,
        **more: Any,
    ) -> Strategy[C, K, V]:
        """A strategy over a cache and a source that does as this policy says.

        `tiers` and `warm` are for whoever makes the cache and fills it.

        Args:
            cache: A `Cache` or an `AsyncCache`.
            source: Where values come from.
            name: What the keys begin with.
            type: What the values are.
            tags: The tags that a value carries beside those of the policy: the same for all, or a
                function of its key.
            known: Which keys exist.
            **more: What one kind of strategy takes and a file cannot say, such as `retry_on` of
                `WriteBehind`.

        Raises:
            TypeError: The source or the cache cannot do what the strategy asks, such as a queue.
        """
        how: dict[str, Any] = self.keeping() | {"tags": self._tagged(tags), "known": known} | more
        if self.strategy == "refresh-ahead":
            how["ahead"] = how.pop("refresh_ahead")
        if self.strategy == "write-behind":
            queue = self.queue or Queue()
            how = {each: getattr(queue, each) for each in Queue.options} | how
        kind = STRATEGIES[self.strategy]
        return kind(cache, self.source(source), name=name, type=type, **how)

    def _tagged(self, tags: Sequence[str] | Callable[[K], Sequence[str]]) -> Any:
        """The policy's tags and these."""
        if not callable(tags):
            return tuple(dict.fromkeys((*self.tags, *checked_tags(tags))))
        if not self.tags:
            return tags
        return lambda key: tuple(dict.fromkeys((*self.tags, *checked_tags(tags(key)))))


def policy_of(where: str, given: Any, defaults: Policy) -> Policy:
    """The policy that somebody gives: itself, or the defaults with the options of a mapping.

    Raises:
        InvalidPolicy: It is neither, or an option makes no sense.
    """
    if isinstance(given, Policy):
        return given
    if not isinstance(given, Mapping):
        fix = 'Write Policy(ttl="10m"), or {"ttl": "10m"}.'
        raise InvalidPolicy(where, f"is {shown(given)}; expected a Policy", fix)
    try:
        parts = {
            name: _part(Policy.parts[name], options)
            for name, options in given.items()
            if name in Policy.parts and isinstance(options, Mapping)
        }
        return defaults.but(**{**given, **parts})
    except InvalidPolicy as error:
        told = error.at(f"{where}.{error.where}", error.place)
        told.others = tuple(each.at(f"{where}.{each.where}", each.place) for each in error.others)
        raise told from None


def _part(kind: type[Any], options: Mapping[str, Any]) -> Any:
    """The group of options that a mapping stands for."""
    for name in options:
        kind.of(name)
    return kind(**options)


def check_tiers(where: str, chosen: Sequence[str], tiers: Mapping[str, Any]) -> None:
    """Refuse a choice of tiers that cannot be made.

    Args:
        where: The option, for the message.
        chosen: The names of tiers, nearest first.
        tiers: The tiers that there are, by their names.

    Raises:
        InvalidPolicy: One of them is not there, or memory is not the nearest.
    """
    for name in chosen:
        if name not in tiers:
            near = nearest(name, tiers)
            raise InvalidPolicy(
                where,
                f"has {shown(name)}, and there is no such tier; expected some of "
                f"{', '.join(map(shown, tiers))}",
                f"Did you mean {shown(near)}?" if near else "Write one of these.",
            )
    for name in chosen[1:]:
        if isinstance(tiers[name], MemoryTier):
            raise InvalidPolicy(
                where,
                f"has {shown(name)} behind another tier; expected memory first, and once",
                f"Write {shown(name)} first.",
            )
