"""The live panel: the same counts for eyes and ears, and no thread left behind."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from labkit.cache import Cache, Counts, MemoryTier, Stats, TierState
from labkit.cache.hot import Hot
from labkit.cache.invalidated import InvalidationCounts, KindCounts
from labkit.cache.panel import Panel
from tests.cache.crowd import PATIENCE
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = Counts(
    name="article",
    hits={"memory": 1500, "redis": 300},
    misses=100,
    loads=120,
    errors=3,
    waits=100,
    refused=0,
    renewals=20,
    stale=40,
    stale_seconds=(0.5, 2.5, 3.0),
    time_saved=1.0,
    load_seconds=(0.0021, 0.0054, 0.009),
    store_seconds={"redis": None},
)
QUIET = Counts(
    name="author",
    hits={"memory": 0, "redis": 0},
    misses=0,
    loads=0,
    errors=0,
    waits=0,
    refused=0,
    renewals=0,
    stale=0,
    stale_seconds=None,
    time_saved=0.0,
    load_seconds=None,
    store_seconds={"redis": None},
)


class Source:
    """Something with statistics that a test makes up."""

    def __init__(
        self,
        *functions: Counts,
        tiers: list[TierState] | None = None,
        hot: list[Hot] | None = None,
        invalidations: InvalidationCounts | None = None,
        namespace: str = "news",
    ) -> None:
        self.namespace = namespace
        self.drawn = threading.Semaphore(0)
        self._stats = Stats(
            total=dataclasses.replace(COUNTS, name="total", loads=999),
            functions={each.name: each for each in functions},
            tiers=tiers or [],
            hot=hot or [],
            listening=True,
            invalidations=invalidations or InvalidationCounts(),
        )

    def stats(self) -> Stats:
        self.drawn.release()
        return self._stats


class Tables(HTMLParser):
    """What a screen reader finds: for each caption, rows of cells that are in no hidden place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, bool]] = []
        self._caption = ""
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        hidden = dict(attrs).get("aria-hidden") == "true" or tag == "style"
        self._open.append((tag, hidden))
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self.tables[self._caption].append([])
        if tag in ("th", "td"):
            self.tables[self._caption][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag
        if tag == "caption":
            self.tables[self._caption] = []

    def handle_data(self, data: str) -> None:
        tags = {tag for tag, _ in self._open}
        if any(hidden for _, hidden in self._open):
            return
        if "caption" in tags:
            self._caption += data
        elif tags & {"th", "td"}:
            self.tables[self._caption][-1][-1] += data


def tables(panel: Panel) -> dict[str, list[list[str]]]:
    """The tables of a panel; its plain text says the same."""
    found = Tables(panel._repr_html_()).tables
    found = {name: [[cell.strip() for cell in row] for row in rows] for name, rows in found.items()}
    assert str(panel) == repr(panel)
    assert [block.splitlines()[0] for block in str(panel).split("\n\n")] == list(found)
    for block, rows in zip(str(panel).split("\n\n"), found.values(), strict=True):
        said = [re.split(r" {2,}", line.strip()) for line in block.splitlines()[1:]]
        assert said == rows
    return found


def test_each_function_has_a_row() -> None:
    headings, *rows = tables(Panel(Source(COUNTS, QUIET)))["news: calls"]
    assert (
        ",".join(headings) == "function,calls,hit ratio,loads,load p50,load p95,stale,waits,errors"
    )
    assert rows == [
        ["article", "2,000", "90.0%", "120", "2.1 ms", "5.4 ms", "40 (p95 2.5 s)", "100", "3 !"],
        ["author", "0", "–", "0", "–", "–", "0", "0", "0"],
        ["all", "2,000", "90.0%", "999", "2.1 ms", "5.4 ms", "40 (p95 2.5 s)", "100", "3 !"],
    ]


def test_one_function_needs_no_sum() -> None:
    rows = tables(Panel(Source(QUIET)))["news: calls"]
    assert [row[0] for row in rows] == ["function", "author"]


def test_the_caches_own_methods_have_a_row_once_they_were_called() -> None:
    direct, idle = dataclasses.replace(COUNTS, name=""), dataclasses.replace(QUIET, name="")
    assert tables(Panel(Source(direct)))["news: calls"][1][0] == "(direct)"
    assert [row[0] for row in tables(Panel(Source(idle)))["news: calls"]] == ["function"]


def test_each_tier_has_a_row_with_its_state_in_words() -> None:
    tiers = [TierState("memory", 1200, 34_567), TierState("redis", away=True)]
    assert tables(Panel(Source(tiers=tiers)))["news: tiers"] == [
        ["tier", "entries", "bytes", "state"],
        ["memory", "1,200", "34,567", "in use"],
        ["redis", "–", "–", "away !"],
    ]


def test_functions_that_write_have_a_row_for_that() -> None:
    wrote = dataclasses.replace(
        COUNTS, writes=1_500, write_failures=2, write_seconds=(0.002, 0.004, 0.01)
    )
    direct = dataclasses.replace(QUIET, name="", writes=1)
    assert tables(Panel(Source(wrote, QUIET, direct)))["news: writes"] == [
        ["function", "writes", "write p50", "write p95", "failures"],
        ["article", "1,500", "2 ms", "4 ms", "2 !"],
        ["(direct)", "1", "–", "–", "0"],
    ]
    assert "news: writes" not in tables(Panel(Source(COUNTS)))


def test_invalidations_are_shown_with_what_they_cost() -> None:
    counts = InvalidationCounts(
        InvalidationCounts().kinds
        | {"key": KindCounts(1_200, 1_300, 900, 0.5), "tag": KindCounts(3, 4, 0, 0.002)},
        reloads=800,
        reload_seconds=4.0,
    )
    assert tables(Panel(Source(invalidations=counts)))["news: invalidations"] == [
        ["kind", "calls", "targets", "entries", "time"],
        ["key", "1,200", "1,300", "900", "500 ms"],
        ["tag", "3", "4", "0", "2 ms"],
        ["loads of what was dropped", "800", "–", "–", "4 s"],
    ]
    assert "news: invalidations" not in tables(Panel(Source(COUNTS)))


def test_hot_keys_are_shown_where_they_are_counted() -> None:
    hot = [Hot(f"article:{n}", 2_000 - n, 10) for n in range(30)]
    rows = tables(Panel(Source(hot=hot)))["news: hot keys"]
    assert rows[:2] == [["key", "calls, at least", "at most"], ["article:0", "1,990", "2,000"]]
    assert len(rows) == 11
    assert "news: hot keys" not in tables(Panel(Source()))


def test_several_caches_have_their_own_tables() -> None:
    panel = Panel([Source(namespace="news"), Source(namespace="ads")])
    assert list(tables(panel)) == ["news: calls", "news: tiers", "ads: calls", "ads: tiers"]


NAMES = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&lt;b&gt;", "a' b"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_becomes_markup(name: str) -> None:
    source = Source(
        dataclasses.replace(COUNTS, name=name),
        tiers=[TierState(name)],
        hot=[Hot(name, 1, 0)],
        namespace=name,
    )
    harmless = Source(COUNTS, tiers=[TierState("x")], hot=[Hot("x", 1, 0)])
    assert Tables(Panel(source)._repr_html_()).tags == Tables(Panel(harmless)._repr_html_()).tags
    found = tables(Panel(source))
    assert found[f"{name}: calls"][1][0] == name
    assert found[f"{name}: tiers"][1][0] == found[f"{name}: hot keys"][1][0] == name


@pytest.mark.parametrize("key", ["two\nlines", "\x1b[2Jcleared", "\u202eturned", b"\xff", 7, None])
def test_a_key_stays_in_its_line(key: Any) -> None:
    shown = tables(Panel(Source(hot=[Hot(key, 1, 0)])))["news: hot keys"][1][0]
    assert shown == (repr(key) if isinstance(key, str) else str(key))
    assert shown.isprintable()


def test_tables_can_be_read_without_seeing_them() -> None:
    source = Source(COUNTS, QUIET, tiers=[TierState("memory")])
    tags = Tables(Panel(source)._repr_html_()).tags
    scopes = [attributes.get("scope") for tag, attributes in tags if tag == "th"]
    assert None not in scopes
    assert scopes.count("row") == 4  # two functions, their sum, and a tier
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") == names.count("thead") == 2
    assert names.count("tfoot") == 1


@pytest.mark.parametrize(("hits", "width"), [(0, "0.0%"), (1, "25.0%"), (4, "100.0%")])
def test_the_bar_is_as_long_as_the_ratio(hits: int, width: str) -> None:
    counts = dataclasses.replace(COUNTS, hits={"memory": hits}, misses=4 - hits, waits=0)
    html = Panel(Source(counts))._repr_html_()
    assert re.findall(r'style="width:([^"]*)"', html) == [width]
    assert f"{width} " in html


@pytest.fixture
def cache() -> Iterator[Cache]:
    cache = Cache([MemoryTier(), DictTier()], namespace="news", ttl=60)
    yield cache
    cache.close()


def test_a_cache_is_drawn_as_it_is_now(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    @cache.cached(name="double")
    def double(n: int) -> int:
        return 2 * n

    panel = Panel(cache)
    panel.show()
    assert re.search(r"double +0 +– +0 ", capsys.readouterr().out)
    for n in (1, 1, 1, 2):
        double(n)
    panel.update()
    shown = capsys.readouterr().out
    assert re.search(r"double +4 +50\.0% +2 ", shown)
    assert re.search(r"memory +2 ", shown)
    assert shown.strip() == str(panel)


def panel_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "labkit-panel"]


def test_a_block_draws_again_and_again_and_leaves_no_thread() -> None:
    source = Source(COUNTS)
    with Panel(source, every="1ms") as panel:
        for _ in range(5):
            assert source.drawn.acquire(timeout=PATIENCE)
        assert len(panel_threads()) == 1
        with pytest.raises(RuntimeError, match="drawn by another block"), panel:
            pass
        assert len(panel_threads()) == 1
    assert panel_threads() == []
    with panel:  # a second time
        assert len(panel_threads()) == 1
    assert panel_threads() == []


def test_the_end_of_a_block_is_drawn_at_once(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LookupError, match="nothing"), Panel(cache, every="1h"):
        cache.get_or_load("k", _fail)
    assert panel_threads() == []
    before, after = capsys.readouterr().out.split("news: calls")[1:]
    assert "(direct)" not in before
    assert "(direct)" in after


def _fail() -> None:
    raise LookupError("nothing")


@pytest.mark.parametrize("every", [0, "0s"])
def test_no_time_between_drawings_is_refused(every: float | str) -> None:
    with pytest.raises(ValueError, match=r"every is .*; expected a time above 0"):
        Panel(Source(), every=every)


CELLS = [
    """
    import threading
    from labkit.cache import Cache
    from labkit.cache.panel import Panel
    from labkit.cache.warming import bar, warm
    cache = Cache(namespace="news")
    cache.set("k", 1)
    panel = Panel(cache)
    panel.show()
    """,
    """
    for _ in range(3):
        cache.get("k")
    panel.update()
    """,
    """
    drawn = threading.Semaphore(0)
    stats = cache.stats
    cache.stats = lambda: (drawn.release(), stats())[1]
    with Panel(cache, every="1ms"):
        cache.get("k")
        for _ in range(5):
            assert drawn.acquire(timeout=30)
    """,
    """
    with bar("news") as progress:
        warm(range(25), lambda keys: None, batch=10, progress=progress)
    """,
    "[thread.name for thread in threading.enumerate() if 'labkit' in thread.name]",
]


def test_in_a_notebook_a_drawing_changes_in_its_place() -> None:
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(cell).strip()) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3").execute()
    shown, updated, block, warmed, left = [cell["outputs"] for cell in notebook.cells]
    (panel,) = shown
    assert "<td>3</td><td>100.0%" in panel["data"]["text/html"]
    assert re.search(r"\(direct\) +3 +100\.0%", panel["data"]["text/plain"])
    assert updated == []
    (panel,) = block
    assert "<td>4</td><td>100.0%" in panel["data"]["text/html"]
    (progress,) = warmed
    assert "25 of 25" in progress["data"]["text/plain"]
    assert "25 of 25" in re.sub(r"<[^>]*>", "", progress["data"]["text/html"])
    assert left[0]["data"]["text/plain"] == "[]"
