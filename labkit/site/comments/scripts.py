"""Sending the scripts of the views: each is one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from labkit.cache.backends.redis_trips import Trip, errors_of_a_cache
from labkit.lua import script

if TYPE_CHECKING:
    from collections.abc import Sequence

Command = tuple[Any, ...]


class Scripts:
    """Scripts on the keys of one name; replies are bytes.

    Args:
        client: A blocking client of redis-py.
        keys: The keys that each of them gets.
    """

    def __init__(self, client: Any, keys: Sequence[str]) -> None:
        self._client = client
        self._keys = tuple(keys)
        self._held: set[str] = set()  # the scripts that the server is known to hold

    def run(self, name: str, *arguments: Any) -> Any:
        """What a script answers; one trip, but for one more where a server has forgotten it.

        Raises:
            Unavailable: Redis did not answer.
            Refused: It answered with an error.
        """
        known = script("labkit.site.comments", name)
        words = (len(self._keys), *self._keys, *arguments)
        in_full = ("EVAL", known.text, *words)
        first = ("EVALSHA", known.digest, *words) if name in self._held else in_full
        (reply,) = self.replies([first])
        if isinstance(reply, NoScriptError):
            (reply,) = self.replies([in_full])
        self._held.add(name)
        return _good(reply)

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to plain commands, in one trip.

        Raises:
            Unavailable: Redis did not answer.
            Refused: The answer to one of them is an error.
        """
        return [_good(reply) for reply in self.replies(commands)]

    def replies(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to plain commands, in one trip; errors are among them.

        Raises:
            Unavailable: Redis did not answer.
        """
        return Trip(self._client, commands).now() if commands else []


def _good(reply: Any) -> Any:
    with errors_of_a_cache():
        if isinstance(reply, Exception):
            raise reply
    return reply
