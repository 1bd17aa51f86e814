"""Groups: each text is delivered until it is done, or has been delivered often enough."""

from __future__ import annotations

import asyncio
import functools
import itertools
import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import LocalServer, connect, connect_async
from labkit.chat.groups import AsyncGroup, DeadLetter, Delivery, Group, Pending
from labkit.server import find_server
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.chat.connected import KINDS, Connected
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.course.bench import Bench
    from tests.chat.faces import Loop

WORK, DEAD = "chat:{mail}:work", "chat:{mail}:dead"
LONG = "1h"
SPAWN = multiprocessing.get_context("spawn")
needs_server = pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")


@pytest.fixture(params=KINDS)
def connected(bench: Bench, loop: Loop, request: pytest.FixtureRequest) -> Iterator[Connected]:
    connected = Connected(bench.url, request.param, loop)
    yield connected
    connected.close()


@pytest.fixture(scope="module", params=["sync", "async"])
def kept(bench: Bench, loop: Loop, request: pytest.FixtureRequest) -> Iterator[Connected]:
    """The same for many examples, each of which begins with `flush`."""
    connected = Connected(bench.url, request.param, loop)
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def texts(deliveries: list[Delivery]) -> list[str]:
    return [delivery.text for delivery in deliveries]


def counted(deliveries: list[Delivery]) -> list[tuple[str, int]]:
    return [(delivery.text, delivery.deliveries) for delivery in deliveries]


def let_die(client: Any, consumer: str) -> None:
    """What a consumer holds becomes two hours old."""
    for held in client.xpending_range(WORK, "senders", "-", "+", 1000, consumer):
        words = (WORK, "senders", consumer, 0, held["message_id"], "IDLE", 7_200_000, "JUSTID")
        client.execute_command("XCLAIM", *words)


# --- One worker, several workers


def test_what_is_added_is_taken_and_done(connected: Connected) -> None:
    group = connected.group()
    ids = [group.add(text) for text in ("one", "", "drei ☃")]
    taken = group.take("a")
    assert taken == [
        Delivery(ids[0], "one", 1),
        Delivery(ids[1], "", 1),
        Delivery(ids[2], "drei ☃", 1),
    ]
    assert group.take("a") == []
    assert group.done(taken[0], ids[2]) == 2
    (left,) = group.pending()
    assert (left.id, left.consumer, left.deliveries) == (ids[1], "a", 1)
    assert left.idle >= 0
    assert group.done(*taken) == 1
    assert group.done() == 0
    assert group.pending() == []
    assert connected.client.xlen(WORK) == 0


def test_each_text_goes_to_one_worker(connected: Connected) -> None:
    group = connected.group()
    for number in range(10):
        group.add(str(number))
    found = [group.take(name, most=3) for name in ("a", "b", "a", "b")]
    assert list(map(len, found)) == [3, 3, 3, 1]
    assert texts([*itertools.chain(*found)]) == [str(number) for number in range(10)]
    assert Counter(held.consumer for held in group.pending()) == {"a": 6, "b": 4}
    assert len(group.pending(most=4)) == 4


def test_workers_at_once_share_the_texts(connected: Connected) -> None:
    group = connected.group()
    for number in range(times(200)):
        group.add(str(number))

    def work(number: int) -> list[str]:
        found = []
        while taken := group.take(f"worker-{number}", most=7):
            assert group.done(*taken) == len(taken)
            found += texts(taken)
        return found

    found: list[str] = [*itertools.chain(*in_threads(8, work))]
    assert sorted(map(int, found)) == [*range(times(200))]
    assert connected.client.xlen(WORK) == 0


# --- Workers that die


def test_what_a_dead_worker_held_goes_to_another(connected: Connected) -> None:
    group = connected.group(claim_after=LONG)
    for text in ("one", "two", "three"):
        group.add(text)
    assert texts(group.take("a", most=2)) == ["one", "two"]
    assert counted(group.take("b")) == [("three", 1)]
    assert group.take("b") == []
    let_die(connected.client, "a")
    group.add("four")
    assert counted(group.take("b", most=3)) == [("one", 2), ("two", 2), ("four", 1)]
    assert {held.consumer for held in group.pending()} == {"b"}
    assert all(held.idle < 3600 for held in group.pending())
    assert group.take("c") == []


