"""The way to Redis: every command within a bounded time, and not too many at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from labkit.leaderboard.api.problems import PASSING, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


class Gateway:
    """What the library sends its commands through, in place of a client.

    Commands are not sent twice: a write whose answer is lost may have been stored, and only the
    caller knows whether it may be repeated.

    Args:
        client: A client of `redis.asyncio`.
        limit: Seconds after which a command has failed, the wait for its turn included.
        most: Commands that are under way at once.
        failed: Called for each command that failed.
    """

    def __init__(self, client: Any, limit: float, most: int, failed: Callable[[], None]) -> None:
        self._client = client
        self._limit = limit
        self._turns = asyncio.Semaphore(most)
        self._failed = failed

    async def execute_command(self, *words: Any) -> Any:
        """Send a command.

        Raises:
            Unavailable: There was no answer within the limit.
        """
        try:
            async with asyncio.timeout(self._limit), self._turns:
                return await self._client.execute_command(*words)
        except PASSING:
            self._failed()
            raise
        except ResponseError:
            raise
        except (RedisError, OSError) as error:  # a TimeoutError is an OSError
            self._failed()
            raise Unavailable from error
