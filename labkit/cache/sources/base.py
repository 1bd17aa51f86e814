"""What a cache asks of the place that its values come from, such as a database.

A source is a class with the methods of `Source`. Each may be a coroutine function; `load` and
`load_many` are then both ones. Methods are called from several threads at once.

Two attributes are optional. `returning = True` says that `save` returns the value as it stands
afterwards, with the version that it has got, say; a cache then keeps that. `blocking: bool` says
whether a call may wait for something outside this process; without it a source is taken to block,
unless it loads with coroutine functions.

A source may have one more method, `apply`, which writes many values at once; see `Applies`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from labkit.cache.steps import Steps

K = TypeVar("K")
V = TypeVar("V")


class Source(Protocol[K, V]):
    """Where the values of a cache come from, and where they go."""

    def load(self, key: K) -> V | Awaitable[V | None] | None:
        """The value of a key; None where there is none."""

    def load_many(self, keys: Sequence[K]) -> Mapping[K, V] | Awaitable[Mapping[K, V]]:
        """The values of keys; those that have none are left out."""

    def save(self, key: K, value: V) -> object:
        """Write the value of a key."""

    def delete(self, key: K) -> object:
        """Delete the value of a key."""

    def versions(self, keys: Sequence[K]) -> Mapping[K, Any] | Awaitable[Mapping[K, Any]]:
        """What changes whenever the value of a key does, such as a number or a time; by keys."""


@dataclass(frozen=True, slots=True)
class Write(Generic[K, V]):
    """One write of several.

    Attributes:
        key: The key.
        value: Its value; None deletes it.
        version: A whole number below 2**63, above that of every earlier write of the key.
    """

    key: K
    value: V | None
    version: int


class Applies(Source[K, V], Protocol):
    """A source that writes many values at once, and each of them once."""

    def apply(self, writes: Sequence[Write[K, V]]) -> object:
        """Write or delete the values of different keys, all or none, in one transaction.

        The same writes may come again, and older ones after newer ones. One whose version is not
        above the highest that was applied to its key changes nothing; for that the version of a
        deletion is kept as well.
        """


def applies(source: Any) -> bool:
    """Whether a source has `apply`."""
    return callable(getattr(source, "apply", None))


def asynchronous(source: Any) -> bool:
    """Whether loads of a source are to be awaited."""
    told = getattr(source, "asynchronous", None)
    if told is not None:
        return bool(told)
    return inspect.iscoroutinefunction(source.load) or inspect.iscoroutinefunction(source.load_many)


def blocking(source: Any) -> bool:
    """Whether a call of a source may wait for something, without being a coroutine."""
    told = getattr(source, "blocking", None)
    return not asynchronous(source) if told is None else bool(told)


def returning(source: Any) -> bool:
    """Whether `save` returns the value as it stands afterwards."""
    return bool(getattr(source, "returning", False))


class Around(Generic[K, V]):
    """A source around another one, to which it passes on whatever does not load.

    Attributes:
        source: The other one.
        asynchronous: Whether `load` and `load_many` return awaitables; as the other one's do.
        blocking: Whether a call may wait without being a coroutine; as the other one's may.
        returning: Whether `save` returns the value as it then stands; as the other one's does.
        apply: The other one's, where it has it.
    """

    def __init__(self, source: Source[K, V]) -> None:
        self.source = source
        self.asynchronous = asynchronous(source)
        self.blocking = blocking(source)
        self.returning = returning(source)
        if applies(source):
            self.apply: Any = source.apply  # type: ignore[attr-defined]

    def save(self, key: K, value: V) -> Any:
        """Write the value of a key."""
        return self.source.save(key, value)

    def delete(self, key: K) -> Any:
        """Delete the value of a key."""
        return self.source.delete(key)

    def versions(self, keys: Sequence[K]) -> Any:
        """What changes whenever the value of a key does."""
        return self.source.versions(keys)

    def _carry_out(self, steps: Steps[Any]) -> Any:
        return run_async(steps) if self.asynchronous else run(steps)