def test_what_is_claimed_comes_before_what_is_new(connected: Connected) -> None:
    group = connected.group(claim_after=0)
    for text in ("one", "two", "three", "four"):
        group.add(text)
    group.take("a", most=3)
    assert counted(group.take("b", most=2)) == [("one", 2), ("two", 2)]
    assert counted(group.take("b", most=4)) == [("one", 3), ("two", 3), ("three", 2), ("four", 1)]


def test_all_that_is_held_is_found_behind_much_that_is_not_old(connected: Connected) -> None:
    group = connected.group(claim_after=LONG, longest=5000)
    for number in range(300):
        group.add(str(number))
    group.take("busy", most=290)
    group.take("dead", most=10)
    let_die(connected.client, "dead")
    assert [texts(group.take("b", most=1)) for _ in range(11)] == [
        *([str(number)] for number in range(290, 300)),
        [],
    ]


def test_a_worker_that_was_too_slow_is_done_all_the_same(connected: Connected) -> None:
    group = connected.group(claim_after=0)
    group.add("text")
    slow, fast = group.take("slow"), group.take("fast")
    assert group.done(*slow) == 1
    assert group.done(*fast) == 0
    assert group.take("fast") == []


def test_what_was_dropped_while_it_was_held_is_no_longer_pending(connected: Connected) -> None:
    group = connected.group(claim_after=0)
    first, second = group.add("one"), group.add("two")
    group.take("a")
    connected.client.xdel(WORK, first)
    assert [delivery.id for delivery in group.take("b")] == [second]
    assert [held.id for held in group.pending()] == [second]


def test_the_oldest_are_dropped_where_too_many_wait(connected: Connected) -> None:
    group = connected.group(longest=100)
    for number in range(1000):
        group.add(str(number))
    taken = group.take("a", most=1000)
    assert 100 <= len(taken) <= 300
    assert taken[-1].text == "999"


# --- Dead letters


def test_what_nobody_can_do_becomes_a_dead_letter(connected: Connected) -> None:
    group = connected.group(claim_after=0, attempts=3)
    poison = group.add("poison")
    for number in (1, 2, 3):
        assert counted(group.take(f"worker-{number}")) == [("poison", number)]
        assert group.dead() == []
    group.add("good")
    assert counted(group.take("a")) == [("good", 1)]
    (letter,) = group.dead()
    assert letter == DeadLetter(letter.id, "poison", 3, "delivered 3 times and never done", poison)
    assert [held.consumer for held in group.pending()] == ["a"]
    assert group.done(poison) == 0
    assert counted(group.take("a")) == [("good", 2)]
    assert len(group.dead()) == 1
    assert connected.client.xlen(WORK) == 1


def test_many_dead_letters_do_not_stand_in_the_way(connected: Connected) -> None:
    group = connected.group(claim_after=0, attempts=1)
    for number in range(200):
        group.add(str(number))
    group.take("a", most=200)
    group.add("good")
    assert texts(group.take("b", most=1)) == ["good"]
    assert [letter.text for letter in group.dead()] == [str(number) for number in range(200)]
    assert len(group.dead(most=7)) == 7


def test_workers_at_once_bury_each_text_once(connected: Connected) -> None:
    group = connected.group(claim_after=0, attempts=3)
    for number in range(50):
        group.add(str(number))

    def work(number: int) -> list[tuple[str, int]]:
        found = []
        while taken := group.take(f"worker-{number}", most=7):
            found += counted(taken)
        return found

    found = Counter(itertools.chain(*in_threads(8, work)))
    assert found == Counter((str(number), again) for number in range(50) for again in (1, 2, 3))
    assert sorted(int(letter.text) for letter in group.dead()) == [*range(50)]
    assert (group.pending(), connected.client.xlen(WORK)) == ([], 0)


def test_a_dead_letter_is_put_back(connected: Connected) -> None:
    group = connected.group(claim_after=0, attempts=1)
    origin = group.add("text")
    group.take("a")
    assert group.take("a") == []
    (letter,) = group.dead()
    back = group.retry(letter)
    assert back not in (None, origin)
    assert group.dead() == []
    assert group.retry(letter) is None
    assert group.take("a") == [Delivery(back, "text", 1)]
    assert group.take("a") == []
    (again,) = group.dead()
    assert group.retry(again.id) is not None
    assert group.retry("1-1") is None
    assert group.done(*group.take("a")) == 1


