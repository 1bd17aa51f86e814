"""The keys of a function's calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from labkit.cache.keys.names import name_of
from labkit.cache.keys.refusals import NoText, Unkeyable
from labkit.cache.keys.scalars import SCALARS, UNTYPED, write_string
from labkit.cache.keys.signatures import binder, parameters_of
from labkit.cache.keys.templates import CONTROL, LONGEST, Template, shorten
from labkit.cache.keys.values import write

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_FUNCTION_NAME = re.compile(r"[\w.<>:/-]+")
_VERSION = re.compile(r"[A-Za-z0-9_.-]+")


class CallKey:
    """Makes the keys of the calls of one function.

    Without `key` it is the function's name and its arguments, each exactly as in the signature:
    `app.news.article(1,two,limit=10)`. Parameters that have a default are named. How a call spells
    its arguments makes no difference.

    Args:
        function: The function; its signature says which calls are the same.
        key: A `Template`, or a function that is called as the cached one and returns the key, which
            is used as it is. With either, the owner says what tells two calls apart.
        version: Another one makes other keys: `app.news.article@2(1)`. Change it when the function
            returns something else than before.
        ignore: Parameters that are left out.
        typed: False lets equal numbers share a key: 1, 1.0 and True.
        method: Whether the first argument is the object or the class that a method belongs to.
        name: What stands for the function's module and name. Functions that are made several times
            inside another one need it, as they have one name between them.

    Attributes:
        name: The function's name, as keys begin.
        parameters: The names of the function's parameters.
        prefix: What all keys of the function begin with. It is empty where `key` is a function or
            a template that begins with a field.

    Example:
        >>> def article(id, author_id=None): ...
        >>> CallKey(article, name="article")(1)
        'article(1,author_id=None)'
        >>> CallKey(article, key="article:{id}")(id=1)
        'article:1'
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        key: str | Callable[..., str] | None = None,
        version: int | str = 1,
        ignore: Sequence[str] = (),
        typed: bool = True,
        method: bool = False,
        name: str | None = None,
    ) -> None:
        parameters = parameters_of(function)
        self.name = name if name is not None else name_of(function)
        self.parameters = tuple(parameters)
        self._self = _first_positional(parameters, self.name) if method else None
        _check_ignored(ignore, self.parameters, self.name)
        suffix = _suffix(version)
        self._take: Callable[..., Any]
        self._tell: Callable[[Any], str]
        if key is None:
            _check_name(self.name)
            self.prefix = f"{self.name}{suffix}("
            names = [name for name in parameters if name not in ignore]
            self._take = binder(function, names)
            self._tell = self._teller([(name, _label(parameters[name])) for name in names], typed)
        elif isinstance(key, str):
            template = Template(key + suffix, function, typed=typed, name=self.name)
            self.prefix = template.prefix
            self._take, self._tell = template.take, template.tell
        elif callable(key):
            self.prefix = ""
            self._take, self._tell = key, lambda text: self._checked(text) + suffix
        else:
            raise TypeError(
                f"key is {key!r}; expected a template such as 'article:{{id}}', or a function that "
                "returns the key"
            )

    def __call__(self, /, *args: Any, **kwargs: Any) -> str:
        """The key of a call.

        Raises:
            TypeError: The function cannot be called so.
            Unkeyable: An argument has no text of its own.
        """
        return self._tell(self._take(*args, **kwargs))

    def _teller(
        self, slots: Sequence[tuple[str, str]], typed: bool
    ) -> Callable[[Sequence[Any]], str]:
        """What writes the key of bound arguments; a slot is a parameter and its label."""
        scalars = SCALARS if typed else UNTYPED
        prefix = self.prefix
        labels = ",".join(label.replace("%", "%%") + "%s" for _, label in slots)
        pattern = f"{prefix}{labels})"

        def tell(values: Sequence[Any]) -> str:
            try:  # the common case, quickly: nothing but scalars
                text = pattern % tuple([scalars[type(value)](value) for value in values])
            except (KeyError, NoText):
                text = f"{prefix}{','.join(self._arguments(slots, values, typed))})"
            return text if len(text) <= LONGEST else shorten(text, prefix)

        return tell

    def _arguments(
        self, slots: Iterable[tuple[str, str]], values: Iterable[Any], typed: bool
    ) -> Iterator[str]:
        for (name, label), value in zip(slots, values, strict=True):
            if label not in ("*", "**") or value:
                try:
                    yield label + write(value, typed)
                except NoText as refused:
                    raise Unkeyable(self._refusal(name, refused)) from None

    def _checked(self, text: object) -> str:
        if not isinstance(text, str):
            raise TypeError(f"key= of {self.name} returned {text!r}; expected a text")
        if control := CONTROL.search(text):
            raise ValueError(
                f"key= of {self.name} returned {text!r}, with {control[0]!r} in it; expected a "
                "text without control characters and half characters"
            )
        return text

    def _refusal(self, name: str, refused: NoText) -> str:
        if name == self._self:
            remedy = f"ignore=({name!r},) if all its objects answer alike"
        else:
            remedy = f"leave it out with ignore=({name!r},) or give key="
        return f"{refused.about(f'argument {name!r} of {self.name}')}; {remedy}"


def _label(parameter: inspect.Parameter) -> str:
    """What stands before an argument in a key."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "*"
    if parameter.kind is parameter.VAR_KEYWORD:
        return "**"
    needed = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
    return "" if needed else f"{write_string(parameter.name)}="


def _check_name(name: str) -> None:
    if name.endswith("<lambda>") or not _FUNCTION_NAME.fullmatch(name):
        raise ValueError(
            f"the function's name is {name!r}; keys need one of its own, of letters, digits and "
            "_.:/- : give name= or key="
        )


def _check_ignored(ignore: Sequence[str], parameters: Sequence[str], name: str) -> None:
    if isinstance(ignore, str):
        raise TypeError(f"ignore is {ignore!r}; expected names, such as ({ignore!r},)")
    for ignored in ignore:
        if ignored not in parameters:
            known = ", ".join(parameters) or "no parameters"
            raise ValueError(f"ignore has {ignored!r}; {name} has {known}")


def _first_positional(parameters: Mapping[str, inspect.Parameter], name: str) -> str:
    for first in parameters.values():
        if first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
            return first.name
        break
    raise TypeError(f"{name} takes no first argument; a method needs one, such as self")


def _suffix(version: int | str) -> str:
    if isinstance(version, bool) or not _VERSION.fullmatch(str(version)):
        raise ValueError(
            f"version is {version!r}; expected a number, or a text of letters, digits and _.-"
        )
    return "" if version == 1 else f"@{version}"
