from tests.cases import right, wrong


def figures(measured, *names):
    return ", ".join(f"{name}={measured[name]}" for name in names)


def choose(
    measured,
    *,
    unread=lambda m: m["reads"] <= m["writes"],
    queued=lambda m: not m["durable"] and m["stale_s"] >= 1 and m["writes"] * m["load_ms"] >= 500,
    exact=lambda m: m["stale_s"] == 0,
    hot=lambda m: m["reads"] * m["load_ms"] >= 10_000,
    order=(0, 1, 2, 3),
    why=figures,
):
    rules = [
        (unread, "none", ("reads", "writes")),
        (queued, "write-behind", ("writes", "load_ms")),
        (exact, "write-through", ("stale_s", "writes")),
        (hot, "write-through", ("reads", "load_ms")),
    ]
    for place in order:
        holds, strategy, names = rules[place]
        if holds(measured):
            return strategy, why(measured, *names)
    return "read-through", why(measured, "reads", "load_ms")


@right
def a_table_of_rules(measured):
    return choose(measured)


@right
def with_more_words(measured):
    reads, writes, load = (measured[name] for name in ("reads", "writes", "load_ms"))
    stale, durable = measured["stale_s"], measured["durable"]
    if writes >= reads:
        return "none", f"written over before it is read: reads={reads}. (writes={writes})"
    if durable is False and stale >= 1 and writes * (load / 1000) >= 0.5:
        return "write-behind", f"The database is busy; writes={writes}; load_ms={load}."
    if not stale:
        return "write-through", f"nothing old may be seen, stale_s={stale}, with writes={writes}!"
    waiting = f"{reads * load / 1000:.1f} readers wait: reads={reads}, load_ms={load}."
    return ("read-through", "write-through")[reads * (load / 1000) >= 10], waiting


@right
def match_on_what_holds(measured):
    match measured:
        case {"reads": reads, "writes": writes} if reads <= writes:
            return "none", figures(measured, "writes", "reads")
        case {"durable": False, "stale_s": stale, "writes": writes, "load_ms": load} if (
            stale >= 1 and writes * load >= 500
        ):
            return "write-behind", figures(measured, "writes", "load_ms")
        case {"stale_s": 0}:
            return "write-through", figures(measured, "stale_s", "writes")
        case {"reads": reads, "load_ms": load} if reads * load >= 10_000:
            return "write-through", figures(measured, "reads", "load_ms")
    return "read-through", figures(measured, "load_ms", "reads")


@wrong(says="since it is not read more often than it is written")
def caches_what_is_read_as_often_as_written(measured):
    return choose(measured, unread=lambda m: m["reads"] < m["writes"])


@wrong(says="since it is not read more often than it is written")
def always_caches(measured):
    return choose(measured, unread=lambda m: False)


@wrong(says="chose 'write-behind'; expected 'read-through'")
def queues_what_has_to_be_durable(measured):
    return choose(
        measured, queued=lambda m: m["stale_s"] >= 1 and m["writes"] * m["load_ms"] >= 500
    )


@wrong(says="chose 'write-behind'; expected 'read-through'")
def queues_where_the_database_may_not_lag(measured):
    return choose(
        measured,
        queued=lambda m: not m["durable"] and m["writes"] * m["load_ms"] >= 500,
    )


@wrong(says="since the database is busy half of the time")
def needs_more_than_half_of_the_time(measured):
    return choose(
        measured,
        queued=lambda m: (
            not m["durable"] and m["stale_s"] >= 1 and m["writes"] * m["load_ms"] > 500
        ),
    )


@wrong(says="since the database is busy half of the time")
def takes_milliseconds_for_seconds(measured):
    return choose(
        measured,
        queued=lambda m: (
            not m["durable"] and m["stale_s"] >= 1 and m["writes"] * m["load_ms"] >= 500_000
        ),
    )


@wrong(says="chose 'write-behind'; expected 'read-through'")
def counts_writes_alone(measured):
    return choose(
        measured,
        queued=lambda m: not m["durable"] and m["stale_s"] >= 1 and m["writes"] >= 1,
    )


@wrong(says="since nobody may see anything old")
def deletes_where_nothing_old_may_be_seen(measured):
    return choose(measured, exact=lambda m: False)


@wrong(says="since none of the other rules holds")
def takes_a_moment_for_none(measured):
    return choose(measured, exact=lambda m: m["stale_s"] < 1)


@wrong(says="since ten readers come while a load runs")
def lets_ten_readers_wait(measured):
    return choose(measured, hot=lambda m: m["reads"] * m["load_ms"] > 10_000)


@wrong(says="Take the rules in their order")
def the_queue_before_all(measured):
    return choose(measured, order=(1, 0, 2, 3))


@wrong(says="Take the rules in their order")
def hot_keys_before_busy_databases(measured):
    return choose(measured, order=(0, 2, 3, 1))


@wrong(says="did not decide: name")
def names_all_figures(measured):
    return choose(measured, why=lambda m, *names: figures(m, *m))


@wrong(says="who reads it wants to see what the choice hangs on")
def names_without_values(measured):
    return choose(measured, why=lambda m, *names: " and ".join(names))


@wrong(says="who reads it wants to see what the choice hangs on")
def rounds_the_figures(measured):
    def why(measured, *names):
        return ", ".join(f"{name}={int(measured[name])}" for name in names)

    return choose(measured, why=why)


@wrong(says="who reads it wants to see what the choice hangs on")
def always_the_same_two(measured):
    return choose(measured, why=lambda m, *_: figures(m, "reads", "load_ms"))


@wrong(says="expected a pair of texts")
def the_strategy_alone(measured):
    return choose(measured)[0]


@wrong(says="Leave it as it is")
def takes_figures_out(measured):
    result = choose(measured)
    measured.pop("durable")
    return result