def test_a_dead_letter_is_put_back_by_one_of_many(connected: Connected) -> None:
    group = connected.group(claim_after=0, attempts=1)
    group.add("text")
    group.take("a")
    group.take("a")
    (letter,) = group.dead()
    assert sum(back is not None for back in in_threads(8, lambda _: group.retry(letter))) == 1
    assert connected.client.xlen(WORK) == 1


# --- Groups that are not there


def test_a_group_that_is_not_there_has_nothing(connected: Connected) -> None:
    group = connected.group()
    assert group.pending() == []
    assert group.dead() == []
    assert group.done("1-1") == 0
    assert group.retry("1-1") is None
    assert connected.client.exists(WORK, DEAD) == 0
    assert group.take("a") == []
    assert connected.client.exists(WORK) == 1


def test_a_group_that_was_lost_is_made_anew(connected: Connected) -> None:
    group = connected.group()
    group.add("lost")
    taken = group.take("a")
    connected.flush()
    assert group.done(*taken) == 0
    assert group.take("a") == []
    connected.flush()
    group.add("text")
    assert texts(group.take("a")) == ["text"]


def test_what_was_pending_is_delivered_when_only_the_group_is_lost(connected: Connected) -> None:
    group = connected.group()
    for text in ("one", "two"):
        group.add(text)
    (one,) = group.take("a", most=1)
    connected.client.xgroup_destroy(WORK, "senders")
    assert group.pending() == []
    assert group.done(one) == 0
    assert counted(group.take("a")) == [("one", 1), ("two", 1)]
    assert group.done(one) == 1


def test_a_second_group_is_refused(connected: Connected) -> None:
    connected.group().take("a")
    connected.group().add("text")
    with pytest.raises(ValueError, match=r"those of the group 'senders', not of 'others'.* use"):
        connected.group(group="others").take("a")
    assert texts(connected.group().take("a")) == ["text"]


def test_streams_do_not_meddle_with_each_other(connected: Connected) -> None:
    mail, post = connected.group("mail"), connected.group("post")
    mail.add("to mail")
    post.add("to post")
    assert texts(post.take("a")) == ["to post"]
    assert texts(mail.take("a")) == ["to mail"]


def test_what_others_add_is_text_too(connected: Connected) -> None:
    connected.client.xadd(WORK, {"color": "red", "text": "with more"})
    connected.client.xadd(WORK, {"color": "red"})
    assert texts(connected.group().take("a")) == ["with more", ""]


# --- Waiting


def test_whoever_waits_gets_what_is_added(connected: Connected) -> None:
    if connected.fake:
        pytest.skip("XREADGROUP of fakeredis does not wait")
    group = connected.group()

    def work(number: int) -> Any:
        if number == 0:
            return counted(group.take("a", wait="30s"))
        until(lambda: "xreadgroup" in str(connected.client.client_list()))
        return group.add("text")

    assert in_threads(2, work)[0] == [("text", 1)]


def test_whoever_waits_gets_what_has_become_too_old(connected: Connected) -> None:
    group = connected.group(claim_after=LONG)
    group.add("text")
    group.take("a")

    def work(number: int) -> Any:
        if number == 0:
            return until(lambda: counted(group.take("b", wait="30s")))
        if not connected.fake:
            until(lambda: "xreadgroup" in str(connected.client.client_list()))
        return let_die(connected.client, "a")

    assert in_threads(2, work)[0] == [("text", 2)]


def test_whoever_waits_survives_a_flush(connected: Connected) -> None:
    if connected.fake:
        pytest.skip("XREADGROUP of fakeredis does not wait")
    group = connected.group()

    def work(number: int) -> Any:
        if number == 0:
            return counted(group.take("a", wait="30s"))
        until(lambda: "xreadgroup" in str(connected.client.client_list()))
        connected.flush()
        return group.add("text")

    assert in_threads(2, work)[0] == [("text", 1)]


@pytest.mark.parametrize("wait", [0, 0.05, "50ms"])
def test_waiting_ends(connected: Connected, wait: float | str) -> None:
    assert connected.group().take("a", wait=wait) == []


# --- Refusals


