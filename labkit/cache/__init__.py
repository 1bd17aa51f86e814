"""A smart cache: values in memory, in Redis and in files, behind one interface, sync and async.

    cache = Cache(tiers=[MemoryTier(), RedisTier(labkit.connect())], namespace="news", ttl="10m")

    @cache.cached(key="article:{id}", tags=["author:{author_id}"])
    def article(id: int, author_id: int) -> Article: ...

Where things are: `engine` says how values go through the tiers, `decorator` how a function is
cached, `freshness` what the age of a value means, `strategies` how an application reads through a
cache and `sources` where from; `smart` is the cache that knows its `entities` and their `policies`;
`curves` tells how many reads would miss with another size; `backends.base` what a store has to do,
`testing` proves that one does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from labkit.cache.aio import AsyncCache
from labkit.cache.backends.memory import MemoryTier
from labkit.cache.behind import QueueFull
from labkit.cache.cache import Cache
from labkit.cache.engine import MISSING
from labkit.cache.errors import Contended, Refused, Unavailable
from labkit.cache.keys import Unkeyable
from labkit.cache.serializers import (
    Json,
    MessagePack,
    Raw,
    Serializer,
    SignedPickle,
    Undecodable,
    Unserializable,
)
from labkit.cache.sources import (
    Applies,
    Coalesced,
    FunctionSource,
    Limited,
    Overloaded,
    Source,
    TimedOut,
    Write,
)
from labkit.cache.stats import Counts, Stats, TierState
from labkit.cache.strategies import (
    CacheAside,
    ReadThrough,
    RefreshAhead,
    WriteAround,
    WriteBehind,
    WriteThrough,
)

if TYPE_CHECKING:
    from labkit.cache.backends.capped import CappedTier
    from labkit.cache.backends.file import FileTier
    from labkit.cache.backends.null import NullTier
    from labkit.cache.backends.redis import RedisTier
    from labkit.cache.backends.redis_atomic import LuaAtomic, WatchAtomic
    from labkit.cache.backends.redis_known import RedisBloom, RedisIds
    from labkit.cache.backends.split import SplitTier

__all__ = [
    "MISSING",
    "Applies",
    "AsyncCache",
    "Cache",
    "CacheAside",
    "CappedTier",
    "Coalesced",
    "Contended",
    "Counts",
    "FileTier",
    "FunctionSource",
    "Json",
    "Limited",
    "LuaAtomic",
    "MemoryTier",
    "MessagePack",
    "NullTier",
    "Overloaded",
    "QueueFull",
    "Raw",
    "ReadThrough",
    "RedisBloom",
    "RedisIds",
    "RedisTier",
    "RefreshAhead",
    "Refused",
    "Serializer",
    "SignedPickle",
    "Source",
    "SplitTier",
    "Stats",
    "TierState",
    "TimedOut",
    "Unavailable",
    "Undecodable",
    "Unkeyable",
    "Unserializable",
    "WatchAtomic",
    "Write",
    "WriteAround",
    "WriteBehind",
    "WriteThrough",
]

# What needs redis-py or sqlite3, or is seldom used, is imported when it is asked for.
_LATE = {
    "CappedTier": "labkit.cache.backends.capped",
    "FileTier": "labkit.cache.backends.file",
    "LuaAtomic": "labkit.cache.backends.redis_atomic",
    "NullTier": "labkit.cache.backends.null",
    "RedisBloom": "labkit.cache.backends.redis_known",
    "RedisIds": "labkit.cache.backends.redis_known",
    "RedisTier": "labkit.cache.backends.redis",
    "SplitTier": "labkit.cache.backends.split",
    "WatchAtomic": "labkit.cache.backends.redis_atomic",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
