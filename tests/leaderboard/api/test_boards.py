"""Boards: made, changed, described and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.clock import FakeClock
    from tests.leaderboard.api.driver import Client


def test_a_put_makes_a_board_and_another_changes_it(api: Client) -> None:
    settings = {"windows": ["daily", "all"], "policy": "sum", "maximum": 10}
    made = api.put("/boards/fresh", json=settings)
    assert made.status_code == 201
    assert made.json()["settings"]["policy"] == "sum"
    assert [window["name"] for window in made.json()["windows"]] == ["daily", "all"]

    changed = api.put("/boards/fresh", json={"windows": ["daily", "all"], "policy": "last"})
    assert changed.status_code == 200
    assert changed.json() == api.get("/boards/fresh").json()
    assert changed.json()["settings"]["policy"] == "last"
    assert changed.json()["settings"]["maximum"] is None


def test_a_board_keeps_its_layout(api: Client) -> None:
    refused = api.put("/boards/arcade", json={"order": "asc"})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith(":layout-mismatch")
    assert api.get("/boards/arcade").json()["settings"]["order"] == "desc"


def test_sizes_are_told_for_each_window(make: Callable[..., Client], clock: FakeClock) -> None:
    api = make()
    api.put("/boards/b", json={"windows": ["daily", "all"]})
    api.post("/boards/b/scores", {"member": "ada", "score": 1})
    clock.advance("1d")
    api.post("/boards/b/scores", {"member": "bob", "score": 1})
    sizes = {each["name"]: each["size"] for each in api.get("/boards/b").json()["windows"]}
    assert sizes == {"daily": 1, "all": 2}
    listed = api.get("/boards/b/windows").json()["windows"]
    assert listed == api.get("/boards/b").json()["windows"]
    assert listed[1]["period"] == {"window": "all", "name": "all", "start": None, "end": None}


def test_periods_that_are_over_can_be_listed_and_read(
    make: Callable[..., Client], clock: FakeClock
) -> None:
    api = make()
    api.put("/boards/b", json={"windows": ["daily", "all"]})
    for score in (1, 2, 3):
        api.post("/boards/b/scores", {"member": "ada", "score": score})
        clock.advance("1d")
    periods = api.get("/boards/b/windows/daily/periods").json()["periods"]
    assert len(periods) == 3
    assert [period["start"] for period in periods] == sorted(
        (period["start"] for period in periods), reverse=True
    )
    read = [
        api.get("/boards/b/entries", params={"window": "daily", "at": period["start"]}).json()
        for period in periods
    ]
    assert [page["entries"][0]["score"] for page in read] == [3, 2, 1]


def test_a_season_is_a_window(api: Client, clock: FakeClock) -> None:
    season = {"name": "cup", "start": clock() - 1, "end": "2499-01-01T00:00:00Z"}
    assert api.put("/boards/b", json={"windows": ["all", season]}).status_code == 201
    api.post("/boards/b/scores", {"member": "ada", "score": 1})
    assert api.get("/boards/b/count", params={"window": "cup"}).json() == {"count": 1}


def test_a_deleted_board_is_gone(api: Client) -> None:
    api.post("/boards/arcade/scores", {"member": "ada", "score": 1})
    gone = api.delete("/boards/arcade")
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.get("/boards/arcade").status_code == 404
    assert api.put("/boards/arcade").status_code == 201
    assert api.get("/boards/arcade/count").json() == {"count": 0}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/windows", None),
        ("GET", "/windows/all/periods", None),
        ("POST", "/scores", {"member": "ada", "score": 1}),
        ("POST", "/scores/batch", {"scores": [{"member": "ada", "score": 1}]}),
        ("POST", "/increments", {"member": "ada", "by": 1}),
        ("DELETE", "/members/ada", None),
        ("GET", "/entries", None),
        ("GET", "/members/ada", None),
        ("GET", "/members/ada/around", None),
        ("GET", "/members/ada/percentile", None),
        ("GET", "/members/ada/history", None),
        ("GET", "/around-score?score=1", None),
        ("GET", "/among?member=ada", None),
        ("GET", "/rank-of?score=1", None),
        ("GET", "/score-at?percentile=1", None),
        ("GET", "/count", None),
        ("GET", "/events", None),
    ],
)
def test_a_board_that_was_not_made_is_not_there(
    api: Client, method: str, path: str, body: object
) -> None:
    answer = api(method, f"/boards/none{path}", json=body)
    assert answer.status_code == 404
    assert answer.json()["type"].endswith(":no-such-board")
    assert api.get("/boards/none").status_code == 404, "the request made the board"


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"ordre": "asc"}, "ordre"),
        ({"order": "up"}, "order"),
        ({"windows": []}, "windows"),
        ({"windows": ["daily", "daily"]}, "each once"),
        ({"timezone": "Europe/Atlantis"}, "IANA"),
        ({"minimum": 2, "maximum": 1}, "nothing fits"),
        ({"grace": "soon"}, "not a duration"),
        ({"keep": {"weekly": 1}}, "weekly"),
        ({"events": -1}, "events"),
        ({"step": True}, "expected a number"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    api: Client, settings: dict[str, object], hint: str
) -> None:
    answer = api.put("/boards/b", json=settings)
    assert answer.status_code == 422
    assert hint in answer.text
    assert api.get("/boards/b").status_code == 404


@pytest.mark.parametrize("name", ["red/blue", "a b", "ü?#&", "%2F", "..%2F", "a%b"])
def test_any_name_can_be_asked_for(api: Client, name: str) -> None:
    from urllib.parse import quote

    path = f"/boards/{quote(name, safe='')}"
    assert api.put(path).json()["name"] == name
    member = f"{path}/members/{quote(name, safe='')}"
    api.post(f"{path}/scores", {"member": name, "score": 1})
    assert api.get(member).json()["member"] == name
    assert api.get(f"{member}/percentile").json() == {"member": name, "percentile": 0}
    assert api.delete(member).status_code == 204
    assert api.get(member).status_code == 404
    assert api.delete(path).status_code == 204


def test_services_under_a_prefix(make: Callable[..., Client]) -> None:
    api = make(prefix="/v1")
    assert api.put("/v1/boards/b").status_code == 201
    assert api.get("/boards/b").status_code == 404
    assert api.get("/healthz").status_code == 200
    link = api.get("/v1/boards/b/entries").links["first"]["url"]
    assert api.get(link).status_code == 200


def test_keys_begin_as_the_operator_likes(make: Callable[..., Client]) -> None:
    first, second = make(key_prefix="one:"), make(key_prefix="two:")
    first.put("/boards/b")
    assert first.get("/boards/b").status_code == 200
    assert second.get("/boards/b").status_code == 404
