"""Values into bytes and back: what a store holds, and what keeps callers apart.

Bytes from a store are never trusted: whatever is wrong with them, reading them raises `Undecodable`
and runs nothing. A value that would come back as something else is never stored: see `prove`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import hashlib
import hmac
import inspect
import pickle
import typing
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet


class Undecodable(ValueError):
    """The bytes cannot be read back."""


class Unserializable(TypeError):
    """The serializer cannot store this value faithfully."""


class Serializer(Protocol):
    """Turns values into bytes and back."""

    def dumps(self, value: Any) -> bytes:
        """The bytes of a value.

        Raises:
            Unserializable: There are none.
        """
        ...

    def loads(self, payload: bytes) -> Any:
        """The value again, a new one every time.

        Raises:
            Undecodable: The bytes are damaged, or of another type.
        """
        ...

    def for_type(self, annotation: Any) -> Serializer:
        """One that reads values back as this type, such as a function's return annotation."""
        ...


def prove(serializer: Serializer, value: Any) -> bytes:
    """The bytes of a value that were read back once, and were equal, in type too.

    One thing may change: an int comes back as a float where an annotation says float.

    Raises:
        Unserializable: They were not; the message says where, and what to do.
    """
    try:
        return _proved(serializer, value, value)
    except Unserializable as why:
        if not isinstance(serializer, MessagePack):
            raise
        try:
            return _proved(serializer, _marked(value), value)
        except RecursionError:
            raise why from None
        except Unserializable as why_still:
            # To a type, marked parts are one more surprise; without one, only what is left is told.
            raise (why_still if serializer.type is Any else why) from None


def _proved(serializer: Serializer, form: Any, value: Any) -> bytes:
    payload = serializer.dumps(form)
    try:
        changed = _changed(value, serializer.loads(payload))
    except (Undecodable, RecursionError) as error:
        raise _refusal(serializer, value, error) from error
    if changed:
        raise _refusal(serializer, value, f"value{changed}")
    return payload


def _refusal(serializer: Serializer, value: Any, why: Exception | str) -> Unserializable:
    if isinstance(why, RecursionError):
        why = "it is nested too deeply, or holds itself"
    advice = "return plain data"
    if not isinstance(serializer, SignedPickle):
        advice = (
            "annotate exactly what the function returns, return plain data or a dataclass, "
            "or use SignedPickle"
        )
    return Unserializable(
        f"{serializer!r} cannot store a value of type {type(value).__qualname__}: "
        f"{str(why) or type(why).__name__}; {advice}"
    )


class _Msgspec:
    """What MessagePack and Json have in common."""

    _encode: Callable[[Any], bytes]
    _decode: Callable[[bytes], Any]

    def __init__(self, type: Any = Any) -> None:  # noqa: A002
        self.type = type
        self._unreadable: Any = None

    def dumps(self, value: Any) -> bytes:
        """The bytes of a value; `prove` says whether it comes back the same."""
        try:
            return self._encode(value)
        except Exception as error:
            raise _refusal(self, value, error) from error

    def loads(self, payload: bytes) -> Any:
        """The value again; runs nothing but the owner's own types.

        Raises:
            Undecodable: The bytes are damaged, or of another type.
        """
        try:
            return self._decode(payload)
        except Exception as error:
            raise Undecodable(f"not a value of {self!r}: {error}") from error

    def for_type(self, annotation: Any) -> Serializer:
        """One that reads values back as this type.

        One that was made for a type stays with it. Where there is no type, or none that msgspec can
        read, values come back as the plain types that the bytes name.
        """
        unknown = isinstance(annotation, str | typing.ForwardRef | typing.TypeVar)
        nothing = any(annotation is each for each in (None, Any, object, inspect.Signature.empty))
        if self.type is not Any or unknown or nothing:
            return self
        try:
            return self.__class__(annotation)
        except Exception:
            plain = self.__class__()
            plain._unreadable = annotation
            return plain

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._unreadable is not None:
            return f"{name}(Any; not {inspect.formatannotation(self._unreadable)}, unreadable)"
        return f"{name}({'' if self.type is Any else inspect.formatannotation(self.type)})"


class MessagePack(_Msgspec):
    """Small and fast; the default.

    Every type that msgspec reads comes back as itself where the function's return annotation names
    it. Without an annotation, the common types of the standard library still come back as
    themselves (a tuple, a datetime, a Decimal, a set), and only classes of one's own are refused.

    Args:
        type: What values are read back as.
    """

    def __init__(self, type: Any = Any) -> None:  # noqa: A002
        super().__init__(type)
        self._encode = _encode
        self._decode = msgspec.msgpack.Decoder(type, ext_hook=_value_of).decode


class Json(_Msgspec):
    """Text that other programs can read.

    Without a return annotation only what JSON has a word for is stored: no tuple, no datetime, no
    key that is not a str, no NaN.

    Args:
        type: What values are read back as.
    """

    def __init__(self, type: Any = Any) -> None:  # noqa: A002
        super().__init__(type)
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(type).decode


