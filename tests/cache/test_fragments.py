"""Nested fragments: what is rendered and what is not, by whom, and what is said about it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import CommandLog
from labkit.cache import Cache, MemoryTier
from labkit.cache.fragments import Fragment, Fragments, Rendered
from labkit.cache.origins import origins
from tests.cache.conftest import LAYOUTS, Bed
from tests.cache.crowd import PATIENCE, in_threads
from tests.scale import times

if TYPE_CHECKING:
    from tests.cache.conftest import Benches

TREE: dict[str, tuple[str, ...]] = {
    "page": ("title", "header", "body", "sidebar"),
    "header": ("title", "author"),
    "sidebar": ("author",),
    "title": (),
    "author": (),
    "body": (),
}
"""The parts of each fragment; two stand in two places, and one of these on two levels."""


class Press:
    """Renders the tree, and tells what it rendered."""

    def __init__(self, bed: Bed, **options: Any) -> None:
        self._bed = bed
        cache = bed.cache(**options)
        self.fragments: Any = Fragments(cache.target if bed.awaited else cache, ttl="1h")
        self.rendered: list[str] = []
        self.fails: set[str] = set()

    def make(self, versions: dict[str, int], name: str = "page") -> Fragment:
        """A fragment, with what is inside it, in versions that are 1 unless they are named."""
        version = versions.get(name, 1)

        def render(*parts: str) -> str:
            if name in self.fails:
                raise ValueError(f"no {name}")
            self.rendered.append(name)
            return f"<{name} {version}>{''.join(parts)}</{name}>"

        async def render_later(*parts: str) -> str:
            return render(*parts)

        parts = tuple(self.make(versions, part) for part in TREE[name])
        return Fragment(name, version, render_later if self._bed.awaited else render, parts)

    def render(self, fragment: Fragment) -> Rendered:
        answer = self.fragments.render(fragment)
        rendered: Rendered = self._bed.run(answer) if self._bed.awaited else answer
        return rendered

    def view(self, **versions: int) -> list[str]:
        """What had to be rendered for a page, in alphabetical order; the page is right."""
        self.rendered.clear()
        assert self.render(self.make(versions)).text == plain(versions)
        return sorted(self.rendered)


def plain(versions: dict[str, int], name: str = "page") -> str:
    parts = "".join(plain(versions, part) for part in TREE[name])
    return f"<{name} {versions.get(name, 1)}>{parts}</{name}>"


@pytest.fixture
def press(bed: Bed) -> Press:
    return Press(bed)


def test_what_changed_is_rendered_and_what_holds_it(press: Press) -> None:
    assert press.view() == sorted(TREE)
    assert press.view() == []
    assert press.view(body=2) == ["body", "page"]
    assert press.view(body=2, author=2) == ["author", "header", "page", "sidebar"]
    assert press.view(body=2, author=2, title=2) == ["header", "page", "title"]
    assert press.view(page=2, body=2, author=2, title=2) == ["page"]
    assert press.view(body=2) == []


versions = st.fixed_dictionaries({}, optional={name: st.integers(1, 3) for name in TREE})


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=times(10))
@given(views=st.lists(versions, max_size=6))
def test_each_content_is_rendered_once(
    benches: Benches, layout: str, awaited: bool, views: list[dict[str, int]]
) -> None:
    press = Press(Bed(layout, benches, awaited=awaited))
    known: set[str] = set()

    def missing(view: dict[str, int], name: str) -> set[str]:
        """The fragments that nobody has rendered yet, as far as one gets to see them."""
        if plain(view, name) in known:
            return set()
        return {name}.union(*(missing(view, part) for part in TREE[name]))

    for view in views:
        expected = missing(view, "page")
        assert press.view(**view) == sorted(expected)
        known |= {plain(view, name) for name in expected}


def test_pieces_tell_where_each_came_from(bed: Bed, press: Press) -> None:
    cold = press.render(press.make({})).pieces
    assert [piece.name for piece in cold] == [
        "page",
        "title",
        "header",
        "author",
        "body",
        "sidebar",
    ]
    assert {piece.where for piece in cold} == {"rendered"}
    assert [piece.bytes for piece in cold] == [len(plain({}, piece.name)) for piece in cold]
    tier = "memory" if bed.has_memory else "redis" if bed.tells else "dict"
    (warm,) = press.render(press.make({})).pieces
    assert (warm.name, warm.where, warm.bytes) == ("page", tier, len(plain({})))
    assert warm.key == cold[0].key == press.fragments.key(press.make({}))
    edited = {piece.name: piece.where for piece in press.render(press.make({"title": 2})).pieces}
    assert edited == {
        "page": "rendered",
        "title": "rendered",
        "header": "rendered",
        "author": tier,
        "body": tier,
        "sidebar": tier,
    }


def test_another_process_finds_them_in_the_store(bed: Bed, press: Press) -> None:
    press.view()
    other = Press(bed)
    assert other.view() == ([] if bed.has_store else sorted(TREE))
    assert other.view(title=2) == ["header", "page", "title"]


@pytest.mark.parametrize("layout", ["server"])
def test_a_hit_is_one_trip_and_a_level_of_hits_is_another(benches: Benches, layout: str) -> None:
    bed = Bed(layout, benches)
    press = Press(bed)
    press.view()

    def looked_up(**versions: int) -> list[int]:
        """How many values each trip asked for that only reads."""
        with CommandLog(bed.tier.client) as log:
            press.view(**versions)
        return [len(each.args) - 1 for each in log if each.name == "MGET"]

    assert looked_up() == [1]
    assert looked_up(page=2) == [1, 4]  # and nothing inside its parts
    assert looked_up(author=2) == [1, 4, 2]  # what the header and the sidebar hold
    with CommandLog(bed.tier.client) as log:
        press.view()
    assert log.round_trips == 1


def test_a_key_is_made_of_the_versions_inside() -> None:
    def key(**versions: Any) -> str:
        parts = [Fragment(n, versions.get(n, 1), str) for n in ("a", "b")]
        fragment = Fragment("page:17", versions.get("page", 1), "".join, tuple(parts))
        return Fragments(Cache(), name="part").key(fragment)

    assert key() == key()
    assert key().startswith("part:page:17:")
    variants = [key(), key(a=2), key(b=2), key(page=2), key(a="1"), key(a=1.0), key(a=(1,))]
    assert len(set(variants)) == len(variants)
    swapped = [
        Fragment("p", 1, str, (Fragment(x, 1, str), Fragment(y, 1, str)))
        for x, y in [("a", "b"), ("b", "a")]
    ]
    assert swapped[0].digest != swapped[1].digest
    assert Fragment("ab", "c", str).digest != Fragment("a", "bc", str).digest


def test_many_who_ask_at_once_render_once(bed: Bed, press: Press) -> None:
    page = press.make({})

    async def together() -> Any:
        return await asyncio.gather(*(press.fragments.render(page) for _ in range(12)))

    def beside_others(_: int) -> Any:
        return press.render(page)

    answers = bed.run(together()) if bed.awaited else in_threads(12, beside_others)
    assert {answer.text for answer in answers} == {plain({})}
    assert sorted(press.rendered) == sorted(TREE)
    leaders = [answer for answer in answers if answer.pieces[0].where == "rendered"]
    assert len(leaders) == 1
    assert len(leaders[0].pieces) == len(TREE)
    for answer in answers:
        if answer is not leaders[0]:
            assert [piece.name for piece in answer.pieces] == ["page"]


def test_pages_that_share_a_fragment_wait_for_it(waiting: threading.Semaphore) -> None:
    fragments = Fragments(Cache([MemoryTier()]))
    entered, go_on = threading.Event(), threading.Event()
    rendered: list[str] = []

    def slow() -> str:
        rendered.append("author")
        entered.set()
        assert go_on.wait(PATIENCE)
        return "Ada"

    def page(name: str) -> Fragment:
        return Fragment(name, 1, lambda by: f"{name} by {by}", (Fragment("author", 1, slow),))

    def first() -> None:
        answers["one"] = fragments.render(page("one"))

    def second() -> None:
        assert entered.wait(PATIENCE)
        answers["two"] = fragments.render(page("two"))

    answers: dict[str, Rendered] = {}
    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    assert waiting.acquire(timeout=PATIENCE)  # the second waits for the author
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert [answers[name].text for name in ("one", "two")] == ["one by Ada", "two by Ada"]
    assert rendered == ["author"]
    assert [piece.where for piece in answers["one"].pieces] == ["rendered", "rendered"]
    assert [piece.where for piece in answers["two"].pieces] == ["rendered", "waited"]


def test_an_error_reaches_the_caller_and_nothing_is_lost(press: Press) -> None:
    press.fails = {"header"}
    with pytest.raises(ValueError, match="no header"):
        press.view()
    assert press.rendered.count("author") == 1
    press.fails = set()
    assert "author" not in press.view()
    assert press.view() == []


def test_only_texts_are_kept() -> None:
    fragments = Fragments(Cache())
    with pytest.raises(TypeError, match="'a' rendered 7; expected a text"):
        fragments.render(Fragment("a", 1, lambda: 7))  # type: ignore[arg-type, return-value]
    with pytest.raises(ValueError, match="without a colon"):
        Fragments(Cache(), name="a:b")


def test_a_fragment_deep_inside_and_at_the_top_too_is_right() -> None:
    leaf = Fragment("leaf", 1, lambda: "x")
    middle = Fragment("middle", 1, lambda leaf: f"({leaf})", (leaf,))
    outer = Fragment("outer", 1, lambda middle: f"[{middle}]", (middle,))
    page = Fragment("page", 1, lambda *parts: "".join(parts), (outer, leaf))
    fragments = Fragments(Cache())
    assert fragments.render(page).text == "[(x)]x"
    assert fragments.render(page).pieces[0].where == "memory"


def test_a_text_is_never_old_and_expires_after_its_time(bed: Bed) -> None:
    press = Press(bed, stale_while_revalidate="1d", stale_if_error="1d", refresh_ahead=0.5)
    press.view()
    bed.advance(40 * 60)
    assert press.view() == []  # with those options it would be renewed by now
    bed.advance(30 * 60)
    assert press.view() == sorted(TREE)
    press.fails = {"body"}
    with pytest.raises(ValueError, match="no body"):
        press.view(body=2)


def test_a_block_of_origins_sees_them_too(press: Press) -> None:
    page = press.make({})
    keys = {press.fragments.key(page), *map(press.fragments.key, page.parts)}
    with origins() as found:
        press.view()
    if not press._bed.awaited:  # what it runs in is a task with a context of its own
        assert keys <= found.keys()
        assert {origin.where for origin in found.values()} == {"loaded"}


def test_they_are_counted_by_their_name(press: Press) -> None:
    press.view()
    press.view()
    press.view(body=2)
    counts = press.fragments.stats()
    assert counts.name == "fragment"
    assert counts.misses == len(TREE) + 2
    assert sum(counts.hits.values()) == 1 + 3
    kinds = press.fragments.cache.stats().functions
    body = kinds["fragment:body"]
    assert (body.misses, body.loads, body.errors, sum(body.hits.values())) == (2, 2, 0, 0)
    press.fails = {"body"}
    with pytest.raises(ValueError, match="no body"):
        press.view(body=3)
    assert press.fragments.cache.stats().functions["fragment:body"].errors == 1
