"""What a route reads of a request, as far as its parameters and its dependencies say."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from fastapi import BackgroundTasks, params
from fastapi.security import APIKeyCookie, APIKeyHeader
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclasses.dataclass
class Reads:
    """What a route reads, itself and by its dependencies.

    Attributes:
        headers: Headers that are parameters, in lower case.
        secret_headers: Headers that say who asks, in lower case.
        cookies: Cookies.
        ending: What the route is given that ends with the request: dependencies with `yield`, and
            background tasks.
    """

    headers: set[str] = dataclasses.field(default_factory=set)
    secret_headers: set[str] = dataclasses.field(default_factory=lambda: {"authorization"})
    cookies: set[str] = dataclasses.field(default_factory=set)
    ending: list[str] = dataclasses.field(default_factory=list)


def reads(function: Callable[..., Any]) -> Reads:
    """What a route reads of a request."""
    found = Reads()
    _look(function, found, set())
    return found


def parameter_of(function: Callable[..., Any], kind: type) -> str | None:
    """The name of the parameter that FastAPI fills with an object of this kind."""
    names = [name for name, annotation, _ in _parameters(function) if _is(annotation, kind)]
    return names[-1] if names else None


def with_parameters(function: Callable[..., Any], added: dict[str, type]) -> inspect.Signature:
    """The signature of a function with parameters added, by name."""
    signature = inspect.signature(function)
    given = list(signature.parameters.values())
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
        for name, kind in added.items()
    ]
    if given and given[-1].kind is inspect.Parameter.VAR_KEYWORD:
        raise TypeError(
            f"{function.__qualname__} takes **{given[-1].name}; expected a route, whose parameters "
            "are named"
        )
    return signature.replace(parameters=[*given, *more])


def _look(function: Callable[..., Any], found: Reads, seen: set[int]) -> None:
    if id(function) in seen:
        return
    seen.add(id(function))
    _look_at_scheme(function, found)
    for name, annotation, marker in _parameters(function):
        if isinstance(marker, params.Depends):
            below = marker.dependency or annotation
            if callable(below):
                if _ends(below):
                    found.ending.append(name)
                _look(below, found, seen)
        elif isinstance(marker, params.Header):
            found.headers.update(_header_names(name, annotation, marker))
        elif isinstance(marker, params.Cookie):
            found.cookies.update(_field_names(annotation) or [marker.alias or name])
        elif _is(annotation, BackgroundTasks):
            found.ending.append(name)


def _look_at_scheme(function: Any, found: Reads) -> None:
    if isinstance(function, APIKeyHeader):
        found.secret_headers.add(function.model.name.lower())
    elif isinstance(function, APIKeyCookie):
        found.cookies.add(function.model.name)


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each parameter's name, its type, and what marks it as a header, a dependency or the like."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    names = getattr(_plain(function), "__globals__", {})
    for name, parameter in signature.parameters.items():
        annotation, marker = parameter.annotation, parameter.default
        if isinstance(annotation, str):
            try:
                annotation = eval(annotation, names)
            except Exception:  # FastAPI says what is wrong with it
                annotation = Any
        if get_origin(annotation) is Annotated:
            annotation, *notes = get_args(annotation)
            marks = [note for note in notes if isinstance(note, params.Depends | params.Param)]
            marker = marks[-1] if marks else marker
        yield name, annotation, marker


def _plain(function: Any) -> Any:
    """What is inside of partials, decorators, classes and objects that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if inspect.isclass(function):
        return function.__init__
    if inspect.isroutine(function):
        return getattr(function, "__func__", function)
    return type(function).__call__


def _ends(function: Any) -> bool:
    plain = _plain(function)
    return inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain)


def _header_names(name: str, annotation: Any, marker: params.Header) -> list[str]:
    names = _field_names(annotation) or [marker.alias or name]
    if marker.convert_underscores and not marker.alias:
        names = [each.replace("_", "-") for each in names]
    return [each.lower() for each in names]


def _field_names(annotation: Any) -> list[str]:
    """The names of the fields of a model whose fields are parameters each."""
    if not _is(annotation, BaseModel):
        return []
    return [field.alias or name for name, field in annotation.model_fields.items()]


def _is(annotation: Any, kind: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, kind)
