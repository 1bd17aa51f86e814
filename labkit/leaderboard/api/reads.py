"""Reading a window: entries by page, members, neighbours, percentiles, records."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from labkit.clock import duration
from labkit.leaderboard import AsyncWindow, Page
from labkit.leaderboard.api import models
from labkit.leaderboard.api.answers import read
from labkit.leaderboard.api.boards import Board, Current
from labkit.leaderboard.api.problems import Problem, refusals
from labkit.leaderboard.api.scores import Member
from labkit.leaderboard.api.security import Requires
from labkit.leaderboard.api.service import Service
from labkit.leaderboard.operations import MOST_ENTRIES, MOST_MEMBERS, MOST_PERIODS
from labkit.leaderboard.settings import Ties

router = APIRouter(tags=["reads"], dependencies=[Depends(Requires("read"))])

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "What If-None-Match names is what would be sent."}
}

At = Annotated[
    models.QueriedMoment | None,
    Query(
        description="A moment of the period to read: seconds since the epoch, or a date and time "
        "with a time zone. Without it, the present period."
    ),
]


def open_window(
    board: Board,
    window: Annotated[
        str | None,
        Query(description="The window; the board's own where none is named.", examples=["daily"]),
    ] = None,
    at: At = None,
) -> AsyncWindow:
    """The window that the query names."""
    with refusals():
        return board.window(window or board.period.window, at)


Window = Annotated[AsyncWindow, Depends(open_window)]
RankTies = Annotated[
    Ties | None, Query(alias="ties", description="How equal scores rank; else as the board says.")
]


def bounded(service: Service, number: int | None, name: str, usual: int) -> int:
    """How many entries a request may have: as asked, or the usual number.

    Raises:
        Problem: 422, it asks for more than the service gives.
    """
    most = service.limits.page
    if number is not None and number > most:
        raise Problem(422, "page-too-large", f"{name} is {number}; this service gives {most}.")
    return min(usual, most) if number is None else number


def page_limit(
    service: Current,
    limit: Annotated[
        int | None, Query(ge=1, le=MOST_ENTRIES, description="How many entries; by default 50.")
    ] = None,
) -> int:
    """How many entries a page has."""
    return bounded(service, limit, "limit", 50)


def entry_count(
    service: Current,
    count: Annotated[
        int | None, Query(ge=1, le=MOST_ENTRIES, description="How many entries; by default 11.")
    ] = None,
) -> int:
    """How many entries are asked for around a place."""
    return bounded(service, count, "count", 11)


Limit = Annotated[int, Depends(page_limit)]
EntryCount = Annotated[int, Depends(entry_count)]


@router.get(
    "/boards/{board}/entries",
    operation_id="listEntries",
    summary="Read the entries, page by page",
    response_model=models.Page,
    responses={
        **NOT_MODIFIED,
        200: {
            "headers": {
                "Link": {
                    "description": "RFC 8288: `first`, and `next` and `prev` where they are.",
                    "schema": {"type": "string"},
                }
            }
        },
    },
)
async def list_entries(
    request: Request,
    service: Current,
    window: Window,
    limit: Limit,
    cursor: Annotated[
        str | None, Query(description="From a page before; without it, the top of the board.")
    ] = None,
    snapshot: Annotated[
        str | None,
        Query(
            description="Copy the window for that long, such as 5m, and page through the copy.",
            examples=["5m"],
        ),
    ] = None,
    ties: RankTies = None,
) -> Response:
    """The best first. Every entry that does not move meanwhile is met exactly once.

    The header `Link` leads to the next, the previous and the first page.
    """
    with refusals():
        longest = duration(service.limits.snapshot)
        if snapshot is not None and duration(snapshot) > longest:
            raise ValueError(f"snapshot is {snapshot}; at most {longest:g} seconds")
        page = await window.page(limit, cursor, snapshot=snapshot, ties=ties)
    return read(request, page, {"Link": _links(request, page)})


@router.get(
    "/boards/{board}/members/{member}",
    operation_id="getMember",
    summary="Read a member's rank and score",
    response_model=models.Entry,
    responses=NOT_MODIFIED,
)
async def get_member(
    request: Request, window: Window, member: Member, ties: RankTies = None
) -> Response:
    """The member's entry; 404 where the window has none."""
    with refusals():
        return read(request, _found(await window.get(member, ties=ties), window, member))


@router.get(
    "/boards/{board}/members/{member}/around",
    operation_id="listEntriesAroundMember",
    summary="Read the entries around a member",
    response_model=models.Entries,
    responses=NOT_MODIFIED,
)
async def list_entries_around_member(
    request: Request, window: Window, member: Member, count: EntryCount, ties: RankTies = None
) -> Response:
    """The member in the middle; at an end of the board the other side gives more."""
    with refusals():
        entries = await window.around(member, count, ties=ties)
    return read(request, {"entries": _found(entries, window, member)})


