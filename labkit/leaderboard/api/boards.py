"""Boards: making, describing and removing them, and finding the one that a request names."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import AfterValidator
from starlette.requests import HTTPConnection
from starlette.responses import Response

from labkit.leaderboard import AsyncLeaderboard, AsyncWindow, LayoutMismatch, NoSuchBoard, Season
from labkit.leaderboard.api import models
from labkit.leaderboard.api.answers import read, written
from labkit.leaderboard.api.paths import plain
from labkit.leaderboard.api.problems import Problem, refusals
from labkit.leaderboard.api.security import Requires
from labkit.leaderboard.api.service import Service

router = APIRouter(tags=["boards"])


def service_of(connection: HTTPConnection) -> Service:
    """The service behind the application that answers."""
    service: Service = connection.app.state.service
    return service


Current = Annotated[Service, Depends(service_of)]
Name = Annotated[
    str,
    Path(
        alias="board",
        min_length=1,
        max_length=200,
        description="The board's name; a slash in it is written %2F.",
        examples=["arcade"],
    ),
    AfterValidator(plain),
]


async def open_board(service: Current, name: Name) -> AsyncLeaderboard:
    """The board that the path names, with the settings that are kept with it.

    Raises:
        Problem: 404, there is no such board.
    """
    try:
        with refusals():
            return await service.open_board(name)
    except NoSuchBoard:
        raise Problem(
            404, "no-such-board", f"There is no board {name!r}; a PUT to its address makes one."
        ) from None


Board = Annotated[AsyncLeaderboard, Depends(open_board)]


@router.put(
    "/boards/{board}",
    operation_id="putBoard",
    summary="Make a board, or change its settings",
    status_code=201,
    response_model=models.Board,
    responses={200: {"model": models.Board, "description": "The board was there; it is changed."}},
    dependencies=[Depends(Requires("admin"))],
)
async def put_board(
    service: Current, name: Name, settings: models.BoardSettings | None = None
) -> Response:
    """Settings that are not named get their default.

    A board that is there keeps its order, time zone and week start: others are answered 409.
    """
    with refusals():
        options: Any = (settings or models.BoardSettings()).model_dump()
        options["windows"] = [
            Season(**window) if isinstance(window, dict) else window
            for window in options["windows"]
        ]
        board = service.board(name, options)
    try:
        new = await board.configure()
    except LayoutMismatch:
        raise Problem(
            409,
            "layout-mismatch",
            f"The board {name!r} was made with another order, time zone or week start, which "
            "cannot change; send those it has (GET tells them), or DELETE it first.",
        ) from None
    return written(await _described(board), 201 if new else 200)


@router.get(
    "/boards/{board}",
    operation_id="getBoard",
    summary="Read a board's settings and sizes",
    response_model=models.Board,
    dependencies=[Depends(Requires("read"))],
)
async def get_board(request: Request, board: Board) -> Response:
    """The settings, and each window with its present period and how many entries that has."""
    return read(request, await _described(board))


@router.delete(
    "/boards/{board}",
    operation_id="deleteBoard",
    summary="Remove a board",
    status_code=204,
    response_class=Response,
    dependencies=[Depends(Requires("admin"))],
)
async def delete_board(service: Current, board: Board) -> Response:
    """Removes the board with its entries and its history. Its live streams end."""
    await board.delete()
    service.live.end(board.name)
    return Response(status_code=204)


@router.get(
    "/boards/{board}/windows",
    operation_id="listWindows",
    summary="List the windows",
    response_model=models.Windows,
    dependencies=[Depends(Requires("read"))],
)
async def list_windows(request: Request, board: Board) -> Response:
    """Each window with its present period and how many entries that has."""
    return read(request, {"windows": await _windows(board)})


@router.get(
    "/boards/{board}/windows/{window}/periods",
    operation_id="listPeriods",
    summary="List the periods of a window that are over",
    response_model=models.Periods,
    dependencies=[Depends(Requires("read"))],
)
async def list_periods(
    request: Request, board: Board, window: Annotated[str, Path(examples=["daily"])]
) -> Response:
    """The newest first. Any read takes a period's `start` as its `at`, with the `window`."""
    with refusals():
        return read(request, {"periods": await board.history(window)})


async def _described(board: AsyncLeaderboard) -> dict[str, Any]:
    return {
        "name": board.name,
        "settings": board.settings,
        "windows": await _windows(board),
    }


async def _windows(board: AsyncLeaderboard) -> list[dict[str, Any]]:
    windows: list[AsyncWindow] = [board.window(name) for name in board.settings.names]
    sizes = await asyncio.gather(*(window.size() for window in windows))
    return [
        {"name": window.period.window, "period": window.period, "size": size}
        for window, size in zip(windows, sizes, strict=True)
    ]
