"""The service: sessions over HTTP, rooms over WebSocket, and the page.

A WebSocket at `/rooms/{room}` speaks JSON. The client begins with
`{"type": "hello", "token": ..., "tab": ..., "after": ...}`, where `tab` is a name of its own and
`after` the position of what it saw last; both may be left out. Then it says
`{"type": "say", "text": ..., "key": ...}` and `{"type": "typing"}`. The service answers with
`welcome`, then with events (`said`, `joined`, `left`, `typing`, `gap`, each with its `position`),
with `ack` for what was said, and with `refused` and a reason for what was not. The key of a message
makes that it is said once, however often a client has to send it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import redis
from fastapi import Body, FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect

from labkit.chat.aio import AsyncRooms, AsyncVisit
from labkit.chat.api.sessions import NameTaken, NoSession, Session, Sessions
from labkit.chat.errors import TooFast, TooSlow
from labkit.chat.messages import Position, Typing
from labkit.chat.operations import PREFIX
from labkit.chat.settings import check_tab, settings
from labkit.connection import connect_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from labkit.chat.aio import AsyncListener, AsyncRoom
    from labkit.chat.messages import Event
    from labkit.clock import Clock

SHOWN = 50
"""How many events somebody gets who comes for the first time."""
PATIENCE = 10.0
"""Seconds that a client has to say hello."""

_CONNECTIONS = 10_000  # at most, opened as they are needed; a server takes as many by default
_TYPING = 1.0  # seconds from one sign of typing to the next that is passed on
_LARGEST = 64 * 1024  # bytes of what a client sends at once
_POLICY, _LATER = 1008, 1013  # codes of closed WebSockets
_LEFT = (1000, 1001)  # the page was closed, or left
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Asked(msgspec.Struct, omit_defaults=True):
    """What a client says."""

    type: Literal["hello", "say", "typing"]
    token: str = ""
    tab: str | None = None
    after: str | None = None
    text: str = ""
    key: str | None = None


_read = msgspec.json.Decoder(_Asked).decode
_write = msgspec.json.Encoder().encode


def create_app(
    redis_url: str | None = None,
    *,
    prefix: str = PREFIX,
    clock: Clock = time.time,
    **options: Any,
) -> FastAPI:
    """The chat service.

    Args:
        redis_url: Where Redis is, as for `labkit.connect`.
        prefix: What keys begin with.
        clock: Tells the time in seconds.
        **options: How rooms are kept; see `labkit.chat.Settings`. Unless they say otherwise, a
            member may say 20 messages in 10 seconds.

    Raises:
        TypeError: There is no such option.
        ValueError: An option makes no sense.
    """
    how: dict[str, Any] = {"rate": 20, "per": "10s"} | options
    settings(**how)  # says at once what is wrong

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = await connect_async(redis_url, max_connections=_CONNECTIONS)
        app.state.client = client
        app.state.rooms = AsyncRooms(client, prefix=prefix, **how)
        app.state.sessions = Sessions(client, prefix, clock)
        yield
        await client.aclose()

    app = FastAPI(title="Chat", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def page() -> Response:
        text = (resources.files("labkit.chat.api") / "page.html").read_text("utf-8")
        return Response(text, media_type="text/html; charset=utf-8", headers=_HEADERS)

    @app.get("/healthz")
    async def health(request: Request) -> dict[str, str]:
        try:
            await request.app.state.client.ping()
        except (redis.RedisError, OSError) as error:
            raise HTTPException(503, "Redis does not answer.") from error
        return {"status": "ok"}

    @app.get("/rooms")
    async def rooms(request: Request) -> list[str]:
        names: list[str] = await request.app.state.rooms.names()
        return names

    @app.post("/session", status_code=201)
    async def take(request: Request, name: Annotated[Any, Body(embed=True)]) -> dict[str, str]:
        try:
            session, token = await request.app.state.sessions.take(name)
        except (TypeError, ValueError) as error:
            raise HTTPException(422, str(error)) from error
        except NameTaken as error:
            raise HTTPException(409, str(error)) from error
        return {"name": session.name, "token": token}

    @app.delete("/session", status_code=204)
    async def give_back(request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            await request.app.state.sessions.end(token if scheme.lower() == "bearer" else None)
        except NoSession as error:
            raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from error

    @app.websocket("/rooms/{name}")
    async def room(socket: WebSocket, name: str) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await _serve(socket, name)

    return app


async def _serve(socket: WebSocket, name: str) -> None:
    """Say hello, and then speak in both directions until one of them ends."""
    try:
        async with asyncio.timeout(PATIENCE):
            hello = await _next(socket)
        if hello.type != "hello":
            raise ValueError("The first message has to be a hello with a token.")
        session: Session = await socket.app.state.sessions.find(hello.token)
        after = None if hello.after is None else Position.parse(hello.after)
        room: AsyncRoom = socket.app.state.rooms.room(name)
        if hello.tab is not None:
            check_tab(hello.tab)
    except TimeoutError:
        await socket.close(_POLICY, f"No hello came within {PATIENCE:g} s.")
        return
    except (ValueError, msgspec.MsgspecError, NoSession) as error:
        await _refuse(socket, error)
        return
    except (redis.RedisError, OSError):
        await socket.close(_LATER, "Redis does not answer.")
        return
    try:
        visit = await room.join(session.name, hello.tab)
        await _stay(socket, visit, session, after)
    except NoSession as error:
        await _refuse(socket, error)
    except TooSlow:
        await socket.close(_LATER, "You take too slowly; come back with your position.")
    except (redis.RedisError, OSError):
        await socket.close(_LATER, "Redis does not answer.")


async def _refuse(socket: WebSocket, error: Exception) -> None:
    """Close for a reason, of which a WebSocket takes 123 bytes."""
    await socket.close(_POLICY, str(error).encode()[:120].decode(errors="ignore"))


async def _stay(
    socket: WebSocket, visit: AsyncVisit, session: Session, after: Position | None
) -> None:
    """Tell and hear, until one of the two ends.

    Raises:
        NoSession: The name belongs to somebody else by now.
        TooSlow: The client takes too slowly.
        redis.RedisError: Redis does not answer.
    """
    room = visit.room
    async with visit.listen(after or await _shown(room), policy="disconnect") as listener:
        welcome = {"type": "welcome", "name": visit.member, "who": await room.who()}
        await socket.send_text(_write(welcome).decode())
        both = [
            asyncio.create_task(act)
            for act in (_tell(socket, listener), _hear(socket, visit, session))
        ]
        try:
            ended, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
    for task in ended:
        try:
            task.result()
        except WebSocketDisconnect as gone:
            # A line that broke comes back in a moment, with its tab; if not, presence ends it.
            if gone.code in _LEFT:
                await visit.leave()


async def _shown(room: AsyncRoom) -> Position:
    """Where to begin for somebody who comes for the first time."""
    latest = await room.history(SHOWN)
    if not latest:
        return await room.position()
    return Position(latest[0].epoch, latest[0].number - 1)


async def _tell(socket: WebSocket, listener: AsyncListener) -> None:
    async for event in listener:
        await socket.send_text(_told(event))


def _told(event: Event) -> str:
    """An event as JSON, with its position in text form."""
    words: dict[str, Any] = msgspec.to_builtins(event)
    if not isinstance(event, Typing):
        words["position"] = str(event.position)
    return _write(words).decode()


async def _hear(socket: WebSocket, visit: AsyncVisit, session: Session) -> None:
    typed = -math.inf
    while True:
        answer: dict[str, Any]
        key: str | None = None
        try:
            asked = await _next(socket)
            key = asked.key
            if asked.type == "typing":
                if time.monotonic() - typed >= _TYPING:
                    typed = time.monotonic()
                    await visit.typing()
                continue
            if asked.type != "say":
                raise ValueError("You have said hello already.")
            await socket.app.state.sessions.keep(session)
            answer = {"type": "ack", "number": await visit.say(asked.text, key=key)}
        except TooFast as error:
            answer = {"type": "refused", "reason": str(error), "retry_after": error.retry_after}
        except (ValueError, msgspec.MsgspecError) as error:
            answer = {"type": "refused", "reason": str(error)}
        await socket.send_text(_write(answer | {"key": key}).decode())


async def _next(socket: WebSocket) -> _Asked:
    """What the client says next.

    Raises:
        ValueError: It is larger than anything that a client has to say.
        msgspec.MsgspecError: It is no message.
    """
    said = await socket.receive_text()
    if len(said) > _LARGEST:
        raise ValueError(f"This is longer than {_LARGEST:,} characters.")
    return _read(said)
