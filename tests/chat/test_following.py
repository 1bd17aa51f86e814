"""Two sources of the same events, one of them unreliable, joined: a model tells what must come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from labkit.chat import Buffer, Gap, Position, Said
from labkit.chat.following import Following
from labkit.chat.operations import Replay

if TYPE_CHECKING:
    from labkit.chat import Event

ROOM = "lobby"


class Server:
    """A plain list of what was said, of which the first part is trimmed."""

    def __init__(self) -> None:
        self.epoch = "epoch1"
        self.kept: list[Said] = []
        self.last = 0

    def say(self) -> Said:
        self.last += 1
        place: Any = {"room": ROOM, "epoch": self.epoch, "number": self.last}
        said = Said(**place, at=0.0, member="ada", text=f"{self.epoch} {self.last}")
        self.kept.append(said)
        return said

    def trim(self, most: int) -> None:
        self.kept = self.kept[max(0, len(self.kept) - most) :]

    def lose(self) -> None:
        self.epoch = f"epoch{int(self.epoch[5:]) + 1}"
        self.kept, self.last = [], 0

    def after(self, position: Position | None, most: int) -> Replay:
        here = position.number if position and position.epoch == self.epoch else 0
        found = [said for said in self.kept if said.number > here]
        return Replay(self.epoch, self.last, list(found[:most]))


def caught_up(following: Following, server: Server, page: int) -> list[Event]:
    """What a face does: ask until nothing is missing."""
    events: list[Event] = []
    while True:
        told = server.after(following.position, page)
        events += following.replayed(told)
        if following.position is not None and following.position.number >= told.last:
            return events


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["heard", "lost", "late", "twice"])),
        st.tuples(st.just("trim"), st.integers(0, 5)),
        st.tuples(st.just("check"), st.just("")),
        st.tuples(st.just("lose"), st.just("")),
    ),
    max_size=40,
)


@given(steps=STEPS, page=st.integers(1, 4), whole=st.booleans())
def test_each_event_comes_once_and_in_order_or_is_in_a_gap(
    steps: list[tuple[str, Any]], page: int, whole: bool
) -> None:
    server = Server()
    following = Following(ROOM, None if whole else Position(server.epoch, 0))
    got: list[Event] = []
    late: list[Said] = []
    said: dict[str, int] = {}

    def hear(told: Said) -> None:
        events = following.live(told)
        got.extend(caught_up(following, server, page) if events is None else events)

    for what, how in steps:
        if what == "say":
            told = server.say()
            said[server.epoch] = server.last
            if how == "late":
                late.append(told)
            elif how != "lost":
                for _ in range(2 if how == "twice" else 1):
                    hear(told)
                while late:
                    hear(late.pop())
        elif what == "trim":
            server.trim(how)
        elif what == "lose":
            server.lose()
        else:
            got += caught_up(following, server, page)
    got += caught_up(following, server, page)

    by_epoch: dict[str, list[Event]] = {}
    for event in got:
        by_epoch.setdefault(event.epoch, []).append(event)
    assert list(by_epoch) == sorted(by_epoch, key=lambda name: int(name[5:])), (
        "an old epoch came after a new one"
    )
    for epoch, events in by_epoch.items():
        covered: list[int] = []
        for event in events:
            covered += (
                [*range(event.first, event.number + 1)]
                if isinstance(event, Gap)
                else [event.number]
            )
        assert covered == [*range(1, len(covered) + 1)]
        if epoch == server.epoch:
            assert len(covered) == server.last
        assert len(covered) <= said.get(epoch, 0)
    kept = {event.text for event in got if isinstance(event, Said)}
    assert {event.text for event in server.kept} <= kept, "what is there did not come"
    note(f"epochs: {len(by_epoch)}")


@pytest.mark.parametrize("policy", ["drop oldest", "drop newest"])
def test_a_new_epoch_that_was_dropped_is_told(policy: Any) -> None:
    buffer = Buffer(1, policy)
    words: Any = {"room": "a", "at": 0.0, "member": "ada", "text": ""}
    old = [Said(epoch="old", number=number, **words) for number in (8, 9)]
    lost = Gap(room="a", epoch="new", first=1, number=0, reason="new epoch")
    new = [Said(epoch="new", number=number, **words) for number in (1, 2)]
    events: list[Event] = [*old, lost, *new]
    for event in events:
        assert buffer.put(event)
    told = [event for event in iter(buffer.take, None) if isinstance(event, Gap)]
    assert [(gap.epoch, gap.reason) for gap in told] == [("new", "new epoch")]


@given(
    steps=st.lists(st.sampled_from(["put a", "put b", "take"]), max_size=60),
    most=st.integers(1, 4),
    policy=st.sampled_from(["drop oldest", "drop newest"]),
)
def test_a_buffer_says_what_it_dropped(steps: list[str], most: int, policy: Any) -> None:
    buffer = Buffer(most, policy)
    last = {"a": 0, "b": 0}
    covered: dict[str, list[int]] = {"a": [], "b": []}
    dropped = 0

    def take() -> bool:
        nonlocal dropped
        event = buffer.take()
        if event is None:
            return False
        if isinstance(event, Gap):
            assert event.reason == "slow"
            dropped += event.number - event.first + 1
            covered[event.room] += range(event.first, event.number + 1)
        else:
            covered[event.room].append(event.number)
        return True

    for step in steps:
        if step == "take":
            take()
        else:
            room = step[-1]
            last[room] += 1
            place: Any = {"room": room, "epoch": "e", "number": last[room]}
            assert buffer.put(Said(**place, at=0.0, member="ada", text=""))
            assert len(buffer) <= most + 2  # and a gap for each room
    while take():
        pass
    assert buffer.empty
    for room, numbers in covered.items():
        assert numbers == [*range(1, last[room] + 1)]
    assert dropped == buffer.dropped
