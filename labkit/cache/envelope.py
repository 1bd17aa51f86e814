"""What a cache puts around a serialized value before a store gets it.

    byte 0      the version of this layout
    byte 1      flags: compressed, the value is None, the call raised
    8 bytes     when it was written, seconds since 1970, a double
    4 bytes     how many seconds the load took, a float
    8 bytes     only with the flag AGING: for how many seconds it is fresh, and for how many it is
                kept after that, two floats
    the rest    the serialized value

Anything else, an older version and a body that does not inflate are misses.
"""

from __future__ import annotations

import struct
import zlib

VERSION = 1
COMPRESSED, NONE, RAISED, AGING = 1, 2, 4, 8
_HEAD = struct.Struct("<BBdf")
_SIZE = _HEAD.size
_AGES = struct.Struct("<ff")
_MOST = 256 * 1024 * 1024  # a body never inflates to more bytes than this


def seal(
    body: bytes,
    *,
    flags: int = 0,
    written: float,
    load: float = 0.0,
    ages: tuple[float, float] | None = None,
    compress_over: int | None,
) -> bytes:
    """An envelope around a body, which is compressed when that makes a large one smaller."""
    if compress_over is not None and len(body) > compress_over:
        smaller = zlib.compress(body, 1)
        if len(smaller) < len(body):
            body, flags = smaller, flags | COMPRESSED
    if ages is not None:
        return _HEAD.pack(VERSION, flags | AGING, written, load) + _AGES.pack(*ages) + body
    return _HEAD.pack(VERSION, flags, written, load) + body


def unseal(
    payload: bytes,
) -> tuple[int, float, float, bytes, tuple[float, float] | None] | None:
    """What an envelope holds, or None where it cannot be read.

    Returns:
        The flags `NONE` and `RAISED` or neither, when it was written in seconds since 1970, how
        many seconds the load took, the serialized value, and for how many seconds it is fresh and
        kept after that, or None.
    """
    try:
        version, flags, written, load = _HEAD.unpack_from(payload)
    except struct.error:  # it is too short
        return None
    if version != VERSION:
        return None
    ages: tuple[float, float] | None = None
    if flags & AGING:
        flags -= AGING
        try:
            ages = _AGES.unpack_from(payload, _SIZE)
        except struct.error:
            return None
        body = payload[_SIZE + _AGES.size :]
    else:
        body = payload[_SIZE:]
    if flags & COMPRESSED:
        flags -= COMPRESSED
        inflate = zlib.decompressobj()
        try:
            body = inflate.decompress(body, _MOST)
        except zlib.error:
            return None
        if not inflate.eof or inflate.unused_data:
            return None
    return flags, written, load, body, ages
