"""What requests say and answers hold, for checking the former and describing both.

Answers are written from the library's own results (`answers`); the tests hold them against these.
"""

import contextlib
import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from labkit.leaderboard.results import Outcome
from labkit.leaderboard.settings import Order, Policy, Ties

_DURATION = r"^\s*([0-9]+(\.[0-9]+)?\s*(d|h|m|s|ms)?\s*)+$"


def _number(value: Any) -> Any:
    # As it came: the library refuses an integer that no double equals, which a float would hide.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number", "expected a number")
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError(
                "moment", "expected seconds since the epoch, or a date and time with a time zone"
            ) from None
    return _number(value)


def _queried_moment(value: Any) -> Any:
    with contextlib.suppress(ValueError):
        return float(value)
    return _moment(value)


def _duration(value: Any) -> Any:
    return value if isinstance(value, str) else _number(value)


_MOMENT = {
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": 16_725_225_600},
        {"type": "string", "format": "date-time"},
    ],
    "description": "Seconds since the epoch, or a date and time with a time zone (ISO 8601).",
}
Number = Annotated[Any, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Moment = Annotated[Any, PlainValidator(_moment), WithJsonSchema(_MOMENT)]
QueriedMoment = Annotated[Any, PlainValidator(_queried_moment), WithJsonSchema(_MOMENT)]
Duration = Annotated[
    Any,
    PlainValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION}],
            "description": "Seconds, or a text such as 250ms, 30s, 10m, 2h5m or 1d.",
        }
    ),
]
Metadata = dict[str, Any]
Member = Annotated[str, Field(min_length=1, max_length=512, examples=["ada"])]
BuiltIn = Literal["hourly", "daily", "weekly", "monthly", "yearly", "all"]


class Asked(BaseModel):
    """What a request says: a field that is not known is an error."""

    model_config = ConfigDict(extra="forbid")


class Season(Asked):
    """A window of your own with one period: a tournament, a holiday."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$", examples=["winter-cup"])]
    start: Moment
    end: Moment


class BoardSettings(Asked):
    """A board's settings. Order, time zone and week start stay as they were at the first PUT."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"windows": ["daily", "all"], "policy": "best", "timezone": "UTC"}]
        }
    )

    order: Annotated[Order, Field(description="desc: the highest score is first.")] = "desc"
    ties: Annotated[Ties, Field(description="How equal scores rank.")] = "competition"
    policy: Annotated[Policy, Field(description="Which of a member's scores counts.")] = "best"
    windows: Annotated[list[BuiltIn | Season], Field(min_length=1)] = ["all"]
    timezone: Annotated[str, Field(examples=["Europe/Lisbon"])] = "UTC"
    week_start: Literal[
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    ] = "monday"
    minimum: Annotated[Number | None, Field(description="The lowest score accepted.")] = None
    maximum: Annotated[Number | None, Field(description="The highest score accepted.")] = None
    step: Annotated[Number | None, Field(description="The smallest change that counts.")] = None
    grace: Annotated[Duration, Field(description="How long a period takes late scores.")] = "1h"
    keep: Annotated[
        dict[str, Duration | None], Field(description="How long a closed period stays, by window.")
    ] = {}
    remember: Annotated[Duration, Field(description="How long idempotency keys last.")] = "1d"
    events: Annotated[
        StrictInt, Field(ge=0, le=10_000_000, description="How many changes are kept to resume.")
    ] = 10_000
    dense: bool | None = None
    metadata_limit: Annotated[StrictInt, Field(ge=0, le=1_000_000, description="Bytes.")] = 4096


class NewScore(Asked):
    """A score."""

    member: Member
    score: Annotated[Number, Field(examples=[4200])]
    metadata: Annotated[Metadata | None, Field(examples=[{"level": 7}])] = None
    at: Moment | None = None


class KeyedScore(NewScore):
    """A score of a batch, which may have an idempotency key of its own."""

    key: Annotated[str | None, Field(min_length=1, max_length=256)] = None


