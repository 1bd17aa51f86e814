"""What a listener gets: each event once, in order, or a gap that says what is missing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from labkit.chat import Gap, TooSlow
from tests.cache.crowd import until
from tests.chat.faces import PATIENCE

if TYPE_CHECKING:
    from tests.chat.conftest import Place

QUIET = 0.2  # seconds, after which an iteration ends


def take(listener: Any, count: int) -> list[Any]:
    events = [listener.take(PATIENCE) for _ in range(count)]
    assert None not in events, "an event is missing"
    return events


def numbers(events: list[Any]) -> list[Any]:
    """The numbers, and of gaps the first, the last and the reason."""
    return [
        (event.first, event.number, event.reason) if isinstance(event, Gap) else event.number
        for event in events
    ]


def test_a_listener_gets_what_happens_from_now_on(place: Place) -> None:
    room = place.room()
    room.say("ada", "before")
    with room.listen() as here, room.listen() as there:
        with room.join("bob") as bob:
            bob.say("hello")
            bob.typing()
        for listener in (here, there):
            kinds = [type(event).__name__ for event in take(listener, 4)]
            assert kinds == ["Joined", "Said", "Typing", "Left"]
            assert listener.position == room.position()
            assert (listener.dropped, listener.waiting, listener.reconnects) == (0, 0, 0)
        room.say("ada", "nothing came between")
        assert [event.number for event in take(here, 1)] == [5]
    assert len(room.history()) == 5  # typing is not kept


def test_a_listener_that_is_closed_gives_what_it_has(place: Place) -> None:
    room = place.room()
    listener = room.listen()
    room.say("ada", "hello")
    until(lambda: listener.waiting == 1)
    listener.close()
    listener.close()
    room.say("ada", "nobody hears it")
    assert [event.text for event in listener] == ["hello"]
    assert listener.take() is None


def test_an_iteration_ends_when_nothing_comes(place: Place) -> None:
    room = place.room()
    with room.listen(begin="oldest", timeout=QUIET) as listener:
        room.say("ada", "hello")
        until(lambda: listener.waiting)
        assert [event.text for event in listener] == ["hello"]
        room.say("ada", "once more")
        until(lambda: listener.waiting)
        assert [event.text for event in listener] == ["once more"]


def test_a_listener_goes_on_where_another_one_stopped(place: Place) -> None:
    room = place.room()
    with room.listen() as first:
        for text in "abc":
            room.say("ada", text)
        take(first, 2)
        position = first.position
    room.say("ada", "d")
    with room.listen(after=position) as second:
        room.say("ada", "e")
        assert [event.text for event in take(second, 3)] == ["c", "d", "e"]
        room.say("ada", "f")
        assert [event.text for event in take(second, 1)] == ["f"]


def test_what_is_not_kept_is_a_gap(place: Place) -> None:
    room = place.room(history=10)
    room.say("ada", "seen")
    position = room.position()
    for number in range(30):
        room.say("ada", f"text {number}")
    with room.listen(after=position) as listener:
        assert numbers(take(listener, 11)) == [(2, 21, "trimmed"), *range(22, 32)]
    with room.listen(begin="oldest") as listener:
        assert numbers(take(listener, 10)) == [*range(22, 32)]
        room.say("ada", "one more")
        assert numbers(take(listener, 1)) == [32]


def test_everything_that_is_not_kept_is_a_gap(place: Place) -> None:
    room = place.room()
    position = room.position()
    for _ in range(3):
        room.say("ada", "text")
    place.client.delete("chat:{lobby}:stream")
    with room.listen(after=position) as listener:
        assert numbers(take(listener, 1)) == [(1, 3, "trimmed")]
        room.say("ada", "text")
        assert numbers(take(listener, 1)) == [4]


def test_more_than_one_page_is_replayed(place: Place) -> None:
    room = place.room(history=2000)
    position = room.position()
    for number in range(1200):
        room.say("ada", f"text {number}")
    with room.listen(after=position, buffer=5000) as listener:
        room.say("ada", "the last one")
        assert numbers(take(listener, 1201)) == [*range(1, 1202)]


def test_a_room_that_was_lost_begins_again(place: Place) -> None:
    room = place.room()
    with room.listen() as listener:
        room.say("ada", "one")
        room.say("ada", "two")
        first, _ = take(listener, 2)
        place.client.flushall()
        room.say("ada", "the first of a new row")
        gap, event = take(listener, 2)
        assert (gap.reason, gap.first, gap.number) == ("new epoch", 1, 0)
        assert event.number == 1
        assert event.epoch == gap.epoch != first.epoch
        position = listener.position
    place.client.flushall()
    room.position()
    with room.listen(after=position) as listener:
        assert numbers(take(listener, 1)) == [(1, 0, "new epoch")]
        assert listener.position == room.position()
        place.client.flushall()
        room.say("ada", "another first one")
        take(listener, 2)
        position = listener.position
    with room.listen(after=position) as listener:
        room.say("ada", "more")
        assert numbers(take(listener, 1)) == [2]


def test_a_name_in_a_new_room_is_found_by_its_pattern(place: Place) -> None:
    rooms = place.rooms()
    sport = rooms.room("news.sport")
    sport.say("ada", "before")
    with rooms.listen("news.*") as listener:
        rooms.room("weather").say("ada", "not this one")
        sport.say("ada", "goal")
        rooms.room("news.culture").say("bob", "premiere")
        rooms.room("news.culture").say("bob", "applause")
        found = take(listener, 3)
        assert {(event.room, event.number) for event in found} == {
            ("news.sport", 2),
            ("news.culture", 1),
            ("news.culture", 2),
        }
        sport.say("ada", "nothing came between")
        assert [event.number for event in take(listener, 1)] == [3]
        positions = listener.positions
    sport.say("ada", "another goal")
    with rooms.listen("news.*", after=positions) as listener:
        assert [event.text for event in take(listener, 1)] == ["another goal"]
    with rooms.listen("news.?????", begin="oldest") as listener:
        assert numbers(take(listener, 4)) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="begin is 'soon'"):
        rooms.listen("news.*", begin="soon")


def test_what_others_publish_on_the_channel_is_passed_over(place: Place) -> None:
    room = place.room()
    with room.listen() as listener:
        for words in ("", "hello", "a b c d", 'a 1 2 {"kind":"said"}', "a 1 2 []", "- - - -"):
            place.client.publish("chat:{lobby}:live", words)
        room.say("ada", "hello")
        assert numbers(take(listener, 1)) == [1]


def test_a_forged_number_is_looked_up(place: Place) -> None:
    """Who publishes without saying moves nobody: the stream is what counts."""
    room = place.room()
    room.say("ada", "one")
    with room.listen() as listener:
        epoch = room.position().epoch
        forged = '{"kind":"said","member":"eve","text":"forged"}'
        place.client.publish("chat:{lobby}:live", f"{epoch} 9 1 {forged}")
        place.client.publish("chat:{lobby}:live", f"otherepoch 2 1 {forged}")
        room.say("ada", "two")
        (event,) = take(listener, 1)
        assert (event.number, event.text) == (2, "two")


# --- Slow listeners


def test_who_blocks_loses_nothing(place: Place) -> None:
    room = place.room()
    with room.listen(buffer=3, policy="block") as listener:
        for number in range(100):
            room.say("ada", str(number))
        until(lambda: listener.waiting == 3)
        assert numbers(take(listener, 100)) == [*range(1, 101)]
        assert listener.dropped == 0


def test_the_oldest_go(place: Place) -> None:
    room = place.room()
    with room.listen(buffer=3, policy="drop oldest") as listener:
        for number in range(10):
            room.say("ada", str(number))
        until(lambda: listener.dropped == 7)
        assert numbers(take(listener, 4)) == [(1, 7, "slow"), 8, 9, 10]
        room.say("ada", "more")
        assert numbers(take(listener, 1)) == [11]


def test_the_newest_go(place: Place) -> None:
    room = place.room()
    with room.listen(buffer=3, policy="drop newest") as listener:
        for number in range(10):
            room.say("ada", str(number))
        until(lambda: listener.dropped == 7)
        assert numbers(take(listener, 2)) == [1, 2]
        room.say("ada", "there is room again")
        until(lambda: listener.waiting > 1)
        assert numbers(take(listener, 3)) == [3, (4, 10, "slow"), 11]


def test_who_is_too_slow_is_disconnected(place: Place) -> None:
    room = place.room()
    with room.listen(buffer=3, policy="disconnect") as listener:
        for number in range(10):
            room.say("ada", str(number))
        until(lambda: listener.ended, "its end")
        assert numbers(take(listener, 3)) == [1, 2, 3]
        with pytest.raises(TooSlow, match=r"3 events waited in 'lobby'.* from `position`"):
            listener.take(PATIENCE)
        position = listener.position
    with room.listen(after=position) as listener:
        assert numbers(take(listener, 7)) == [*range(4, 11)]


@pytest.mark.parametrize("options", [{"buffer": 0}, {"policy": "drop"}, {"buffer": True}])
def test_a_buffer_that_makes_no_sense_is_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        place.room().listen(**options)


def test_who_listens_through_a_visit_stays(place: Place) -> None:
    room = place.room(presence="30ms")
    with room.join("ada") as ada, ada.listen():
        for _ in range(3):
            place.clock.advance("29ms")
            until(functools.partial(_is_due, place), "a beat")
            assert room.who() == ["ada"]


def _is_due(place: Place) -> bool:
    """Whether the one tab is there for its whole time from now on."""
    tabs: Any = place.client.zrange("chat:{lobby}:tabs", 0, -1, withscores=True)
    return [round(due) for _, due in tabs] == [round(1000 * (place.clock() + 0.03))]


# --- What the channel does not tell


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners ask the stream whenever the channel is silent."""
    for module in ("aio", "listening"):
        monkeypatch.setattr(f"labkit.chat.{module}.CHECK", 0)


@pytest.mark.usefixtures("impatient")
def test_what_the_channel_has_lost_is_found_in_the_stream(place: Place) -> None:
    room, mute = place.room(), place.room()
    mute._calls.channel = "elsewhere"
    with room.listen() as listener:
        mute.say("ada", "the channel does not tell it")
        assert numbers(take(listener, 1)) == [1]
        assert listener.reconnects == 0


@pytest.mark.usefixtures("impatient")
def test_whoever_listens_finds_out_that_somebody_is_gone(place: Place) -> None:
    room = place.room(presence="30s")
    with room.listen() as listener:
        room.join("ada")
        place.clock.advance("30s")
        assert [type(event).__name__ for event in take(listener, 2)] == ["Joined", "Left"]
