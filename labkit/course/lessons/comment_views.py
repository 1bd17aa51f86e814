"""What lesson 07 checks of views of comments: kept up by states, and compared with a recount."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from labkit.course.lessons.lesson_07_write_strategies import outline

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from labkit.course.exercise import Trial

    State = dict[str, Any]

_ORDERS = {"best": "score", "newest": "posted_at"}

# -- keep the views up ---------------------------------------------------------------------------

show_comment = outline.exercise(
    "show_comment",
    "Bring the views up to date",
    hints=(
        "Three questions, in this order. Is the state newer than what the hash has? Was the "
        "comment in the views before? Is it in them now? The count changes only where the last two "
        "answers differ.",
        "Between a look and a write somebody else may apply a newer state, so look and write in "
        "one step: a Lua script with `r.eval(script, number_of_keys, *keys, *arguments)`. In it, "
        "`redis.call('HGET', KEYS[1], 'version')` is false where there is none, and texts become "
        "numbers with `tonumber`.",
        "`ZADD` answers how many members are new and `ZREM` how many went, so the count follows "
        "from either: `INCRBY count` with what ZADD to one of the sets answered, or `DECRBY` with "
        "what ZREM did. Before that, return where the version is not higher; at the end HSET it.",
    ),
)


def _comment(trial: Trial, article: int, number: int) -> State:
    """A comment that readers see, in its first version."""
    return {
        "id": number,
        "article": article,
        "score": trial.rng.randrange(-5, 50),
        "posted_at": 1_790_000_000 + trial.rng.randrange(100_000),
        "hidden": False,
        "version": 1,
    }


def _later(trial: Trial, state: State) -> State:
    """A later state of a comment."""
    changed = {**state, "version": state["version"] + trial.rng.randrange(1, 9)}
    if trial.rng.random() < 0.4:
        changed["hidden"] = not state["hidden"]
    else:
        changed["score"] = state["score"] + trial.rng.choice([-1, 1, 12])
    return changed


def _set(article: int, order: str) -> str:
    return f"news:comments:{article}:{order}"


def _counted(article: int) -> str:
    return f"news:comments:{article}:count"


class _Views:
    """What stands in Redis, as somebody else sees it."""

    def __init__(self, trial: Trial) -> None:
        self.client: redis.Redis = trial.another_client()

    def of(self, article: int) -> tuple[dict[str, dict[str, float]], str | None]:
        """The members of both sets with their scores, and the count."""
        sets: dict[str, dict[str, float]] = {
            order: dict(self.client.zrange(_set(article, order), 0, -1, withscores=True))  # type: ignore[arg-type]
            for order in _ORDERS
        }
        return sets, self.client.get(_counted(article))  # type: ignore[return-value]

    def apply(self, state: State) -> None:
        """Apply a state of a comment, unless a newer one stands; nothing else is written."""
        key, article = f"news:comment:{state['id']}", state["article"]
        if int(self.client.hget(key, "version") or 0) >= state["version"]:
            return
        shown = self.client.zscore(_set(article, "best"), str(state["id"])) is not None
        pipe = self.client.pipeline(transaction=True)
        for order, field in _ORDERS.items():
            if state["hidden"] and shown:
                pipe.zrem(_set(article, order), state["id"])
            elif not state["hidden"] and self._differs(article, order, state, field):
                pipe.zadd(_set(article, order), {str(state["id"]): state[field]})
        if shown == state["hidden"]:
            pipe.incrby(_counted(article), -1 if shown else 1)
        pipe.hset(key, "version", state["version"])
        pipe.execute()

    def _differs(self, article: int, order: str, state: State, field: str) -> bool:
        return self.client.zscore(_set(article, order), str(state["id"])) != float(state[field])


def _expected(states: list[State]) -> dict[str, dict[str, float]]:
    shown = [state for state in states if not state["hidden"]]
    return {
        order: {str(state["id"]): float(state[field]) for state in shown}
        for order, field in _ORDERS.items()
    }


def _are_right(trial: Trial, views: _Views, states: list[State], what: str, why: str) -> None:
    """Demand that the views of one article are those of these states, the newest of each."""
    article = states[0]["article"]
    sets, count = views.of(article)
    expected = _expected(states)
    for order in _ORDERS:
        trial.equal(
            sets[order], expected[order], f"{_set(article, order)} after {what}", advice=why
        )
    number = len(expected["best"])
    trial.require(
        (count or "0") == str(number),
        f"After {what} {_counted(article)} is {count!r}; expected {number}. {why}",
    )


@show_comment.check("a new comment is in both sets, and counted", points=1)
def _shows(trial: Trial) -> None:
    views, article = _Views(trial), trial.rng.randrange(1, 10_000)
    states = [_comment(trial, article, number) for number in trial.rng.sample(range(1, 999), 4)]
    for state in states:
        trial.call(trial.client, copy.deepcopy(state))
    _are_right(trial, views, states, "four new comments", "Members are ids.")
    hidden = {**_comment(trial, article, 1_000), "hidden": True}
    trial.call(trial.client, copy.deepcopy(hidden))
    _are_right(
        trial, views, [*states, hidden], "one that is hidden from the start", "Nobody sees it."
    )


@show_comment.check("a newer state moves, hides or shows it again; the count follows", points=1)
def _moves(trial: Trial) -> None:
    views, article = _Views(trial), trial.rng.randrange(1, 10_000)
    other, state = _comment(trial, article, 1), _comment(trial, article, 2)
    for each in (other, state):
        trial.call(trial.client, copy.deepcopy(each))
    for what, changes in (
        ("a vote", {"score": state["score"] + 7}),
        ("hiding", {"hidden": True}),
        ("a vote while hidden", {"hidden": True, "score": state["score"] + 9}),
        ("showing again", {"hidden": False, "score": state["score"] + 9}),
    ):
        state = {**state, **changes, "version": state["version"] + 1}
        trial.call(trial.client, copy.deepcopy(state))
        _are_right(
            trial,
            views,
            [other, state],
            what,
            "The count changes only when a comment comes into the sets or leaves them.",
        )


@show_comment.check("states may come late, twice, and in any order", points=1.5)
def _converges(trial: Trial) -> None:
    views, article = _Views(trial), trial.rng.randrange(1, 10_000)
    latest, history = [], []
    for number in range(1, 5):
        state = _comment(trial, article, number)
        history.append(state)
        for _ in range(4):
            state = _later(trial, state)
            history.append(state)
        latest.append(state)
    arriving = history + trial.rng.choices(history, k=6)
    trial.rng.shuffle(arriving)
    voted, spam = _comment(trial, article, 5), _comment(trial, article, 6)
    final = {**voted, "score": voted["score"] + 30, "version": 12}
    hidden = {**spam, "hidden": True, "version": 5}
    arriving += [final, {**voted, "score": voted["score"] + 7, "version": 3}]
    arriving.append({**final, "score": final["score"] + 7})  # not above, so not applied
    arriving += [spam, hidden, {**spam, "score": spam["score"] + 1, "version": 2}]
    latest += [final, hidden]
    for state in arriving:
        trial.call(trial.client, copy.deepcopy(state))
    _are_right(
        trial,
        views,
        latest,
        "the states of six comments, shuffled, some of them twice",
        "A state whose version is not above the one in the hash changes nothing. Compare versions "
        "as numbers, and remember that of a hidden comment too.",
    )


@show_comment.check("nobody comes in between", points=1)
def _is_one_step(trial: Trial) -> None:
    views, article = _Views(trial), trial.rng.randrange(1, 10_000)
    shown = _comment(trial, article, 1)
    hidden = {**shown, "hidden": True}
    vote = {**shown, "score": shown["score"] + 2, "version": 3}
    late = {**vote, "score": vote["score"] + 1, "version": 4}
    spam = {**vote, "hidden": True, "version": 5}
    races: list[tuple[State, State, State, str]] = [
        (shown, spam, spam, "hid the comment as spam"),
        (shown, {**shown, "version": 2}, vote, "applied an older state"),
        (shown, {**shown, "version": 5}, {**shown, "version": 5}, "applied a newer state"),
        (hidden, spam, spam, "hid the comment, which was hidden before, once more"),
    ]

    def prepare(first: State) -> None:
        trial.reset()
        trial.call(trial.client, copy.deepcopy(first))

    prepare(shown)
    trial.call(trial.client, copy.deepcopy(vote))
    trips, names = trial.log.round_trips, trial.log.names
    for at in range(2, trips + 1):
        for first, theirs, newest, what in races:
            prepare(first)
            done: list[int] = []

            def rival(
                trip: int, at: int = at, done: list[int] = done, theirs: State = theirs
            ) -> None:
                if trip == at and not done:
                    done.append(trip)
                    views.apply(theirs)

            trial.call(trial.client, copy.deepcopy(vote), before=rival)
            for after in ("", ", and then a late state came"):
                if after and newest["version"] > late["version"]:
                    trial.call(trial.client, copy.deepcopy(late))
                _are_right(
                    trial,
                    views,
                    [newest],
                    f"a vote, between two trips of which somebody else {what}{after}",
                    "Look and write in one step: a script, or WATCH of the hash and MULTI, from "
                    "the beginning again after a WatchError. The version is part of that step.",
                )
    trial.require(
        trips > 1 or len(names) == 1 or "MULTI" in names,
        "Your commands went in one trip, but in no transaction: others may come in between, and "
        "a crash may leave half of them. Use a script.",
    )


_RANGES = {"ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZSCAN"}
_CALL = re.compile(r"""call\s*\(\s*['"](\w+)['"]""")


def _called(trial: Trial) -> Iterator[str]:
    """The commands that were sent, and those that the scripts among them call."""
    for command in trial.log:
        yield command.name
        for text in command.args if command.name in {"EVAL", "SCRIPT"} else ():
            yield from (name.upper() for name in _CALL.findall(text))


@show_comment.check("a state costs the same, however many comments there are", points=0.5)
def _costs_the_same(trial: Trial) -> None:
    article, costs = trial.rng.randrange(1, 10_000), []
    state = _comment(trial, article, 1)
    called: set[str] = set()
    for others in (3, 200):
        trial.reset()
        client = trial.another_client()
        client.script_flush()  # a registered script is then sent as a text that can be read
        ids = range(2, others + 2)
        for order in _ORDERS:
            client.zadd(_set(article, order), {str(number): number for number in ids})
        client.set(_counted(article), others)
        for number in ids:
            client.hset(f"news:comment:{number}", mapping={"version": 1, "article": article})
        trial.call(trial.client, copy.deepcopy(state))
        trial.require(
            client.zscore(_set(article, "best"), "1") is not None,
            f"Comment 1 is not in {_set(article, 'best')}.",
        )
        costs.append((trial.log.round_trips, len(trial.log.names)))
        called.update(_called(trial))
    trial.require(
        costs[0] == costs[1] and not {"KEYS", "SCAN", "SMEMBERS"} & called,
        f"With 3 other comments it took {costs[0][1]} commands, with 200 it took {costs[1][1]}. "
        "Change what the one comment changes, and leave the others alone.",
    )
    whole = sorted(_RANGES & called)
    trial.require(
        not whole,
        f"{', '.join(whole)} reads the view, which grows. What has to be known is the one "
        "comment's old state.",
    )


# -- compare them with a recount -----------------------------------------------------------------

differences = outline.exercise(
    "differences",
    "Compare the views with the truth",
    hints=(
        "Make what the views should be first: a dictionary from id to score for each set, of the "
        "comments that are not hidden, and their number. Then fetch what is there, and compare.",
        "One pipeline asks for all three: `pipe.zrange(key, 0, -1, withscores=True)` twice and "
        "`pipe.get(key)`. Members come as texts, scores as floats, a missing count as None.",
        "For each set go through `sorted({*expected, *found}, key=int)`: an id that is in one of "
        "them only is missing or should not be there, one whose scores differ has the wrong one. "
        "The count is compared last, None as 0.",
    ),
)


def _told(article: int, comments: list[State], views: _Views) -> list[str]:
    """What the answer should say of the views as they stand."""
    sets, count = views.of(article)
    told = []
    for order, expected in _expected(comments).items():
        found = sets[order]
        for number in sorted({*expected, *found}, key=int):
            if number not in found:
                told.append(f"{order}: {number} is missing")
            elif number not in expected:
                told.append(f"{order}: {number} should not be there")
            elif found[number] != expected[number]:
                told.append(
                    f"{order}: {number} has {found[number]:.15g}, expected {expected[number]:.15g}"
                )
    shown = sum(not comment["hidden"] for comment in comments)
    if int(count or 0) != shown:
        told.append(f"count: {int(count or 0)}, expected {shown}")
    return told


class _Scene:
    """An article, its comments, and views that are right at first."""

    def __init__(self, trial: Trial, many: int = 6) -> None:
        self.article = trial.rng.randrange(1, 10_000)
        # Ids of one, of three and of four digits.
        numbers = [trial.rng.randrange(2, 10), *trial.rng.sample(range(100, 9_000), many - 1)]
        self.comments = [_comment(trial, self.article, number) for number in numbers]
        self.comments[1]["hidden"] = True
        self.views = _Views(trial)
        for order, members in _expected(self.comments).items():
            self.views.client.zadd(_set(self.article, order), members)
        self.views.client.set(_counted(self.article), len(_expected(self.comments)["best"]))

    @property
    def told(self) -> list[str]:
        return _told(self.article, self.comments, self.views)


def _compare(trial: Trial, scene: _Scene) -> Any:
    return trial.call(trial.client, scene.article, copy.deepcopy(scene.comments))


@differences.check("views that are right have none", points=0.5)
def _finds_nothing(trial: Trial) -> None:
    scene = _Scene(trial)
    trial.equal(
        _compare(trial, scene), [], advice="Hidden comments belong in no view, and are not counted."
    )
    trial.reset()
    trial.equal(
        trial.call(trial.client, scene.article, []), [], "what nothing and no comments differ in"
    )


@differences.check("finds what is missing, and what should not be there", points=1)
def _finds_members(trial: Trial) -> None:
    for order in _ORDERS:
        scene = _Scene(trial)
        hidden = scene.comments[1]
        for comment in (scene.comments[0], trial.rng.choice(scene.comments[2:])):
            scene.views.client.zrem(_set(scene.article, order), comment["id"])
        ghosts = {str(10_000 + trial.rng.randrange(900)): 1, str(hidden["id"]): 3}
        scene.views.client.zadd(_set(scene.article, order), ghosts)
        trial.equal(
            _compare(trial, scene),
            scene.told,
            advice="Look from both sides: for what the database has, and for what the view has. "
            "Ids are in the order of numbers.",
        )
        trial.reset()


@differences.check("finds wrong scores, times and counts", points=1)
def _finds_figures(trial: Trial) -> None:
    scene = _Scene(trial)
    client = scene.views.client
    shown = [comment for comment in scene.comments if not comment["hidden"]]
    for order in _ORDERS:
        one = trial.rng.choice(shown)
        client.zincrby(_set(scene.article, order), 2, str(one["id"]))
    client.incr(_counted(scene.article))
    trial.equal(_compare(trial, scene), scene.told, advice="Compare the figures too.")
    client.delete(_counted(scene.article))
    trial.equal(_compare(trial, scene), scene.told, advice="A count that is missing counts as 0.")


@differences.check("asks once, and changes nothing", points=0.5)
def _asks_once(trial: Trial) -> None:
    scene = _Scene(trial, 40)
    scene.views.client.incr(_counted(scene.article))
    client = scene.views.client
    before, keys = scene.views.of(scene.article), {*client.scan_iter()}
    told = scene.told
    trial.equal(_compare(trial, scene), told)
    trial.require(
        scene.views.of(scene.article) == before,
        "Your function has changed the views. A checker tells; a rebuild repairs.",
    )
    extra = sorted({*client.scan_iter()} - keys)
    trial.require(not extra, f"Your function leaves {', '.join(extra[:3])} behind.")
    trial.one_trip("A pipeline carries the three questions, however many comments there are.")