@router.get(
    "/boards/{board}/members/{member}/percentile",
    operation_id="getPercentile",
    summary="Read how much of the board a member has beaten",
    response_model=models.Percentile,
    responses=NOT_MODIFIED,
)
async def get_percentile(request: Request, window: Window, member: Member) -> Response:
    """The percentage of entries, 0 to 100, whose score is worse."""
    with refusals():
        share = await window.percentile(member)
    if share is None:
        raise _missing(window, member)
    return read(request, {"member": member, "percentile": share})


@router.get(
    "/boards/{board}/members/{member}/history",
    operation_id="listRecords",
    summary="Read a member's entries in the last periods",
    response_model=models.Records,
    responses=NOT_MODIFIED,
)
async def list_records(
    request: Request,
    board: Board,
    member: Member,
    window: Annotated[str | None, Query(examples=["daily"])] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PERIODS)] = 30,
    ties: RankTies = None,
) -> Response:
    """The present period first; `entry` is null in a period in which the member is missing."""
    with refusals():
        name = window or board.period.window
        history = await board.rank_history(member, name, limit, ties=ties)
    records = [{"period": period, "entry": entry} for period, entry in history]
    return read(request, {"member": member, "records": records})


@router.get(
    "/boards/{board}/around-score",
    operation_id="listEntriesAroundScore",
    summary="Read the entries around a score",
    response_model=models.Entries,
    responses=NOT_MODIFIED,
)
async def list_entries_around_score(
    request: Request,
    window: Window,
    score: Annotated[float, Query(examples=[4200])],
    count: EntryCount,
    ties: RankTies = None,
) -> Response:
    """The entries around the place where the score is or would be."""
    with refusals():
        return read(request, {"entries": await window.around_score(score, count, ties=ties)})


@router.get(
    "/boards/{board}/among",
    operation_id="listEntriesAmong",
    summary="Rank some members among each other",
    response_model=models.Group,
    responses=NOT_MODIFIED,
)
async def list_entries_among(
    request: Request,
    window: Window,
    member: Annotated[
        list[str],
        Query(
            min_length=1, max_length=MOST_MEMBERS, description="Once for each: `member=a&member=b`."
        ),
    ],
    ties: RankTies = None,
) -> Response:
    """Each entry has its rank on the board, and as `place` that among those asked for."""
    with refusals():
        return read(request, await window.among(member, ties=ties))


@router.get(
    "/boards/{board}/rank-of",
    operation_id="getRankOfScore",
    summary="Read the rank that a score would get",
    response_model=models.Rank,
    responses=NOT_MODIFIED,
)
async def get_rank_of_score(
    request: Request,
    window: Window,
    score: Annotated[float, Query(examples=[4200])],
    ties: RankTies = None,
) -> Response:
    """The rank of a new member who reached that score now."""
    with refusals():
        rank = await window.rank_of(score, ties=ties)
    return read(request, {"score": score, "rank": rank})


@router.get(
    "/boards/{board}/score-at",
    operation_id="getScoreAtPercentile",
    summary="Read the score at a percentile",
    response_model=models.ScoreAt,
    responses=NOT_MODIFIED,
)
async def get_score_at_percentile(
    request: Request, window: Window, percentile: Annotated[float, Query(ge=0, le=100)]
) -> Response:
    """By the nearest-rank method: 50 is the median, 100 the best score."""
    with refusals():
        score = await window.score_at(percentile)
    return read(request, {"percentile": percentile, "score": score})


@router.get(
    "/boards/{board}/count",
    operation_id="countEntries",
    summary="Count the entries, or those in a range of scores",
    response_model=models.Count,
    responses=NOT_MODIFIED,
)
async def count_entries(
    request: Request, window: Window, low: float | None = None, high: float | None = None
) -> Response:
    """From `low` to `high`, both included; one that is left out is no bound."""
    with refusals():
        return read(request, {"count": await window.count(low, high)})


def _found(found: Any, window: AsyncWindow, member: str) -> Any:
    if not found:
        raise _missing(window, member)
    return found


def _missing(window: AsyncWindow, member: str) -> Problem:
    period = window.period
    return Problem(
        404, "no-such-member", f"There is no member {member!r} in {period.window} {period.name!r}."
    )


def _links(request: Request, page: Page) -> str:
    """The header Link (RFC 8288): the other pages, with the query's other parameters."""
    path = request.scope["raw_path"].decode("ascii")
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]

    def link(relation: str, cursor: str | None) -> str:
        query = urlencode([*kept, *([("cursor", cursor)] if cursor else [])])
        return f'<{path}{"?" if query else ""}{query}>; rel="{relation}"'

    links = [link("first", None)]
    if page.next_cursor:
        links.append(link("next", page.next_cursor))
    if page.previous_cursor:
        links.append(link("prev", page.previous_cursor))
    return ", ".join(links)
