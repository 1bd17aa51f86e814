"""Where the keys stand among the words of a command.

A table tells it, of the commands of Redis 8 and Valkey 9; of one that it does not know, such as a
module's, the first argument is taken for a key. Channels count as keys here, as groups of them do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Commands that consist of two words.
TWO_WORDS = frozenset(
    b"ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION LATENCY MEMORY MODULE OBJECT PUBSUB SCRIPT "
    b"SLOWLOG XGROUP XINFO".split()
)
# At which word a command tells how many keys follow.
COUNTED = {
    **dict.fromkeys(b"EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO".split(), 2),
    **dict.fromkeys(b"BLMPOP BZMPOP ZDIFFSTORE ZINTERSTORE ZUNIONSTORE".split(), 2),
    **dict.fromkeys(b"LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION".split(), 1),
}
STREAMS = frozenset(b"XREAD XREADGROUP".split())
PAIRED = frozenset(b"MSET MSETNX".split())
CHANNELS = frozenset(
    b"PSUBSCRIBE PUBLISH PUBSUB PUNSUBSCRIBE SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE "
    b"UNSUBSCRIBE".split()
)

_NO_KEYS = frozenset(
    b"ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG DISCARD ECHO "
    b"EXEC FAILOVER FLUSHALL FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MODULE "
    b"MONITOR MULTI PING PSYNC QUIT RANDOMKEY READONLY READWRITE REPLCONF REPLICAOF RESET ROLE "
    b"SAVE SCAN SCRIPT SELECT SENTINEL SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC TIME UNWATCH WAIT "
    b"WAITAOF".split()
)
_ALL_KEYS = frozenset(
    b"BLPOP BRPOP BZPOPMAX BZPOPMIN DEL EXISTS MGET PFCOUNT PFMERGE SDIFF SDIFFSTORE SINTER "
    b"SINTERSTORE SUNION SUNIONSTORE TOUCH UNLINK WATCH PSUBSCRIBE SSUBSCRIBE SUBSCRIBE".split()
)
_TWO_KEYS = frozenset(
    b"BLMOVE BRPOPLPUSH COPY GEOSEARCHSTORE LCS LMOVE RENAME RENAMENX RPOPLPUSH SMOVE "
    b"ZRANGESTORE".split()
)
_STORES = frozenset(b"ZDIFFSTORE ZINTERSTORE ZUNIONSTORE".split())
_TIMED = frozenset(b"BLPOP BRPOP BZPOPMAX BZPOPMIN".split())  # the last argument is a number


def keys_of(words: Sequence[bytes]) -> Collection[int]:
    """Which words of a command are keys; of MSET the first.

    Args:
        words: The command; there is at least its name.
    """
    name, count = words[0].upper(), len(words)
    if name in COUNTED:
        return _counted(name, words)
    if name in STREAMS:
        at = _behind(b"STREAMS", words)
        return range(at, at + (count - at + 1) // 2)
    if name in _NO_KEYS:
        return range(0)
    if name == b"MIGRATE":  # the key is empty where several follow KEYS
        several = count > 3 and not words[3]
        return range(_behind(b"KEYS", words), count) if several else range(3, min(4, count))
    if name == b"BITOP":
        return range(2, count)
    if name in _ALL_KEYS:
        return range(1, count - (name in _TIMED))
    first = 2 if name in TWO_WORDS else 1
    return range(first, min(first + (2 if name in _TWO_KEYS else 1), count))


def _counted(name: bytes, words: Sequence[bytes]) -> Collection[int]:
    at, count = COUNTED[name], len(words)
    told = words[at] if at < count else b""
    number = int(told) if told.isdigit() and len(told) < 9 else 0
    counted = range(at + 1, min(at + 1 + number, count))
    return {1, *counted} if name in _STORES else counted


def _behind(option: bytes, words: Sequence[bytes]) -> int:
    """The place behind an option; behind all words where it is missing."""
    upper = [word.upper() for word in words]
    return upper.index(option) + 1 if option in upper else len(words)