class Raw:
    """Bytes as they are."""

    def dumps(self, value: Any) -> bytes:
        """The bytes themselves.

        Raises:
            Unserializable: It is anything but bytes.
        """
        if type(value) is not bytes:
            raise Unserializable(
                f"the value is of type {type(value).__qualname__}; Raw stores bytes only: "
                "return bytes, or use another serializer"
            )
        return value

    def loads(self, payload: bytes) -> bytes:
        """The bytes themselves."""
        return payload

    def for_type(self, annotation: Any) -> Serializer:
        """Itself."""
        return self

    def __repr__(self) -> str:
        return "Raw()"


_CONTEXT = b"labkit.cache SignedPickle"
_VERSION = b"\x01"
_HEAD = len(_VERSION) + hashlib.sha256().digest_size
_LEAST = 32


class SignedPickle:
    """Any object that pickle takes, behind a signature.

    Nothing is unpickled before its signature is verified. A signature says that an owner of the
    secret wrote the bytes, not where: whoever can write to the store can still swap signed values.

    Args:
        keys: A secret of 32 bytes or more, such as `secrets.token_bytes(32)`; or several: the first
            signs, all verify, so that a key can be replaced while old values live.

    Raises:
        ValueError: There is no key, or one is too short.
    """

    def __init__(self, keys: Sequence[bytes] | bytes) -> None:
        self._keys = (keys,) if isinstance(keys, bytes) else tuple(keys)
        if not self._keys:
            raise ValueError("keys is empty; expected one, such as secrets.token_bytes(32)")
        for key in self._keys:
            if not isinstance(key, bytes):
                raise TypeError(f"a key is of type {type(key).__qualname__}; expected bytes")
            if len(key) < _LEAST:
                raise ValueError(
                    f"a key has {len(key)} bytes; expected {_LEAST} or more, "
                    "such as secrets.token_bytes(32)"
                )

    def dumps(self, value: Any) -> bytes:
        """The signed pickle of a value.

        Raises:
            Unserializable: pickle cannot take it.
        """
        try:
            pickled = pickle.dumps(value, protocol=5)
        except Exception as error:
            raise _refusal(self, value, error) from error
        return _VERSION + _signature(self._keys[0], pickled) + pickled

    def loads(self, payload: bytes) -> Any:
        """The value again, if one of the keys signed it.

        Raises:
            Undecodable: None of them did, or its class has changed since.
        """
        given, pickled = payload[len(_VERSION) : _HEAD], payload[_HEAD:]
        # All are compared, so that the time taken does not tell which one matched.
        matches = [hmac.compare_digest(given, _signature(key, pickled)) for key in self._keys]
        if payload[: len(_VERSION)] != _VERSION or not any(matches):
            raise Undecodable("the bytes are not signed by one of the keys, or were changed since")
        try:
            return pickle.loads(pickled)
        except Exception as error:
            raise Undecodable(f"the pickle cannot be read: {error}") from error

    def for_type(self, annotation: Any) -> Serializer:
        """Itself: a pickle names its types."""
        return self

    def __repr__(self) -> str:
        return f"SignedPickle(<{len(self._keys)} {'key' if len(self._keys) == 1 else 'keys'}>)"


def _signature(key: bytes, pickled: bytes) -> bytes:
    fields = _CONTEXT + _VERSION + len(pickled).to_bytes(8, "big")
    return hmac.digest(key, fields + pickled, "sha256")


# What prove compares. A text about the first difference begins with the path that leads to it.

_BY_VALUE = frozenset(
    {type(None), bool, int, str, bytes, bytearray, dt.date, dt.timedelta, UUID, Fraction, range}
)
# NaN is itself; 0.0 and -0.0 are two, and so are Decimal("1.0") and Decimal("1.00").
_BY_TEXT = frozenset({float, complex, Decimal, dt.timezone, ZoneInfo})


def _changed(kept: Any, back: Any) -> str:
    kind: Any = type(kept)
    if type(back) is not kind:
        if kind is int and type(back) is float and kept == back:
            return ""
        return f" is of type {kind.__qualname__} and comes back as {type(back).__qualname__}"
    if kind in _BY_VALUE or isinstance(kept, enum.Enum):
        same = kept == back
    elif kind in _BY_TEXT:
        same = repr(kept) == repr(back)
    elif kind is dt.datetime or kind is dt.time:
        same = _moment_text(kept) == _moment_text(back)
    elif isinstance(kept, (set, frozenset)):
        same = _same_members(kept, back)
    elif isinstance(kept, dict) and len(kept) == len(back):
        return _changed_item(kept, back)
    elif isinstance(kept, (list, tuple)) and len(kept) == len(back):
        return _changed_member(kept, back)
    elif isinstance(kept, (dict, list, tuple)):
        same = False
    else:
        return _changed_field(kept, back)
    return "" if same else f" is of type {kind.__qualname__} and comes back as another"


