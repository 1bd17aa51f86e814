"""Strategies that differ in how they write; they read as `ReadThrough` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.cache.engine import MISSING
from labkit.cache.known import text_of
from labkit.cache.sources.base import returning
from labkit.cache.steps import Ask, Finish
from labkit.cache.strategies.base import C, K, V
from labkit.cache.strategies.reading import ReadThrough
from labkit.cache.writing import write_through

if TYPE_CHECKING:
    from labkit.cache.options import Options
    from labkit.cache.steps import Steps


class WriteThrough(ReadThrough[C, K, V]):
    """A write goes to the source and to the cache as one; the next reader finds it there.

    The value is taken out of the cache, the source is written, the new value is put in. Meanwhile
    whoever reads the key waits, and whoever writes it queues up. One that fails leaves no value:

    | What happens | The source | The cache | `save` |
    | --- | --- | --- | --- |
    | nothing in particular | new | new | returns |
    | the value cannot be stored | old | old | raises `Unserializable` |
    | others write the key for a whole lease | old | theirs | raises `Contended` |
    | the cache does not answer at the start | old | as it is | raises `Unavailable` |
    | the source raises, such as a conflict of versions | what it says | none | raises that |
    | the cache does not answer at the end | new | new or none | returns |
    | the process dies before the source has written | old | none | |
    | the process dies after that | new | new or none, after the lease | |

    A reader sees the old value until the source is written, and the new one from then on: reads and
    writes of a key are linearizable. Two bounds: a memory tier hears of another process's write a
    moment after it, as it does of all changes; and a writer who was frozen for longer than its
    lease, or whose key is invalidated while it writes, can leave an older value where it is killed
    before it notices. A source that checks versions refuses the frozen writer.

    With a source that is `returning`, the cache keeps what the source says that it has stored, and
    that is what has to be storable. Where it is not, `save` raises `Unserializable` after the
    source has written, and the cache has no value.

    Raises:
        Unserializable: By `save`; so are the following.
        Unavailable: See the table; likewise in `delete`.
        Contended: See the table; likewise in `delete`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._returning = returning(self.source)

    def _write(self, method: str, key: K, *value: V) -> Steps[None]:
        given = value[0] if value else None
        call = self._call(key)
        ask = Finish(self._asked, method, (key, *value), {})
        answers = self._returning and bool(value)

        async def later() -> V | None:
            answer: V | None = await ask.later()
            return answer if answers else given

        def now() -> V | None:
            answer: V | None = ask.now()
            return answer if answers else given

        call.loader = later if self._awaited else now
        yield from write_through(self._engine, call, MISSING if answers else given)
        if value and self._known is not None:
            yield Ask(self._known, "add", ([text_of(key)],), {})


class WriteAround(ReadThrough[C, K, V]):
    """A write goes to the source alone, past the cache, which keeps what it has for its time.

    It suits what is written often and read seldom, or read by those who can wait: a write costs the
    cache nothing. A reader may see a value from before a write, or that there is none, until its
    time is over; and what was read a moment ago may be newer than what is read now from another
    memory. A crash loses nothing: what `save` has returned from stands in the source.

    Raises:
        ValueError: Values live for ever, or as long as they are read: a write would never be seen.
    """

    def _accept(self, options: Options) -> None:
        if options.sliding or None in (options.ttl, options.negative_ttl):
            raise ValueError(
                "WriteAround leaves what is cached alone, and with these options that never ends; "
                "give it a ttl, and a negative_ttl, such as '1m', and no sliding"
            )

    def _write(self, method: str, key: K, *value: V) -> Steps[None]:
        yield from self._of_source(method, key, *value)
        if value and self._known is not None:
            yield Ask(self._known, "add", ([text_of(key)],), {})
