"""What a cache asks of a tier behind its memory: the contract, in one place.

A **tier** is what is given to `Cache(tiers=[...])`. It opens a **store** for the cache's namespace.
A store keeps bytes under keys that are text, for a time, and knows nothing of what they mean.
`labkit.cache.testing.StoreContract` is the test suite of this contract: run it on your own.

Three rules make a store more than a dictionary:

* **Generations.** A value is stored with tags. `drop_tags` makes every value with one of them
  unreadable from then on, `clear` every value of the namespace.
* **Claims.** `claim` gives one caller at a time, of all processes, the right to load a key, or to
  write it, for a lease at most. Others are told that it is busy, and `wait` until it ends.
* **Fences.** `fill` stores what a claim loaded, unless since the claim its lease has run out, its
  key was set or deleted, one of its tags dropped, a prefix of it deleted or the namespace cleared.

Methods may be coroutine functions; such a store serves an `AsyncCache` only. A store without them
serves both: an `AsyncCache` calls it in a thread. Methods are called from several threads at once.
A store that cannot do its work raises `Unavailable`, after a short, bounded time, or `Refused`
where it could do other work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence


class Found(msgspec.Struct, frozen=True, gc=False):  # what it holds never leads back to it
    """A stored value.

    Attributes:
        payload: The bytes that were stored.
        ttl: Seconds that it has left; None where it does not expire, or where nobody asked.
        tags: The tags that it carries.
    """

    payload: bytes
    ttl: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to load a key.

    Attributes:
        key: The key.
        tags: The tags that the value will carry.
        token: What makes this claim differ from every other one.
        proof: What the store remembers of the generations at the time of the claim.
    """

    key: str
    tags: tuple[str, ...]
    token: bytes
    proof: Any = None


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else loads the key.

    Attributes:
        seconds: When that lease ends at the latest, from now.
    """

    seconds: float


class Store(Protocol):
    """Keeps the values of one namespace; see the module for the rules.

    Times to live are seconds, None for no expiry. Every method may as well be a coroutine function.
    """

    blocking: bool
    """Whether a call may wait for something outside this process, without being a coroutine."""

    def get(
        self, key: str, tags: Sequence[str] = (), *, ttl: bool = False
    ) -> Found | Awaitable[Found | None] | None:
        """The value of a key, or None.

        Args:
            key: The key.
            tags: The tags that it probably carries, so that they are checked in the same trip.
            ttl: Whether the answer should say how long the value has left.
        """

    def get_many(
        self, keys: Sequence[str], *, ttl: bool = False
    ) -> list[Found | None] | Awaitable[list[Found | None]]:
        """The values of keys, in their order, None where there is none."""

    def set(
        self, key: str, payload: bytes, ttl: float | None = None, tags: Sequence[str] = ()
    ) -> Awaitable[None] | None:
        """Store a value; loads of the key that are under way will not be kept."""

    def set_many(
        self,
        items: Sequence[tuple[str, bytes]],
        ttls: Sequence[float | None],
        tags: Sequence[str] = (),
    ) -> Awaitable[None] | None:
        """Store several values, each as `set` does."""

    def expire(self, key: str, ttl: float) -> bool | Awaitable[bool]:
        """Give a value a new time to live; False where there is none."""

    def delete(self, keys: Sequence[str]) -> int | Awaitable[int]:
        """Delete values and refuse the loads of them that are under way; answers how many."""

    def drop_tags(self, tags: Sequence[str]) -> Awaitable[None] | None:
        """Make every value with one of the tags unreadable, and refuse loads that carry one."""

    def delete_prefix(self, prefix: str) -> int | Awaitable[int]:
        """Delete every value whose key starts so, and refuse the loads under way; answers how many.

        Its cost grows with the number of keys in the store.
        """

    def clear(self) -> Awaitable[None] | None:
        """Make every value of the namespace unreadable, and refuse the loads under way."""

    def claim(
        self,
        key: str,
        tags: Sequence[str] = (),
        *,
        lease: float,
        force: bool = False,
        over: bool = False,
        write: bool = False,
    ) -> Claim | Busy | Found | Awaitable[Claim | Busy | Found]:
        """Take the right to load a key for `lease` seconds, or say why not.

        Args:
            key: The key.
            tags: The tags that the value will carry.
            lease: Seconds after which somebody else may load it.
            force: Take it whatever is stored, and whoever has it to load.
            over: Take it whatever is stored, but not from somebody who has it. A value that is
                there stays until the claim is filled.
            write: Take it to write: as `over` does, but the value that is there goes, and no
                `force` takes the claim away.

        Returns:
            The claim, `Busy`, or the value where there is one by now.
        """

    def fill(
        self, claim: Claim, payload: bytes, ttl: float | None = None
    ) -> bool | Awaitable[bool]:
        """Store what a claim loaded and end the claim; False where a fence refused it."""

    def claim_many(
        self, keys: Sequence[str], tags: Sequence[str] = (), *, lease: float, over: bool = False
    ) -> list[Claim | Busy | Found] | Awaitable[list[Claim | Busy | Found]]:
        """Take the right to load several keys, each as `claim` does, in their order."""

    def fill_many(
        self, fills: Sequence[tuple[Claim, bytes, float | None]]
    ) -> list[bool] | Awaitable[list[bool]]:
        """Store what claims loaded, each as `fill` does: (claim, payload, ttl)."""

    def release(self, claim: Claim) -> Awaitable[None] | None:
        """End a claim without a value."""

    def wait(self, key: str, seconds: float) -> Awaitable[None] | None:
        """Return when a claim of the key ends, or after `seconds`, or earlier: ask again then."""

    def close(self) -> Awaitable[None] | None:
        """Give back connections and files. Twice is harmless."""


class Tier(Protocol):
    """What is given to a cache."""

    def open(self, namespace: str) -> Store:
        """A store for the values of one namespace."""


def name_of(tier: Any) -> str:
    """What statistics call a tier: its own `name`, or that of its class."""
    return getattr(tier, "name", None) or type(tier).__name__.removesuffix("Tier").lower()


class Listener(Protocol):
    """What a cache is told about changes that others make; called from any thread."""

    def changed(self, keys: Sequence[str]) -> None:
        """These keys were set, filled or deleted."""

    def dropped(self, tags: Sequence[str]) -> None:
        """These tags were dropped."""

    def prefix_deleted(self, prefix: str) -> None:
        """Every key that starts so was deleted."""

    def cleared(self) -> None:
        """Everything may have changed."""

    def cut(self, since: float) -> None:
        """Changes may go unheard from `since` seconds ago on."""

    def restored(self) -> None:
        """Changes are heard again; what happened meanwhile is unknown."""


class Feed(Protocol):
    """The changes of a store, told to a listener until it is closed."""

    def close(self) -> None:
        """Stop. Twice is harmless."""


class Told(Store, Protocol):
    """A store that tells what others change."""

    def listen(self, listener: Listener, bound: float) -> Feed:
        """Tell the changes that others make.

        Args:
            listener: Who is told.
            bound: Seconds within which a silent connection must be found out.

        Returns:
            The feed; when it returns, changes are heard, or `listener.cut` was called.
        """


class Times(msgspec.Struct, frozen=True):
    """How long values have left.

    Attributes:
        seconds: Of each value that was looked at; None for one that does not expire.
        complete: Whether these are all the values that there are.
    """

    seconds: list[float | None]
    complete: bool


class Timed(Store, Protocol):
    """A store that tells how long its values have left."""

    def times(self, most: int) -> Times | Awaitable[Times]:
        """How long values have left, so many of them at most, and none of them chosen.

        Values that a dropped tag has made unreadable, and that are not removed yet, may be among
        them. Its cost grows with the number of keys in the store, up to the first that are enough.
        """


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What stands under a key, for somebody who only looks.

    Attributes:
        found: The value; None where none counts.
        dead: Whether something stands there that does not count: a tag of it was dropped, its
            namespace was cleared, or it is of another layout.
        claimed: For how many seconds at most a claim still holds the key; None: none does.
    """

    found: Found | None
    dead: bool = False
    claimed: float | None = None


