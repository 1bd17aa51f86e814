"""Serializers that say of which type's shape their bytes are, and read no others.

A process that runs an older version of a class shares its keys with those that run the new one, so
that what one of them invalidates is gone for all; what it has stored is a miss to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.cache.serializers import Json, MessagePack, Serializer, Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable


def stamped(serializer: Serializer, type: Any, stamp: bytes) -> Serializer:  # noqa: A002
    """The same serializer for a type, whose bytes begin with a stamp."""
    for plain, own in ((MessagePack, _StampedMessagePack), (Json, _StampedJson)):
        if serializer.__class__ is plain:
            return own(type, stamp)
    return _Stamped(serializer.for_type(type), stamp)


def cut(payload: bytes, stamp: bytes) -> bytes:
    """What stands behind the stamp.

    Raises:
        Undecodable: There is another one.
    """
    if payload[: len(stamp)] != stamp:
        raise Undecodable("the bytes are of another version of the type")
    return payload[len(stamp) :]


class _Stamped:
    """A serializer of a user's own, or one that needs no type."""

    def __init__(self, inner: Serializer, stamp: bytes) -> None:
        self._inner = inner
        self._stamp = stamp

    def dumps(self, value: Any) -> bytes:
        return self._stamp + self._inner.dumps(value)

    def loads(self, payload: bytes) -> Any:
        return self._inner.loads(cut(payload, self._stamp))

    def for_type(self, annotation: Any) -> Serializer:
        return self

    def __repr__(self) -> str:
        return repr(self._inner)


class _OfOneType:
    """What the two below have in common: their plain form is kept, as `proof` asks for it."""

    type: Any
    _encode: Callable[[Any], bytes]
    _decode: Callable[[bytes], Any]

    def _put_stamp(self, stamp: bytes) -> None:
        encode, decode = self._encode, self._decode
        self._encode = lambda value: stamp + encode(value)
        self._decode = lambda payload: decode(cut(payload, stamp))

    def for_type(self, annotation: Any) -> Any:
        return self


class _StampedMessagePack(_OfOneType, MessagePack):
    def __init__(self, type: Any, stamp: bytes) -> None:  # noqa: A002
        super().__init__(type)
        self._put_stamp(stamp)


class _StampedJson(_OfOneType, Json):
    def __init__(self, type: Any, stamp: bytes) -> None:  # noqa: A002
        super().__init__(type)
        self._put_stamp(stamp)
