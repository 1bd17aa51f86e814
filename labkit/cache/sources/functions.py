"""A source made of functions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic

from labkit.cache.sources.base import K, V
from labkit.cache.sources.waiting import Call
from labkit.cache.steps import run, run_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from labkit.cache.sources.base import Write
    from labkit.cache.steps import Steps

_PARAMETERS = {
    "load": "(key)",
    "load_many": "(keys)",
    "save": "(key, value)",
    "delete": "(key)",
    "versions": "(keys)",
    "apply": "(writes)",
}


class FunctionSource(Generic[K, V]):
    """A source made of functions, each of which may be a coroutine function.

    Where only one of `load` and `load_many` is given, the other is made of it: many keys are then
    loaded one after another, and a single one as a batch of one.

    Args:
        load: Answers the value of a key, None where there is none.
        load_many: Answers the values of a list of keys, by their keys.
        save: Gets a key and a value, and writes it.
        delete: Gets a key, and deletes its value.
        versions: Answers, by their keys, what changes whenever the values of a list of keys do.
        apply: Gets a list of `Write`, and writes them all; see `Applies`.
        returning: Whether `save` returns the value as it stands afterwards.

    Attributes:
        apply: As given; else there is no such attribute.
        asynchronous: Whether `load` and `load_many` return awaitables.
        blocking: Whether a call may wait without being a coroutine: none of the functions is one.

    Raises:
        TypeError: What is given is no function, or one of `load` and `load_many` is a coroutine
            function and the other is not. A method raises it too where its function was not given.
    """

    def __init__(
        self,
        load: Callable[[K], V | Awaitable[V | None] | None] | None = None,
        *,
        load_many: Callable[[list[K]], Mapping[K, V] | Awaitable[Mapping[K, V]]] | None = None,
        save: Callable[[K, V], object] | None = None,
        delete: Callable[[K], object] | None = None,
        versions: Callable[[list[K]], Mapping[K, Any] | Awaitable[Mapping[K, Any]]] | None = None,
        apply: Callable[[list[Write[K, V]]], object] | None = None,
        returning: bool = False,
    ) -> None:
        self.returning = returning
        functions = zip(_PARAMETERS, (load, load_many, save, delete, versions, apply), strict=True)
        self._functions = {name: given for name, given in functions if given is not None}
        for name, given in self._functions.items():
            if not callable(given):
                raise TypeError(
                    f"{name} is {given!r}; expected a function with the parameters "
                    f"{_PARAMETERS[name]}"
                )
        loads = {name: given for name, given in self._functions.items() if name.startswith("load")}
        kinds = {inspect.iscoroutinefunction(given) for given in loads.values()}
        if len(kinds) > 1:
            raise TypeError(
                "one of load and load_many is a coroutine function and the other is not; make "
                "both `async def`, or both `def`"
            )
        self.asynchronous = True in kinds
        self.blocking = not any(map(inspect.iscoroutinefunction, self._functions.values()))
        if apply is not None:
            self.apply = apply

    def load(self, key: K) -> Any:
        """The value of a key; None where there is none."""
        if "load" not in self._functions and "load_many" in self._functions:
            return self._carry_out(self._load_one(key))
        return self._function("load", "load_many")(key)

    def load_many(self, keys: Sequence[K]) -> Any:
        """The values of keys; those that have none are left out."""
        if "load_many" not in self._functions and "load" in self._functions:
            return self._carry_out(self._load_each(keys))
        return self._function("load_many", "load")(list(keys))

    def save(self, key: K, value: V) -> Any:
        """Write the value of a key."""
        return self._function("save")(key, value)

    def delete(self, key: K) -> Any:
        """Delete the value of a key."""
        return self._function("delete")(key)

    def versions(self, keys: Sequence[K]) -> Any:
        """What changes whenever the value of a key does."""
        return self._function("versions")(list(keys))

    def _load_one(self, key: K) -> Steps[V | None]:
        found: Mapping[K, V] = yield Call(self._functions["load_many"], [key])
        return found.get(key)

    def _load_each(self, keys: Sequence[K]) -> Steps[dict[K, V]]:
        found = {}
        for key in dict.fromkeys(keys):
            value = yield Call(self._functions["load"], key)
            if value is not None:
                found[key] = value
        return found

    def _function(self, name: str, other: str | None = None) -> Callable[..., Any]:
        if name in self._functions:
            return self._functions[name]
        names = [each for each in (name, other) if each is not None]
        wanted = " or ".join(f"{each}=, a function with {_PARAMETERS[each]}" for each in names)
        raise TypeError(f"this FunctionSource has no {name}; pass it {wanted}")

    def _carry_out(self, steps: Steps[Any]) -> Any:
        return run_async(steps) if self.asynchronous else run(steps)
