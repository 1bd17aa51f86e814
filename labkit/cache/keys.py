"""The keys of cached calls: the same for equal calls everywhere, never the same for two others.

A key is printable ASCII, apart from what a template says literally. Nothing in it depends on the
process, the hash seed or the version of Python. `encode` writes values so:

    None True False 1 1.0 inf word      as they are
    'two%20words' b'%00'                other text, and bytes: escaped as in a URL
    [1,2] (1,2) {a=1} set(1,2)          containers; the order of dicts and sets does not count
    date(2026-11-23) Decimal(1.00)      what Python brings along
    app.models.Point(x=1,y=2)           objects, by the full name of their class
    class(app.models.Point)             classes and functions themselves

Outside quotes and brackets there are only letters, digits and `_.+-`, and `#`, `<` and `>` appear
nowhere: that is what `Template` and shortened keys build on.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import inspect
import operator
import pathlib
import re
import string
import sys
import types
import uuid
import zoneinfo
from collections import OrderedDict
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

LONGEST = 200
"""The most characters of a key; a longer one ends in a hash of the whole."""

_SHOWN = 100
_DEEPEST = 50
_VAST = 1 << 128  # Python limits how many decimal digits it writes, by a setting; hex has no limit

_WORD = re.compile(r"(?!(?:True|False|None|inf|nan)\Z)[A-Za-z_][A-Za-z0-9_.-]{0,62}")
_FORMATTED = re.compile(r"[A-Za-z0-9_.+-]*")
_CLASS_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_ESCAPED = re.compile(r"[^!-~]|['#%<>]")
_FUNCTION_NAME = re.compile(r"[\w.<>:/-]+")
_VERSION = re.compile(r"[A-Za-z0-9_.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIELD = re.compile(r"(\w+)((?:\.\w+|\[[^\[\]]+\])*)")
_STEP = re.compile(r"\.(\w+)|\[([^\[\]]+)\]")

_NEEDED = "a key needs plain values, containers of them, dataclasses, or objects with __cache_key__"
_FEW = "a key needs the few values of it that tell calls apart, such as a tuple"


class Unkeyable(TypeError):
    """A value has no text of its own that a key could hold; the message says where and what."""


class _Refused(Exception):
    """What `Unkeyable` is made of, before anybody knows which argument it was."""

    def __init__(self, found: str, advice: str = _NEEDED) -> None:
        self.found = found
        self.advice = advice
        self.path = ""

    def about(self, subject: str) -> str:
        """The message."""
        path = self.path if len(self.path) <= 60 else f"{self.path[:60]}..."
        where = f"holds {self.found} at {path}" if path else f"is {self.found}"
        return f"{subject} {where}; {self.advice}"


def encode(value: object, *, typed: bool = True) -> str:
    """The canonical text of a value: equal texts mean equal values of equal types.

    `-0.0` differs from `0.0`, `Decimal("1.0")` from `Decimal("1.00")`, an aware time from the same
    moment in another zone, and an object of a subclass from one of its base. Every field of a
    dataclass counts, also those that `==` leaves out.

    Args:
        value: None, numbers, text, bytes, times, UUIDs, paths, ranges, enum members, numpy scalars;
            tuples, lists, dicts, sets; dataclasses, msgspec Structs, named tuples; classes and
            functions that can be imported; objects with a method `__cache_key__` that returns any
            of these.
        typed: False writes equal numbers alike: 1, 1.0 and True.

    Raises:
        Unkeyable: The value is or holds something else, or holds itself.
    """
    try:
        return _write(value, typed)
    except _Refused as refused:
        raise Unkeyable(refused.about("the value")) from None


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
        parameters = _parameters(function)
        self.name = name if name is not None else _name_of(function)
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
            self._take = _binder(function, names)
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
        scalars = _SCALARS if typed else _UNTYPED
        prefix = self.prefix
        labels = ",".join(label.replace("%", "%%") + "%s" for _, label in slots)
        pattern = f"{prefix}{labels})"

        def tell(values: Sequence[Any]) -> str:
            try:  # the common case, quickly: nothing but scalars
                text = pattern % tuple([scalars[type(value)](value) for value in values])
            except (KeyError, _Refused):
                text = f"{prefix}{','.join(self._arguments(slots, values, typed))})"
            return text if len(text) <= LONGEST else _shorten(text, prefix)

        return tell

    def _arguments(
        self, slots: Iterable[tuple[str, str]], values: Iterable[Any], typed: bool
    ) -> Iterator[str]:
        for (name, label), value in zip(slots, values, strict=True):
            if label not in ("*", "**") or value:
                try:
                    yield label + _write(value, typed)
                except _Refused as refused:
                    raise Unkeyable(self._refusal(name, refused)) from None

    def _checked(self, text: object) -> str:
        if not isinstance(text, str):
            raise TypeError(f"key= of {self.name} returned {text!r}; expected a text")
        if control := _CONTROL.search(text):
            raise ValueError(
                f"key= of {self.name} returned {text!r}, with {control[0]!r} in it; expected a "
                "text without control characters and half characters"
            )
        return text

    def _refusal(self, name: str, refused: _Refused) -> str:
        if name == self._self:
            remedy = f"ignore=({name!r},) if all its objects answer alike"
        else:
            remedy = f"leave it out with ignore=({name!r},) or give key="
        return f"{refused.about(f'argument {name!r} of {self.name}')}; {remedy}"


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
        self._shown = f"template {text!r} of {name or _name_of(function)}"
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
        self.take = _binder(function, self._roots(_parameters(function)))

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
        return _shorten("".join(parts), self.prefix)

    def _text(self, field: _Field, value: Any) -> str:
        try:
            for step in field.steps:
                value = step(value)
            formatted = format(value, field.spec) if field.spec else None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unkeyable(f"{self._subject(field)} cannot be filled in: {error!r}") from error
        if formatted is not None:
            return formatted if _FORMATTED.fullmatch(formatted) else _quote(formatted)
        try:
            return _write(value, self._typed)
        except _Refused as refused:
            message = refused.about(self._subject(field))
            raise Unkeyable(f"{message}; name a part of it, or a format") from None

    def _subject(self, field: _Field) -> str:
        return f"field {field.shown} of the {self._shown}"

    def _check_literals(self, literals: str) -> None:
        if bad := _CONTROL.search(literals) or re.search("#", literals):
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


def _shorten(text: str, prefix: str) -> str:
    """The text, or where it is long its beginning and a hash; `#` is in no text that is short."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: max(_SHOWN, len(prefix))]}#{digest}"


