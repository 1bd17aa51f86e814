"""Reads: pages, members, neighbours, entity tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.leaderboard.api.driver import pages
from tests.scale import times

if TYPE_CHECKING:
    from tests.leaderboard.api.driver import Client

BOARD = "/boards/arcade"


@pytest.fixture
def filled(api: Client) -> Client:
    """Ten members, a to j, from 100 points down in steps of 10; c has as many as b."""
    scores = [
        {"member": member, "score": 100 - 10 * place} for place, member in enumerate("abcdefghij")
    ]
    scores[2]["score"] = 90
    api.post(f"{BOARD}/scores/batch", {"scores": scores})
    return api


def names(body: dict[str, Any]) -> str:
    return "".join(entry["member"] for entry in body["entries"])


def test_links_lead_to_the_end_and_back(api: Client) -> None:
    count = times(57)
    scores = [{"member": f"m{number}", "score": number % 7} for number in range(count)]
    for start in range(0, count, 500):
        api.post(f"{BOARD}/scores/batch", {"scores": scores[start : start + 500]})
    query = f"{BOARD}/entries?limit=10&ties=dense&window=all"
    down = list(pages(api, query, "next"))
    assert [len(page.json()["entries"]) for page in down] == [10] * (count // 10) + [count % 10]
    met = [entry for page in down for entry in page.json()["entries"]]
    assert len({entry["member"] for entry in met}) == count
    assert [entry["rank"] for entry in met] == [7 - int(entry["score"]) for entry in met]
    assert all(page.json()["total"] == count for page in down)
    assert "next" not in down[-1].links
    assert "prev" not in down[0].links

    up = list(pages(api, down[-1].links["prev"]["url"], "prev"))
    back = [entry for page in reversed(up) for entry in page.json()["entries"]]
    assert back == met[: len(back)]
    assert len(back) == count - count % 10
    first = api.get(down[-1].links["first"]["url"])
    assert first.json()["entries"] == down[0].json()["entries"]
    assert "ties=dense" in down[1].links["next"]["url"]
    assert "window=all" in down[1].links["prev"]["url"]


def test_a_page_is_never_skipped_while_others_move(filled: Client) -> None:
    first = filled.get(f"{BOARD}/entries?limit=3")
    filled.post(f"{BOARD}/scores", {"member": "j", "score": 500})
    rest = list(pages(filled, first.links["next"]["url"], "next"))
    assert names(first.json()) + "".join(names(page.json()) for page in rest) == "abcdefghi"


def test_a_snapshot_does_not_move(filled: Client) -> None:
    first = filled.get(f"{BOARD}/entries?limit=4&snapshot=5m")
    filled.post(f"{BOARD}/scores", {"member": "i", "score": 500})
    rest = list(pages(filled, first.links["next"]["url"], "next"))
    assert names(first.json()) + "".join(names(page.json()) for page in rest) == "abcdefghij"
    too_long = filled.get(f"{BOARD}/entries?snapshot=2h")
    assert too_long.status_code == 422
    assert "3600" in too_long.json()["detail"]


def test_a_foreign_cursor_is_refused(filled: Client) -> None:
    filled.put("/boards/other")
    cursor = filled.get(f"{BOARD}/entries?limit=1").json()["next_cursor"]
    filled.post("/boards/other/scores", {"member": "a", "score": 1})
    for path in (f"/boards/other/entries?cursor={cursor}", f"{BOARD}/entries?cursor=x{cursor}"):
        refused = filled.get(path)
        assert refused.status_code == 422
        assert refused.json()["type"].endswith(":cursor-refused")


def test_one_member(filled: Client) -> None:
    member = filled.get(f"{BOARD}/members/c").json()
    assert member == {"rank": 2, "member": "c", "score": 90, "metadata": None, "place": None}
    assert filled.get(f"{BOARD}/members/c?ties=ordinal").json()["rank"] == 3
    assert filled.get(f"{BOARD}/members/c/percentile").json()["percentile"] == 70
    for path in ("", "/around", "/percentile"):
        missing = filled.get(f"{BOARD}/members/nobody{path}")
        assert missing.status_code == 404
        assert missing.json()["type"].endswith(":no-such-member")


def test_neighbours(filled: Client) -> None:
    assert names(filled.get(f"{BOARD}/members/e/around?count=3").json()) == "def"
    assert names(filled.get(f"{BOARD}/members/a/around?count=3").json()) == "abc"
    assert names(filled.get(f"{BOARD}/around-score?score=55&count=2").json()) == "ef"
    assert filled.get(f"{BOARD}/rank-of?score=55").json() == {"score": 55, "rank": 6}
    assert filled.get(f"{BOARD}/score-at?percentile=100").json()["score"] == 100
    assert filled.get(f"{BOARD}/count?low=20&high=50").json() == {"count": 4}
    assert filled.get(f"{BOARD}/count").json() == {"count": 10}


def test_friends(filled: Client) -> None:
    group = filled.get(f"{BOARD}/among?member=j&member=nobody&member=b").json()
    assert [(entry["member"], entry["rank"], entry["place"]) for entry in group["entries"]] == [
        ("b", 2, 1),
        ("j", 10, 2),
    ]
    assert group["missing"] == ["nobody"]
    assert filled.get(f"{BOARD}/among").status_code == 422


def test_the_history_of_a_member(api: Client) -> None:
    api.put("/boards/b", json={"windows": ["daily"]})
    api.post("/boards/b/scores", {"member": "ada", "score": 3})
    body = api.get("/boards/b/members/ada/history?limit=2").json()
    assert [record["entry"] and record["entry"]["score"] for record in body["records"]] == [3, None]
    assert body["records"][0]["period"]["start"] == body["records"][1]["period"]["end"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/windows",
        "/windows/all/periods",
        "/entries?limit=2",
        "/members/a",
        "/members/a/around",
        "/members/a/percentile",
        "/members/a/history?window=all",
        "/around-score?score=1",
        "/among?member=a",
        "/rank-of?score=1",
        "/score-at?percentile=50",
        "/count",
    ],
)
def test_what_a_client_has_is_not_sent_again(filled: Client, path: str) -> None:
    first = filled.get(BOARD + path)
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "no-cache"
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    for condition in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = filled.get(BOARD + path, headers={"If-None-Match": condition})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    assert filled.get(BOARD + path, headers={"If-None-Match": '"other"'}).content == first.content


def test_a_tag_changes_with_the_board(filled: Client) -> None:
    tag = filled.get(f"{BOARD}/entries").headers["ETag"]
    filled.post(f"{BOARD}/scores", {"member": "a", "score": 101})
    after = filled.get(f"{BOARD}/entries", headers={"If-None-Match": tag})
    assert after.status_code == 200
    assert after.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/entries?limit=0", "limit"),
        ("/entries?limit=1001", "limit"),
        ("/entries?limit=many", "limit"),
        ("/entries?window=daily", "this board has 'all'"),
        ("/entries?at=soon", "time zone"),
        ("/entries?at=-5", "1970"),
        ("/entries?ties=none", "ties"),
        ("/entries?cursor=abc", "cursor"),
        ("/entries?snapshot=x", "not a duration"),
        ("/members/a/around?count=0", "count"),
        ("/members/a/history?limit=401", "limit"),
        ("/around-score", "score"),
        ("/around-score?score=nan", "finite"),
        ("/score-at?percentile=101", "percentile"),
        ("/count?low=2&high=1", "lower bound"),
        ("/windows/daily/periods", "this board has 'all'"),
        ("/events?window=daily", "this board has 'all'"),
        ("/events?top=0", "top"),
        ("/events?last_event_id=-1", "last_event_id"),
    ],
)
def test_a_question_that_cannot_be_is_refused(filled: Client, path: str, hint: str) -> None:
    answer = filled.get(BOARD + path)
    assert answer.status_code == 422, answer.text
    assert hint in answer.text