@pytest.mark.parametrize("said", [b"bytes", 7, None, {"a": 1}])
def test_what_is_no_text_is_refused(connected: Connected, said: Any) -> None:
    with pytest.raises(TypeError, match=r"write it as text first, such as json\.dumps"):
        connected.group().add(said)


def test_a_text_that_is_too_long_is_refused(connected: Connected) -> None:
    group = connected.group(most_bytes=4)
    group.add("☃!")
    with pytest.raises(ValueError, match=r"has 6 bytes; expected at most 4.* larger `most_bytes`"):
        group.add("☃☃")
    with pytest.raises(ValueError, match="UTF-8 cannot write"):
        group.add("\ud800")
    assert connected.client.xlen(WORK) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stream": "a b"}, ValueError, "the name of the stream is 'a b'; expected 1 to 100"),
        ({"stream": b"mail"}, TypeError, "the name of the stream is b'mail'; expected text"),
        ({"group": ""}, ValueError, "the name of the group is ''"),
        ({"claim_after": "soon"}, ValueError, "not a duration"),
        ({"claim_after": -1}, ValueError, "not a duration"),
        ({"attempts": 0}, ValueError, "attempts is 0; expected 1 or more"),
        ({"attempts": 1.5}, TypeError, "attempts is 1.5; expected a whole number"),
        ({"longest": True}, TypeError, "longest is True; expected a whole number"),
        ({"most_bytes": 0}, ValueError, "most_bytes is 0"),
    ],
)
@pytest.mark.parametrize("face", [Group, AsyncGroup])
def test_a_setting_that_cannot_be_is_refused(
    face: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    how = {"stream": "mail", "group": "senders"} | options
    with pytest.raises(error, match=message):
        face(redis.Redis(), **how)


def test_other_refusals_say_what_is_expected(connected: Connected) -> None:
    group = connected.group()
    for most in (0, 1001):
        for ask in (group.pending, group.dead, lambda most: group.take("a", most)):
            with pytest.raises(ValueError, match=f"most is {most}; expected 1 to 1000"):
                ask(most)
    with pytest.raises(ValueError, match="the name of the consumer is 'a b'"):
        group.take("a b")
    with pytest.raises(ValueError, match="not a duration"):
        group.take("a", wait=-1)
    for name in ("1", "1-", "x-1", "*"):
        with pytest.raises(ValueError, match=r"is no id; expected one such as"):
            group.done(name)
    with pytest.raises(TypeError, match="7 is no id"):
        group.retry(7)


def test_a_key_of_another_type_is_an_error_of_redis(connected: Connected) -> None:
    connected.client.set(WORK, "text")
    group = connected.group()
    for ask in (lambda: group.take("a"), group.pending, lambda: group.add("text")):
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            ask()


# --- Scripts


def test_scripts_that_the_server_forgot_are_sent_again(connected: Connected) -> None:
    group = connected.group()
    for _ in range(2):
        group.add("text")
        assert group.done(*group.take("a")) == 1
        connected.client.script_flush()


@needs_server
@pytest.mark.parametrize("protocol", [2, 3])
def test_with_each_protocol(server: LocalServer, protocol: int) -> None:
    def add(number: int) -> Any:
        if number == 0:
            return counted(Group(client, "mail", "senders").take("a", wait="30s"))
        until(lambda: "xreadgroup" in str(client.client_list()))
        return group.add("text")

    with connect(server.url, protocol=protocol) as client:
        client.flushall()
        group = Group(client, "mail", "senders", claim_after=0, attempts=1)
        assert in_threads(2, add)[0] == [("text", 1)]
        assert len(group.pending()) == 1
        assert group.take("b") == []
        (letter,) = group.dead()
        assert group.retry(letter)
        assert group.done(*group.take("b")) == 1


def test_on_a_cluster(cluster_url: str) -> None:
    with connect(cluster_url) as client:
        group = Group(client, "mail", "senders", claim_after=0, attempts=1)
        group.add("one")
        assert texts(group.take("a", wait=0.01)) == ["one"]
        assert group.take("b", wait=0.01) == []
        (letter,) = group.dead()
        assert group.retry(letter)
        assert group.done(*group.take("a")) == 1

    async def main() -> None:
        async with await connect_async(cluster_url) as client:
            group = AsyncGroup(client, "post", "senders")
            assert await group.take("a", wait=0.01) == []
            await group.add("one")
            assert await group.done(*await group.take("a", wait=0.01)) == 1

    asyncio.run(main())


# --- Against a model


@dataclass
class Held:
    consumer: str
    deliveries: int
    old: bool = False


@dataclass
class Model:
    """What a group is to do, with ids in order."""

    attempts: int
    texts: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    dead: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.new.append(name)

    def take(self, consumer: str, most: int) -> list[Delivery]:
        taken: list[Delivery] = []
        for name, held in sorted(self.held.items(), key=lambda item: _order(item[0])):
            if len(taken) == most:
                break
            if not held.old:
                continue
            if held.deliveries >= self.attempts:
                del self.held[name]
                self.dead.append((self.texts.pop(name), held.deliveries, name))
                continue
            self._deliver(taken, name, consumer, held.deliveries + 1)
        while self.new and len(taken) < most:
            self._deliver(taken, self.new.pop(0), consumer, 1)
        return taken

    def _deliver(self, taken: list[Delivery], name: str, consumer: str, deliveries: int) -> None:
        self.held[name] = Held(consumer, deliveries)
        taken.append(Delivery(name, self.texts[name], deliveries))

    def done(self, names: list[str]) -> int:
        found = [name for name in dict.fromkeys(names) if self.held.pop(name, None)]
        for name in found:
            del self.texts[name]
        return len(found)

    def die(self, consumer: str) -> None:
        for held in self.held.values():
            held.old = held.old or held.consumer == consumer

    def lose_group(self) -> None:
        self.held.clear()
        self.new = sorted(self.texts, key=_order)


def _order(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split("-")))


