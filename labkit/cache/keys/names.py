"""What keys and messages call functions and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, as keys begin."""
    return f"{module_of(function)}.{getattr(function, '__qualname__', '(unnamed)')}"


def module_of(thing: Any) -> str:
    """A module's name; in a worker process the main module has another one."""
    module = getattr(thing, "__module__", None) or ""
    return "__main__" if module == "__mp_main__" else module


def full_name(kind: type) -> str:
    """The name of a class with its module, apart from those that are built in."""
    return f"{module_of(kind)}.{kind.__qualname__}".removeprefix("builtins.")


def an(noun: str) -> str:
    """The noun behind its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
