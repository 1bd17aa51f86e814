"""Rooms for a blocking client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from labkit.calls import scripts_of, send
from labkit.chat.errors import Closed
from labkit.chat.feed import Feed
from labkit.chat.listening import Listener
from labkit.chat.operations import PREFIX, Calls, tab
from labkit.chat.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from labkit.calls import Call
    from labkit.chat.buffer import Policy
    from labkit.chat.messages import Happened, Position
    from labkit.clock import Clock

T = TypeVar("T")


class Rooms:
    """All rooms of a server: those of one prefix, with one set of settings.

    Args:
        client: A blocking client of redis-py.
        prefix: What keys begin with.
        clock: Tells the time in seconds; None: the server does, the same for all.
        **options: How rooms are kept; see `Settings`. Times may be texts such as "30s".

    Raises:
        TypeError: There is no such option.
        ValueError: An option makes no sense.
    """

    def __init__(
        self, client: Any, *, prefix: str = PREFIX, clock: Clock | None = None, **options: Any
    ) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._prefix = prefix
        self._clock = clock
        self._settings = settings(**options)

    def calls(self, name: str) -> Calls:
        """The calls of a room."""
        return Calls(name, self._settings, self._prefix, self._clock)

    def room(self, name: str) -> Room:
        """A room; it is there as soon as something happens in it.

        Raises:
            ValueError: That is no name of a room.
        """
        how = msgspec.structs.asdict(self._settings)
        return Room(self._client, name, prefix=self._prefix, clock=self._clock, **how)

    def names(self, pattern: str = "*") -> list[str]:
        """The names of the rooms that a pattern fits, in order."""
        feed = Feed(self.calls, self._prefix, pattern, pattern=True)
        return send(self._client, self._held, feed.names())

    def listen(
        self,
        pattern: str,
        *,
        after: Mapping[str, Position] | None = None,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> Listener:
        """Listen to all rooms that a pattern fits, those that come later among them.

        Events of one room come in order, each once; between rooms there is no order.

        Args:
            pattern: Names with `*` and `?`, such as `"news.*"`.
            after: For each room where to go on: the `positions` of an earlier listener.
            begin: Where to begin in rooms that `after` does not name: `"now"` or `"oldest"`.
            buffer: How many events wait to be taken.
            policy: What to do where there is no room for more; see `Buffer`.
            timeout: Ends the iteration when nothing came for this `duration`.

        Raises:
            ValueError: That is no pattern, or the rooms are sharded, which no pattern hears.
        """
        if self._settings.sharded:
            raise ValueError("rooms that are sharded have no patterns; listen to each, by its name")
        feed = Feed(self.calls, self._prefix, pattern, pattern=True, after=after, begin=begin)
        return Listener(self._client, feed, buffer=buffer, policy=policy, timeout=timeout)


class Room:
    """A room in which nothing is lost that was said.

    What is said is appended to a stream and published by one script, in one round trip, and gets
    the next number. A listener joins the two: it is told at once, asks the stream for what it has
    missed, and delivers each event once and in order, also after a lost connection. What the
    stream no longer has is reported as a `Gap`.

    | Question | Answer |
    | --- | --- |
    | `say` has returned | everybody who listens gets it, or a `Gap` that covers it |
    | `say` raised a ConnectionError | perhaps it was said; say it again with the same `key` |
    | The listener's connection breaks | it connects again, and goes on where it was |
    | The listener's process ends | the next one goes on: `listen(after=position)` |
    | Redis is killed, with an AOF | the same, as far as its disk has it |
    | Redis comes back without its data | a `Gap` with the reason "new epoch" |
    | A listener takes too slowly | its buffer's policy; what is dropped is a `Gap` |

    Args:
        client: A blocking client of redis-py.
        name: 1 to 100 of the letters a to z, digits, `.`, `_` and `-`.
        prefix: What keys begin with.
        clock: Tells the time in seconds; None: the server does, the same for all.
        **options: How the room is kept; see `Settings`.

    Raises:
        TypeError: There is no such option.
        ValueError: That is no name, or an option makes no sense.

    Example:
        >>> room = Room(client, "lobby", history=1000, presence="30s")
        >>> with room.listen() as events, room.join("ada") as ada:
        ...     ada.say("hello")
        ...     next(events), next(events)
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        prefix: str = PREFIX,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        self._client = client
        self._held = scripts_of(client)
        self._calls = Calls(name, settings(**options), prefix, clock)
        self._registered = False

    @property
    def name(self) -> str:
        """Its name."""
        return self._calls.name

    def join(self, member: str, tab_name: str | None = None) -> Visit:
        """Be there, until you leave or are not heard of for `presence` seconds.

        Args:
            member: Who.
            tab_name: Which of their tabs: letters and digits. Without it, one that nobody has.
        """
        visit = Visit(self, member, tab_name or tab())
        visit.beat()
        return visit

    def leave(self, member: str, tab_name: str) -> bool:
        """Let a tab be gone; the member leaves with the last of theirs. Whether it was there."""
        return self._send(self._calls.leave(member, tab_name))

    def say(
        self, member: str, said: str, *, key: str | None = None, tab_name: str | None = None
    ) -> int:
        """Say something; one round trip, but for the first, which makes the room known before.

        Args:
            member: Who says it.
            said: What: text, at most `longest` bytes.
            key: What is said again under it, by the same member within `remember`, is not said
                twice: the number of the first is returned.
            tab_name: A tab that joins by it, or stays.

        Returns:
            Its number in the room.

        Raises:
            TooFast: The member says more than the room's rate allows.
            TypeError: It is no text.
            ValueError: It is empty or too long, a name is not one, or the key stands for several
                messages that were said together.
        """
        call = self._calls.say(member, said, tab_name, key)
        self._register()
        return self._send(call)

    def say_many(
        self,
        member: str,
        texts: Sequence[str],
        *,
        key: str | None = None,
        tab_name: str | None = None,
    ) -> list[int]:
        """Say several things, all of them or none, in one round trip; nothing comes between them.

        Args:
            member: Who says them.
            texts: What: at most 1,000 texts, each of at most `longest` bytes.
            key: As in `say`, for all of them together. It stands for as many messages as were
                said under it first: with another number of them it is refused.
            tab_name: A tab that joins by it, or stays.

        Returns:
            Their numbers in the room, which follow each other. Without texts nothing is sent.

        Raises:
            TooFast: They are more than the room's rate allows now; none of them was said.
            TypeError: One of them is no text, or all are one text.
            ValueError: They are too many, also for the room's rate at any time; one of them is
                empty or too long; the key stands for another number of messages; or a name is not
                one.
        """
        call = self._calls.say_many(member, texts, tab_name, key)
        if not texts:
            return []
        self._register()
        return self._send(call)

    def typing(self, member: str) -> None:
        """Tell those who listen now that somebody types."""
        self._send(self._calls.typing(member))

    def who(self) -> list[str]:
        """Who is there, by name."""
        return self._send(self._calls.who())

    def delete(self) -> bool:
        """Remove all that is kept of the room; whether there was something.

        Those who listen get a `Gap` with the reason "new epoch" when something happens in it again.
        """
        self._send(self._calls.unregister())
        self._registered = False
        return self._send(self._calls.delete())

    def position(self) -> Position:
        """Where the room stands: `listen(after=...)` goes on there."""
        return self._send(self._calls.position())

    def history(self, most: int = 50, *, before: int | None = None) -> list[Happened]:
        """The latest events, the oldest of them first.

        Args:
            most: How many; 500 at most.
            before: Those before this number: the `number` of the first one on the page after.
        """
        return self._send(self._calls.history(most, before))

    def listen(
        self,
        after: Position | None = None,
        *,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> Listener:
        """Listen to what happens.

        Args:
            after: Go on after this; the `position` of an earlier listener or of an event.
            begin: Where to begin without it: `"now"`, or at the `"oldest"` that is kept.
            buffer: How many events wait to be taken.
            policy: What to do where there is no room for more; see `Buffer`.
            timeout: Ends the iteration when nothing came for this `duration`.
        """
        return Listener(
            self._client, self._feed(after, begin), buffer=buffer, policy=policy, timeout=timeout
        )

    def _feed(self, after: Position | None, begin: str) -> Feed:
        return Feed.of_room(self._calls, after, begin)

    def _beat(self, member: str, tab_name: str) -> None:
        call = self._calls.beat(member, tab_name)
        self._register()
        self._send(call)

    def _register(self) -> None:
        """Make the room one that patterns find; before anything happens in it."""
        if not self._registered:
            self._send(self._calls.register())
            self._registered = True

    def _send(self, call: Call[T]) -> T:
        return send(self._client, self._held, call)


class Visit:
    """Somebody in a room, in one tab; see `Room.join`. At the end of `with` they leave it.

    They count as present for as long as they say something or `beat`, or listen through the visit.

    Attributes:
        room: The room.
        member: Who.
        tab: Which of their tabs.
    """

    def __init__(self, room: Room, member: str, tab_name: str) -> None:
        self.room = room
        self.member = member
        self.tab = tab_name
        self._over = False

    def say(self, said: str, *, key: str | None = None) -> int:
        """Say something; see `Room.say`."""
        self._check()
        return self.room.say(self.member, said, key=key, tab_name=self.tab)

    def say_many(self, texts: Sequence[str], *, key: str | None = None) -> list[int]:
        """Say several things together; see `Room.say_many`."""
        self._check()
        return self.room.say_many(self.member, texts, key=key, tab_name=self.tab)

    def typing(self) -> None:
        """Tell that you type."""
        self._check()
        self.room.typing(self.member)

    def beat(self) -> None:
        """Stay for another `presence` seconds."""
        self._check()
        self.room._beat(self.member, self.tab)

    def listen(
        self,
        after: Position | None = None,
        *,
        begin: str = "now",
        buffer: int = 1000,
        policy: Policy = "block",
        timeout: float | str | None = None,
    ) -> Listener:
        """Listen, and stay present meanwhile; see `Room.listen`."""
        return Listener(
            self.room._client,
            self.room._feed(after, begin),
            buffer=buffer,
            policy=policy,
            timeout=timeout,
            beat=self._beat_unless_over,
            every=self.room._calls.settings.presence / 3,
        )

    def leave(self) -> None:
        """Leave this tab. Harmless when repeated."""
        if not self._over:
            self._over = True
            self.room.leave(self.member, self.tab)

    def _beat_unless_over(self) -> None:
        if not self._over:
            self.beat()

    def _check(self) -> None:
        if self._over:
            raise Closed(f"{self.member!r} has left {self.room.name!r}; join again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()
