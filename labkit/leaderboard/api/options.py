"""What an operator decides: limits, and how many requests a client may send."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.clock import duration
from labkit.leaderboard.operations import BATCH, MOST_ENTRIES


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one client may ask for, and how long it may wait.

    Attributes:
        body: Bytes of a request's body; more is answered 413.
        batch: Scores in one batch; more is answered 422.
        page: Entries in one answer, at most 1,000; more is asked for in vain, 422.
        snapshot: The longest life of a snapshot, a `duration`.
        streams: Live streams that one process holds open; one more is answered 503.
        waiting: Events that wait for a slow stream client. One that falls further behind is read
            from Redis again, from where it was, so it misses nothing that the board still keeps.
        heartbeat: Seconds of silence after which a stream sends a sign of life.
        answer: Seconds that Redis has for an answer; then the request is answered 503.
        commands: Commands that one process has under way at once; others wait their turn.
    """

    body: int = 1_000_000
    batch: int = BATCH
    page: int = MOST_ENTRIES
    snapshot: float | str = "1h"
    streams: int = 10_000
    waiting: int = 1000
    heartbeat: float = 15.0
    answer: float = 2.0
    commands: int = 50

    def __post_init__(self) -> None:
        for name in ("body", "batch", "page", "streams", "waiting", "commands"):
            if getattr(self, name) < 1:
                raise ValueError(f"limit {name} is {getattr(self, name)}; expected 1 or more")
        if self.page > MOST_ENTRIES:
            raise ValueError(f"limit page is {self.page}; a read gives up to {MOST_ENTRIES}")
        for name in ("heartbeat", "answer"):
            if not getattr(self, name) > 0:
                raise ValueError(f"limit {name} is {getattr(self, name)}; expected seconds above 0")
        duration(self.snapshot)


@dataclass(frozen=True)
class RateLimit:
    """How many requests a client may send: a token bucket, shared by every process on one Redis.

    A client is an API key, or an address where no valid key comes along.

    Attributes:
        requests: What the bucket holds: so many at once.
        per: The `duration` in which an empty bucket fills up again.
    """

    requests: int
    per: float | str = "1m"

    def __post_init__(self) -> None:
        if self.requests < 1 or not duration(self.per) > 0:
            raise ValueError(
                f"rate limit is {self.requests} per {self.per!r}; expected 1 request or more, "
                "and a time above 0"
            )

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """Read a rate limit such as `"100/1m"`: requests, a slash, a `duration`.

        Raises:
            ValueError: The text is none.
        """
        requests, slash, per = text.partition("/")
        if not (slash and requests.strip().isdecimal()):
            raise ValueError(f"rate limit is {text!r}; expected a number and a time, as in 100/1m")
        return cls(int(requests), per)

    @property
    def seconds(self) -> float:
        """The time in which the bucket fills up, in seconds."""
        return duration(self.per)