class Batch(Asked):
    """Many scores."""

    scores: Annotated[list[KeyedScore], Field(min_length=1)]


class Increment(Asked):
    """An amount to add to a member's score."""

    member: Member
    by: Annotated[Number, Field(examples=[10])]
    metadata: Metadata | None = None
    at: Moment | None = None


class Period(BaseModel):
    """A stretch of a window."""

    window: str
    name: Annotated[str, Field(examples=["2026-11-22"])]
    start: Annotated[float | None, Field(description="Its first moment; null for all time.")]
    end: Annotated[float | None, Field(description="The first moment after it.")]


class Window(BaseModel):
    """A window with its present period."""

    name: str
    period: Period
    size: Annotated[int, Field(description="How many entries the present period has.")]


class Board(BaseModel):
    """A board."""

    name: str
    settings: Annotated[Metadata, Field(description="As in PUT, durations in seconds.")]
    windows: list[Window]


class Windows(BaseModel):
    """A board's windows."""

    windows: list[Window]


class Periods(BaseModel):
    """Periods that are over and can be read, the newest first."""

    periods: list[Period]


class Entry(BaseModel):
    """A member's place."""

    rank: Annotated[int, Field(description="From 1.")]
    member: str
    score: float
    metadata: Metadata | None
    place: Annotated[int | None, Field(description="The rank within the set, in `among`.")]


class Page(BaseModel):
    """A page of entries; the header Link leads on."""

    entries: list[Entry]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    previous_cursor: Annotated[str | None, Field(description="Null on the first page.")]
    total: int


class Entries(BaseModel):
    """Some entries, in board order."""

    entries: list[Entry]


class Group(BaseModel):
    """Those members that are on the board, and the others."""

    entries: list[Entry]
    missing: list[str]


class Percentile(BaseModel):
    """How much of the board a member has beaten."""

    member: str
    percentile: Annotated[float, Field(description="0 to 100.")]


class Record(BaseModel):
    """A member in one period."""

    period: Period
    entry: Entry | None


class Records(BaseModel):
    """A member in the last periods, the present one first."""

    member: str
    records: list[Record]


class Rank(BaseModel):
    """The rank that a score would get."""

    score: float
    rank: int


class ScoreAt(BaseModel):
    """The score at a percentile."""

    percentile: float
    score: Annotated[float | None, Field(description="Null on an empty board.")]


class Count(BaseModel):
    """How many entries there are."""

    count: int


class Move(BaseModel):
    """What a score did in one window."""

    period: str
    outcome: Outcome
    old_score: float | None
    new_score: float | None
    old_rank: int | None
    new_rank: int | None


class Submission(BaseModel):
    """What became of a score: in the board's own window, and in each."""

    member: str
    window: Annotated[str, Field(description="The board's own window.")]
    changed: bool
    rank: int | None
    score: float | None
    old_rank: int | None
    old_score: float | None
    moves: dict[str, Move]


class Outcomes(BaseModel):
    """What became of each score of a batch, in order."""

    class Item(BaseModel):
        """One score: its submission, or why it was refused."""

        status: Literal["stored", "replayed", "refused"]
        refused: str | None
        submission: Submission | None

    stored: int
    replayed: int
    refused: int
    results: list[Item]


class Status(BaseModel):
    """How the service is."""

    status: Annotated[str, Field(examples=["ok"])]


class InvalidField(BaseModel):
    """A part of a request that is not as it should be."""

    model_config = ConfigDict(populate_by_name=True)

    where: Annotated[str, Field(alias="in", examples=["body"])]
    field: Annotated[str, Field(examples=["score"])]
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: Annotated[str, Field(examples=["urn:problem-type:leaderboard:no-such-board"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong, and what to do.")]
    instance: Annotated[str, Field(description="The path that was asked for.")]
    errors: list[InvalidField] = []
