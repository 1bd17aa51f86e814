"""Sending a script, or a command, in one round trip, and reading what comes back.

An operation of a board is a `Call`: what it sends and how its reply is read. The faces send it:
`send` through a blocking client, `send_async` through one of `redis.asyncio`.

Every script declares all keys it touches, and all of one board share a hash tag, so that a Redis
Cluster can serve them, also while it moves the slot to another node.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from labkit.leaderboard.errors import LayoutMismatch
from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# What a client's server is known to hold goes by digest, every other script in full: a script is
# one round trip from the first time on.
_held: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


class Call(Generic[T_co]):
    """One round trip: a script or a command with its arguments, and the reader of its reply.

    Args:
        name: A script's name, or a command in capitals.
        keys: The keys; of a plain command they come first.
        arguments: What follows the keys.
        read: Makes the result from the reply.
    """

    __slots__ = ("arguments", "keys", "name", "read")

    def __init__(
        self,
        name: str,
        keys: Sequence[str],
        arguments: Sequence[Any],
        read: Callable[[Any], T_co],
    ) -> None:
        self.name = name
        self.keys = keys
        self.arguments = arguments
        self.read = read

    def command(self, held: set[str]) -> tuple[Any, ...]:
        """The words to send: a plain command, or a script by its digest where it is held."""
        if self.name.isupper():
            return (self.name, *self.keys, *self.arguments)
        known = script("labkit.leaderboard", self.name)
        head = ("EVALSHA", known.digest) if self.name in held else ("EVAL", known.text)
        return (*head, len(self.keys), *self.keys, *self.arguments)


def scripts_of(client: Any) -> set[str]:
    """The names of the scripts that a client's server is known to hold."""
    return _held.setdefault(client, set())


def send(client: Any, held: set[str], call: Call[T]) -> T:
    """Send a call through a blocking client, whose `scripts_of` are `held`."""
    try:
        try:
            reply = client.execute_command(*call.command(held))
        except NoScriptError:
            held.discard(call.name)
            reply = client.execute_command(*call.command(held))
    except ResponseError as error:
        raise _explained(error) from error
    held.add(call.name)
    return call.read(reply)


async def send_async(client: Any, held: set[str], call: Call[T]) -> T:
    """Send a call through a client of `redis.asyncio`, whose `scripts_of` are `held`."""
    try:
        try:
            reply = await client.execute_command(*call.command(held))
        except NoScriptError:
            held.discard(call.name)
            reply = await client.execute_command(*call.command(held))
    except ResponseError as error:
        raise _explained(error) from error
    held.add(call.name)
    return call.read(reply)


def _explained(error: ResponseError) -> Exception:
    """An error reply of a script as an exception of this package; any other as it is."""
    text = str(error)
    if text.startswith("LAYOUT "):
        return LayoutMismatch(
            f"the board was made with {text.removeprefix('LAYOUT ')!r} (order, time zone, start of "
            "the week), not with what this object says; take the settings from the board with "
            "Leaderboard.open(client, name), or choose another name"
        )
    return error
