"""What the tier of objects keeps, and what it asks of a policy that decides which goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.cache.freshness import Freshness

    Alias = tuple[dict[Any, "Entry"], Any]


class Entry:
    """A value in memory, with what a hit needs.

    Attributes:
        key: The key that it stands under.
        value: What is kept.
        deadline: The clock's time from which it is dead; infinity for never, and minus infinity
            once it has left the tier, so that nobody who still holds it takes it for live.
        sure: The clock's time up to which a hit needs no look at its age; never after `deadline`.
        freshness: None, or how old it is.
        visited: Whether it was used since a policy looked last.
        open: None, or a function that turns `value` into what a caller gets.
        tags: The tags that it was put with.
        size: What it counts against the bound of bytes.
        alias: None, or a second dictionary and the key under which it stands there too.
        timer: Its place among the deadlines.
        before: The neighbour that a policy gave it; so is `after`, so is `level`.
    """

    __slots__ = (
        "after",
        "alias",
        "before",
        "deadline",
        "freshness",
        "key",
        "level",
        "open",
        "size",
        "sure",
        "tags",
        "timer",
        "value",
        "visited",
    )

    before: Entry
    after: Entry
    level: Any

    def __init__(
        self,
        key: str,
        value: Any,
        deadline: float,
        open: Callable[[Any], Any] | None = None,  # noqa: A002 - named as the attribute is
        tags: tuple[str, ...] = (),
        size: int = 0,
        alias: Alias | None = None,
        freshness: Freshness | None = None,
    ) -> None:
        self.key = key
        self.value = value
        self.deadline = self.sure = deadline
        self.freshness = freshness
        self.visited = False
        self.open = open
        self.tags = tags
        self.size = size
        self.alias = alias
        self.timer: list[Any] | None = None

    def end(self, deadline: float) -> None:
        """Give it another deadline."""
        self.deadline = deadline
        self.sure = min(self.sure, deadline)

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, {self.value!r}, deadline={self.deadline})"


@runtime_checkable
class Policy(Protocol):
    """Decides which entry goes when there is no room; one object serves one tier.

    The tier calls every method with its lock held. A subclass needs `add`, `remove`, `victim` and
    `clear`, and `touch` where the order depends on use.
    """

    marks: ClassVar[bool] = False
    """Whether `entry.visited = True` says all about a hit: it then takes no lock, nor `touch`."""

    def add(self, entry: Entry) -> None:
        """Take in a new entry."""

    def remove(self, entry: Entry) -> None:
        """Forget an entry, for whatever reason it goes."""

    def replace(self, old: Entry, new: Entry) -> None:
        """A key has a new value; by default it counts as new."""
        self.remove(old)
        self.add(new)

    def touch(self, entry: Entry) -> None:
        """Count a use of an entry; by default it changes nothing."""
        return

    def victim(self) -> Entry:
        """The entry that goes next; it stays until `remove`. There is at least one."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget every entry."""
