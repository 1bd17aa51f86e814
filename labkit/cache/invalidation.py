"""Which events drop what: rules in one place, instead of invalidations wherever something changes.

    rules = Invalidations(cache)

    @rules.on("comment.added")
    def _(event):
        return [key(f"article:{event.article_id}"), entity("reader", event.reader)]

    rules.tell(event)

Targets are made with `key`, `tag`, `prefix` and `entity` of `labkit.cache.targets`. Over a
`SmartCache` they reach all of its caches, and `entity("Article", 17)` is the entity itself, with
what shows it, besides what carries that tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from labkit.cache.keys.names import name_of
from labkit.cache.smart import Hub, caches_of, face_of
from labkit.cache.targets import Target, entity, key, prefix, tag

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from labkit.cache.aio import AsyncCache
    from labkit.cache.base import BaseCache
    from labkit.cache.cache import Cache
    from labkit.cache.smart import AsyncSmartCache, SmartCache
    from labkit.cache.steps import Steps

__all__ = ["Invalidations", "RuleFailed", "entity", "key", "prefix", "tag"]

C = TypeVar("C", bound="BaseCache | Hub[Any]")
F = TypeVar("F", bound="Callable[[Any], Iterable[Target] | Target | None]")


class RuleFailed(Exception):
    """A rule raised, or there was none for an event; what the other rules say was dropped.

    Attributes:
        events: The events, each once for every rule that raised for it.
    """

    def __init__(self, message: str, events: Sequence[Any]) -> None:
        super().__init__(message)
        self.events = events


class _Rule(NamedTuple):
    """When a rule applies, and what it says."""

    applies: Callable[[Any], bool]
    targets: Callable[[Any], Any]


class _Asked(NamedTuple):
    """What the rules say about events: the targets, each once, and what went wrong."""

    targets: list[Target]
    failed: list[tuple[Any, Exception]]
    unknown: int


class Invalidations(Generic[C]):
    """Rules that say what an event makes old, and that drop it.

    With an `AsyncCache` or an `AsyncSmartCache`, `tell` and `tell_all` are awaited. Rules are plain
    functions either way.

    Args:
        cache: What the targets are dropped from. Where there is a smart cache it is that, and not
            its `cache`, which knows nothing of entities.
        strict: Whether an event that no rule is for is an error. Otherwise it is counted.

    Attributes:
        told: How many events there were.
        unknown: How many of them no rule was for.
        failures: How often a rule raised, or was missing where the rules are strict.

    Raises:
        TypeError: It is no cache, or a part of a smart one.

    Example:
        >>> from labkit.cache import Cache
        >>> cache = Cache()
        >>> rules = Invalidations(cache)
        >>> @rules.on("article.edited")
        ... def edited(event: dict[str, object]) -> list[Target]:
        ...     return [key(f"article:{event['id']}"), tag("front")]
        >>> cache.set("article:17", "Ferry is late")
        >>> rules.tell({"name": "article.edited", "id": 17})
        True
        >>> cache.get("article:17", None) is None
        True
    """

    def __init__(self, cache: C, *, strict: bool = False) -> None:
        self._run: Callable[[Any], Any] = face_of(cache)
        if not isinstance(cache, Hub) and cache._is_part:
            raise TypeError(
                f"{cache!r} is a part of a smart cache, and its rules would miss entities; pass "
                "the smart cache itself"
            )
        self.cache = cache
        self.told = self.unknown = self.failures = 0
        self._strict = strict
        self._rules: list[_Rule] = []

    def on(self, what: str | type | Callable[[Any], bool]) -> Callable[[F], F]:
        """Say what an event drops; several rules may apply to one event.

        Args:
            what: The name of the event: the event itself where it is a text, else what it has as
                `name`, an attribute or an item. Or its type. Or a function that tells whether the
                rule applies.

        Returns:
            A decorator for the rule, a function that gets the event and returns its targets: one,
            several, or None.

        Raises:
            TypeError: `what` is nothing of the kind.
        """
        applies = _matching(what)

        def add(rule: F) -> F:
            self._rules.append(_Rule(applies, rule))
            return rule

        return add

    def targets(self, event: Any) -> list[Target]:
        """What an event drops, each target once; nothing is dropped, and nothing counted.

        Raises:
            RuleFailed: A rule raised, or there is none and the rules are strict.
        """
        asked = self._ask([event])
        _refuse(asked.failed)
        return asked.targets

    @overload
    def tell(self: Invalidations[Cache] | Invalidations[SmartCache], event: Any) -> bool: ...
    @overload
    def tell(
        self: Invalidations[AsyncCache] | Invalidations[AsyncSmartCache], event: Any
    ) -> Awaitable[bool]: ...
    def tell(self, event: Any) -> Any:
        """Drop what an event makes old; see `tell_all`."""
        return self._run(self._tell([event]))

    @overload
    def tell_all(
        self: Invalidations[Cache] | Invalidations[SmartCache], events: Iterable[Any]
    ) -> bool: ...
    @overload
    def tell_all(
        self: Invalidations[AsyncCache] | Invalidations[AsyncSmartCache], events: Iterable[Any]
    ) -> Awaitable[bool]: ...
    def tell_all(self, events: Iterable[Any]) -> Any:
        """Drop what events make old, each target once: all keys in one trip, and all tags.

        The entities of a smart cache are dropped one by one, as `Entities.invalidate` does it.

        Returns:
            Whether every store has heard of it. One that is away hears of it before it is asked for
            anything again, if this process lives until then; whoever cannot rely on that tells the
            events again.

        Raises:
            RuleFailed: A rule raised, or there was none and the rules are strict.
            Exception: What the source of an entity raised, which is asked where relations lead; all
                else is dropped.
        """
        return self._run(self._tell(list(events)))

    def _tell(self, events: Sequence[Any]) -> Steps[bool]:
        asked = self._ask(events)
        self.told += len(events)
        self.unknown += asked.unknown
        self.failures += len(asked.failed)
        yield from self.cache._drop(asked.targets)
        _refuse(asked.failed)
        caches = caches_of(self.cache).values()
        return not any(guard.owes for cache in caches for guard in cache._engine.stores)

    def _ask(self, events: Sequence[Any]) -> _Asked:
        """Ask the rules about events."""
        found: dict[tuple[type, str], Target] = {}
        failed: list[tuple[Any, Exception]] = []
        unknown = 0
        for event in events:
            rules = [rule for rule in self._rules if rule.applies(event)]
            if not rules:
                unknown += 1
                if self._strict:
                    error = LookupError("there is no rule for it; add one with on()")
                    failed.append((event, error))
            for rule in rules:
                try:
                    targets = _targets(rule.targets(event), rule)
                except Exception as error:
                    failed.append((event, error))
                else:
                    found |= {(type(target), str(target)): target for target in targets}
        return _Asked(list(found.values()), failed, unknown)


def _matching(what: Any) -> Callable[[Any], bool]:
    if isinstance(what, str):
        return lambda event: _name(event) == what
    if isinstance(what, type):
        return lambda event: isinstance(event, what)
    if callable(what):
        return what  # type: ignore[no-any-return]
    raise TypeError(
        f"a rule is on {what!r}; expected the name of an event, its type, or a function that tells "
        "whether the rule applies"
    )


def _name(event: Any) -> Any:
    if isinstance(event, str):
        return event
    return event.get("name") if isinstance(event, dict) else getattr(event, "name", None)


def _targets(answer: Any, rule: _Rule) -> list[Target]:
    if answer is None:
        return []
    targets: list[Any] = [answer] if isinstance(answer, str) else list(answer)
    if not all(isinstance(target, Target) for target in targets):
        raise TypeError(
            f"{name_of(rule.targets)} returned {answer!r}; expected targets that key(), tag(), "
            "prefix() and entity() make"
        )
    return targets


def _refuse(failed: Sequence[tuple[Any, Exception]]) -> None:
    if failed:
        event, error = failed[0]
        more = f"; so it went {len(failed) - 1} more times" if len(failed) > 1 else ""
        raise RuleFailed(
            f"the event {event!r} could not be dealt with: {error!r}{more}",
            [event for event, _ in failed],
        ) from error
