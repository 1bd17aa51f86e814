"""What the service tells and does, over each kind of cache."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from prometheus_client.parser import text_string_to_metric_families

from labkit.cache import AsyncCache, Cache, MemoryTier
from labkit.cache.admin import create_app
from labkit.cache.admin.desk import Desk
from labkit.cache.admin.models import Warming
from labkit.cache.admin.routes import MOST_BYTES
from labkit.cache.policies import Policy, Warm
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.clock import FakeClock
from tests.cache.admin.conftest import Api, Article, Press
from tests.cache.dict_store import DictTier
from tests.cache.test_invalidation import Failing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path


# --- Reading


def test_statistics_are_those_of_the_cache(any_api: Api) -> None:
    any_api.run(any_api.plain.set("a", 1))
    any_api.run(any_api.plain.get("a"))
    any_api.run(any_api.plain.get("b"))
    (found,) = any_api.get("/stats").json()["caches"].values()
    assert found["total"]["hits"] == {"memory": 1, "redis": 0}
    assert found["total"]["misses"] == 1
    assert [tier["name"] for tier in found["tiers"]] == ["memory", "redis"]


def test_answers_are_not_to_be_kept(any_api: Api) -> None:
    for path in ("/stats", "/nowhere", "/entities/Nothing"):
        assert any_api.get(path).headers["cache-control"] == "no-store"


def test_entities_are_listed_and_described(api: Api) -> None:
    articles = api.cache["Article"]
    for number in (1, 2, 1, 1):
        api.run(articles.get(number))
    listed = {each["name"]: each for each in api.get("/entities").json()}
    assert list(listed) == ["Author", "Article", "Vote"]
    assert listed["Article"] | {"time_saved": 0} == {
        "name": "Article", "strategy": "read-through", "tiers": ["memory", "redis"], "ttl": None,
        "reads": 4, "hit_ratio": 0.5, "loads": 2, "errors": 0, "writes": 0, "time_saved": 0,
    }  # fmt: skip
    found = api.get("/entities/Article").json()
    assert found["policy"]["strategy"] == "read-through"
    assert found["counts"]["loads"] == 2
    assert found["keys"] == 2
    assert found["advice"]["policy"]["strategy"]
    assert found["advice"]["reasons"]
    assert found["unadvised"] is None
    author = api.get("/entities/Author").json()
    assert author["relations"] == ["articles"]
    assert author["advice"] is None
    assert author["unadvised"] == "Nothing was read so far."


def test_advice_depends_on_how_old_values_may_be(api: Api) -> None:
    api.run(api.cache["Article"].get(1))
    answer = api.get("/entities/Article?staleness=soon")
    assert answer.status_code == 422
    assert "not a duration: 'soon'" in answer.json()["detail"]
    assert api.get("/entities/Article?staleness=30s&may_queue=true").status_code == 200


def test_keys_are_counted_in_memory_where_nobody_samples(make: Callable[..., Api]) -> None:
    api = make(curves=None)
    for number in range(5):
        api.cache["Article"].get(number)
    assert api.get("/entities/Article").json()["keys"] == 5


def test_without_memory_and_samples_there_is_no_advice(
    make: Callable[..., Api], runner: asyncio.Runner
) -> None:
    press = Press()
    smart = SmartCache([DictTier()])
    press.declare(smart)
    smart["Article"].get(1)
    found = Api(smart, create_app(smart), runner, press).get("/entities/Article").json()
    assert found["keys"] is None
    assert "curves=Sampler()" in found["unadvised"]


def test_entities_that_are_not_there_are_named(any_api: Api) -> None:
    answer = any_api.get("/entities/Nothing")
    assert answer.status_code == 404
    assert "'Nothing'" in answer.json()["detail"]
    if any_api.smart:
        assert "expected one of Author, Article, Vote" in answer.json()["detail"]
    else:
        assert any_api.get("/entities").json() == []


def test_an_entry_is_told_tier_by_tier(any_api: Api) -> None:
    any_api.run(any_api.plain.set("a b/ä", "the value", ttl=60, tags=["t"]))
    found = any_api.get("/entries", params={"key": "a b/ä"}).json()
    assert found["key"] == "a b/ä"
    assert found["loading"] is False
    assert [tier["tier"] for tier in found["tiers"]] == ["memory", "redis"]
    for tier in found["tiers"]:
        assert tier["there"] is True
        assert tier["left"] == pytest.approx(60, abs=5)
        assert tier["tags"] == ["t"]
        assert tier["preview"] is None
    assert "the value" not in str(found)
    shown = any_api.get("/entries", params={"key": "a b/ä", "preview": "true"}).json()
    assert {tier["preview"] for tier in shown["tiers"]} == {"'the value'"}
    missing = any_api.get("/entries?key=nothing").json()
    assert [tier["there"] for tier in missing["tiers"]] == [False, False]


def test_looking_counts_for_nobody(any_api: Api) -> None:
    any_api.run(any_api.plain.set("a", 1))
    before = any_api.get("/stats").json()
    for path in ("/entries?key=a", "/entries?key=b&preview=true", "/hot", "/curves", "/export"):
        assert any_api.get(path).status_code == 200
    assert any_api.get("/stats").json() == before
    assert any_api.get("/hot").json() == []


def test_hot_keys_come_hottest_first(any_api: Api) -> None:
    for key, times in {"warm": 2, "hot": 5, "cold": 1}.items():
        for _ in range(times):
            any_api.run(any_api.plain.get(key, None))
    found = any_api.get("/hot").json()
    assert [(each["key"], each["least"], each["most"]) for each in found] == [
        ("hot", 5, 5),
        ("warm", 2, 2),
        ("cold", 1, 1),
    ]
    assert len(any_api.get("/hot?most=1").json()) == 1
    assert any_api.get("/hot?most=0").status_code == 422


def test_curves_are_told_for_all_and_for_each_entity(api: Api) -> None:
    for number in range(300):
        api.run(api.cache["Article"].get(number % 150))
    (found,) = api.get("/curves").json()["caches"].values()
    assert list(found["groups"]) == ["Article"]
    total = found["total"]
    assert total["size"] == 100
    assert total["requests"] == 300
    assert total["points"][0] == {"size": 0, "misses": 1.0}
    assert total["points"][-1]["misses"] == pytest.approx(0.5)
    assert total["twice"].startswith("With 200 entries instead of 100, 50.0 %")


def test_what_is_not_sampled_has_no_curve(make: Callable[..., Api]) -> None:
    api = make(curves=None, hot_keys=0)
    assert api.get("/curves").json() == {"caches": {}}
    assert api.get("/hot").json() == []


def test_exports_say_what_statistics_say(any_api: Api) -> None:
    any_api.run(any_api.plain.set("a", 1))
    any_api.run(any_api.plain.get("a"))
    assert any_api.get("/export").json() == any_api.get("/stats").json()
    answer = any_api.get("/export?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows["(direct)"]["memory_hits"] == rows["total"]["memory_hits"] == "1"
    metrics = any_api.get("/export?format=prometheus")
    families = {each.name: each for each in text_string_to_metric_families(metrics.text)}
    hits = {
        (sample.labels["function"], sample.labels["tier"]): sample.value
        for sample in families["labkit_cache_hits"].samples
    }
    assert hits["", "memory"] == 1
    labels = {sample.labels["cache"] for sample in families["labkit_cache_hits"].samples}
    assert labels == {any_api.cache.namespace}  # as an application that shows them itself has it
    assert any_api.get("/export?format=xml").status_code == 422


# --- Invalidating


def there(api: Api, key: str) -> list[bool]:
    return [tier["there"] for tier in api.get("/entries", params={"key": key}).json()["tiers"]]


def test_a_key_a_tag_and_a_prefix_are_dropped(any_api: Api) -> None:
    for body, gone, stays in (
        ({"key": "a:1"}, ["a:1"], ["a:2", "b:1"]),
        ({"tag": "t"}, ["a:1", "b:1"], ["a:2"]),
        ({"prefix": "a:"}, ["a:1", "a:2"], ["b:1"]),
        ({"all": True}, ["a:1", "a:2", "b:1"], []),
    ):
        for key, tags in {"a:1": ["t"], "a:2": [], "b:1": ["t"]}.items():
            any_api.run(any_api.plain.set(key, 1, tags=tags))
        answer = any_api.post("/invalidations", body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["owed"] == {}
        assert len(answer.json()["caches"]) == 1
        for key in gone:
            assert there(any_api, key) == [False, False], (body, key)
        for key in stays:
            assert there(any_api, key) == [True, True], (body, key)


def test_an_entity_takes_along_what_it_makes_old(api: Api) -> None:
    authors = api.cache["Author"]
    api.run(authors.get(1))
    api.run(authors.related(1, "articles"))
    lists = authors.lists["articles"].key(1)
    assert there(api, lists) == [True, True]
    body: dict[str, Any] = {"entity": {"name": "Author", "id": "1"}}  # a text stands for a number
    assert api.post("/invalidations", body).status_code == 200
    assert there(api, authors.key(1)) == there(api, lists) == [False, False]


def test_an_id_of_several_fields_is_a_list(api: Api) -> None:
    votes = api.cache["Vote"]
    api.run(votes.get((1, "ada")))
    body: dict[str, Any] = {"entity": {"name": "Vote", "id": [1, "ada"]}}
    assert api.post("/invalidations", body).status_code == 200
    assert there(api, votes.key((1, "ada"))) == [False, False]
    for wrong in (1, [1], [1, "ada", 2]):
        answer = api.post("/invalidations", {"entity": {"name": "Vote", "id": wrong}})
        assert answer.status_code == 422
        assert "a list of 2: article, voter" in answer.json()["detail"]


@pytest.mark.parametrize("kind", [Cache, AsyncCache])
def test_a_plain_cache_knows_entities_by_their_tags(make: Callable[..., Api], kind: Any) -> None:
    from labkit.cache.targets import entity

    api = make(kind)
    api.run(api.cache.set("page", 1, tags=[str(entity("author", 4))]))
    assert api.post("/invalidations", {"entity": {"name": "author", "id": 4}}).status_code == 200
    assert there(api, "page") == [False, False]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "got nothing; expected exactly one"),
        ({"key": "a", "tag": "b"}, "got key, tag; expected exactly one"),
        ({"key": "a", "all": True}, "got key, all"),
        ({"key": ""}, "body key"),
        ({"key": 7}, "body key"),
        ({"keys": ["a"]}, "body keys"),
        ({"entity": {"name": "Article"}}, "body entity.id"),
        ({"entity": {"name": "Article", "id": 1.5}}, "body entity.id"),
        ({"entity": {"name": "Article", "id": True}}, "body entity.id"),
        ({"entity": {"name": "Article", "id": "x"}}, "'x' is no id of Article"),
        ({"entity": {"name": "Article", "id": [1]}}, "expected id"),
        ([], "body"),
        ("key", "body"),
    ],
)
def test_what_makes_no_sense_drops_nothing(api: Api, body: Any, says: str) -> None:
    api.run(api.cache["Article"].get(1))
    answer = api.post("/invalidations", body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert there(api, "Article:1") == [True, True]


def test_entities_that_nobody_has_declared_are_not_dropped_in_silence(api: Api) -> None:
    answer = api.post("/invalidations", {"entity": {"name": "Artikel", "id": 1}})
    assert answer.status_code == 404


def test_a_body_that_is_no_json_or_too_large_is_refused(api: Api) -> None:
    assert api("POST", "/invalidations", content=b"{").status_code == 422
    large = api("POST", "/invalidations", content=b" " * (MOST_BYTES + 1))
    assert large.status_code == 413
    assert api("PUT", "/invalidations").status_code == 405

    async def chunks() -> Any:
        yield b"{}"

    assert api("POST", "/invalidations", content=chunks()).status_code == 411


def test_a_store_that_is_away_is_told_of(runner: asyncio.Runner) -> None:
    tier = Failing(DictTier().open("n"))
    cache = Cache([MemoryTier(), tier])
    api = Api(cache, create_app(cache), runner, Press())
    cache.set("a", 1)
    tier.down = True
    answer = api.post("/invalidations", {"key": "a"})
    assert answer.status_code == 200
    assert answer.json()["owed"] == {"failing": 1}
    tiers = api.get("/entries?key=a").json()["tiers"]
    assert [tier["there"] for tier in tiers] == [False, None]


def test_a_key_is_dropped_where_it_is_kept(runner: asyncio.Runner) -> None:
    press = Press()
    smart = SmartCache({"near": MemoryTier(), "far": DictTier()})
    press.declare(smart, policy=Policy(tiers=["near"]))
    api = Api(smart, create_app(smart), runner, press)
    smart["Article"].get(1)
    smart["Author"].get(1)
    assert api.get("/entries?key=Article:1").json()["tiers"][0]["there"]
    assert api.post("/invalidations", {"key": "Article:1"}).json()["caches"] == ["near"]
    assert not api.get("/entries?key=Article:1").json()["tiers"][0]["there"]
    assert api.post("/invalidations", {"key": "Author:1"}).json()["caches"] == ["near+far"]
    assert api.post("/invalidations", {"all": True}).json()["caches"] == ["near+far", "near"]
    assert [each["tiers"] for each in api.get("/entities").json()][:2] == [
        ["memory", "dict"],
        ["memory"],
    ]


# --- Warming


def test_ids_are_warmed_and_what_is_there_is_not_loaded_again(api: Api) -> None:
    answer = api.post("/warmings", {"entity": "Article", "ids": [1, "2", 3, 3], "batch": 10})
    found = answer.json()
    assert (found["done"], found["skipped"], found["failed"]) == (3, 1, 0)
    assert found["complete"] is True
    assert found["stopped"] is None
    assert api.press.loaded == [("Article", number) for number in (1, 2, 3)]
    assert there(api, "Article:2") == [True, True]
    api.post("/warmings", {"entity": "Article", "ids": [1, 2, 3, 4]})
    assert api.press.loaded[3:] == [("Article", 4)]


@pytest.mark.parametrize("kind", [SmartCache, AsyncSmartCache])
def test_ids_come_from_the_file_that_the_policy_names(
    make: Callable[..., Api], tmp_path: Path, kind: Any
) -> None:
    path = tmp_path / "ids"
    path.write_text("# the most read\n7\n8\n", "utf-8")
    api = make(kind, policy=Policy(warm=Warm(keys=str(path))))
    assert api.post("/warmings", {"entity": "Article"}).json()["done"] == 2
    assert api.press.loaded == [("Article", 7), ("Article", 8)]
    path.write_text("7\nno number\n", "utf-8")
    answer = api.post("/warmings", {"entity": "Article"})
    assert answer.status_code == 422
    assert "'no number' is no id of Article" in answer.json()["detail"]
    path.unlink()
    answer = api.post("/warmings", {"entity": "Article"})
    assert answer.status_code == 422
    assert "cannot be read: No such file" in answer.json()["detail"]
    assert str(tmp_path) not in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"entity": "Article"}, 422),
        ({"entity": "Nothing", "ids": [1]}, 404),
        ({"entity": "Article", "ids": ["x"]}, 422),
        ({"entity": "Article", "ids": [1] * 10_001}, 422),
        ({"entity": "Article", "ids": [1], "rate": 0.5}, 422),
        ({"entity": "Article", "ids": [1], "batch": 0}, 422),
        ({"entity": "Article", "ids": [1], "seconds": 61}, 422),
        ({"entity": "Article", "ids": [1], "file": "/etc/passwd"}, 422),
    ],
)
def test_what_makes_no_sense_warms_nothing(api: Api, body: Any, status: int) -> None:
    assert api.post("/warmings", body).status_code == status
    assert api.press.loaded == []


def test_a_source_that_raises_is_told_of_without_its_secrets(api: Api) -> None:
    api.press.broken = True
    answer = api.post("/warmings", {"entity": "Article", "ids": [1]})
    assert answer.status_code == 502
    assert "ConnectionError" in answer.json()["detail"]
    assert "hunter2" not in answer.text


def warmed(clock: FakeClock, ids: list[int], **how: Any) -> tuple[dict[str, Any], Press]:
    import asyncio

    press = Press()
    smart = SmartCache()
    press.declare(smart)
    load = press.source("", lambda id: None).load  # noqa: A006

    def slow(key: Any) -> Article:
        load(key)
        clock.advance(1)
        return Article(key, 1, "")

    smart["Article"].strategy._asked._source.load_many = lambda keys: {k: slow(k) for k in keys}
    what = Warming(entity="Article", ids=list(ids), **how)
    return asyncio.run(Desk(smart, clock).warm(what)), press


def test_warming_ends_when_its_time_is_over() -> None:
    found, press = warmed(FakeClock(0.0), list(range(100)), seconds=30, batch=10)
    assert found["done"] == len(press.loaded) == 30
    assert found["complete"] is False
    assert found["stopped"] == "30 s are over"


def test_a_long_file_is_warmed_as_far_as_is_enough(
    make: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.cache.admin.desk._MOST", 10)
    path = tmp_path / "ids"
    path.write_text("\n".join(map(str, range(11))), "utf-8")
    api = make(policy=Policy(warm=Warm(keys=str(path), batch=4)))
    found = api.post("/warmings", {"entity": "Article", "seconds": 60}).json()
    assert found["complete"] is False
    assert found["done"] == 10
    assert found["stopped"] == "10 ids are enough"
    path.write_text("\n".join(map(str, range(10))), "utf-8")
    assert api.post("/warmings", {"entity": "Article", "seconds": 60}).json()["complete"] is True


# --- Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["key", "tag", "prefix", "entity", "all", "ids", "rate", "batch"])
BODIES = (
    st.dictionaries(FIELDS, JSON, max_size=3)
    | st.fixed_dictionaries({"entity": st.just("Article"), "ids": st.lists(JSON, max_size=3)})
    | st.fixed_dictionaries(
        {"entity": st.fixed_dictionaries({"name": st.just("Article"), "id": JSON})}
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.sampled_from(["/invalidations", "/warmings"]), body=BODIES)
def test_whatever_it_is_sent_it_does_not_break(api: Api, path: str, body: Any) -> None:
    answer = api("POST", path, content=json.dumps(body).encode(errors="replace"))
    assert answer.status_code in (200, 404, 422), answer.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.text(min_size=1, max_size=20, alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_is_a_key(any_api: Api, key: str) -> None:
    any_api.run(any_api.plain.set(key, 1))
    found = any_api.get("/entries", params={"key": key}).json()
    assert found["key"] == key
    assert [tier["there"] for tier in found["tiers"]] == [True, True]
