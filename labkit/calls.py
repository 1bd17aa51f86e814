"""Sending a script, or a command, in one round trip, and reading what comes back.

An operation of a package is a `Call`: what it sends and how its reply is read. The faces send it:
`send` through a blocking client, `send_async` through one of `redis.asyncio`.

Every script declares all keys it touches, and all of one call share a hash tag, so that a Redis
Cluster can serve them, also while it moves the slot to another node.
"""

from __future__ import annotations

import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from redis.exceptions import NoScriptError, ResponseError

from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# What a client's server is known to hold goes by digest, every other script in full: a script is
# one round trip from the first time on.
_held: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


class Call(Generic[T_co]):
    """One round trip: a script or a command with its arguments, and the reader of its reply.

    A package derives its own, with its name as `package`, and what else redis-py is told with each
    of its calls as `options`.

    Args:
        name: A script's name, or a command in capitals.
        keys: The keys; of a plain command they come first.
        arguments: What follows the keys.
        read: Makes the result from the reply.
    """

    __slots__ = ("arguments", "keys", "name", "read")

    package: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

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
        known = script(self.package, self.name)
        head = ("EVALSHA", known.digest) if known.digest in held else ("EVAL", known.text)
        return (*head, len(self.keys), *self.keys, *self.arguments)

    def sent(self, held: set[str]) -> None:
        """Note that the server holds the script now."""
        if not self.name.isupper():
            held.add(script(self.package, self.name).digest)

    def explained(self, error: ResponseError) -> Exception:
        """An error reply as an exception of the package; any other as it is."""
        return error


def scripts_of(client: Any) -> set[str]:
    """The digests of the scripts that a client's server is known to hold."""
    return _held.setdefault(client, set())


def send(client: Any, held: set[str], call: Call[T]) -> T:
    """Send a call through a blocking client, whose `scripts_of` are `held`."""
    try:
        try:
            reply = client.execute_command(*call.command(held), **call.options)
        except NoScriptError:
            held.clear()
            reply = client.execute_command(*call.command(held), **call.options)
    except ResponseError as error:
        raise call.explained(error) from error
    call.sent(held)
    return call.read(reply)


async def send_async(client: Any, held: set[str], call: Call[T]) -> T:
    """Send a call through a client of `redis.asyncio`, whose `scripts_of` are `held`."""
    try:
        try:
            reply = await client.execute_command(*call.command(held), **call.options)
        except NoScriptError:
            held.clear()
            reply = await client.execute_command(*call.command(held), **call.options)
    except ResponseError as error:
        raise call.explained(error) from error
    call.sent(held)
    return call.read(reply)


def text(value: Any) -> str:
    """A reply's text, from a client that decodes and from one that does not."""
    return value.decode() if isinstance(value, bytes) else cast("str", value)
