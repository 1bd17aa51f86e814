"""Several messages at once: all or none, with numbers that follow each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import CommandLog
from labkit.chat import Closed, Joined, Room, Said, TooFast
from tests.chat.faces import PATIENCE

if TYPE_CHECKING:
    from tests.chat.conftest import Place


def texts(events: list[Any]) -> list[tuple[int, str, str]]:
    """What was said, by whom, and with which numbers."""
    return [(said.number, said.member, said.text) for said in events]


def test_messages_are_said_together(place: Place) -> None:
    room = place.room()
    assert room.say("ada", "before") == 1
    assert room.say_many("bob", ["one", "two", "drei ☃"]) == [2, 3, 4]
    assert room.say("ada", "after") == 5
    assert texts(room.history()) == [
        (1, "ada", "before"),
        (2, "bob", "one"),
        (3, "bob", "two"),
        (4, "bob", "drei ☃"),
        (5, "ada", "after"),
    ]
    assert {said.at for said in room.history()} == {1_790_000_000}


def test_listeners_hear_each_of_them(place: Place) -> None:
    room = place.room(history=5)
    with room.listen() as listener:
        said = room.say_many("ada", [f"text {number}" for number in range(1, 51)])
        room.say("ada", "the last one")
        heard = [listener.take(PATIENCE) for _ in range(51)]
    assert said == [*range(1, 51)]
    assert [event.number for event in heard] == [*range(1, 52)]
    assert [event.text for event in heard[:50]] == [f"text {number}" for number in said]
    assert [event.number for event in room.history()] == [*range(47, 52)]


def test_a_batch_is_one_round_trip(place: Place) -> None:
    room = Room(place.client, "lobby")
    room.say("ada", "the first one finds the room and teaches the server the script")
    with CommandLog(place.client) as log:
        assert len(room.say_many("ada", ["hello"] * 1000, key="k")) == 1000
    assert (log.round_trips, log.names) == (1, ["EVALSHA"])


def test_a_batch_of_nothing_is_not_sent(place: Place) -> None:
    room = place.room()
    assert room.say_many("ada", [], key="1") == []
    assert place.client.dbsize() == 0
    assert room.say_many("ada", ["hello"], key="1") == [1]


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (["fine", "", "fine"], ValueError, "0 bytes; expected 1 to 8"),
        (["fine", "ääääx"], ValueError, "9 bytes; expected 1 to 8"),
        (["fine", "\ud800"], ValueError, "UTF-8 cannot write"),
        (["fine", None], TypeError, "this is NoneType"),
        ("hello", TypeError, "are one text, 'hello'; put it into a list"),
        ("", TypeError, "are one text, ''"),
        (["fine"] * 1001, ValueError, "these are 1,001 messages; expected at most 1,000"),
        (["fine"] * 4, ValueError, "rate never allows more than 3 together; split them"),
    ],
)
def test_one_that_is_no_message_refuses_all(
    place: Place, said: Any, error: type[Exception], message: str
) -> None:
    room = place.room(longest=8, rate=3)
    with pytest.raises(error, match=message):
        room.say_many("ada", said)
    with pytest.raises(ValueError, match="expected 1 to 100 printable characters"):
        room.say_many(" ada", ["fine"])
    assert place.client.dbsize() == 0
    assert room.say_many("ada", ["fine"] * 3) == [1, 2, 3]


def test_a_key_stands_for_all_of_them(place: Place) -> None:
    room = place.room(remember="1m")
    assert room.say_many("ada", ["one", "two"], key="1") == [1, 2]
    assert room.say_many("ada", ["one", "two"], key="1") == [1, 2]
    assert room.say_many("ada", ["something", "else"], key="1") == [1, 2]
    assert room.say_many("bob", ["one", "two"], key="1") == [3, 4]
    (key,) = list(place.client.scan_iter("*said:3:ada:1"))
    assert 0 < place.client.pttl(key) <= 60_000
    for name in ("state", "stream"):
        place.client.delete(f"chat:{{lobby}}:{name}")
    assert room.say("ada", "the room was lost") == 1
    assert room.say_many("ada", ["one", "two"], key="1") == [2, 3]


def test_a_key_stands_for_as_many_as_were_said(place: Place) -> None:
    room = place.room()
    assert room.say("ada", "one", key="of one") == 1
    assert room.say_many("ada", ["two", "three"], key="of two") == [2, 3]
    assert room.say_many("ada", ["one"], key="of one") == [1]
    for act, message in (
        (lambda: room.say("ada", "two", key="of two"), "batch of 2, and this is one of 1;"),
        (lambda: room.say_many("ada", ["a"] * 3, key="of two"), "batch of 2, and this is one of 3"),
        (lambda: room.say_many("ada", ["a"] * 2, key="of one"), "batch of 1, and this is one of 2"),
    ):
        with pytest.raises(ValueError, match=f"of 'ada' is known for a {message}"):
            act()
    assert room.position().number == 3


def test_a_rate_counts_each_of_them(place: Place) -> None:
    room = place.room(rate=4, per="8s")
    assert room.say_many("ada", ["one", "two", "three"]) == [1, 2, 3]
    with pytest.raises(TooFast, match=r"'ada' says more.* wait 2\.000 s") as refused:
        room.say_many("ada", ["four", "five"])
    assert refused.value.retry_after == 2
    assert room.say("ada", "four") == 4
    place.clock.advance("8s")
    assert room.say_many("ada", ["a", "b", "c", "d"]) == [5, 6, 7, 8]
    assert len(room.history()) == 8


@pytest.mark.parametrize("rate", [6, 7, 900])
def test_a_rate_that_does_not_divide_its_time_is_kept(place: Place, rate: int) -> None:
    room = place.room(rate=rate, per="10s")
    assert len(room.say_many("bob", ["hello"] * rate)) == rate
    for number in range(rate):
        assert room.say("ada", "hello") == rate + number + 1
    for member in ("ada", "bob"):
        with pytest.raises(TooFast):
            room.say(member, "and no more")


def test_what_is_too_old_goes_as_fast_as_it_comes(place: Place) -> None:
    room = place.room(age="1m", history=1000)
    for _ in range(4):
        room.say_many("ada", ["hello"] * 300)
        place.clock.advance("61s")
    assert place.client.xlen("chat:{lobby}:stream") == 300


def test_a_batch_in_a_visit_keeps_it(place: Place) -> None:
    room = place.room(presence="30s")
    with room.join("ada") as ada:
        place.clock.advance("20s")
        assert ada.say_many(["one", "two"]) == [2, 3]
        place.clock.advance("20s")
        assert room.who() == ["ada"]
    with pytest.raises(Closed, match="'ada' has left 'lobby'; join again"):
        ada.say_many(["more"])
    assert room.say_many("bob", ["one", "two"], tab_name="tab1") == [6, 7]
    kinds = [type(event) for event in room.history()[-3:]]
    assert kinds == [Joined, Said, Said]


# --- Against a model


class Model:
    """What was said, in plain Python.

    Attributes:
        rate: The messages that are allowed at once.
        each: The seconds that each of them takes.
        now: The time.
        said: What was said, the first of it first.
    """

    def __init__(self, rate: int, each: int) -> None:
        self.rate, self.each = rate, each
        self.now = 0
        self.said: list[tuple[str, str]] = []
        self._keys: dict[tuple[str, str | None], list[int]] = {}
        self._due: dict[str, int] = {}

    def say(self, member: str, words: list[str], key: str | None) -> list[int] | str | int:
        """The numbers; or why there are none: "rate", "key", or the seconds to wait."""
        if not words:
            return []
        if len(words) > self.rate:
            return "rate"
        if (member, key) in self._keys:
            known = self._keys[member, key]
            return known if len(known) == len(words) else "key"
        due = max(self._due.get(member, 0), self.now) + len(words) * self.each
        wait = due - self.rate * self.each - self.now
        if wait > 0:
            return wait
        self._due[member] = due
        numbers = [*range(len(self.said) + 1, len(self.said) + len(words) + 1)]
        self.said += [(member, word) for word in words]
        if key is not None:
            self._keys[member, key] = numbers
        return numbers


WHO = st.sampled_from(["ada", "bob"])
KEY = st.sampled_from([None, "1", "2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(WHO, st.just(None), KEY),
        st.tuples(WHO, st.integers(0, 5), KEY),
        st.integers(1, 6),
    ),
    max_size=20,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_what_is_said_is_what_a_model_says(place: Place, steps: list[Any]) -> None:
    # Redis lets rates expire in its own time: in hours, while the test takes a moment.
    hour = 3600
    place.client.flushall()
    room, model = place.room(history=5, rate=4, per=4 * hour), Model(4, hour)
    for place_, step in enumerate(steps):
        if isinstance(step, int):
            place.clock.advance(step * hour)
            model.now += step * hour
            continue
        member, many, key = step
        words = [f"{place_} {number}" for number in range(1 if many is None else many)]
        got: Any
        try:
            if many is None:
                got = [room.say(member, words[0], key=key)]
            else:
                got = room.say_many(member, words, key=key)
        except TooFast as error:
            got = error.retry_after
        except ValueError as error:
            got = "key" if "is known for a batch" in str(error) else "rate"
        assert got == model.say(member, words, key)
    kept = [*enumerate(model.said, 1)][-5:]
    assert texts(room.history()) == [(number, *said) for number, said in kept]
    assert room.position().number == len(model.said)
