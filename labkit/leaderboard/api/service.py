"""What the requests of one application share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from labkit.connection import connect_async
from labkit.leaderboard import AsyncLeaderboard
from labkit.leaderboard.api.gateway import Gateway
from labkit.leaderboard.api.live import Live
from labkit.leaderboard.api.metrics import Metrics
from labkit.leaderboard.events import SLICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from labkit.clock import Clock
    from labkit.leaderboard.api.options import Limits
    from labkit.leaderboard.api.security import Keyring
    from labkit.leaderboard.settings import SettingsOptions

_CONNECTIONS = 1000


class Service:
    """The parts behind an application; those that need Redis are there while it is open.

    Attributes:
        redis: The way to Redis for requests.
        live: The live streams.
        limits: What the operator allows.
        clock: The time source.
        keyring: The API keys.
        metrics: The counters.
        key_prefix: What every key in Redis begins with.
    """

    redis: Gateway
    live: Live

    def __init__(
        self,
        redis: str | Any | None,
        limits: Limits,
        clock: Clock,
        keyring: Keyring,
        key_prefix: str,
    ) -> None:
        self._given = redis
        self.key_prefix = key_prefix
        self.limits = limits
        self.clock = clock
        self.keyring = keyring
        self.metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open what the service needs, and close it again; a client that was given stays open."""
        own = self._given is None or isinstance(self._given, str)
        client: Any = await self._connect() if own else self._given
        answer, failed = self.limits.answer, self.metrics.redis_errors.inc
        self.redis = Gateway(client, answer, self.limits.commands, failed)
        # Reads that wait for changes: one for each window that somebody watches.
        tails = Gateway(client, answer + SLICE, _CONNECTIONS, failed)
        self.live = Live(
            self.limits, lambda board: self._board(tails, board.name, board.settings.options())
        )
        try:
            yield
        finally:
            await self.live.aclose()
            if own:
                await client.aclose()

    def board(self, name: str, settings: SettingsOptions) -> AsyncLeaderboard:
        """The board of that name, with these settings; nothing is sent."""
        return self._board(self.redis, name, settings)

    async def open_board(self, name: str) -> AsyncLeaderboard:
        """The board of that name, with the settings that are kept with it, or NoSuchBoard."""
        return await AsyncLeaderboard.open(
            self.redis, name, clock=self.clock, prefix=self.key_prefix
        )

    def _board(self, redis: Gateway, name: str, settings: SettingsOptions) -> AsyncLeaderboard:
        return AsyncLeaderboard(redis, name, clock=self.clock, prefix=self.key_prefix, **settings)

    async def _connect(self) -> Any:
        options: dict[str, Any] = {}
        if not (self._given or "").startswith("fake://"):
            options["socket_timeout"] = self.limits.answer + SLICE
            # With them on, redis-py does not see that a connection which waited in its pool was
            # closed meanwhile, and the first commands after a restart of Redis would fail.
            options["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
        return await connect_async(
            self._given,
            max_connections=_CONNECTIONS + self.limits.commands,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