class _Source(str):
    """A default that shows as this text where a signature is written out."""

    __slots__ = ()
    __repr__ = str.__str__


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise TypeError(
            f"{function!r} has no signature that can be read, and so no keys; wrap it in a function"
        ) from None


def _binder(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """A function with the signature of `function` that returns the arguments called `names`.

    Python itself then binds arguments, which takes a fraction of what `Signature.bind` does, and
    says what is wrong with a call in the words that the function itself would cause.
    """
    parameters = _parameters(function)
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


def _label(parameter: inspect.Parameter) -> str:
    """What stands before an argument in a key."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "*"
    if parameter.kind is parameter.VAR_KEYWORD:
        return "**"
    needed = parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY
    return "" if needed else f"{_string(parameter.name)}="


def _name_of(function: Callable[..., Any]) -> str:
    return f"{_module_of(function)}.{getattr(function, '__qualname__', '(unnamed)')}"


def _module_of(thing: Any) -> str:
    """A module's name; in a worker process the main module has another one."""
    module = getattr(thing, "__module__", None) or ""
    return "__main__" if module == "__mp_main__" else module


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


def _write(value: object, typed: bool) -> str:
    scalar = (_SCALARS if typed else _UNTYPED).get(type(value))
    if scalar is not None:
        return scalar(value)
    writer = _Writer(typed)
    try:
        return writer.text(value)
    except _Refused as refused:
        refused.path = "".join(step.format(thing) for step, thing in writer.path)
        raise


class _Writer:
    """Writes one value; `path` leads to the part that is being written."""

    def __init__(self, typed: bool) -> None:
        self.path: list[tuple[str, object]] = []
        self._typed = typed
        self._scalars = _SCALARS if typed else _UNTYPED

    def text(self, value: Any) -> str:
        scalar = self._scalars.get(type(value))
        if scalar is not None:
            return scalar(value)
        if len(self.path) >= _DEEPEST:
            self.path.clear()
            raise _Refused(f"more than {_DEEPEST} containers deep, or holds itself")
        container = _CONTAINERS.get(type(value))
        return container(self, value) if container is not None else self._other(value)

    def items(self, values: Iterable[Any]) -> list[str]:
        return [self._inside("[{}]", index, value) for index, value in enumerate(values)]

    def members(self, values: Iterable[Any]) -> list[str]:
        return sorted(self._inside("{{}}", None, value) for value in values)

    def pairs(self, mapping: Mapping[Any, Any]) -> list[str]:
        return [
            f"{self._inside('.keys()', key, key)}={self._inside('[{!r}]', key, value)}"
            for key, value in mapping.items()
        ]

    def _inside(self, step: str, thing: object, value: Any) -> str:
        self.path.append((step, thing))
        text = self.text(value)
        self.path.pop()
        return text

    def _fields(self, value: Any, names: Iterable[str]) -> str:
        return ",".join(
            f"{_string(name)}={self._inside('.{}', name, getattr(value, name))}" for name in names
        )

    def _other(self, value: Any) -> str:
        """What is no built-in type itself."""
        kind = type(value)
        if hasattr(kind, "__cache_key__"):
            key = self._inside(".__cache_key__()", None, value.__cache_key__())
            return f"{_class_name(kind)}({key})"
        if not self._typed and isinstance(value, _NUMBERS):
            return _number(value)
        if isinstance(value, Enum):
            member = _integer(value._value_) if isinstance(value, Flag) else _string(value._name_)
            return f"{_class_name(kind)}({member})"
        if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
            return _importable(value)
        if (number := _numpy_number(value)) is not None:
            scalar = self._scalars[type(number)](number)
            return f"{_class_name(kind)}({scalar})" if self._typed else scalar
        for base, plain in _BASES.items():
            if isinstance(value, base):
                return self._subclass(value, plain(value))
        names = _field_names(kind)
        if names is None:
            raise _Refused(_an(_full_name(kind)), _FEW if hasattr(kind, "__array__") else _NEEDED)
        return f"{_class_name(kind)}({self._fields(value, names)})"

    def _subclass(self, value: Any, plain: Any) -> str:
        """An object of a class that derives from a built-in one: that, and its attributes."""
        kind = type(value)
        names = getattr(kind, "_fields", None)
        text = self.text(plain) if names is None else self._fields(value, names)
        attributes = object.__getstate__(value)
        if attributes is not None:
            text += f",{self.text(attributes)}"
        return f"{_class_name(kind)}({text})"


def _string(value: str) -> str:
    return value if _WORD.fullmatch(value) else _quote(value)


def _quote(value: str) -> str:
    return f"'{_ESCAPED.sub(_escape, value)}'"


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def _bytes(value: bytes) -> str:
    escaped = _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", value.decode("latin-1"))
    return f"b'{escaped}'"


def _integer(value: int) -> str:
    return repr(value) if -_VAST < value < _VAST else hex(value)


def _number(value: Any) -> str:
    """The one text of all numbers that are equal to this one."""
    if isinstance(value, complex):
        if value.imag == 0:
            return _number(value.real)
        return f"complex({_number(value.real)},{_number(value.imag)})"
    try:
        above, below = value.as_integer_ratio()
    except ValueError:
        return "nan"
    except OverflowError:
        return "inf" if value > 0 else "-inf"
    if below == 1:
        return _integer(above)
    try:
        nearest = above / below
    except OverflowError:
        nearest = 0.0
    if nearest.as_integer_ratio() == (above, below):
        return repr(nearest)
    return f"Fraction({_integer(above)},{_integer(below)})"


def _moment(value: dt.datetime | dt.time) -> str:
    fold = ",fold=1" if value.fold else ""
    return f"{type(value).__name__}({value.isoformat()}{_zone(value.tzinfo)}{fold})"


def _zone(zone: dt.tzinfo | None) -> str:
    """What a time's own text does not say of its zone."""
    if zone is None:
        return ""
    if type(zone) is dt.timezone:
        name = zone.tzname(None)
        usual = dt.timezone(zone.utcoffset(None)).tzname(None)
        return "" if name == usual else f",name={_string(name)}"
    if type(zone) is zoneinfo.ZoneInfo and zone.key:
        return f",zone={_string(zone.key)}"
    raise _Refused(
        f"a time whose zone is {_an(_full_name(type(zone)))}",
        "a key needs datetime.timezone or a zoneinfo.ZoneInfo that has a name",
    )


def _path(value: pathlib.PurePath) -> str:
    return f"{type(value).__name__}({_string(str(value))})"


def _numpy_number(value: Any) -> bool | int | float | complex | None:
    """The Python number that a numpy scalar is; None for everything else."""
    if any(_full_name(base) in _NUMPY_NUMBERS for base in type(value).__mro__):
        number = value.item()
        if type(number) in (bool, int, float, complex):  # not so for a longdouble
            return cast("complex", number)
    return None


def _field_names(kind: type) -> Iterable[str] | None:
    """The fields of a dataclass or a msgspec Struct."""
    if hasattr(kind, "__struct_fields__"):
        names: tuple[str, ...] = kind.__struct_fields__
        return names
    if hasattr(kind, "__dataclass_fields__"):
        return [field.name for field in dataclasses.fields(kind)]
    return None


def _full_name(kind: type) -> str:
    return f"{_module_of(kind)}.{kind.__qualname__}".removeprefix("builtins.")


def _class_name(kind: type) -> str:
    """The class of an object, as it stands in a key."""
    if "<" in kind.__qualname__:
        raise _Refused(
            f"an object of {_full_name(kind)}",
            "a key needs classes that are defined in a module, not in a function",
        )
    name = f"{_module_of(kind)}.{kind.__qualname__}"
    return name if _CLASS_NAME.fullmatch(name) else _quote(name)


def _importable(value: Any) -> str:
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    what = "class" if isinstance(value, type) else "function"
    if found is not value:
        raise _Refused(
            f"the {what} {_module_of(value)}.{value.__qualname__}",
            f"a key needs a {what} that its module has under this name",
        )
    return f"{what}({_string(f'{_module_of(value)}.{value.__qualname__}')})"


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


_NUMBERS = (int, float, complex, Decimal, Fraction)
_NUMPY_NUMBERS = ("numpy.number", "numpy.bool", "numpy.bool_")  # numpy itself is not imported

_SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    int: _integer,
    float: repr,
    str: _string,
    bytes: _bytes,
    bytearray: lambda value: f"bytearray({_bytes(value)})",
    complex: lambda value: f"complex({value.real!r},{value.imag!r})",
    Decimal: lambda value: f"Decimal({str(value).upper()})",  # a context may write 1e+3 or 1E+3
    Fraction: lambda value: f"Fraction({_integer(value.numerator)},{_integer(value.denominator)})",
    dt.datetime: _moment,
    dt.time: _moment,
    dt.date: lambda value: f"date({value})",
    dt.timedelta: lambda value: f"timedelta({value.days},{value.seconds},{value.microseconds})",
    uuid.UUID: lambda value: f"UUID({value})",
    range: lambda value: f"range({','.join(map(_integer, (value.start, value.stop, value.step)))})",
    pathlib.PurePosixPath: _path,
    pathlib.PureWindowsPath: _path,
    pathlib.PosixPath: _path,
    pathlib.WindowsPath: _path,
}
_UNTYPED = {**_SCALARS, **dict.fromkeys((bool, float, complex, Decimal, Fraction), _number)}

_CONTAINERS: dict[type, Callable[[_Writer, Any], str]] = {
    list: lambda writer, value: f"[{','.join(writer.items(value))}]",
    tuple: lambda writer, value: f"({','.join(writer.items(value))})",
    dict: lambda writer, value: f"{{{','.join(sorted(writer.pairs(value)))}}}",
    OrderedDict: lambda writer, value: f"OrderedDict({','.join(writer.pairs(value))})",
    set: lambda writer, value: f"set({','.join(writer.members(value))})",
    frozenset: lambda writer, value: f"frozenset({','.join(writer.members(value))})",
}

_BASES: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    **{base: base for base in (bytes, bytearray, tuple, list, dict, set, frozenset)},
}
"""Classes that others derive from, and what makes the plain value of such an object."""
