"""What a cache puts around a serialized value before a store gets it.

    byte 0      the version of this layout
    byte 1      flags: compressed, the value is None, the call raised
    8 bytes     when it was written, seconds since 1970, a double
    4 bytes     how many seconds the load took, a float
    the rest    the serialized value

Anything else, an older version and a body that does not inflate are misses.
"""

from __future__ import annotations

import struct
import zlib

VERSION = 1
COMPRESSED, NONE, RAISED = 1, 2, 4
_HEAD = struct.Struct("<BBdf")
_SIZE = _HEAD.size
_MOST = 256 * 1024 * 1024  # a body never inflates to more bytes than this


def seal(
    body: bytes, *, flags: int = 0, written: float, load: float = 0.0, compress_over: int | None
) -> bytes:
    """An envelope around a body, which is compressed when that makes a large one smaller."""
    if compress_over is not None and len(body) > compress_over:
        smaller = zlib.compress(body, 1)
        if len(smaller) < len(body):
            body, flags = smaller, flags | COMPRESSED
    return _HEAD.pack(VERSION, flags, written, load) + body


def unseal(payload: bytes) -> tuple[int, float, float, bytes] | None:
    """What an envelope holds, or None where it cannot be read.

    Returns:
        The flags `NONE` and `RAISED` or neither, when it was written in seconds since 1970, how
        many seconds the load took, and the serialized value.
    """
    try:
        version, flags, written, load = _HEAD.unpack_from(payload)
    except struct.error:  # it is too short
        return None
    if version != VERSION:
        return None
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
    return flags, written, load, body
