"""What lesson 00-start-here checks: one practice exercise that the text walks through."""

from __future__ import annotations

from labkit.course.exercise import Outline, Trial

outline = Outline("00-start-here", title="Start here", prefix="start:")

greet = outline.exercise(
    "greet",
    "Store a greeting that expires",
    hints=(
        "Three things in order: put the text together, store it, return it.",
        "`r.set(key, value, ex=60)` stores a value and its time to live in one command. The key "
        'is `f"start:greeting:{name}"`.',
        'The text is `f"Hello, {name}!"`. Keep it in a variable: you need it twice, once for '
        "`r.set(...)` and once for `return`.",
    ),
)


@greet.check("returns the greeting", points=1)
def _returns(trial: Trial) -> None:
    name = trial.word().title()
    got = trial.call(trial.client, name)
    trial.require(
        got is not None,
        "Your function returns nothing: storing the text is not enough, `return` it as well.",
    )
    trial.equal(got, f"Hello, {name}!")


@greet.check("stores the greeting under start:greeting:<name>", points=1)
def _stores(trial: Trial) -> None:
    name = trial.word().title()
    trial.call(trial.client, name)
    keys = sorted(trial.another_client().scan_iter())
    trial.require(
        bool(keys), "Nothing is stored. `r.set(key, value, ex=60)` is what sends it to Redis."
    )
    trial.equal(keys, [f"start:greeting:{name}"], "the keys in Redis")
    kind = trial.client.type(keys[0])
    trial.require(kind == "string", f"{keys[0]} is a {kind}; `r.set` stores a text.")
    trial.equal(trial.client.get(keys[0]), f"Hello, {name}!", f"the value of {keys[0]}")


@greet.check("lets the key expire after 60 seconds, set in one command", points=1)
def _expires(trial: Trial) -> None:
    name = trial.word().title()
    trial.call(trial.client, name)
    key = f"start:greeting:{name}"
    trial.require(
        not trial.sent("PX", "60"),
        f"{key} lives 60 ms. `ex` counts seconds and `px` milliseconds: use `ex=60`.",
    )
    left = trial.another_client().pttl(key)
    trial.require(left != -2, f"There is no key {key}.")
    trial.require(
        left != -1, "The key never expires: pass `ex=60` to `r.set`, and Redis removes it for you."
    )
    trial.require(
        50_000 < left <= 60_000, f"{key} lives {left} ms; 60 seconds are 60,000 ms: use `ex=60`."
    )
    trial.one_trip(
        "SET and then EXPIRE are two trips: a crash between them leaves a key that never expires."
    )
