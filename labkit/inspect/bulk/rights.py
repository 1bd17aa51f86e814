"""Asking a server beforehand what it would refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis

from labkit.inspect.printing import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_forbidden(client: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> None:
    """Raise what the server would say to commands; it puts them aside, and forgets them."""
    connection: Any = client.connection_pool.get_connection()
    try:
        block = [("MULTI",), *commands, ("DISCARD",)]
        connection.send_packed_command(connection.pack_commands(block))
        begun, *replies = [_reply(connection) for _ in block]
    except BaseException:
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)
    if isinstance(begun, redis.ResponseError):
        return  # this user may not ask; what is forbidden will be refused when it comes
    for command, reply in zip(commands, replies[:-1], strict=True):
        if isinstance(reply, redis.ResponseError):
            raise _explained(client, command, reply)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


def _explained(
    client: redis.Redis, command: tuple[Any, ...], error: redis.ResponseError
) -> redis.ResponseError:
    name, key, *_ = command
    user = client.connection_pool.connection_kwargs.get("username") or "default"
    return error.__class__(
        f"{error} ({name} {quoted(key).decode()} as user {user}; nothing was changed)"
    )
