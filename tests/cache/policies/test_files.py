"""Policies in TOML: equal to those made in Python, and all errors at once, each with its line."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.policies import InvalidPolicies, InvalidPolicy, Limits, Policies, Policy, Warm
from tests.cache.policies import drawn

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = """\
[defaults]
ttl = "10m"
jitter = 0.1
limits.at_once = 8

[entity.Article]
strategy = "write-through"
tags = ["site"]

[entity.Article.warm]
rate = 500

[entity.Author]
ttl = "1h"
limits = "none"
"""


def errors(text: str) -> list[InvalidPolicy]:
    with pytest.raises(InvalidPolicies) as caught:
        Policies.read(text)
    return caught.value.errors


def told(text: str) -> list[str]:
    return [f"{error.place.rpartition(':')[2]} {error.where}" for error in errors(text)]


# --- What is read


def test_defaults_hold_for_all_and_entities_differ() -> None:
    policies = Policies.read(EXAMPLE)
    common = Policy(ttl=600, jitter=0.1, limits=Limits(at_once=8))
    article = common.but(strategy="write-through", tags=["site"], warm=Warm(rate=500))
    assert policies["Article"] == article
    assert policies["Author"] == Policy(ttl=3600, jitter=0.1)
    assert policies.defaults == policies.get("Comment") == common
    assert policies.get("Author") == policies["Author"]
    assert list(policies) == ["Article", "Author"]
    assert len(policies) == 2
    assert "Article" in policies
    assert "Comment" not in policies


def test_an_entity_without_a_policy_of_its_own_is_a_key_error() -> None:
    policies = Policies.read(EXAMPLE)
    with pytest.raises(KeyError, match="did you mean 'Article'"):
        policies["article"]
    with pytest.raises(KeyError, match="get"):
        policies["Zzz"]


def test_nothing_is_all_defaults() -> None:
    assert Policies.read("") == Policies() == Policies({}, Policy())
    assert Policies.read("[entity.A]\n") == Policies({"A": Policy()})
    assert Policies() != Policies({"A": Policy()})
    assert Policies() != 3


def test_a_table_changes_the_defaults_of_the_table_and_none_ends_it() -> None:
    policies = Policies.read("""
[defaults.warm]
rate = 5
batch = 7
[entity.A.warm]
rate = "none"
[entity.B]
warm = "none"
[entity.C]
warm = {}
""")
    assert policies["A"].warm == Warm(rate=None, batch=7)
    assert policies["B"].warm is None
    assert policies["C"].warm == Warm(rate=5, batch=7)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_file_is_named_by_a_path_or_by_its_ending(tmp_path: Path, ending: str, mark: str) -> None:
    path = tmp_path / "cache.toml"
    path.write_bytes((mark + EXAMPLE.replace("\n", ending)).encode())
    assert Policies.read(path) == Policies.read(str(path)) == Policies.read(EXAMPLE)
    other = tmp_path / "cache.conf"
    other.write_text(EXAMPLE)
    assert Policies.read(other) == Policies.read(EXAMPLE)
    path.write_bytes(f'# one{ending}[defaults]{ending}ttl = "10x"{ending}'.encode())
    with pytest.raises(InvalidPolicies, match=r'cache\.toml:3: defaults\.ttl is "10x"; expected'):
        Policies.read(path)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Policies.read(tmp_path / "cache.toml")
    with pytest.raises(FileNotFoundError):
        Policies.read("nowhere.toml")
    path = tmp_path / "cache.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPolicies, match=r"the file is no UTF-8.*Save it as UTF-8"):
        Policies.read(path)


@given(document=drawn.documents, seed=st.integers())
def test_a_file_and_python_mean_the_same(document: Any, seed: int) -> None:
    text = drawn.toml(document, random.Random(seed))
    expected: Policies | None = None
    with suppress(InvalidPolicy):
        expected = drawn.policies(document)
    if expected is None:
        assert errors(text)
    else:
        assert Policies.read(text) == expected


# --- What is refused


def test_all_errors_are_told_at_once_in_their_order() -> None:
    text = """\