def _changed_member(kept: Sequence[Any], back: Sequence[Any]) -> str:
    for index, (one, other) in enumerate(zip(kept, back, strict=True)):
        if found := _changed(one, other):
            return f"[{index}]{found}"
    return ""


def _changed_item(kept: dict[Any, Any], back: dict[Any, Any]) -> str:
    for (key, one), (other_key, other) in zip(kept.items(), back.items(), strict=True):
        if found := _changed(key, other_key):
            return f", key {key!r}{found}"
        if found := _changed(one, other):
            return f"[{key!r}]{found}"
    return ""


def _changed_field(kept: Any, back: Any) -> str:
    kind: Any = type(kept)
    # An object that is no record came back as one of its own type: its serializer knows it best.
    for name in _fields(kind):
        if found := _changed(getattr(kept, name, None), getattr(back, name, None)):
            return f".{name}{found}"
    return ""


def _same_members(kept: AbstractSet[Any], back: AbstractSet[Any]) -> bool:
    mates = {member: member for member in back}
    return len(kept) == len(back) and all(
        member in mates and not _changed(member, mates[member]) for member in kept
    )


@functools.lru_cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a Struct, a dataclass or an attrs class."""
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return tuple(field.name for field in getattr(kind, "__attrs_attrs__", ()))


def _moment_text(moment: dt.datetime | dt.time) -> tuple[str, int, str]:
    # By the name of its zone, so that ZoneInfo("UTC") may come back as datetime.UTC.
    return moment.replace(tzinfo=None).isoformat(), moment.fold, str(moment.tzinfo)


# What MessagePack has no form for, msgspec writes as the nearest form it has, and calls no hook. So
# when that changed a value, prove tries again with each such part marked: it becomes an extension
# whose code names the type and whose bytes are, in MessagePack, what the type is made from.


class _Marked:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _marked(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return [_marked(member) for member in value]
    if kind is dict:
        return {_marked(key): _marked(member) for key, member in value.items()}
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _Marked(value)
    return _Marked(value) if kind in _FORMS else value


def _extension(value: Any) -> msgspec.msgpack.Ext:
    if type(value) is _Marked:
        value = value.value
    if type(value) not in _FORMS:
        raise TypeError(f"there is no form for type {type(value).__qualname__}")
    code, parts, _ = _FORMS[type(value)]
    return msgspec.msgpack.Ext(code, _encode(_marked(parts(value))))


def _value_of(code: int, data: memoryview) -> Any:
    return _BUILD[code](_decode(data))


def _moment_parts(moment: dt.datetime | dt.time) -> list[Any]:
    return [moment.replace(tzinfo=None).isoformat(), moment.fold, moment.tzinfo]


def _moment(kind: Any, text: str, fold: int, zone: dt.tzinfo | None) -> Any:
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=zone)


# The codes are in stored bytes: they never change. Parts come from outside, so a constructor here
# must refuse what is not its own, and must not do much work for few bytes.
_FORMS: dict[type, tuple[int, Callable[[Any], Any], Callable[[Any], Any]]] = {
    tuple: (1, list, tuple),
    set: (2, list, set),
    frozenset: (3, list, frozenset),
    bytearray: (4, bytes, lambda parts: bytearray(memoryview(parts))),
    int: (
        5,
        lambda number: number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True),
        lambda parts: int.from_bytes(parts, "big", signed=True),
    ),
    complex: (6, lambda number: [number.real, number.imag], lambda parts: complex(*parts)),
    Decimal: (7, str, Decimal),
    Fraction: (8, Fraction.as_integer_ratio, lambda parts: Fraction(parts[0], parts[1])),
    range: (9, lambda numbers: [numbers.start, numbers.stop, numbers.step], lambda p: range(*p)),
    UUID: (10, lambda uuid: uuid.bytes, lambda parts: UUID(bytes=parts)),
    dt.date: (11, dt.date.isoformat, dt.date.fromisoformat),
    dt.time: (12, _moment_parts, lambda parts: _moment(dt.time, *parts)),
    dt.datetime: (13, _moment_parts, lambda parts: _moment(dt.datetime, *parts)),
    dt.timedelta: (
        14,
        lambda span: [span.days, span.seconds, span.microseconds],
        lambda parts: dt.timedelta(*parts),
    ),
    dt.timezone: (15, lambda zone: zone.utcoffset(None), dt.timezone),
    ZoneInfo: (16, lambda zone: zone.key, ZoneInfo),
}
_BUILD = {code: build for code, _, build in _FORMS.values()}
_encode = msgspec.msgpack.Encoder(enc_hook=_extension).encode
_decode = msgspec.msgpack.Decoder(ext_hook=_value_of).decode