class Seeing(Store, Protocol):
    """A store that can be looked at."""

    def look(self, key: str) -> Seen | Awaitable[Seen]:
        """What stands under a key; takes no claim, and changes nothing."""


class Queued(msgspec.Struct, frozen=True, gc=False):
    """A write that waits in a queue.

    Attributes:
        key: What stands for its key in the store.
        name: The key itself, as bytes.
        version: A number above that of every earlier write of the key.
        payload: The bytes of its value; None: it is a deletion.
    """

    key: str
    name: bytes
    version: int
    payload: bytes | None = None


class PutAside(msgspec.Struct, frozen=True, gc=False):
    """A write that could not be applied.

    Attributes:
        id: What it is known by.
        write: The write.
        reason: Why.
        at: When it was put aside, in seconds since the epoch.
        superseded: Whether its key was written since.
    """

    id: str
    write: Queued
    reason: str
    at: float
    superseded: bool


class QueueState(msgspec.Struct, frozen=True, gc=False):
    """How a queue is.

    Attributes:
        depth: How many writes wait.
        age: For how many seconds the oldest of them has; 0 where none waits.
        aside: How many were put aside.
    """

    depth: int
    age: float
    aside: int


class Full(msgspec.Struct, frozen=True, gc=False):
    """There is no room in a queue; `since` is what `wait_for_room` wants to know."""

    since: str


