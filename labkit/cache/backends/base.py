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
