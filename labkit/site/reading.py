"""What readers ask for: the front page and articles."""

import re
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from labkit.site import answers, frame, pages, threads
from labkit.site.debug import panel
from labkit.site.site import Shown, Site

router = APIRouter()

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")  # and so no larger than a database has room for


async def site_of(request: Request) -> Site:
    """The site of the application."""
    site: Site = request.app.state.site
    return site


SiteOf = Annotated[Site, Depends(site_of)]
Debug = Annotated[bool, Query(description="Show where each fragment came from.")]


def number_of(text: str) -> int | None:
    """The number of an article, as its address has it; None: no article has that."""
    return int(text) if _NUMBER.fullmatch(text) else None


def nothing_there() -> Response:
    """The answer where there is no such page."""
    return answers.html(pages.message("Not found", "There is no such page."), 404)


@router.api_route("/", methods=["GET", "HEAD"])
def front(site: SiteOf, request: Request) -> Response:
    """The front page: what is new and what is read most."""
    shown = site.front()
    etag = answers.etag_of(shown.text)
    headers = answers.kept(etag, stale=shown.stale, hit=not shown.reads)
    if answers.has(request, etag):
        return answers.not_modified(headers)
    return answers.html(shown.text, headers=headers)


@router.api_route("/articles/{article}", methods=["GET", "HEAD"])
def article(site: SiteOf, request: Request, article: str, debug: Debug = False) -> Response:
    """An article; 304 where the reader has it, which renders nothing."""
    begun = perf_counter()
    number = number_of(article)
    found = site.find(number) if number is not None else None
    if found is None:
        return nothing_there()
    etag = found.page.etag
    asked = site.commented  # whoever has just said something wants to see it
    if answers.has(request, etag) and not debug:
        headers = answers.kept(etag, stale=found.stale, hit=True, asked=asked)
        return answers.not_modified(headers)
    try:
        shown = site.show(found)
    except pages.Gone:
        return nothing_there()
    script = threads.SCRIPT if site.commented else ""
    if debug:
        text = _with_panel(shown, perf_counter() - begun, request, article)
        return answers.html(text, script=script)
    hit = shown.pieces[0].where != "rendered"
    headers = answers.kept(etag, stale=shown.stale, hit=hit, asked=asked)
    return answers.html(shown.text, headers=headers, script=script)


def _with_panel(shown: Shown, seconds: float, request: Request, article: str) -> str:
    address = f"/articles/{article}"
    links = f'<a href="{address}?debug=1">Once more</a> · <a href="{address}">Without this</a>'
    if request.app.state.editors is not None:
        links += f' · <a href="{address}/edit">Edit</a>'
    return frame.with_panel(shown.text, panel(shown, seconds, links))
