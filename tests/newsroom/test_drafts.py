"""Drafts: whatever comes late or twice, what stays is the latest."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from labkit.newsroom import DatabaseDown, Draft
from tests.cache.crowd import in_threads
from tests.newsroom.conftest import NOW
from tests.scale import SEED, times

if TYPE_CHECKING:
    from labkit.newsroom import Newsroom

THREADS, ROUNDS = 6, 5
LARGEST = 2**63 - 1


class Write(NamedTuple):
    """One write of several, as a cache gives it to a source."""

    key: Any
    value: Any
    version: Any


def draft(key: int, text: str = "Text") -> Draft:
    return Draft(key, "Title", text, NOW)


def write(key: int, text: str | None, version: int) -> Write:
    return Write(key, None if text is None else draft(key, text), version)


def test_a_draft_is_saved_loaded_and_deleted(db: Newsroom) -> None:
    source = db.draft_source
    assert source.returning
    assert source.load(7) is None
    assert source.save(7, draft(7)) == draft(7)
    source.save(10**6, Draft(10**6, "", "", NOW + 0.25))  # of no article yet, and of no text
    assert source.load(7) == draft(7)
    assert source.load_many([10**6, 9, 7]) == db.drafts()
    assert db.drafts() == {7: draft(7), 10**6: Draft(10**6, "", "", NOW + 0.25)}
    assert source.versions([7, 9]) == {7: 1}
    source.save(7, draft(7, "More"))
    source.save(7, draft(7, "More"))
    assert source.versions([7]) == {7: 3}
    source.delete(7)
    source.delete(7)
    source.delete(8)
    assert source.load(7) is None
    assert source.versions([7, 8]) == {}
    assert list(db.drafts()) == [10**6]
    source.save(7, draft(7, "Again"))
    assert source.versions([7]) == {7: 6}


def test_what_is_older_than_what_is_there_is_ignored(db: Newsroom) -> None:
    source = db.draft_source
    source.apply([write(7, "a", 10), write(8, "a", 3)])
    source.apply([write(7, "older", 9), write(7, "the same", 10), write(8, "b", 4)])
    assert source.load_many([7, 8]) == {7: draft(7, "a"), 8: draft(8, "b")}
    assert source.versions([7, 8]) == {7: 10, 8: 4}
    source.save(7, draft(7, "over it"))
    source.apply([write(7, "late", 11)])
    assert source.load(7) == draft(7, "over it")


def test_what_was_deleted_does_not_rise_again(db: Newsroom) -> None:
    source = db.draft_source
    source.apply([write(7, None, 5), write(8, "a", 1)])
    source.apply([write(7, "late", 4), write(8, None, 2), write(8, "late", 1)])
    assert db.drafts() == {}
    source.apply([write(7, "new", 6)])
    assert db.drafts() == {7: draft(7, "new")}


def test_versions_have_the_room_that_they_need(db: Newsroom) -> None:
    source = db.draft_source
    source.apply([write(7, "a", LARGEST - 1), write(8, "a", 1_795_675_058_567 << 20)])
    source.apply([write(7, "b", LARGEST)])
    assert source.versions([7, 8]) == {7: LARGEST, 8: 1_795_675_058_567 << 20}
    with pytest.raises(ValueError, match="draft 7 has the highest version"):
        source.save(7, draft(7, "c"))
    assert source.load(7) == draft(7, "b")


def test_many_writes_are_one_transaction(db: Newsroom) -> None:
    source = db.draft_source
    source.apply([write(key, f"{key}", 1) for key in range(1, 2001)])
    assert db.writes == 1
    assert db.drafts() == {key: draft(key, f"{key}") for key in range(1, 2001)}
    source.apply([])
    source.apply(iter([write(1, "a", 2)]))
    assert db.writes == 2
    with db.counting() as tally:
        assert len(source.load_many(range(1, 2001))) == 2000
        source.versions([1])
        source.load(1)
    assert tally.by_query == {"drafts_of": 2, "draft_versions": 1}


REFUSED: dict[str, Write] = {
    "key is '7'; expected a whole number": Write("7", draft(7), 1),
    "key is True": Write(True, draft(1), 1),
    "key is 0; expected the number of an article": write(0, "a", 1),
    f"key is {10**40}": write(10**40, "a", 1),
    "the value of key 7 is 'Text'; expected a Draft, or None": Write(7, "Text", 1),
    "the key is 7, but the draft is of article 8": Write(7, draft(8), 1),
    "title is None; expected text": Write(7, Draft(7, None, "", 0.0), 1),  # type: ignore[arg-type]
    "body is 'a.x00'; expected text without NUL": write(7, "a\0", 1),
    "saved_at is nan": Write(7, Draft(7, "", "", float("nan")), 1),
    "version is 0; expected a whole number from 1 to": write(7, "a", 0),
    "version is 9223372036854775808": write(7, "a", 2**63),
    "version is 1.5": Write(7, draft(7), 1.5),
    "version is True": Write(7, None, True),
}


@pytest.mark.parametrize("message", REFUSED)
def test_one_write_that_makes_no_sense_refuses_all(db: Newsroom, message: str) -> None:
    refused = REFUSED[message]
    with pytest.raises((TypeError, ValueError), match=message):
        db.draft_source.apply([write(1, "a", 1), refused, write(2, "a", 1)])
    if "version" not in message:
        with pytest.raises((TypeError, ValueError), match=message):
            db.draft_source.save(refused.key, refused.value)
    assert db.drafts() == {}
    assert db.writes == 0


def test_while_the_database_is_down_nothing_is_applied(db: Newsroom) -> None:
    source = db.draft_source
    with db.down():
        for ask in (lambda: source.load(1), lambda: source.apply([write(1, "a", 1)])):
            with pytest.raises(DatabaseDown):
                ask()
    assert db.drafts() == {}


HISTORY = st.dictionaries(
    st.integers(1, 4),
    st.lists(st.none() | st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
    min_size=1,
)


@settings(max_examples=times(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=HISTORY, chance=st.randoms(use_true_random=False), data=st.data())
def test_in_any_order_and_however_often_the_highest_version_of_each_key_stays(
    db: Newsroom, history: dict[int, list[str | None]], chance: Random, data: st.DataObject
) -> None:
    source = db.draft_source
    # Every example begins above the versions of those before it.
    base = 10 * db.writes
    made = [
        write(key, text, base + place + 1)
        for key, texts in history.items()
        for place, text in enumerate(texts)
    ]
    arrives = [*made, *data.draw(st.lists(st.sampled_from(made), max_size=8))]
    chance.shuffle(arrives)
    while arrives:
        size = data.draw(st.integers(1, len(arrives)))
        source.apply(arrives[:size])
        arrives = arrives[size:]
    last = {key: texts[-1] for key, texts in history.items()}
    expected = {key: draft(key, text) for key, text in last.items() if text is not None}
    assert source.load_many(history) == {key: expected[key] for key in history if key in expected}
    versions = {key: base + len(texts) for key, texts in history.items() if key in expected}
    assert source.versions(history) == versions


def test_many_who_apply_the_same_in_other_orders_end_with_the_same(db: Newsroom) -> None:
    keys = range(1, 6)
    made = [write(key, f"{n}", n + 1) for key in keys for n in range(THREADS * ROUNDS)]

    def apply(number: int) -> None:
        random = Random(f"{SEED} {number}")
        for _ in range(ROUNDS):
            db.draft_source.apply(random.sample(made, 20))
        db.draft_source.apply(made[number::THREADS])

    assert in_threads(THREADS, apply) == [None] * THREADS
    assert db.drafts() == {key: draft(key, f"{THREADS * ROUNDS - 1}") for key in keys}


def test_of_many_saves_each_raises_the_version(db: Newsroom) -> None:
    def save(number: int) -> None:
        for round_ in range(ROUNDS):
            db.draft_source.save(7, draft(7, f"{number} {round_}"))

    assert in_threads(THREADS, save) == [None] * THREADS
    assert db.draft_source.versions([7]) == {7: THREADS * ROUNDS}


def test_drafts_and_articles_know_nothing_of_each_other(db: Newsroom) -> None:
    before = db.articles_of([7])[7]
    db.draft_source.save(7, draft(7))
    assert db.articles_of([7])[7] == before
    db.delete_article(7)
    assert db.draft_source.load(7) == draft(7)
    assert msgspec.json.decode(msgspec.json.encode(draft(7)), type=Draft) == draft(7)
