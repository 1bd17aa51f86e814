"""A live panel of a cache's statistics, for a notebook.

    with Panel(cache):
        replay(day)

While the block runs the panel is drawn anew every second, and once more at its end. `update` draws
it at once.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from labkit.cache.smart import Hub
from labkit.clock import duration
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from labkit.cache.invalidated import InvalidationCounts
    from labkit.cache.stats import Counts, Stats, TierState

_UNKNOWN = "–"
_HOTTEST = 10
_CALLS = [
    "function",
    "calls",
    "hit ratio",
    "loads",
    "load p50",
    "load p95",
    "stale",
    "waits",
    "errors",
]
_WRITES = ["function", "writes", "write p50", "write p95", "failures"]
_INVALIDATED = ["kind", "calls", "targets", "entries", "time"]

# Colours are mixed with that of the text, so that they fit a light and a dark theme. The sizes of
# bars and the words beside them say the same.
_STYLE = """<style>
div.labkit-panel table { border-collapse: collapse; margin: 0 0 1em; table-layout: auto; }
div.labkit-panel caption { caption-side: top; font-weight: bold; text-align: left; }
div.labkit-panel th, div.labkit-panel td {
  border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  padding: 0.2em 0.7em; text-align: right; white-space: nowrap; }
div.labkit-panel th:first-child {
  max-width: 30em; overflow-wrap: anywhere; text-align: left; white-space: normal; }
div.labkit-panel tbody th { font-weight: normal; }
div.labkit-panel .bar {
  border: 1px solid currentColor; display: inline-block; height: 0.7em; width: 5em; }
