"""Which requests get the same response: those that a plain model calls the same, and no others."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from labkit.cache.keys import LONGEST
from labkit.cache.web.identity import Identity

# Few letters, and what has a meaning in keys and addresses: so that requests nearly meet.
letters = "aA|&=?#%/:. +é,<\x00"
texts = st.text(letters, max_size=4)
paths = texts.map(lambda text: f"/{text}")
queries = st.lists(st.tuples(texts.filter(bool), texts), max_size=3)
printable = st.text("aA|&=?#%/:;,<", max_size=4)
headers = st.fixed_dictionaries({}, optional={"accept": printable, "x-own": printable})
asked = st.fixed_dictionaries(
    {
        "path": paths,
        "query": queries,
        "headers": headers,
        "host": st.sampled_from(["a", "b", "a|b"]),
        "scheme": st.sampled_from(["http", "https"]),
    }
)


def page() -> None:
    """A route."""


def article(id: int, kind: str) -> None:  # noqa: A002
    """A route with parameters."""


def request(asks: dict[str, Any]) -> Request:
    """A request, as an ASGI server gives it."""
    named = {"host": asks.get("host", "a")} | asks.get("headers", {})
    return Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": asks.get("scheme", "http"),
            "path": asks.get("path", "/"),
            "query_string": urlencode(asks.get("query", []), quote_via=quote).encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in named.items()],
        }
    )


def model(asks: dict[str, Any], vary: tuple[str, ...]) -> Any:
    """What tells requests apart, said plainly."""
    shown = {k: v.strip() for k, v in asks["headers"].items() if k in vary}
    by_name: dict[str, list[str]] = {}
    for name, value in asks["query"]:
        by_name.setdefault(name, []).append(value)
    return asks["path"], by_name, shown, asks["host"], asks["scheme"]


def identity(function: Any = page, **how: Any) -> Identity:
    vary = dict.fromkeys(how.pop("vary", ("accept",)))
    return Identity(function, **{"key": None, "private": False} | how, vary=vary)


@given(asked, asked, st.sampled_from([(), ("accept",), ("accept", "x-own")]))
def test_two_requests_share_a_key_if_they_are_the_same(
    one: dict[str, Any], other: dict[str, Any], vary: tuple[str, ...]
) -> None:
    keys = [identity(vary=vary).key_of(request(asks), {}) for asks in (one, other)]
    assert (keys[0] == keys[1]) == (model(one, vary) == model(other, vary))


@given(asked, st.data())
def test_one_difference_makes_another_key(asks: dict[str, Any], data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["path", "query", "headers", "host", "scheme"]))
    other = asks | {part: data.draw(asked)[part]}
    vary = ("accept", "x-own")
    keys = [identity(vary=vary).key_of(request(each), {}) for each in (asks, other)]
    assert (keys[0] == keys[1]) == (model(asks, vary) == model(other, vary))


@given(asked, st.permutations(range(3)))
def test_the_order_of_a_query_does_not_count(asks: dict[str, Any], order: list[int]) -> None:
    query = [(name, f"{name}{number}") for number, name in enumerate("abc")]
    turned = asks | {"query": [query[number] for number in order]}
    whole = identity()
    assert whole.key_of(request(asks | {"query": query}), {}) == whole.key_of(request(turned), {})


def test_the_order_of_the_values_of_a_name_counts() -> None:
    one, other = ({"query": [("a", x), ("a", y)]} for x, y in ("12", "21"))
    assert identity().key_of(request(one), {}) != identity().key_of(request(other), {})


def test_a_key_is_read_by_people_and_prefixes() -> None:
    asks = {"path": "/articles/17", "query": [("page", "2"), ("all", "")]}
    key = identity(vary=()).key_of(request(asks), {})
    assert key == "web:/articles/17?all=&page=2|:at=http://a"


@given(st.integers(0, 500), st.integers(0, 500))
def test_long_requests_have_short_keys(one: int, other: int) -> None:
    whole = identity()
    keys = [
        whole.key_of(request({"path": "/x" * n, "headers": {"accept": "y" * n}}), {})
        for n in (one, other)
    ]
    assert max(map(len, keys)) <= LONGEST
    assert (keys[0] == keys[1]) == (one == other)


def test_a_key_of_ones_own() -> None:
    by_template = identity(article, key="{kind}:{id}", vary=())
    asks = {"query": [("utm", "1")], "host": "b"}
    assert by_template.key_of(request(asks), {"id": 17, "kind": "news"}) == "web:news:17|"
    by_function = identity(key=lambda asked: asked.url.path + "#|%", vary=())
    assert by_function.key_of(request({"path": "/a"}), {}) == "web:/a%23|%25|"


@given(st.text(max_size=5), st.text(max_size=5), headers, headers)
def test_texts_of_a_function_are_told_apart(
    one: str, other: str, shown: dict[str, str], also: dict[str, str]
) -> None:
    keys = [
        identity(key=lambda _, text=text: text).key_of(request({"headers": named}), {})
        for text, named in ((one, shown), (other, also))
    ]
    accepts = [named.get("accept", None) for named in (shown, also)]
    same = one == other and accepts[0] == accepts[1]
    assert (keys[0] == keys[1]) == same


def test_readers_are_told_apart_and_not_told() -> None:
    whole = identity(private=True, vary=())
    who: list[dict[str, Any]] = [
        {"headers": {}},
        {"headers": {"authorization": "Bearer secret"}},
        {"headers": {"cookie": "Bearer secret"}},
        {"headers": {"authorization": "Bearer", "cookie": "secret"}},
        {"headers": {"authorization": "Bearer other"}},
    ]
    keys = {whole.key_of(request(asks), {}) for asks in who}
    assert len(keys) == len(who)
    assert not any("secret" in key for key in keys)
    named = identity(private=lambda asked: asked.headers["x-user"], vary=())
    ada, bob = (named.key_of(request({"headers": {"x-user": name}}), {}) for name in ("ada", "bob"))
    assert ada != bob


def test_what_is_said_in_several_ways_is_made_one() -> None:
    vary = {"accept-language": lambda text: text[:2]}
    whole = Identity(page, key=None, vary=vary, private=False)
    keys = [
        whole.key_of(request({"headers": {"accept-language": text}}), {})
        for text in ("en-GB,en;q=0.8", "en-US", "pt")
    ]
    assert keys[0] == keys[1] != keys[2]