ttl = 3
[entitys.X]
[defaults]
jitter = "10%"
[entity.Article]
strategy = "write-thru"
"t\\u0074l" = "10x"
warm.bach = 3
tags = [
  "a",  # ttl = 3
  7,
]
[entity.Foo]
limits = { at_once = 3, wiat = 3 }
[entity]
Bar = 3
"""
    assert told(text) == [
        "1 ttl",
        "2 entitys",
        "4 defaults.jitter",
        "6 entity.Article.strategy",
        "7 entity.Article.ttl",
        "8 entity.Article.warm.bach",
        "9 entity.Article.tags",
        "14 entity.Foo.limits.wiat",
        "16 entity.Bar",
    ]
    with pytest.raises(InvalidPolicies) as caught:
        Policies.read(text)
    lines = str(caught.value).splitlines()
    assert len(lines) == 9
    assert lines[4] == (
        'policies:7: entity.Article.ttl is "10x"; expected a duration above 0 such as "10m", "90s" '
        'or "2h5m", or seconds as a number, or None ("none" in a file). The units are d, h, m, s '
        "and ms, the largest first."
    )


@pytest.mark.parametrize(
    ("text", "where", "problem", "fix"),
    [
        ("[entities.A]\nttl = 3", "1 entities", "expected defaults or entity", "mean entity?"),
        ("[default]\nttl = 3", "1 default", "is no table", "Did you mean defaults?"),
        ("[Article]\nttl = 3", "1 Article", "is no table", "Write [entity.Article]"),
        ('["a b"]\nttl = 3', '1 "a b"', "is no table", 'Write [entity."a b"]'),
        ("ttl = 3", "1 ttl", "outside of any table", "below [defaults]"),
        ("[entity]\nttl = 3", "2 entity.ttl", "is 3; expected a table", "below [defaults]"),
        ("\nentity = 3", "2 entity", "is 3; expected a table", "Write [entity.NAME]"),
        ("defaults = 3", "1 defaults", "is 3; expected a table", "Write [defaults]"),
        ("[[entity]]\na = 1", "1 entity", "expected a table", "Write [entity.NAME]"),
        ("[entity.A]\nwarm = true", "2 entity.A.warm", "expected a table", "[entity.A.warm]"),
        ("[defaults]\ntll = 3", "2 defaults.tll", "is no option of a policy", "mean ttl?"),
        ("[defaults.queue]\ndept = 3", "2 defaults.queue.dept", "option of queue", "depth?"),
        ("[entity.A]\nttl = 1979-05-27", "2 entity.A.ttl", "expected a duration", "units"),
        ("[defaults]\nlease = 'none'", "2 defaults.lease", 'is "none"', "units"),
        ("[entity.A]\nwarm = {}\nwarm.x = 1", "3 this", "is no TOML", "toml.io"),
        ("[defaults", "1 this", "is no TOML", 'name that ends in ".toml"'),
        ("a = 3\nb = [\n", "3 this", "is no TOML", "toml.io"),
        ("cache.yaml", "1 this", "is no TOML", 'name that ends in ".toml"'),
    ],
)
def test_a_mistake_is_met_with_its_own_sentence(
    text: str, where: str, problem: str, fix: str
) -> None:
    (error,) = errors(text)
    assert told(text) == [where]
    assert problem in error.problem
    assert fix in error.fix


def test_what_does_not_go_together_is_told_where_it_stands() -> None:
    text = """\
[defaults]
ttl = "1m"
early = 1
[entity.A]
strategy = "cache-aside"
[entity.B]
ttl = "none"
early = 2
[entity.C]
ttl = "none"
[entity.D]
strategy = "write-around"
ttl = "none"
early = 0
[entity.E.queue]
depth = 3
[entity.F]
limits.wait = 3
"""
    assert told(text) == [
        "3 entity.A.early",
        "3 entity.C.early",
        "8 entity.B.early",
        "13 entity.D.ttl",
        "15 entity.E.queue",
        "18 entity.F.limits",
    ]


def test_what_is_wrong_with_the_defaults_is_told_once() -> None:
    text = "[defaults]\nearly = 1\n[entity.A]\n[entity.B]\nttl = 3\n"
    assert told(text) == ["2 defaults.early"]
    text = "[defaults]\nearly = -1\n[entity.A]\n[entity.B]\nttl = -3\n"
    assert told(text) == ["2 defaults.early", "5 entity.B.ttl"]


def test_what_is_missing_is_told_at_its_table() -> None:
    text = "\n[defaults]\n\n[entity.A]\njitter = 0.1\nstrategy = 'write-around'\n"
    assert told(text) == ["4 entity.A.ttl"]
    text = "\n[defaults]\nstrategy = 'write-around'\n[entity.A]\nttl = 3\n[entity.B]\n"
    assert told(text) == ["2 defaults.ttl"]


# --- Beside other things


def test_a_file_of_keys_lies_beside_the_file_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[defaults.warm]\nkeys = "warm/all.txt"\n[entity.A.warm]\nkeys = "/own.txt"\n'
    (tmp_path / "conf").mkdir()
    path = tmp_path / "conf" / "cache.toml"
    path.write_text(text)
    for found, keys in (
        (Policies.read(path), str(tmp_path / "conf" / "warm" / "all.txt")),
        (Policies.read(path).over({"ttl": 3}), str(tmp_path / "conf" / "warm" / "all.txt")),
        (Policies.read(text), "warm/all.txt"),
    ):
        assert found.defaults.warm == Warm(keys=keys)
        assert found["A"].warm == Warm(keys="/own.txt")
    monkeypatch.chdir(tmp_path)
    assert Policies.read("conf/cache.toml").defaults.warm == Warm(keys="conf/warm/all.txt")


def test_a_start_without_keys_is_of_no_use_but_may_be_said_of_all() -> None:
    assert told("""
[defaults.warm]
on_start = true
[entity.A.warm]
on_start = true
[entity.B.warm]
keys = "none"
on_start = true
""") == ["5 entity.A.warm.on_start", "8 entity.B.warm.on_start"]
    policies = Policies.read("""
[defaults.warm]
on_start = true
[entity.A.warm]
keys = "a.txt"
[entity.B]
ttl = 3
""")
    assert policies["A"].warm == Warm(keys="a.txt", on_start=True)
    assert policies["B"].warm == policies.defaults.warm == Warm()


def test_options_are_given_where_nothing_is_said() -> None:
    options = {"ttl": "1m", "jitter": 0.5}
    text = "[defaults]\njitter = 0.1\n[entity.A]\nttl = 3\n"
    expected = Policies({"A": Policy(ttl=3, jitter=0.1)}, Policy(ttl=60, jitter=0.1))
    assert Policies.read(text, options=options) == Policies.read(text).over(options) == expected
    assert Policies({"A": {"ttl": 3}}, {"jitter": 0.1}).over(options) == expected
    assert expected.over({"early": 1.0}) == expected
