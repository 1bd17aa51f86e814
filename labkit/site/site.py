"""The news site: the newsroom behind the cache, as readers see it and as editors change it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

from labkit.cache.errors import Unavailable
from labkit.cache.fragments import Fragments
from labkit.cache.origins import origins
from labkit.newsroom import Change
from labkit.site.pages import ArticlePage, front_page
from labkit.site.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache import Cache
    from labkit.cache.fragments import Piece
    from labkit.cache.known import Known
    from labkit.newsroom import Newsroom

P = ParamSpec("P")

_FRONT = "front"
_LISTED = 10  # articles in each list of the front page


class Shown(NamedTuple):
    """A page.

    Attributes:
        text: The document.
        stale: Whether it may be out of date, because the database did not answer.
        pieces: The fragments that were looked at.
        reads: How often the database was asked for it.
    """

    text: str
    stale: bool
    pieces: tuple[Piece, ...]
    reads: int


class Looked(NamedTuple):
    """An article that was looked for and found, before anything of it is rendered.

    Attributes:
        page: Its page.
        stale: Whether its versions may be out of date.
        reads: How often the database was asked for them.
    """

    page: ArticlePage
    stale: bool
    reads: int


class Site:
    """The pages of a newsroom, kept in a cache.

    Args:
        db: The newsroom.
        cache: Where everything is kept; with `stale_if_error` pages outlive an outage.
        known: Which articles exist, by their numbers as text: `labkit.cache.known`.
        commented: Whether readers may comment, so that pages have forms for it.
    """

    def __init__(
        self, db: Newsroom, cache: Cache, known: Known | None = None, *, commented: bool = False
    ) -> None:
        self.commented = commented
        self.db = db
        self.cache = cache
        self.versions = Versions(db, cache, known)
        self.fragments = Fragments(cache)
        self._known = known
        self._unannounced: set[str] = set()

    # --- For readers

    def find(self, article_id: int) -> Looked | None:
        """Look for an article; None: there is none.

        Raises:
            DatabaseDown: The database does not answer, and nothing old may stand in.
        """
        versions, stale, reads = self.versions.of(article_id)
        if versions is None:
            return None
        return Looked(ArticlePage(self.db, versions, commented=self.commented), stale, reads)

    def show(self, found: Looked) -> Shown:
        """The page of an article, of which only what is missing is read and rendered.

        Raises:
            DatabaseDown: Something is missing, and the database does not answer.
            Gone: The article was deleted meanwhile.
        """
        text, pieces = self.fragments.render(found.page.fragment)
        return Shown(text, found.stale, pieces, found.reads + len(found.page.reads))

    def front(self) -> Shown:
        """The front page: what is new and what is read most.

        Raises:
            DatabaseDown: The database does not answer, and there is no older one.
        """
        with origins() as found:
            text = self.cache.get_or_load(_FRONT, self._render_front)
        where, stale = found[_FRONT]
        return Shown(text, stale > 0, (), 3 if where == "loaded" and not stale else 0)

    def _render_front(self) -> str:
        latest = self.db.ids()[: -_LISTED - 1 : -1]
        most_read = self.db.most_read(_LISTED)
        articles = self.db.articles_of([*latest, *most_read])
        shown = [[articles[n] for n in some if n in articles] for some in (latest, most_read)]
        return front_page(*shown)

    # --- For editors

    def write(self, write: Callable[P, Change], *args: P.args, **kwargs: P.kwargs) -> Change:
        """Carry out a write of the newsroom, and forget the versions that it raised.

            site.write(db.edit_article, 17, title="Ferry is back")

        At most two keys are dropped, and that of the front page; the database is asked nothing.
        Whoever looks after this has returned sees the change. A write whose end nobody knows,
        because the database or this process died meanwhile, is seen when the cache's ttl is over.

        Raises:
            Exception: What the write raised; then nothing is dropped.
        """
        change = write(*args, **kwargs)
        self.forget(change)
        self._announce()
        return change

    def publish(self, author_id: int, title: str, body: str, section: str, **how: Any) -> int:
        """Publish an article, as `Newsroom.publish` does; it is known from then on."""
        number = self.db.publish(author_id, title, body, section, **how)
        self._unannounced.add(str(number))
        self._announce()
        # It changes what its own versions were, none, and which headlines are its author's latest.
        self.forget(Change(number, ("headline",), number, author_id))
        return number

    def forget(self, change: Change) -> None:
        """Forget the versions that a write has raised, whoever carried it out."""
        self.versions.drop(change)
        if "headline" in change.aspects:
            self.cache.invalidate(key=_FRONT)

    def _announce(self) -> None:
        """Let everybody know of new articles; with the next write where Redis is away."""
        if self._known is not None and self._unannounced:
            numbers = list(self._unannounced)
            with contextlib.suppress(Unavailable):
                self._known.add(numbers)
                self._unannounced.difference_update(numbers)
