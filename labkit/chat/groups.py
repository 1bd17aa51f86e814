"""A consumer group on a stream: each text goes to one worker of many, at least once.

A worker takes texts, does what is to be done, and says so. What it has taken and not done, because
it died or hangs, another one gets after a while; what nobody could do is set aside among the dead
letters. `labkit.chat.plain` has a table that compares this with the other two ways.

At least once means that some texts come twice: a worker may have done the work and died before it
said so, or be slower than `claim_after`. Make the work such that a second time does no harm.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from labkit.calls import scripts_of, send, send_async, text
from labkit.chat.operations import PREFIX
from labkit.chat.scripts import Call
from labkit.chat.settings import check_name, size_of
from labkit.clock import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis.exceptions import ResponseError

T = TypeVar("T")

SLICE = 1.0
"""Seconds that one wait takes at most, so that what a dead worker held is claimed meanwhile."""
MOST = 1000
"""Texts that one call takes or tells of."""

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class Delivery(msgspec.Struct, frozen=True):
    """A text that was taken.

    Attributes:
        id: Its name in the stream, the same whenever it is delivered.
        text: What was added.
        deliveries: How often it was delivered, this time included; more than 1: some worker had it
            and did not say that it is done.
    """

    id: str
    text: str
    deliveries: int


class Pending(msgspec.Struct, frozen=True):
    """A text that was taken and is not done.

    Attributes:
        id: Its name in the stream.
        consumer: Who has it.
        idle: For how long, in seconds.
        deliveries: How often it was delivered.
    """

    id: str
    consumer: str
    idle: float
    deliveries: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A text that was delivered as often as is allowed, and never done.

    Attributes:
        id: Its name among the dead letters, for `retry`.
        text: What was added.
        deliveries: How often it was delivered.
        reason: Why it is here.
        origin: The name that it had in the stream.
    """

    id: str
    text: str
    deliveries: int
    reason: str
    origin: str


class _Gone(Exception):
    """The group was deleted while somebody waited for it."""


class _Waiting(Call[list[Delivery]]):
    """A read that waits."""

    __slots__ = ()

    def explained(self, error: ResponseError) -> Exception:
        """The two ways in which servers say that the stream is gone."""
        return _Gone() if str(error).startswith(("NOGROUP", "UNBLOCKED")) else error


class _Calls:
    """What a group sends and how it reads the replies; no I/O here."""

    def __init__(
        self,
        name: str,
        group: str,
        claim_after: float | str,
        attempts: int,
        longest: int,
        most_bytes: int,
    ) -> None:
        self.name = check_name(name, "the stream")
        self.group = check_name(group, "the group")
        self.claim_after = round(duration(claim_after) * 1000)
        self.attempts = _check_number(attempts, "attempts")
        self.longest = _check_number(longest, "longest")
        self.most_bytes = _check_number(most_bytes, "most_bytes")
        self.work = f"{PREFIX}{{{name}}}:work"
        self.dead_letters = f"{PREFIX}{{{name}}}:dead"

    def add(self, said: Any) -> Call[str]:
        """Adds a text."""
        size = size_of(said, "a group")
        if size > self.most_bytes:
            raise ValueError(
                f"the text has {size:,} bytes; expected at most {self.most_bytes:,}. Split it, "
                "keep it elsewhere and add its name, or give the group a larger `most_bytes`"
            )
        words = ("MAXLEN", "~", self.longest, "*", "text", said)
        return Call("XADD", (self.work,), words, text)

    def taking(self, consumer: str, most: int, wait: float | str) -> _Taking:
        """What one `take` does."""
        return _Taking(self, consumer, most, wait)

    def done(self, items: Sequence[Any]) -> Call[int]:
        """Takes texts off the work."""
        words = (self.group, *map(_check_id, items))
        return Call("acknowledge", (self.work,), words, int)

    def pending(self, most: int) -> Call[list[Pending]]:
        """Asks what is taken and not done."""

        def read(reply: Any) -> list[Pending]:
            return [
                Pending(text(name), text(consumer), int(idle) / 1000, int(deliveries))
                for name, consumer, idle, deliveries in reply
            ]

        return Call("held", (self.work,), (self.group, _check_number(most, "most", MOST)), read)

    def dead(self, most: int) -> Call[list[DeadLetter]]:
        """Asks for the dead letters."""

        def read(reply: Any) -> list[DeadLetter]:
            return [
                DeadLetter(
                    name,
                    fields.get("text", ""),
                    int(fields.get("deliveries", 0)),
                    fields.get("reason", ""),
                    fields.get("origin", ""),
                )
                for name, fields in _entries(reply)
            ]

        words = ("-", "+", "COUNT", _check_number(most, "most", MOST))
        return Call("XRANGE", (self.dead_letters,), words, read)

    def retry(self, item: Any) -> Call[str | None]:
        """Puts a dead letter back."""
        return Call(
            "revive",
            (self.work, self.dead_letters),
            (_check_id(item), self.longest),
            lambda reply: None if reply is None else text(reply),
        )


