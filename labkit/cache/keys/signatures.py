"""What functions take, and which of it a call gave."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function, by name."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise TypeError(
            f"{function!r} has no signature that can be read, and so no keys; wrap it in a function"
        ) from None


def binder(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """A function with the signature of `function` that returns the arguments called `names`.

    Python itself then binds arguments, which takes a fraction of what `Signature.bind` does, and
    says what is wrong with a call in the words that the function itself would cause.
    """
    parameters = parameters_of(function)
    written = inspect.Signature(
        [
            parameter.replace(
                annotation=inspect.Parameter.empty,
                default=parameter.default
                if parameter.default is inspect.Parameter.empty
                else _Source(f"defaults[{parameter.name!r}]"),
            )
            for parameter in parameters.values()
        ]
    )
    scope: dict[str, Any] = {
        "defaults": {name: parameter.default for name, parameter in parameters.items()}
    }
    exec(f"def bind{written}: return ({''.join(f'{name},' for name in names)})", scope)
    bind: Callable[..., tuple[Any, ...]] = scope["bind"]
    bind.__qualname__ = getattr(function, "__qualname__", bind.__qualname__)
    return bind


class _Source(str):
    """A default that shows as this text where a signature is written out."""

    __slots__ = ()
    __repr__ = str.__str__
