"""How an application reads through a cache: three strategies over one `Source`, one interface.

| Strategy | On a miss | Many who miss at once | Near the end of its time |
| --- | --- | --- | --- |
| `CacheAside` | the caller loads, and then puts | each loads | nothing |
| `ReadThrough` | the cache loads | one loads, the others wait for it | as its options say |
| `RefreshAhead` | as `ReadThrough` | as `ReadThrough` | a read has it loaded in the background |

All three write to the source first, and then invalidate. What a reader may see after that:

| Strategy | A value from before the write |
| --- | --- |
| `CacheAside` | until its time is over: a reader that loaded it earlier may put it there later |
| `ReadThrough`, `RefreshAhead` | never, once `save` has returned: such a load is refused |

The cache is a `Cache` or an `AsyncCache`; with the latter every method returns an awaitable. The
source may be of either kind: what blocks is asked in threads where the cache does not.
"""

from labkit.cache.strategies.base import Keeping, Strategy
from labkit.cache.strategies.reading import CacheAside, ReadThrough, RefreshAhead

__all__ = ["CacheAside", "Keeping", "ReadThrough", "RefreshAhead", "Strategy"]
