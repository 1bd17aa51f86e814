"""The service: names, tokens, WebSockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from labkit.chat import Position, Room
from labkit.chat.api import create_app
from labkit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from labkit.course.bench import Bench


@pytest.fixture
def client(bench: Bench) -> Iterator[redis.Redis]:
    bench.reset()
    with bench.client() as client:
        yield client


@pytest.fixture
def service(bench: Bench, client: redis.Redis) -> Iterator[TestClient]:
    with TestClient(create_app(bench.url, rate=5, per="1h", longest=100)) as service:
        yield service


def token(service: TestClient, name: str) -> str:
    answer = service.post("/session", json={"name": name})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["token"]
    return found


class Tab:
    """A WebSocket that has said hello."""

    def __init__(self, service: TestClient, token: str, room: str = "lobby", **hello: Any) -> None:
        self._socket = service.websocket_connect(f"/rooms/{room}")
        self._hello = {"type": "hello", "token": token} | hello

    def __enter__(self) -> Tab:
        self._socket.__enter__()
        self.send(**self._hello)
        return self

    def __exit__(self, *error: Any) -> None:
        self._socket.__exit__(*error)

    def send(self, **words: Any) -> None:
        self._socket.send_text(json.dumps(words))

    def send_raw(self, text: str) -> None:
        self._socket.send_text(text)

    def get(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds."""
        while True:
            message: dict[str, Any] = json.loads(self._socket.receive_text())
            if message["type"] in kinds:
                return message

    def close(self, code: int) -> None:
        self._socket.close(code)


def test_two_talk(service: TestClient) -> None:
    with Tab(service, token(service, "ada")) as ada:
        assert ada.get("welcome")["who"] == ["ada"]
        assert ada.get("joined")["member"] == "ada"
        with Tab(service, token(service, "bob")) as bob:
            assert bob.get("welcome") == {"type": "welcome", "name": "bob", "who": ["ada", "bob"]}
            assert ada.get("joined")["member"] == "bob"
            bob.send(type="typing")
            assert ada.get("typing")["member"] == "bob"
            bob.send(type="say", text="<b>hello</b>", key="1")
            said, ack = ada.get("said"), bob.get("ack")
            assert (said["member"], said["text"]) == ("bob", "<b>hello</b>")
            assert ack == {"type": "ack", "number": said["number"], "key": "1"}
            assert Position.parse(said["position"]).number == said["number"]
            bob.close(1000)
            assert ada.get("left")["member"] == "bob"
    assert service.get("/rooms").json() == ["lobby"]


def test_who_comes_back_gets_what_was_missed(service: TestClient, client: redis.Redis) -> None:
    mine = token(service, "ada")
    with Tab(service, mine, tab="tab1") as ada:
        ada.send(type="say", text="one")
        position = ada.get("said")["position"]
        ada.close(1006)  # the line broke
    room = Room(client, "lobby")
    assert room.who() == ["ada"]  # not gone yet
    room.say("bob", "two")
    with Tab(service, mine, tab="tab1", after=position) as ada:
        assert ada.get("said", "joined", "left", "gap")["text"] == "two"
        assert room.who() == ["ada"]


def test_what_is_sent_twice_is_said_once(service: TestClient) -> None:
    mine = token(service, "ada")
    for _ in range(2):
        with Tab(service, mine) as ada:
            ada.send(type="say", text="hello", key="a key")
            number = ada.get("ack")["number"]
    with Tab(service, mine) as ada:
        ada.send(type="say", text="more", key="another key")
        first, second = ada.get("said"), ada.get("said")
    assert (first["text"], first["number"], second["text"]) == ("hello", number, "more")


def test_a_name_belongs_to_who_took_it(service: TestClient) -> None:
    mine = token(service, "Ada")
    for same in ("Ada", "ada", "ADA", "Ａｄａ"):
        answer = service.post("/session", json={"name": same})
        assert answer.status_code == 409
        assert "is taken. Choose another one." in answer.json()["detail"]
    assert service.delete("/session").status_code == 401
    headers = {"Authorization": f"Bearer {mine}"}
    assert service.delete("/session", headers=headers).status_code == 204
    assert service.delete("/session", headers=headers).status_code == 204  # it was free
    theirs = token(service, "ada")
    assert service.delete("/session", headers=headers).status_code == 401
    with Tab(service, theirs) as ada:
        assert ada.get("welcome")["name"] == "ada"


def test_who_gave_a_name_back_says_nothing_more_under_it(service: TestClient) -> None:
    mine = token(service, "ädä")
    with Tab(service, mine) as old:
        old.get("welcome")
        service.delete("/session", headers={"Authorization": f"Bearer {mine}"})
        with Tab(service, token(service, "ädä")) as new:
            new.get("welcome")
            old.send(type="say", text="it is me")
            with pytest.raises(WebSocketDisconnect) as refused:
                old.get("ack", "refused")
            assert refused.value.code == 1008
            assert refused.value.reason == "The name 'ädä' belongs to somebody else by now."
            new.send(type="say", text="no, me")
            assert new.get("said")["text"] == "no, me"