class _Taking:
    """One `take`: it looks once, and again after each wait, until something is there."""

    def __init__(self, calls: _Calls, consumer: Any, most: Any, wait: float | str) -> None:
        self._calls = calls
        self._consumer = check_name(consumer, "the consumer")
        self._most = _check_number(most, "most", MOST)
        self._left = duration(wait)

    @property
    def over(self) -> bool:
        """Whether it has waited for as long as it was told to."""
        return self._left <= 0

    def look(self) -> Call[list[Delivery]]:
        """Claims what is held for too long, and reads what is new."""
        how = self._calls
        words = (
            how.group,
            self._consumer,
            self._most,
            how.claim_after,
            how.attempts,
            how.longest,
        )
        return Call("take", (how.work, how.dead_letters), words, self._taken)

    def wait(self) -> Call[list[Delivery]]:
        """Reads what is new, and waits a while for it."""
        how = self._calls
        seconds = min(SLICE, self._left)
        self._left -= seconds
        words = (
            *("GROUP", how.group, self._consumer, "COUNT", self._most),
            *("BLOCK", max(1, round(seconds * 1000)), "STREAMS", how.work, ">"),
        )
        return _Waiting("XREADGROUP", (), words, _new)

    def _taken(self, reply: Any) -> list[Delivery]:
        kind, *words = reply
        if text(kind) == "other":
            raise ValueError(
                f"the texts of {self._calls.name!r} are those of the group {text(words[0])!r}, not "
                f"of {self._calls.group!r}: what is done is deleted, so each stream has one group; "
                "use that group, or add the texts to a stream for each"
            )
        return [
            Delivery(text(name), text(said), int(deliveries))
            for name, said, deliveries in zip(words[::3], words[1::3], words[2::3], strict=True)
        ]


def _new(reply: Any) -> list[Delivery]:
    """What a read of one stream has found, in each shape that redis-py gives it."""
    if not reply:
        return []
    (found,) = reply.values() if isinstance(reply, dict) else (stream[1] for stream in reply)
    if found and isinstance(found[0], list):
        (found,) = found
    return [Delivery(name, fields.get("text", ""), 1) for name, fields in _entries(found)]


def _entries(reply: Iterable[Any]) -> list[tuple[str, dict[str, str]]]:
    return [
        (text(name), {text(field): text(value) for field, value in (fields or {}).items()})
        for name, fields in reply
    ]


def _check_number(number: Any, what: str, most: int | None = None) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{what} is {number!r}; expected a whole number")
    if number < 1 or (most is not None and number > most):
        expected = "1 or more" if most is None else f"1 to {most}"
        raise ValueError(f"{what} is {number}; expected {expected}")
    return number


def _check_id(item: Any) -> str:
    name = item.id if isinstance(item, (Delivery, Pending, DeadLetter)) else item
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no id; expected a text such as '1790000000000-0'")
    if not _ID.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no id; expected one such as '1790000000000-0'")
    return name


