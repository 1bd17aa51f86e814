"""Policies drawn at random, each as Python has it and as a file does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st

from labkit.cache.policies import Limits, Policies, Policy, Queue, Warm

if TYPE_CHECKING:
    from collections.abc import Mapping

STRATEGIES = [
    "read-through",
    "cache-aside",
    "refresh-ahead",
    "write-through",
    "write-around",
    "write-behind",
]
PARTS = {"warm": Warm, "limits": Limits, "queue": Queue}

times = st.one_of(
    st.integers(1, 10**6),
    st.floats(0.001, 1e6),
    st.sampled_from(["250ms", "30s", "10m", "2h5m", "1.5h", "1d", "90"]),
)
or_none = st.none()
shares = st.floats(0, 0.99)
texts = st.text(min_size=1, max_size=8).filter(lambda text: "\0" not in text and text.isprintable())
lists = st.lists(texts, max_size=3, unique=True)
paths = texts.filter(lambda text: text != "none")

OPTIONS: dict[str, Any] = {
    "strategy": st.sampled_from(STRATEGIES),
    "ttl": times | or_none,
    "jitter": shares,
    "negative_ttl": times | or_none | st.sampled_from(["same", 0]),
    "stale_while_revalidate": times | st.just(0),
    "stale_if_error": times | st.just(0),
    "refresh_ahead": shares,
    "early": st.floats(0, 10) | st.integers(0, 3),
    "tiers": lists,
    "serializer": st.sampled_from(["msgpack", "json", "raw"]),
    "compress_over": st.integers(0, 10**6) | or_none,
    "copy": st.booleans(),
    "lease": times,
    "tags": lists,
    "warm": st.fixed_dictionaries(
        {},
        optional={
            "keys": paths | or_none,
            "rate": st.floats(0.1, 1e6) | or_none,
            "batch": st.integers(1, 1000),
            "on_start": st.booleans(),
        },
    ),
    "limits": st.fixed_dictionaries(
        {},
        optional={
            "at_once": st.integers(1, 100) | or_none,
            "wait": times | st.just(0),
            "timeout": times | or_none,
            "coalesce": st.integers(1, 100) | or_none,
        },
    ),
    "queue": st.fixed_dictionaries(
        {},
        optional={
            "depth": st.integers(1, 10**6),
            "wait": times,
            "batch": st.integers(1, 5000),
            "attempts": st.integers(1, 9),
            "ownership": times,
        },
    ),
}

options = st.fixed_dictionaries({}, optional=OPTIONS)
"""The options of a policy, of which some may not go together."""

names = texts | st.sampled_from(["Article", "Author", "a.b", "none", "", "ttl", "warm"])
documents = st.tuples(options, st.dictionaries(names, options, max_size=3))
"""What a file says: the options of all, and of some entities."""


def policy(options: Mapping[str, Any]) -> Policy:
    """The policy as Python makes it."""
    given = {name: each for name, each in options.items() if name in PARTS}
    parts = {name: PARTS[name](**each) for name, each in given.items()}
    return Policy(**dict(options) | parts)


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with the options of an entity over them."""
    both = dict(defaults) | dict(own)
    for name in PARTS:
        if own.get(name) is not None and defaults.get(name) is not None:
            both[name] = defaults[name] | own[name]
    return both


def policies(document: Any) -> Policies:
    """The policies of a file as Python makes them."""
    defaults, entities = document
    return Policies(
        {name: policy(apt(merged(defaults, own), own)) for name, own in entities.items()},
        policy(apt(defaults, {})),
    )


def apt(options: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The options without a start that is said of all entities, where it has no keys."""
    warm = options.get("warm") or {}
    if warm.get("keys") is not None or "on_start" in own.get("warm", {}):
        return dict(options)
    return dict(options) | ({"warm": dict(warm) | {"on_start": False}} if warm else {})


def value(given: Any) -> str:
    """A value in TOML."""
    if given is None:
        return '"none"'
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, str):
        return json.dumps(given, ensure_ascii=False)  # what TOML wants escaped, JSON does
    if isinstance(given, list):
        return f"[{', '.join(map(value, given))}]"
    if isinstance(given, dict):
        return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in given.items()) + " }"
    return repr(given)


def toml(document: Any, style: Any) -> str:
    """The same as a file, with tables written in one of the ways that there are."""
    defaults, entities = document
    tables = {"defaults": defaults}
    tables |= {f"entity.{json.dumps(name)}": own for name, own in entities.items()}
    written = []
    for table, own in tables.items():
        below = []
        written.append(f"[{table}]")
        for name, given in own.items():
            how = style.choice(["inline", "table", "dotted"]) if isinstance(given, dict) else ""
            if how == "table" or (how == "dotted" and not given):
                below.append(f"[{table}.{name}]")
                below += [f"{key} = {value(each)}" for key, each in given.items()]
            elif how == "dotted":
                written += [f"{name}.{key} = {value(each)}" for key, each in given.items()]
            else:
                written.append(f"{name} = {value(given)}")
        written += below
    return "\n".join(written) + "\n"