CONSUMERS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 5)),
    st.tuples(st.just("take"), CONSUMERS, st.integers(1, 6)),
    st.tuples(st.just("done"), st.lists(st.integers(0, 20), max_size=4)),
    st.tuples(st.just("die"), CONSUMERS),
    st.tuples(st.just("retry"), st.integers(0, 5)),
    st.tuples(st.just("lose group")),
)


class Run:
    """A group and its model, which are told the same."""

    def __init__(self, connected: Connected, attempts: int) -> None:
        connected.flush()
        self.client = connected.client
        self.group = connected.group(claim_after=LONG, attempts=attempts)
        self.model = Model(attempts)
        self.added = 0
        self.ids: list[str] = []
        self.taken: list[Delivery] = []
        self.done: Counter[str] = Counter()

    def step(self, what: str, *words: Any) -> None:
        group, model = self.group, self.model
        if what == "add":
            for _ in range(words[0]):
                self.added += 1
                self._added(group.add(f"text {self.added}"), f"text {self.added}")
        elif what == "take":
            taken = group.take(*words)
            assert taken == model.take(*words)
            self.taken += taken
        elif what == "done":
            names = [self.ids[number] for number in words[0] if number < len(self.ids)]
            self._do(names)
        elif what == "die":
            if model.held:
                let_die(self.client, words[0])
            model.die(words[0])
        elif what == "retry":
            letters = group.dead()
            if words[0] < len(letters):
                back = group.retry(letters[words[0]])
                self._added(back, model.dead.pop(words[0])[0])
        elif self.client.exists(WORK):
            self.client.xgroup_destroy(WORK, "senders")
            model.lose_group()

    def _added(self, name: str, text: str) -> None:
        self.ids.append(name)
        self.model.add(name, text)

    def _do(self, names: list[str]) -> None:
        held = {name: self.model.texts[name] for name in names if name in self.model.held}
        assert self.group.done(*names) == self.model.done(names) == len(held)
        self.done.update(held.values())

    def check(self) -> None:
        pending: list[Pending] = self.group.pending()
        held = sorted(self.model.held.items(), key=lambda item: _order(item[0]))
        assert [(one.id, one.consumer, one.deliveries, one.idle >= 3600) for one in pending] == [
            (name, one.consumer, one.deliveries, one.old) for name, one in held
        ]
        dead = [(one.text, one.deliveries, one.origin) for one in self.group.dead()]
        assert dead == self.model.dead
        assert self.client.xlen(WORK) == len(self.model.texts)

    def finish(self, able: bool) -> None:
        """Let a last worker see to all that is left, one who is able or one who is not."""
        while self.model.texts:
            for consumer in "abcz":
                self.step("die", consumer)
            before = len(self.taken)
            self.step("take", "z", 10)
            if able:
                self._do([delivery.id for delivery in self.taken[before:]])
            self.check()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    attempts=st.integers(1, 3), steps=st.lists(STEPS, min_size=5, max_size=40), able=st.booleans()
)
def test_a_group_does_as_its_model(
    kept: Connected, attempts: int, steps: list[tuple[Any, ...]], able: bool
) -> None:
    run = Run(kept, attempts)
    for step in steps:
        run.step(*step)
        run.check()
    run.finish(able)
    # Nothing is lost and nothing is twice: a text is done once, or a dead letter once.
    ends = run.done + Counter(text for text, *_ in run.model.dead)
    assert ends == Counter(f"text {number + 1}" for number in range(run.added))
    assert {delivery.text for delivery in run.taken} == {*ends}
    assert max((delivery.deliveries for delivery in run.taken), default=0) <= attempts


