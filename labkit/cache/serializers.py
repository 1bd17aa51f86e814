"""Values into bytes and back: what a store holds, and what keeps callers apart.

Bytes from a store are never trusted: whatever is wrong with them, reading them raises `Undecodable`
and runs nothing. A value that would come back as something else is never stored: see `proof`.
"""

from __future__ import annotations

import hashlib
import hmac
import inspect
import pickle
import typing
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from labkit.cache.marks import encode, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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


class _Msgspec:
    """What MessagePack and Json have in common."""

    _encode: Callable[[Any], bytes]
    _decode: Callable[[bytes], Any]

    def __init__(self, type: Any = Any) -> None:  # noqa: A002
        self.type = type
        self._unreadable: Any = None

    def dumps(self, value: Any) -> bytes:
        """The bytes of a value; `proof.prove` says whether it comes back the same."""
        try:
            return self._encode(value)
        except Exception as error:
            raise refusal(self, value, error) from error

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
        self._encode = encode
        self._decode = msgspec.msgpack.Decoder(type, ext_hook=value_of).decode


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
            raise refusal(self, value, error) from error
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


def refusal(serializer: Serializer, value: Any, why: Exception | str) -> Unserializable:
    """What a serializer raises for a value, with what can be done about it."""
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