class Group:
    """Workers that share the texts of a stream, each of which is done at least once.

    Making the object sends nothing; the stream and the group are made where they do not exist,
    also after they were lost. What was added before the group was there is delivered as well.

    A stream has one group, since what is done is deleted. A dead letter has been delivered
    `attempts` times and is noticed when it would be delivered once more, by a later `take`.

    Example:
        >>> group = Group(client, "mail", "senders")
        >>> group.add("to: ada")
        '1790000000000-0'
        >>> for delivery in group.take("worker-1", wait="5s"):
        ...     send_mail(delivery.text)
        ...     group.done(delivery)

    Args:
        client: A `redis.Redis` or `redis.RedisCluster`, with decoded responses or without.
        stream: The name of the stream; its keys are `chat:{stream}:work` and `chat:{stream}:dead`.
        group: The name of the group.
        claim_after: A `duration`: what a worker has for longer without having done it goes to
            whoever takes next. Longer than any work lasts, or it is done twice.
        attempts: How often a text is delivered at most; then it is a dead letter.
        longest: How many texts wait at most, and how many dead letters are kept; a little more,
            since Redis drops them in blocks. The oldest are dropped then, also those that nobody
            has done: choose it larger than what ever waits.
        most_bytes: The most bytes that a text may have, as UTF-8.

    Raises:
        TypeError: An argument is of another type.
        ValueError: It makes no sense.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        group: str,
        *,
        claim_after: float | str = "30s",
        attempts: int = 5,
        longest: int = 10_000,
        most_bytes: int = 64_000,
    ) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = _Calls(stream, group, claim_after, attempts, longest, most_bytes)

    def add(self, text: str) -> str:
        """Add a text; its id.

        Raises:
            TypeError: It is no text.
            ValueError: It is too long, or cannot be written.
        """
        return self._send(self._calls.add(text))

    def take(self, consumer: str, most: int = 10, wait: float | str = 0) -> list[Delivery]:
        """Take texts: first those that others have held for too long, then new ones.

        One script, one round trip. It costs time in proportion to what is pending, too.

        Args:
            consumer: Who takes them: a name that no other worker has at the same time.
            most: How many at most, 1 to 1,000.
            wait: For how long to wait where there is none, a `duration`.

        Returns:
            What was taken; empty where there is nothing.

        Raises:
            ValueError: The stream belongs to another group.
        """
        taking = self._calls.taking(consumer, most, wait)
        while True:
            if (found := self._send(taking.look())) or taking.over:
                return found
            with suppress(_Gone):
                if found := self._send(taking.wait()):
                    return found

    def done(self, *items: Delivery | str) -> int:
        """Say that texts, or those with these ids, are done; they are deleted.

        Returns:
            How many of them were pending. The others were done already, or have become dead
            letters, or were dropped.
        """
        return self._send(self._calls.done(items)) if items else 0

    def pending(self, most: int = MOST) -> list[Pending]:
        """What was taken and is not done, the oldest first."""
        return self._send(self._calls.pending(most))

    def dead(self, most: int = MOST) -> list[DeadLetter]:
        """The dead letters, the oldest first."""
        return self._send(self._calls.dead(most))

    def retry(self, item: DeadLetter | str) -> str | None:
        """Add the text of a dead letter again, which is one no longer.

        Returns:
            The id that it has now; None where there is no such dead letter.
        """
        return self._send(self._calls.retry(item))

    def _send(self, call: Call[T]) -> T:
        return send(self._client, self._held, call)


class AsyncGroup:
    """`Group` for a client of `redis.asyncio`; arguments and methods are described there."""

    def __init__(
        self,
        client: Any,
        stream: str,
        group: str,
        *,
        claim_after: float | str = "30s",
        attempts: int = 5,
        longest: int = 10_000,
        most_bytes: int = 64_000,
    ) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = _Calls(stream, group, claim_after, attempts, longest, most_bytes)

    async def add(self, text: str) -> str:
        """Add a text; its id."""
        return await self._send(self._calls.add(text))

    async def take(self, consumer: str, most: int = 10, wait: float | str = 0) -> list[Delivery]:
        """Take texts: first those that others have held for too long, then new ones."""
        taking = self._calls.taking(consumer, most, wait)
        while True:
            if (found := await self._send(taking.look())) or taking.over:
                return found
            with suppress(_Gone):
                if found := await self._send(taking.wait()):
                    return found

    async def done(self, *items: Delivery | str) -> int:
        """Say that texts, or those with these ids, are done; how many of them were pending."""
        return await self._send(self._calls.done(items)) if items else 0

    async def pending(self, most: int = MOST) -> list[Pending]:
        """What was taken and is not done, the oldest first."""
        return await self._send(self._calls.pending(most))

    async def dead(self, most: int = MOST) -> list[DeadLetter]:
        """The dead letters, the oldest first."""
        return await self._send(self._calls.dead(most))

    async def retry(self, item: DeadLetter | str) -> str | None:
        """Add the text of a dead letter again; the id that it has now, or None."""
        return await self._send(self._calls.retry(item))

    async def _send(self, call: Call[T]) -> T:
        return await send_async(self._client, self._held, call)