class Queue(Protocol):
    """Writes that stand in a store until they have reached a source, in the order they came.

    It lies in partitions, and all writes of a key in the same one. One worker at a time owns a
    partition. Every method may as well be a coroutine function.
    """

    blocking: bool
    """As that of the store."""

    partitions: int
    """How many there are, from 0 on."""

    def check(self) -> Awaitable[None] | None:
        """Make sure that the store keeps what it is given.

        Raises:
            Refused: It may give up any value for want of room.
        """

    def push(
        self, write: Queued, body: bytes, ttl: float | None, tags: Sequence[str]
    ) -> int | Full | Awaitable[int | Full]:
        """Put a write into the queue and its value into the store, both or neither.

        Loads of the key that are under way will not be kept, and everyone who listens is told,
        also the process itself.

        Args:
            write: The write; its version is not known yet.
            body: The bytes that the store shall have, which are those of the write if it has any.
            ttl: Seconds for which the store shall have them; None for ever; 0 or less: not at all.
            tags: The tags of the value.

        Returns:
            The version of the write, or `Full` where nothing was done.
        """

    def wait_for_room(self, key: str, since: str, seconds: float) -> Awaitable[None] | None:
        """Return when there may be room for a write of a key, or after `seconds`, or earlier."""

    def latest(self, keys: Sequence[str]) -> dict[str, Queued] | Awaitable[dict[str, Queued]]:
        """The latest of the waiting writes of each key that has any."""

    def take(
        self, partition: int, token: bytes, lease: float, most: int
    ) -> list[Queued] | Busy | Awaitable[list[Queued] | Busy]:
        """The first writes of a partition, which is the caller's for `lease` seconds from now on.

        `Busy` where it is another one's. One in which nothing waits is not taken.
        """

    def done(
        self, partition: int, token: bytes, writes: Sequence[Queued]
    ) -> float | Awaitable[float | None] | None:
        """Remove writes that were applied; answers how many seconds the oldest of them waited.

        None where the partition is another one's by now: then the writes stay.
        """

    def put_aside(
        self, partition: int, token: bytes, write: Queued, before: Queued | None, reason: str
    ) -> bool | Awaitable[bool]:
        """Put a write aside that cannot be applied, and drop the cached value if it is that one.

        Args:
            partition: Where it waits.
            token: Who owns the partition.
            write: The write.
            before: The waiting write of the key that came before it.
            reason: Why.

        Returns:
            False where the partition is another one's by now.
        """

    def leave(self, partition: int, token: bytes) -> Awaitable[None] | None:
        """Give a partition back."""

    def wait(self, since: dict[int, int], seconds: float) -> Awaitable[None] | None:
        """Return when there is a write above a version in one of these partitions.

        Or after `seconds`, or earlier.
        """

    def aside(self, most: int) -> list[PutAside] | Awaitable[list[PutAside]]:
        """The writes that were put aside, oldest first."""

    def again(self, ids: Sequence[str]) -> dict[str, str] | Awaitable[dict[str, str]]:
        """Let writes that were put aside wait again, as if they were new.

        Returns:
            Which, with their keys. The others are not there any more, or superseded.
        """

    def forget(self, ids: Sequence[str]) -> int | Awaitable[int]:
        """Drop writes that were put aside; answers how many."""

    def state(self) -> QueueState | Awaitable[QueueState]:
        """How it is now."""


class Queueing(Store, Protocol):
    """A store in which writes can wait."""

    def queue(self, name: str, depth: int) -> Queue:
        """The queue of that name, in which `depth` writes may wait.

        Each partition has its share of the depth.
        """
