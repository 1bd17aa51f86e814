"""The live streams' addresses: Server-Sent Events, and the same events over WebSocket."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from labkit.leaderboard import AsyncLeaderboard
from labkit.leaderboard.api.boards import Board
from labkit.leaderboard.api.live import Frame, Frames, stop, told
from labkit.leaderboard.api.problems import PASSING, Problem, Unavailable
from labkit.leaderboard.api.reads import bounded
from labkit.leaderboard.api.security import Requires
from labkit.leaderboard.api.service import Service

# Neither ends with the empty line that ends an event: some clients take it for one.
RETRY = b"retry: 1000\n"
"""Tells browsers to come back a second after a cut; the first event follows."""

ALIVE = b": alive\n"
"""A comment, sent where nothing else is."""

router = APIRouter(tags=["live"], dependencies=[Depends(Requires("read"))])

Window = Annotated[
    str | None, Query(description="The window to watch; the board's own where none is named.")
]
Top = Annotated[
    int | None,
    Query(ge=1, le=1000, description="Send the first so many entries instead of single changes."),
]
LastEventId = Annotated[
    int | None,
    Query(ge=0, description="As the header `Last-Event-ID`, for clients that cannot send one."),
]


@router.get(
    "/boards/{board}/events",
    operation_id="watchBoard",
    summary="Follow a window live, as Server-Sent Events",
    response_class=Response,
    responses={
        200: {
            "description": "A stream that does not end.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        409: {"description": "The board keeps no events."},
    },
)
async def watch_board(
    request: Request,
    board: Board,
    window: Window = None,
    top: Top = None,
    last_event_id: LastEventId = None,
    resume: Annotated[
        int | None,
        Header(alias="Last-Event-ID", ge=0, description="The id of the last event you saw."),
    ] = None,
) -> Response:
    """Sends an event for each change: `change`, `reset` or `gap`, as JSON, with ids that grow.

    The first event is `open`; its id says where the stream starts. A client that was cut off
    sends the last id it saw, and goes on with nothing missing and nothing repeated. (A member
    that is removed from several periods of a window is one change told in several events; a
    client that is cut off between them is told of all of them again.) `reset` means that much
    changed at once, `gap` that the board no longer keeps some changes: read what you show again.

    A client that reads too slowly is served from the board's own record: it gets late what others
    got at once, or a `gap`. Comments keep the connection alive. The stream ends when the service
    shuts down, the board is deleted or the record has a gap: connect again.

    With `top`, each event is a `top`: the first entries, who entered, who left and who moved since
    the event before. The first one comes at once, also after a cut.

    The same address answers a WebSocket handshake (with `last_event_id` in the query), and sends
    each event as a text message.
    """
    after = last_event_id if resume is None else resume
    return EventStream(*await _opened(request, board, window, top, after))


@router.websocket("/boards/{board}/events")
async def watch_board_socket(
    websocket: WebSocket,
    board: Board,
    window: Window = None,
    top: Top = None,
    last_event_id: LastEventId = None,
) -> None:
    """The events of `watchBoard` over WebSocket."""
    first, frames, service = await _opened(websocket, board, window, top, last_event_id)

    async def send() -> None:
        for frame in first:
            await websocket.send_text(frame.text)
        async for batch in frames:
            for frame in told(batch):
                await websocket.send_text(frame.text)

    async def listen() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    with service.metrics.streams.labels("websocket").track_inprogress():
        async with contextlib.aclosing(frames):
            await websocket.accept()
            # The client goes away; or Redis does, while the past is read.
            with contextlib.suppress(WebSocketDisconnect, Unavailable, *PASSING):
                await _either(send(), listen())
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close(1012, "connect again")


async def _opened(
    connection: HTTPConnection,
    board: AsyncLeaderboard,
    window: str | None,
    top: int | None,
    after: int | None,
) -> tuple[list[Frame], Frames, Service]:
    """The first events of a stream, and the others: an error comes before the response does."""
    service: Service = connection.app.state.service
    if not board.settings.events:
        raise Problem(409, "no-events", "The board keeps no events: its setting `events` is 0.")
    name = window or board.period.window
    if top is None:
        frames = service.live.changes(board, name, after)
    else:
        count = bounded(service, top, "top", top)
        frames = service.live.tops(board, name, count)
    return await anext(frames), frames, service


class EventStream(Response):
    """Events, in the format of Server-Sent Events, until either side ends it."""

    media_type = "text/event-stream"

    def __init__(self, first: list[Frame], frames: Frames, service: Service) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._frames = frames
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI asks."""

        async def write(body: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": more})

        async def stream() -> None:
            await write(RETRY + b"".join(frame.sse for frame in self._first))
            # Where Redis goes away while the past is read, the stream ends, and is taken up again.
            with contextlib.suppress(Unavailable, *PASSING):
                async for frames in self._frames:
                    await write(b"".join(frame.sse for frame in told(frames)) or ALIVE)
            await write(b"", more=False)

        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        with self._service.metrics.streams.labels("sse").track_inprogress():
            async with contextlib.aclosing(self._frames):
                await send(
                    {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                )
                await _either(stream(), listen())


async def _either(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; its error is raised, the others are ended."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await stop(*tasks)
