"""How an application reads and writes through a cache: strategies over one `Source`, one interface.

How they read:

| Strategy | On a miss | Many who miss at once | Near the end of its time |
| --- | --- | --- | --- |
| `CacheAside` | the caller loads, and then puts | each loads | nothing |
| `ReadThrough` and all others | the cache loads | one loads, the others wait | as options say |
| `RefreshAhead` | as `ReadThrough` | as `ReadThrough` | a read has it loaded aside |

How they write; "old" is a value from before the write:

| Strategy | `save` returns when it stands in | A reader may see the old value | A crash leaves |
| --- | --- | --- | --- |
| `CacheAside` | the source | until its time is over (1) | the old one, for its time (2) |
| `ReadThrough`, `RefreshAhead` | the source | until `save` returns | the same (2) |
| `DelayedDoubleDelete` | the source | for its delay, and longer (3) | the old one, for its time |
| `WriteThrough` | the source and the cache | until the source has it | no value, or the new |
| `WriteAround` | the source | until its time is over | what was there |
| `WriteBehind` | the cache and a queue in Redis | until `save` returns | the new one |

(1) Who loaded it before the write may put it into the cache after the write.
(2) Where it comes after the source was written and before the old value was dropped.
(3) It is there to be compared with; see its docstring.

The cache is a `Cache` or an `AsyncCache`; with the latter every method returns an awaitable. The
source may be of either kind: what blocks is asked in threads where the cache does not.
"""

from labkit.cache.strategies.base import Keeping, Strategy
from labkit.cache.strategies.behind import WriteBehind
from labkit.cache.strategies.doubled import DelayedDoubleDelete
from labkit.cache.strategies.reading import CacheAside, ReadThrough, RefreshAhead
from labkit.cache.strategies.writing import WriteAround, WriteThrough

__all__ = [
    "CacheAside",
    "DelayedDoubleDelete",
    "Keeping",
    "ReadThrough",
    "RefreshAhead",
    "Strategy",
    "WriteAround",
    "WriteBehind",
    "WriteThrough",
]