# --- Processes that are killed


def hold(url: str, consumer: str) -> None:
    """Take some, do one of them, and hang with the others."""
    with connect(url) as client:
        group = Group(client, "mail", "senders", claim_after=LONG)
        first, *_ = group.take(consumer, most=5)
        client.rpush("log", first.text)
        group.done(first)
        client.rpush("hanging", consumer)
        client.blpop(["for ever"], 0)


def work(url: str, consumer: str, claim_after: str) -> None:
    """Take and do, until there is a stop."""
    with connect(url) as client:
        group = Group(client, "mail", "senders", claim_after=claim_after, attempts=1000)
        while not client.exists("stop"):
            for delivery in group.take(consumer, most=4, wait="50ms"):
                client.rpush("log", delivery.text)
                group.done(delivery)


def start(target: Any, *words: Any) -> Any:
    process = SPAWN.Process(target=target, args=words, daemon=True)
    process.start()
    return process


def _longer(client: Any, length: int) -> bool:
    return bool(client.llen("log") >= length)


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL


@needs_server
def test_what_killed_processes_held_is_done_by_others(server: LocalServer) -> None:
    url = server.url
    with connect(url) as client:
        client.flushall()
        group = Group(client, "mail", "senders", claim_after=LONG)
        said = [f"text {number}" for number in range(30)]
        for text in said:
            group.add(text)
        doomed = {f"doomed-{number}": start(hold, url, f"doomed-{number}") for number in range(3)}
        until(lambda: client.llen("hanging") == 3, "the hanging")
        for process in doomed.values():
            kill(process)
        assert Counter(one.consumer for one in group.pending()) == dict.fromkeys(doomed, 4)
        workers = [start(work, url, f"worker-{number}", LONG) for number in range(2)]
        until(lambda: client.llen("log") == 18 and len(group.pending()) == 12, "the free ones")
        for consumer in doomed:
            let_die(client, consumer)
        until(lambda: client.xlen(WORK) == 0, "the last")
        client.set("stop", 1)
        for process in workers:
            process.join(PATIENCE)
            assert process.exitcode == 0
        assert Counter(client.lrange("log", 0, -1)) == Counter(said)
        assert (group.pending(), group.dead(), group.take("a")) == ([], [], [])


@needs_server
@pytest.mark.soak
def test_processes_that_are_killed_anywhere_lose_nothing(server: LocalServer) -> None:
    url = server.url
    with connect(url) as client:
        client.flushall()
        group = Group(client, "mail", "senders")
        workers = [start(work, url, f"worker-{number}", "20ms") for number in range(3)]
        said: list[str] = []
        for number in range(times(4)):
            for _ in range(300):
                said.append(f"text {len(said)}")
                group.add(said[-1])
            until(functools.partial(_longer, client, number * 300 + 50), "some work")
            kill(workers.pop(0))
            workers.append(start(work, url, f"later-{number}", "20ms"))
        until(lambda: client.xlen(WORK) == 0, "the last")
        client.set("stop", 1)
        for process in workers:
            process.join(PATIENCE)
            assert process.exitcode == 0
        assert {*client.lrange("log", 0, -1)} == {*said}
        assert (group.pending(), group.dead(), group.take("a")) == ([], [], [])
