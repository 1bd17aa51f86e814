"""How values are kept: what `Cache(...)` and `@cache.cached(...)` have in common."""

from __future__ import annotations

import dataclasses
import difflib
import math
import random
from typing import TYPE_CHECKING, Any, TypeAlias

from labkit.cache.lifetimes import Lifetime
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from labkit.cache.serializers import Serializer

TTL: TypeAlias = float | str | None
"""Seconds, or a text such as "10m"; None: never expires."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How values are kept.

    Attributes:
        ttl: How long a value lives, or a function that says so for each value; a `Lifetime` does
            so for each key and value.
        jitter: By which share of it at most a time to live is shortened, at random, so that what
            was stored together does not expire together; 0.1 is a tenth.
        negative_ttl: How long None lives; `"same"` is as long as any value, 0 is not at all.
        errors: For how long calls that raised one of these are remembered, and raise it again.
        sliding: Whether a value that is read lives on for its whole time.
        stale_while_revalidate: Seconds after its time for which a value is still given out, while
            one caller loads it anew in the background.
        stale_if_error: Seconds after its time for which a value is given out where the load fails.
        refresh_ahead: In which last share of its time a value that is read is loaded anew in the
            background; 0.2 is the last fifth.
        early: How eagerly one of many readers, by chance, has a value loaded anew before its time
            is over: the beta of XFetch. 1 fits most, more is earlier, 0 is off.
        serializer: Turns values into bytes, for stores and for what is mutable.
        copy: Whether callers are kept apart: each gets a value that it may change. What cannot be
            changed is shared either way.
        lease: Seconds after which the load of a key that has not ended is given to another caller.
        compress_over: The size in bytes above which values are compressed in stores; None: never.
        aging: Whether a value's age means more than that it is there or not.
    """

    ttl: TTL | Callable[[Any], TTL]
    jitter: float
    negative_ttl: TTL
    errors: Mapping[type[Exception], float | str]
    sliding: bool
    stale_while_revalidate: float
    stale_if_error: float
    refresh_ahead: float
    early: float
    serializer: Serializer
    copy: bool
    lease: float
    compress_over: int | None
    aging: bool = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if not callable(self.ttl):
            object.__setattr__(self, "ttl", seconds("ttl", self.ttl))
        if self.negative_ttl != "same":
            object.__setattr__(
                self, "negative_ttl", seconds("negative_ttl", self.negative_ttl, zero=True)
            )
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter is {self.jitter!r}; expected a share from 0 up to below 1")
        errors = {kind: seconds(f"errors[{kind.__name__}]", t) for kind, t in self.errors.items()}
        object.__setattr__(self, "errors", errors)
        object.__setattr__(self, "lease", seconds("lease", self.lease))
        if self.sliding and (self.ttl is None or callable(self.ttl)):
            raise ValueError("sliding=True needs a ttl that is a time, to start anew at each read")
        for name in ("stale_while_revalidate", "stale_if_error"):
            object.__setattr__(self, name, time(name, getattr(self, name)))
        if not 0 <= self.refresh_ahead < 1:
            raise ValueError(
                f"refresh_ahead is {self.refresh_ahead!r}; expected a share from 0 up to below 1"
            )
        if not 0 <= self.early < math.inf:
            raise ValueError(f"early is {self.early!r}; expected a number of 0 or more")
        aging = bool(
            self.stale_while_revalidate or self.stale_if_error or self.refresh_ahead or self.early
        )
        object.__setattr__(self, "aging", aging)
        if self.sliding and aging:
            raise ValueError(
                "sliding=True renews a value's time at each read, so that it never becomes stale; "
                "leave out stale_while_revalidate, stale_if_error, refresh_ahead and early"
            )

    @property
    def window(self) -> float:
        """Seconds for which a value is kept after its time."""
        return max(self.stale_while_revalidate, self.stale_if_error)

    def but(self, **changes: Any) -> Options:
        """These options with some of them changed; what is UNSET was not given.

        Raises:
            TypeError: There is no such option.
            ValueError: An option makes no sense.
        """
        given = {name: value for name, value in changes.items() if value is not UNSET}
        try:
            return dataclasses.replace(self, **given) if given else self
        except (TypeError, ValueError):
            refuse_unknown(given, _NAMES)  # only now: whoever gives a ttl at each call does not pay
            raise

    def lifetime(self, value: Any, key: str = "") -> float | None:
        """Seconds that the value of a key shall live, None for ever; 0 or less: do not keep it."""
        if value is None and self.negative_ttl != "same":
            ttl: Any = self.negative_ttl
        elif isinstance(self.ttl, Lifetime):
            ttl = self.ttl(value, key)
        elif callable(self.ttl):
            ttl = seconds("the ttl of a value", self.ttl(value), zero=True)
        else:
            ttl = self.ttl
        return self._shortened(ttl)

    def error_lifetime(self, error: BaseException) -> float | None:
        """Seconds that an error shall be remembered; 0: do not."""
        for kind, ttl in self.errors.items():
            if isinstance(error, kind):
                return self._shortened(ttl)  # type: ignore[arg-type]
        return 0.0

    def _shortened(self, ttl: float | None) -> float | None:
        if ttl is None or not self.jitter:
            return ttl
        return ttl * (1 - self.jitter * random.random())


_NAMES = [field.name for field in dataclasses.fields(Options) if field.init]


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Refuse options that there are not.

    Raises:
        TypeError: There is one.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise TypeError(
                f"there is no option {name!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; expected {', '.join(known)}")
            )


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()
"""Stands for an option that was not given."""


_MOST_TAGS = 200  # stores count them in a byte


def checked_tags(tags: Any) -> tuple[str, ...]:
    """The tags of a value.

    Raises:
        TypeError: They are one text, or one of them is no text.
        ValueError: One has a NUL in it, or there are more than 200.
    """
    if isinstance(tags, str):
        raise TypeError(f"tags is the text {tags!r}; expected several tags: [{tags!r}]")
    found = tuple(tags)
    for tag in found:
        if not isinstance(tag, str) or not tag:
            raise TypeError(f"a tag is {tag!r}; expected a text that is not empty")
        if "\0" in tag:
            raise ValueError(f"the tag {tag!r} has a NUL in it; expected a text without")
    if len(found) > _MOST_TAGS:
        raise ValueError(f"a value has {len(found)} tags; expected at most {_MOST_TAGS}")
    return tuple(map(str, found))  # an entity's tag is a text of a class of its own


def seconds(name: str, ttl: Any, *, zero: bool = False) -> float | None:
    """A time to live in seconds.

    Raises:
        ValueError: It is negative, or 0 where that makes no sense; the message names it.
    """
    if ttl is None:
        return None
    found = time(name, ttl)
    if found == 0 and not zero:
        raise ValueError(f"{name} is {ttl!r}; expected a time above 0, or None for ever")
    return found


def time(name: str, value: Any) -> float:
    """A time in seconds.

    Raises:
        TypeError: It is neither a number nor a text.
        ValueError: It is negative, or a text that is no time; the message names it.
    """
    try:
        return duration(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is {error}") from None
