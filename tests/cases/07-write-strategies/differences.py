import re

from tests.cases import right, wrong


def fetch(r, article):
    with r.pipeline() as pipe:
        for order in ("best", "newest"):
            pipe.zrange(f"news:comments:{article}:{order}", 0, -1, withscores=True)
        pipe.get(f"news:comments:{article}:count")
        best, newest, count = pipe.execute()
    return {"best": dict(best), "newest": dict(newest)}, int(count or 0)


def compare(sets, count, comments, *, hidden=False, ghosts=True, scores=True, order=int):
    shown = [c for c in comments if hidden or not c["hidden"]]
    told = []
    for name, field in (("best", "score"), ("newest", "posted_at")):
        expected = {str(c["id"]): float(c[field]) for c in shown}
        found = sets[name]
        for number in sorted({*expected, *(found if ghosts else ())}, key=order):
            if number not in found:
                told.append(f"{name}: {number} is missing")
            elif number not in expected:
                told.append(f"{name}: {number} should not be there")
            elif scores and found[number] != expected[number]:
                told.append(
                    f"{name}: {number} has {found[number]:.15g}, expected {expected[number]:.15g}"
                )
    if count != len(shown):
        told.append(f"count: {count}, expected {len(shown)}")
    return told


@right
def one_pipeline(r, article, comments):
    return compare(*fetch(r, article), comments)


@right
def one_transaction_and_ranges_by_score(r, article, comments):
    pipe = r.pipeline(transaction=True)
    for order in ("best", "newest"):
        pipe.zrangebyscore(f"news:comments:{article}:{order}", "-inf", "+inf", withscores=True)
    pipe.get(f"news:comments:{article}:count")
    best, newest, count = pipe.execute()
    sets = {"best": dict(best), "newest": dict(newest)}
    return compare(sets, int(count) if count else 0, comments)


@wrong(says="Hidden comments belong in no view")
def expects_hidden_ones(r, article, comments):
    return compare(*fetch(r, article), comments, hidden=True)


@wrong(says="Look from both sides")
def looks_for_rows_only(r, article, comments):
    return compare(*fetch(r, article), comments, ghosts=False)


@wrong(says="Compare the figures too")
def compares_members_only(r, article, comments):
    return compare(*fetch(r, article), comments, scores=False)


@wrong(says="in the order of numbers")
def orders_ids_as_texts(r, article, comments):
    return compare(*fetch(r, article), comments, order=str)


@wrong(says="A pipeline carries the three questions")
def asks_for_each_comment(r, article, comments):
    for comment in comments:
        r.zscore(f"news:comments:{article}:best", comment["id"])
    return compare(*fetch(r, article), comments)


@wrong(says="A checker tells; a rebuild repairs")
def repairs_the_count(r, article, comments):
    sets, count = fetch(r, article)
    told = compare(sets, count, comments)
    shown = sum(not comment["hidden"] for comment in comments)
    script = "redis.call('SET', KEYS[1], ARGV[1])"
    if told:
        r.eval(script, 1, f"news:comments:{article}:count", shown)
    return told


@wrong(says="A count that is missing counts as 0")
def takes_a_missing_count_for_right(r, article, comments):
    with r.pipeline() as pipe:
        for order in ("best", "newest"):
            pipe.zrange(f"news:comments:{article}:{order}", 0, -1, withscores=True)
        pipe.get(f"news:comments:{article}:count")
        best, newest, count = pipe.execute()
    shown = sum(not comment["hidden"] for comment in comments)
    sets = {"best": dict(best), "newest": dict(newest)}
    return compare(sets, shown if count is None else int(count), comments)


@wrong(says="Your function leaves news:checked behind")
def notes_that_it_was_here(r, article, comments):
    told = compare(*fetch(r, article), comments)
    r.set("news:checked", len(told))
    return told


@wrong(says="Compare the figures too")
def rounds_the_times(r, article, comments):
    rounded = (
        re.sub(r"\d{7,}", lambda found: f"{int(found[0]):g}", told)
        for told in compare(*fetch(r, article), comments)
    )
    return [*rounded]