def test_typing_is_not_passed_on_for_every_key(service: TestClient) -> None:
    with Tab(service, token(service, "ada")) as ada, Tab(service, token(service, "bob")) as bob:
        bob.get("welcome")
        for _ in range(20):
            ada.send(type="typing")
        ada.send(type="say", text="done")
        kinds = [bob.get("typing", "said")["type"] for _ in range(2)]
    assert kinds == ["typing", "said"]


@pytest.mark.parametrize("name", ["", " ada", "a\nb", "x" * 101, 12, None, ["ada"]])
def test_what_is_no_name_is_refused(service: TestClient, name: Any) -> None:
    answer = service.post("/session", json={"name": name})
    assert answer.status_code == 422
    assert service.post("/session", json={}).status_code == 422


def test_nobody_talks_without_a_token_of_theirs(service: TestClient, client: redis.Redis) -> None:
    good = token(service, "ada")
    payload, signature = good.split(".")
    other = token(service, "bob").split(".")[0]
    for wrong in (
        "",
        "x",
        "a.b",
        f"{payload}.",
        f"{other}.{signature}",
        f"{payload}x.{signature}",
        f"{payload}.{signature[::-1]}",
    ):
        with Tab(service, wrong) as tab, pytest.raises(WebSocketDisconnect) as refused:
            tab.get("welcome")
        assert refused.value.code == 1008
    assert Room(client, "lobby").who() == []
    for hello, says in (
        ({"type": "say", "text": "hello"}, "first message has to be a hello"),
        ({"after": "nonsense"}, "is no position"),
        ({"tab": "a b"}, "letters and digits"),
        ({"type": "shout"}, "Invalid enum value"),
    ):
        with Tab(service, good, **hello) as tab, pytest.raises(WebSocketDisconnect) as refused:
            tab.get("welcome")
        assert refused.value.code == 1008
        assert says in refused.value.reason
    with Tab(service, good, room="a b") as tab, pytest.raises(WebSocketDisconnect) as refused:
        tab.get("welcome")
    assert "the name of a room" in refused.value.reason


def test_what_cannot_be_said_is_refused_with_its_reason(service: TestClient) -> None:
    with Tab(service, token(service, "ada")) as ada:
        for words, says in (
            ({"text": ""}, "0 bytes; expected 1 to 100"),
            ({"text": "x" * 101}, "101 bytes; expected 1 to 100"),
            ({"text": "x", "key": " "}, "key is ' '"),
        ):
            ada.send(type="say", **words)
            answer = ada.get("refused")
            assert says in answer["reason"]
            assert answer["key"] == words.get("key")
        ada.send_raw("not JSON")
        assert "malformed" in ada.get("refused")["reason"]
        ada.send_raw('{"type": "say", "text": "' + "x" * 70_000 + '"}')
        assert "longer than 65,536 characters" in ada.get("refused")["reason"]
        ada.send(type="hello")
        assert ada.get("refused")["reason"] == "You have said hello already."
        for number in range(5):
            ada.send(type="say", text=str(number), key=str(number))
            assert ada.get("ack")["key"] == str(number)
        ada.send(type="say", text="too fast", key="k")
        answer = ada.get("refused")
        assert 700 < answer["retry_after"] <= 720
        assert "says more than this room allows" in answer["reason"]


def test_a_newcomer_gets_the_latest(service: TestClient, client: redis.Redis) -> None:
    room = Room(client, "lobby")
    for number in range(60):
        room.say("bob", f"text {number}")
    with Tab(service, token(service, "ada")) as ada:
        assert ada.get("said", "gap")["text"] == "text 11"  # of the latest 50, one is the joining


def test_tokens_hold_in_every_process_and_names_for_a_day(
    bench: Bench, client: redis.Redis
) -> None:
    clock = FakeClock(1_790_000_000)
    with TestClient(create_app(bench.url, clock=clock)) as one:
        mine = token(one, "ada")
    with TestClient(create_app(bench.url, clock=clock)) as other:
        with Tab(other, mine) as ada:
            ada.get("welcome")
        assert 0 < client.ttl("chat:name:ada") <= 86_400
        client.delete("chat:name:ada")  # the day is over
        with Tab(other, mine) as ada:  # nobody else has taken it
            ada.get("welcome")
        client.delete("chat:name:ada")
        token(other, "ada")
        with Tab(other, mine) as ada, pytest.raises(WebSocketDisconnect) as refused:
            ada.get("welcome")
        assert "belongs to somebody else by now" in refused.value.reason


def test_the_page_runs_nothing_from_elsewhere(service: TestClient) -> None:
    answer = service.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "://" not in answer.text
    assert "innerHTML" not in answer.text
    assert service.get("/healthz").json() == {"status": "ok"}


def test_options_that_make_no_sense_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="no option 'histroy'"):
        create_app(histroy=5)
