"""Keys and tags that are written out, with fields for arguments; and how long a key gets."""

from __future__ import annotations

import hashlib
import operator
import re
import string
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache.keys.names import name_of
from labkit.cache.keys.refusals import NoText, Unkeyable
from labkit.cache.keys.scalars import quote
from labkit.cache.keys.signatures import binder, parameters_of
from labkit.cache.keys.values import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LONGEST = 200
"""The most characters of a key; a longer one ends in a hash of the whole."""

_SHOWN = 100

_FORMATTED = re.compile(r"[A-Za-z0-9_.+-]*")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELD = re.compile(r"(\w+)((?:\.\w+|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")


class Template:
    """A text with fields that are parameters of a function, for keys and tags.

    `{id}` is `encode`d, so that no two values look alike. `{article.id}`, `{items[0]}` and
    `{row[name]}` take a part. `{when:%Y-%m-%d}` is what `format` makes of the value, and all of it
    that counts. `{{` is a brace. Between two fields there is a text: a value that holds the letter,
    digit or one of `_.+-([{'` that this text begins with is put in `<>`, so that `{a}-{b}` too has
    another text for every pair.

    Args:
        text: The text.
        function: The function whose parameters the fields are.
        typed: False writes equal numbers alike.
        name: How messages call the function.

    Attributes:
        prefix: The text before the first field.
        take: Called as the function, picks out the arguments that `tell` needs.

    Raises:
        ValueError: The template cannot be read, names no parameter, or reaches for private parts.

    Example:
        >>> def article(id, author_id): ...
        >>> Template("author:{author_id}", article).of((1, "ada"), {})
        'author:ada'
    """

    def __init__(
        self,
        text: str,
        function: Callable[..., Any],
        *,
        typed: bool = True,
        name: str | None = None,
    ) -> None:
        self._shown = f"template {text!r} of {name or name_of(function)}"
        self._typed = typed
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError as error:
            raise ValueError(f"{self._shown} cannot be read: {error}") from None
        self._check_literals("".join(piece[0] for piece in pieces))
        self.prefix, fields = _split(pieces)
        self._fields = [
            self._field(*field, last=number == len(fields))
            for number, field in enumerate(fields, start=1)
        ]
        self.take = binder(function, self._roots(parameters_of(function)))

    def of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """The text for a call.

        Raises:
            TypeError: The function cannot be called so.
            Unkeyable: A field's value has no text of its own, or the value has no such part.
        """
        return self.tell(self.take(*args, **kwargs))

    def tell(self, values: Iterable[Any]) -> str:
        """The text for the arguments that `take` picked out of a call."""
        parts = [self.prefix]
        for field, value in zip(self._fields, values, strict=True):
            text = self._text(field, value)
            if field.guard and field.guard in text:
                text = f"<{text}>"
            parts += (text, field.after)
        return shorten("".join(parts), self.prefix)

    def _text(self, field: _Field, value: Any) -> str:
        try:
            for step in field.steps:
                value = step(value)
            formatted = format(value, field.spec) if field.spec else None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unkeyable(f"{self._subject(field)} cannot be filled in: {error!r}") from error
        if formatted is not None:
            return formatted if _FORMATTED.fullmatch(formatted) else quote(formatted)
        try:
            return write(value, self._typed)
        except NoText as refused:
            message = refused.about(self._subject(field))
            raise Unkeyable(f"{message}; name a part of it, or a format") from None

    def _subject(self, field: _Field) -> str:
        return f"field {field.shown} of the {self._shown}"

    def _check_literals(self, literals: str) -> None:
        if bad := CONTROL.search(literals) or re.search("#", literals):
            raise ValueError(
                f"{self._shown} has {bad[0]!r} in it; expected a text without control characters "
                "and without '#', which marks shortened keys"
            )

    def _field(self, name: str, spec: str, conversion: str, after: str, last: bool) -> _Field:
        shown = f"{{{name}{':' * bool(spec)}{spec}}}"
        if conversion:
            raise ValueError(f"{self._shown} has {{{name}!{conversion}}}; write {{{name}}}")
        if "{" in spec:
            raise ValueError(f"{self._shown} has a field inside of {shown}; write the format out")
        if not after and not last:
            raise ValueError(f"{self._shown} has a field next to {shown}; put ':' between them")
        match = _FIELD.fullmatch(name)
        root, path = match.groups() if match else (name, "")
        steps: list[Callable[[Any], Any]] = []
        for attribute, index in _STEP.findall(path):
            if attribute.startswith("_"):
                raise ValueError(f"{self._shown} reaches for the private part {attribute!r}")
            if attribute:
                steps.append(operator.attrgetter(attribute))
            else:
                steps.append(operator.itemgetter(int(index) if index.isdecimal() else index))
        guarded = not last and re.match(r"[A-Za-z0-9_.+('\[{-]", after)
        return _Field(shown, root, tuple(steps), spec, after, guarded[0] if guarded else "")

    def _roots(self, parameters: Iterable[str]) -> list[str]:
        for field in self._fields:
            if field.root not in parameters:
                raise ValueError(
                    f"{self._shown} has the field {field.shown}; expected the name of a parameter: "
                    f"{', '.join(parameters) or 'there is none'}"
                )
        return [field.root for field in self._fields]


class _Field(NamedTuple):
    """One field of a template."""

    shown: str
    root: str
    steps: tuple[Callable[[Any], Any], ...]
    spec: str
    after: str
    """The text up to the next field."""
    guard: str
    """How that text begins, where a value's own text could go on like it."""


def _split(
    pieces: Iterable[tuple[str, str | None, str | None, str | None]],
) -> tuple[str, list[tuple[str, str, str, str]]]:
    """The text before the first field; and each field, its format, conversion and what follows."""
    texts, fields = [""], []
    for literal, name, spec, conversion in pieces:
        texts[-1] += literal
        if name is not None:
            fields.append((name, spec or "", conversion or ""))
            texts.append("")
    return texts[0], [(*field, after) for field, after in zip(fields, texts[1:], strict=True)]


def shorten(text: str, prefix: str) -> str:
    """The text, or where it is long its beginning and a hash; `#` is in no text that is short."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: max(_SHOWN, len(prefix))]}#{digest}"