div.labkit-panel .bar span {
  background: color-mix(in srgb, #0072b2 70%, currentColor); display: block; height: 100%; }
div.labkit-panel strong { color: color-mix(in srgb, #d55e00 60%, currentColor); }
</style>"""


class Watched(Protocol):
    """What a panel can show, such as a cache."""

    @property
    def namespace(self) -> str:
        """What it is called."""

    def stats(self) -> Stats:
        """What was counted until now."""


class Panel:
    """Draws the statistics of caches: calls by function, tiers, writes, invalidations, hot keys.

    In a notebook it is a table that changes in its place; elsewhere it is printed.

    Args:
        caches: A cache, or several; or a smart one, for all of its caches.
        every: How often it is drawn anew within a `with` block.

    Raises:
        ValueError: `every` is 0 or no time at all.
    """

    def __init__(
        self, caches: Watched | Hub[Any] | Iterable[Watched], every: float | str = "1s"
    ) -> None:
        if isinstance(caches, Iterable) and not isinstance(caches, Hub):
            self._caches: list[Watched | Hub[Any]] = list(caches)
        else:
            self._caches = [caches]
        self._every = duration(every)
        if not self._every:
            raise ValueError(f'every is {every!r}; expected a time above 0, such as "1s"')
        self._id = f"labkit-panel-{uuid.uuid4().hex}"
        self._shown = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def show(self) -> None:
        """Display it here."""
        self._publish(update=False)

    def update(self) -> None:
        """Draw it anew where it was displayed; here if it was not."""
        self._publish(update=self._shown)

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("this panel is drawn by another block already; make one of its own")
        self.show()
        self._ended.clear()
        self._thread = threading.Thread(target=self._keep_drawing, name="labkit-panel", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._ended.set()
        self._thread.join()
        self._thread = None
        self.update()

    def __str__(self) -> str:
        return "\n\n".join(map(_text, self._tables()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'{_STYLE}<div class="labkit-panel">{"".join(map(_html, self._tables()))}</div>'

    def _keep_drawing(self) -> None:
        while not self._ended.wait(self._every):
            self.update()

    def _publish(self, *, update: bool) -> None:
        shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
        self._shown = True
        if shell is None:
            print(self)
            return
        shell.display_pub.publish(
            {"text/plain": str(self), "text/html": self._repr_html_()},
            transient={"display_id": self._id},
            update=update,
        )

    def _tables(self) -> Iterable[_Table]:
        for each in self._caches:
            for cache in each.caches if isinstance(each, Hub) else [each]:
                yield from _tables_of(cache.namespace, cache.stats())


class _Share(float):
    """A cell that is a share of 1."""


class _Alarm(str):
    """A cell that is to be seen first."""


@dataclass(frozen=True, slots=True)
class _Table:
    """What stands in a table; the first cell of a row is its heading.

    Attributes:
        last_is_total: Whether the last row sums up the others.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | _Share]]
    last_is_total: bool = False


def _tables_of(name: str, stats: Stats) -> Iterable[_Table]:
    called = [each for each in stats.functions.values() if each.name or _calls(each) or each.writes]
    functions = [_row_of_calls(each.name or "(direct)", each) for each in called]
    several = len(functions) > 1
    yield _Table(
        f"{name}: calls",
        _CALLS,
        [*functions, _row_of_calls("all", stats.total)] if several else functions,
        last_is_total=several,
    )
    yield _Table(
        f"{name}: tiers", ["tier", "entries", "bytes", "state"], [*map(_row_of_tier, stats.tiers)]
    )
    written = [_row_of_writes(each) for each in called if each.writes]
    if written:
        yield _Table(f"{name}: writes", _WRITES, written)
    if stats.invalidations.calls or stats.invalidations.reloads:
        rows = list(_rows_of_invalidations(stats.invalidations))
        yield _Table(f"{name}: invalidations", _INVALIDATED, rows)
    if stats.hot:
        yield _Table(
            f"{name}: hot keys",
            ["key", "calls, at least", "at most"],
            [
                [_printable(each.key), f"{each.count - each.error:,}", f"{each.count:,}"]
                for each in stats.hot[:_HOTTEST]
            ],
        )


def _calls(counts: Counts) -> int:
    return sum(counts.hits.values()) + counts.misses + counts.waits


def _row_of_calls(name: str, counts: Counts) -> list[str | _Share]:
    p50, p95, _ = [_time(each) for each in counts.load_seconds or [None] * 3]
    stale = f"{counts.stale:,}"
    if counts.stale_seconds:
        stale += f" (p95 {format_time(counts.stale_seconds[1])})"
    return [
        _printable(name),
        f"{_calls(counts):,}",
        _Share(counts.hit_ratio) if _calls(counts) else _UNKNOWN,
        f"{counts.loads:,}",
        p50,
        p95,
        stale,
        f"{counts.waits:,}",
        _Alarm(f"{counts.errors:,} !") if counts.errors else "0",
    ]


def _row_of_writes(counts: Counts) -> list[str | _Share]:
    p50, p95, _ = [_time(each) for each in counts.write_seconds or [None] * 3]
    failures = counts.write_failures
    return [
        _printable(counts.name or "(direct)"),
        f"{counts.writes:,}",
        p50,
        p95,
        _Alarm(f"{failures:,} !") if failures else "0",
    ]


def _rows_of_invalidations(counts: InvalidationCounts) -> Iterable[list[str | _Share]]:
    for kind, each in counts.kinds.items():
        if each.calls:
            numbers = [f"{n:,}" for n in (each.calls, each.targets, each.entries)]
            yield [kind, *numbers, format_time(each.seconds)]
    reloads = [f"{counts.reloads:,}", _UNKNOWN, _UNKNOWN, format_time(counts.reload_seconds)]
    yield ["loads of what was dropped", *reloads]


def _row_of_tier(tier: TierState) -> list[str | _Share]:
    entries, size = [f"{n:,}" if n is not None else _UNKNOWN for n in (tier.entries, tier.bytes)]
    return [_printable(tier.name), entries, size, _Alarm("away !") if tier.away else "in use"]


def _time(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else format_time(seconds)


def _printable(name: Any) -> str:
    """A name in one line, whatever is in it: keys may hold control characters."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def _text(table: _Table) -> str:
    lines = [table.headings, *([_plain(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join([table.caption, *(_aligned(line, widths) for line in lines)])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(line, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _plain(cell: str | _Share) -> str:
    return f"{cell:.1%}" if isinstance(cell, _Share) else cell


def _html(table: _Table) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in table.headings)
    rows = [_html_row(row) for row in table.rows]
    foot = f"<tfoot>{rows.pop()}</tfoot>" if table.last_is_total else ""
    return (
        f"<table><caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody>{foot}</table>"
    )


def _html_row(row: Sequence[str | _Share]) -> str:
    name, *cells = row
    inside = "".join(f"<td>{_html_cell(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(_plain(name))}</th>{inside}</tr>'


def _html_cell(cell: str | _Share) -> str:
    text = escape(_plain(cell))
    if isinstance(cell, _Share):
        bar = f'<span class="bar" aria-hidden="true"><span style="width:{cell:.1%}"></span></span>'
        return f"{text} {bar}"
    return f"<strong>{text}</strong>" if isinstance(cell, _Alarm) else text
