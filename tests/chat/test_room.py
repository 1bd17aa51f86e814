"""What a room does: it numbers, remembers, refuses, and knows who is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit import CommandLog
from labkit.chat import Closed, Joined, Left, Position, Room, Said, TooFast
from tests.chat.faces import PATIENCE

if TYPE_CHECKING:
    from tests.chat.conftest import Place


def told(events: list[Any]) -> list[tuple[Any, ...]]:
    """What happened, without when and where."""
    return [
        (type(event).__name__, event.number, event.member, getattr(event, "text", None))
        for event in events
    ]


def test_messages_are_numbered_and_kept(place: Place) -> None:
    room = place.room()
    assert [room.say("ada", "one"), room.say("bob", "two")] == [1, 2]
    place.clock.advance("1s")
    assert room.say("ada", "drei ☃ \n'\"\\") == 3
    first, second, third = room.history()
    assert isinstance(first, Said)
    assert (first.room, first.member, first.text, first.at) == (
        "lobby",
        "ada",
        "one",
        1_790_000_000,
    )
    assert (second.number, second.member, second.text) == (2, "bob", "two")
    assert third.text == "drei ☃ \n'\"\\"
    assert third.at == 1_790_000_001
    assert third.position == room.position()


def test_saying_is_one_round_trip(place: Place) -> None:
    room = Room(place.client, "lobby")
    room.say("ada", "the first one finds the room and teaches the server the script")
    with CommandLog(place.client) as log:
        room.say("ada", "hello", key="k")
    assert (log.round_trips, log.names) == (1, ["EVALSHA"])


def test_history_comes_in_pages(place: Place) -> None:
    room = place.room(history=25)
    for number in range(1, 31):
        room.say("ada", f"text {number}")
    assert [event.number for event in room.history(10)] == [*range(21, 31)]
    assert [event.number for event in room.history(10, before=21)] == [*range(11, 21)]
    assert [event.number for event in room.history(10, before=11)] == [*range(6, 11)]
    assert room.history(10, before=6) == []
    for most in (0, 501):
        with pytest.raises(ValueError, match="expected 1 to 500"):
            room.history(most)


def test_what_is_too_old_goes(place: Place) -> None:
    room = place.room(age="1m", history=1000)
    for number in range(10):
        room.say("ada", f"text {number}")
        place.clock.advance("10s")
    # At 100 s: those of before 40 s go with the next one that is said.
    room.say("ada", "the last one")
    assert [event.number for event in room.history()] == [*range(5, 12)]


def test_a_key_is_said_once(place: Place) -> None:
    room = place.room(remember="1m")
    assert room.say("ada", "hello", key="1") == 1
    assert room.say("ada", "hello", key="1") == 1
    assert room.say("ada", "something else", key="1") == 1
    assert room.say("bob", "hello", key="1") == 2
    assert room.say("ada", "hello", key="2") == 3
    assert len(room.history()) == 3
    (key,) = list(place.client.scan_iter("*said:3:ada:1"))
    assert 0 < place.client.pttl(key) <= 60_000


def test_keys_of_two_members_do_not_meet(place: Place) -> None:
    room = place.room()
    assert room.say("ada", "one", key="x:1") == 1
    assert room.say("ada:x", "two", key="1") == 2


def test_a_key_of_a_room_that_was_lost_is_new(place: Place) -> None:
    room = place.room()
    room.say("ada", "hello", key="1")
    for key in ("state", "stream"):
        place.client.delete(f"chat:{{lobby}}:{key}")
    assert room.say("ada", "before it", key="0") == 1
    assert room.say("ada", "hello", key="1") == 2


def test_a_rate_is_kept(place: Place) -> None:
    room = place.room(rate=3, per="9s")
    assert [room.say("ada", str(number)) for number in range(3)] == [1, 2, 3]
    with pytest.raises(TooFast, match=r"'ada' says more.* wait 3\.000 s") as refused:
        room.say("ada", "too fast")
    assert refused.value.retry_after == 3
    assert room.say("bob", "others may") == 4
    place.clock.advance(2.999)
    with pytest.raises(TooFast):
        room.say("ada", "still too fast")
    place.clock.advance(0.001)
    assert room.say("ada", "now") == 5
    with pytest.raises(TooFast):
        room.say("ada", "and no more")
    place.clock.advance("9s")
    assert [room.say("ada", str(number)) for number in range(3)] == [6, 7, 8]
    assert [event.number for event in room.history()] == [*range(1, 9)]


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("", ValueError, "0 bytes; expected 1 to 8"),
        ("ääääx", ValueError, "9 bytes; expected 1 to 8"),
        ("\ud800", ValueError, "UTF-8 cannot write"),
        (b"bytes", TypeError, "this is bytes; write it as text first"),
        (None, TypeError, "this is NoneType"),
        (12, TypeError, "this is int"),
    ],
)
def test_what_is_no_message_is_refused(
    place: Place, said: Any, error: type[Exception], message: str
) -> None:
    room = place.room(longest=8)
    with pytest.raises(error, match=message):
        room.say("ada", said)
    assert place.client.dbsize() == 0
    assert room.say("ada", "ääää") == 1


@pytest.mark.parametrize("name", ["", "a b", "a*", "a{b}", "ä", "a" * 101, "a\n", "a/b"])
def test_what_is_no_name_of_a_room_is_refused(place: Place, name: str) -> None:
    with pytest.raises(ValueError, match="the name of a room is"):
        place.room(name)


@pytest.mark.parametrize("name", ["", " ada", "ada ", "a\nb", "a\0b", "x" * 101])
def test_what_is_no_name_of_a_member_is_refused(place: Place, name: str) -> None:
    room = place.room()
    for act in (lambda: room.say(name, "hello"), lambda: room.join(name)):
        with pytest.raises(ValueError, match="expected 1 to 100 printable characters"):
            act()
    with pytest.raises(TypeError, match="member is 12"):
        room.say(12, "hello")
    assert place.client.dbsize() == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"histroy": 5}, TypeError, "no option 'histroy'; it has history, age"),
        ({"history": 0}, ValueError, "history is 0; expected 1 or more"),
        ({"presence": "soon"}, ValueError, "not a duration"),
        ({"presence": 0}, ValueError, "presence is 0.0 s; expected a millisecond"),
        ({"rate": -1}, ValueError, "rate is -1"),
    ],
)
def test_what_is_no_option_is_refused(
    place: Place, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        place.room(**options)


# --- Presence


def test_a_person_is_there_from_the_first_tab_to_the_last(place: Place) -> None:
    room = place.room()
    first, second = room.join("ada"), room.join("ada")
    bob = room.join("bob")
    assert room.who() == ["ada", "bob"]
    first.leave()
    first.leave()
    assert room.who() == ["ada", "bob"]
    second.leave()
    assert room.who() == ["bob"]
    bob.leave()
    assert room.who() == []
    assert told(room.history()) == [
        ("Joined", 1, "ada", None),
        ("Joined", 2, "bob", None),
        ("Left", 3, "ada", None),
        ("Left", 4, "bob", None),
    ]


def test_ghosts_vanish_by_themselves(place: Place) -> None:
    room = place.room(presence="30s")
    room.join("ada")
    room.join("ada")
    bob = room.join("bob")
    place.clock.advance("20s")
    bob.beat()
    place.clock.advance("9.999s")
    assert room.who() == ["ada", "bob"]
    place.clock.advance("1ms")
    assert room.who() == ["bob"]
    assert told(room.history())[2:] == [("Left", 3, "ada", None)]
    assert bob.say("hello") == 4  # which is a beat, too
    place.clock.advance("29s")
    assert room.who() == ["bob"]


def test_who_comes_back_after_its_time_joins_again(place: Place) -> None:
    room = place.room(presence="30s")
    ada = room.join("ada")
    place.clock.advance("31s")
    ada.say("I slept")
    kinds = [type(event) for event in room.history()]
    assert kinds == [Joined, Left, Joined, Said]


def test_who_only_says_something_is_not_there(place: Place) -> None:
    room = place.room()
    room.say("bot", "the weather: rain")
    assert room.who() == []
    assert room.say("ada", "hello", tab_name="tab1") == 3
    assert room.who() == ["ada"]
    assert room.leave("ada", "tab1")
    assert not room.leave("ada", "tab1")


def test_names_are_kept_as_they_are(place: Place) -> None:
    room = place.room()
    names = ['a "quoted" one', "back\\slash", "ünïcode ☃", "a/b", "<script>", "' OR 1"]
    visits = [room.join(name) for name in names]
    assert room.who() == sorted(names)
    for visit in visits:
        visit.leave()
    assert [event.member for event in room.history()] == names * 2


def test_a_visit_that_is_over_says_nothing(place: Place) -> None:
    room = place.room()
    with room.join("ada") as ada:
        ada.say("hello")
    for act in (lambda: ada.say("more"), ada.beat, ada.typing):
        with pytest.raises(Closed, match="'ada' has left 'lobby'; join again"):
            act()
    assert room.who() == []


def test_a_tab_has_a_plain_name(place: Place) -> None:
    with pytest.raises(ValueError, match="tab is 'a b'"):
        place.room().join("ada", "a b")


def test_rooms_have_nothing_in_common(place: Place) -> None:
    rooms = place.rooms()
    a, b = rooms.room("news.sport"), rooms.room("news.culture")
    a.join("ada")
    a.say("ada", "goal", key="1")
    assert (b.who(), b.history()) == ([], [])
    assert b.say("ada", "premiere", key="1") == 1
    assert rooms.names() == ["news.culture", "news.sport"]
    assert rooms.names("*.sport") == ["news.sport"]
    with pytest.raises(ValueError, match="a pattern over rooms"):
        rooms.names("[ab]")


def test_a_room_can_be_deleted(place: Place) -> None:
    room = place.room()
    assert not room.delete()
    with room.join("ada") as ada, room.listen() as listener:
        ada.say("hello")
        assert room.delete()
        assert place.client.dbsize() == 0
        assert ada.say("is anybody here?") == 2  # after joining again
        listener.take(PATIENCE)
        gap, joined, said = (listener.take(PATIENCE) for _ in range(3))
        assert (gap.reason, joined.number, said.text) == ("new epoch", 1, "is anybody here?")
    assert place.rooms().names() == ["lobby"]


def test_a_position_can_be_written_down() -> None:
    position = Position("abc123", 42)
    assert Position.parse(str(position)) == position
    for wrong in ("", "42", "abc-", "abc-x", "-4", "a b-4", "abc-²"):
        with pytest.raises(ValueError, match="is no position"):
            Position.parse(wrong)
