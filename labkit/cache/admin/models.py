"""What requests say and answers have, as OpenAPI shows it."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

MOST_IDS = 10_000
"""Ids that one request may have warmed."""

Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Id = Annotated[
    StrictInt | StrictStr | list[StrictInt | StrictStr],
    Field(description="A number or a text; several of them where an id has several fields."),
]


class Body(BaseModel):
    """What a request says; what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class EntityRef(Body):
    """One entity."""

    name: Text = Field(description="What entities of its kind are called.", examples=["Article"])
    id: Id = Field(examples=[17])


class Invalidation(Body):
    """What shall go: exactly one of these."""

    key: Text | None = Field(None, description="One key.", examples=["Article:17"])
    tag: Text | None = Field(None, description="Everything that carries a tag.")
    prefix: Text | None = Field(None, description="Every key that begins so.")
    entity: EntityRef | None = Field(None, description="An entity, and what it makes old.")
    all: bool = Field(False, description="Everything; needs the scope admin.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("key", "tag", "prefix", "entity") if getattr(self, name)]
        if len(given) + self.all != 1:
            found = ", ".join([*given, *(["all"] if self.all else [])]) or "nothing"
            raise ValueError(f"got {found}; expected exactly one of key, tag, prefix, entity, all")
        return self


class Invalidated(BaseModel):
    """What has gone."""

    caches: list[str] = Field(description="The caches in which it was dropped.")
    owed: dict[str, int] = Field(
        description="By tier, how many invalidations it has not heard of since it is away; it "
        "hears of them before anything else is asked of it."
    )


class Warming(Body):
    """What shall be loaded before readers come."""

    entity: Text = Field(description="What the entities are called.", examples=["Article"])
    ids: list[Id] | None = Field(
        None,
        max_length=MOST_IDS,
        description=f"The most important first, {MOST_IDS:,} at most; without them those of the "
        "file that the policy names.",
    )
    rate: float | None = Field(None, ge=1, le=1e6, description="Ids a second at most.")
    batch: int | None = Field(None, ge=1, le=1_000, description="How many go together.")
    seconds: float = Field(30, gt=0, le=60, description="After so long no batch is begun.")


class Warmth(BaseModel):
    """What was loaded."""

    done: int = Field(description="How many ids were loaded, or were there.")
    skipped: int = Field(description="How many came twice in their batch.")
    failed: int = Field(description="How many were in batches that failed.")
    seconds: float
    complete: bool = Field(description="Whether no ids are left.")
    stopped: str | None = Field(description="Why it ended before the ids did.")


class Tier(BaseModel):
    """What one tier has under a key."""

    tier: str
    there: bool | None = Field(description="Whether a value counts there; null: it is away.")
    kind: str | None = Field(description="`value`, `none` or `error`; null: none, or unreadable.")
    left: float | None = Field(description="Seconds until it is gone; null: it does not expire.")
    fresh: float | None = Field(description="Seconds that it stays fresh, or below 0 is stale.")
    age: float | None = Field(description="Seconds since it was made.")
    bytes: int | None
    load: float | None = Field(description="Seconds that its load took.")
    tags: list[str]
    claimed: float | None = Field(description="Seconds for which somebody may load it.")
    problem: str | None = Field(description="Why it is not given out.")
    preview: str | None = Field(description="How it begins, where that was asked for.")


class Entry(BaseModel):
    """What every tier has under a key, nearest first."""

    key: str
    loading: bool = Field(description="Whether it is being loaded.")
    tiers: list[Tier]


class Summary(BaseModel):
    """Entities of one kind, in short."""

    name: str
    strategy: str
    tiers: list[str] = Field(description="Where they are kept, nearest first.")
    ttl: float | None
    reads: int
    hit_ratio: float
    loads: int
    errors: int
    writes: int
    time_saved: float


class Advised(BaseModel):
    """The policy that what was counted speaks for."""

    policy: dict[str, Any] | None = Field(description="null: better no cache.")
    reasons: list[str]
    exact: bool
    staleness: float
    hit_ratio: float


class Detail(BaseModel):
    """Entities of one kind: their policy, their counts, and what these speak for."""

    name: str
    policy: dict[str, Any]
    tiers: list[str]
    relations: list[str]
    parts: list[str]
    counts: dict[str, Any]
    keys: int | None = Field(description="How many ids were read, or are in memory; null: unknown.")
    advice: Advised | None
    unadvised: str | None = Field(description="Why there is no advice.")


class HotKey(BaseModel):
    """A key that was asked for often."""

    cache: str
    key: str
    least: int = Field(description="How often at least.")
    most: int = Field(description="How often at most.")


class ProblemDetails(BaseModel):
    """What is wrong (RFC 9457)."""

    type: str = Field(examples=["urn:problem-type:cache:invalid-request"])
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] | None = None
