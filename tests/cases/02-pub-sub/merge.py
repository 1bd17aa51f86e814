import heapq
import itertools

from tests.cases import right, wrong


@right
def a_dictionary_and_a_loop(after, missed, heard):
    merged, last = [], after
    for number, body in sorted(dict([*missed, *heard]).items()):
        if number <= after:
            continue
        if number > last + 1:
            merged.append(("gap", last + 1, number - 1))
        merged.append((number, body))
        last = number
    return merged


@right
def pairs_of_neighbours(after, missed, heard):
    messages = sorted({pair for pair in missed + heard if pair[0] > after})
    merged = []
    for (before, _), (number, body) in itertools.pairwise([(after, ""), *messages]):
        gap = [("gap", before + 1, number - 1)] if number - before > 1 else []
        merged += [*gap, (number, body)]
    return merged


@right
def merges_with_a_heap(after, missed, heard):
    merged = []
    for number, body in heapq.merge(sorted(missed), sorted(heard)):
        if number > after + 1:
            merged.append(("gap", after + 1, number - 1))
        if number > after:
            merged.append((number, body))
            after = number
    return merged


@right
def counts_up_number_by_number(after, missed, heard):
    bodies = {number: body for pairs in (missed, heard) for number, body in pairs}
    merged = []
    for number in range(after + 1, max(bodies, default=after) + 1):
        if number in bodies:
            merged.append((number, bodies[number]))
        elif merged and merged[-1][0] == "gap":
            merged[-1] = ("gap", merged[-1][1], number)
        else:
            merged.append(("gap", number, number))
    return merged


@wrong(says="shown once: go by the number")
def joins_the_lists(after, missed, heard):
    return with_gaps(after, sorted(pair for pair in missed + heard if pair[0] > after))


def with_gaps(after, messages):
    merged, last = [], after
    for number, body in messages:
        if number > last + 1:
            merged.append(("gap", last + 1, number - 1))
        merged.append((number, body))
        last = number
    return merged


@wrong(says="is there twice")
def drops_what_was_missed_and_not_what_comes_twice(after, missed, heard):
    known = {number for number, _ in missed}
    rest = [pair for pair in heard if pair[0] not in known]
    return with_gaps(after, sorted(pair for pair in missed + rest if pair[0] > after))


@wrong(says="this is not in the order of the numbers")
def takes_the_line_to_be_in_order(after, missed, heard):
    merged = {}
    for number, body in [*missed, *heard]:
        if number > after:
            merged.setdefault(number, body)
    return list(merged.items())


@wrong(says="and lines deliver late")
def drops_what_comes_late(after, missed, heard):
    merged, last = [], after
    for number, body in [*missed, *heard]:
        if number > last:
            if number > last + 1:
                merged.append(("gap", last + 1, number - 1))
            merged.append((number, body))
            last = number
    return merged


@wrong(says="is lost. Take from both lists")
def takes_what_came_after_the_last_missed(after, missed, heard):
    last = max([after, *(number for number, _ in missed)])
    messages = missed + sorted({pair for pair in heard if pair[0] > last})
    return with_gaps(after, [pair for pair in messages if pair[0] > after])


@wrong(says="or fill a hole in `missed`: sort all of it")
def puts_what_only_the_line_had_at_the_end(after, missed, heard):
    messages = [*missed, *sorted(set(heard) - set(missed))]
    return with_gaps(after, [pair for pair in messages if pair[0] > after])


@wrong(says="people say the same text twice")
def knows_messages_by_their_text(after, missed, heard):
    bodies = {body: number for number, body in [*heard, *missed]}
    messages = sorted((number, body) for body, number in bodies.items() if number > after)
    return with_gaps(after, messages)


@wrong(says="was seen, and")
def takes_in_what_was_seen(after, missed, heard):
    return with_gaps(after, sorted(dict([*missed, *heard]).items()))


@wrong(says="is not named. A room that hides a loss")
def hides_the_gaps(after, missed, heard):
    return sorted({pair for pair in missed + heard if pair[0] > after})


@wrong(says="begin to count at `after`")
def misses_the_gap_behind_after(after, missed, heard):
    messages = sorted({pair for pair in missed + heard if pair[0] > after})
    return with_gaps(messages[0][0] - 1 if messages else after, messages)


@wrong(says="names a number that is not missing")
def names_its_neighbours(after, missed, heard):
    merged, last = [], after
    for number, body in sorted({pair for pair in missed + heard if pair[0] > after}):
        if number > last + 1:
            merged.append(("gap", last, number))
        merged.append((number, body))
        last = number
    return merged


@wrong(says="names a number that is not missing")
def begins_the_gap_too_early(after, missed, heard):
    merged, last = [], after
    for number, body in sorted({pair for pair in missed + heard if pair[0] > after}):
        if number != last + 1:
            merged.append(("gap", last, number - 1))
        merged.append((number, body))
        last = number
    return merged


@wrong(says="numbers that are missing in a row are one gap")
def a_gap_for_each_number(after, missed, heard):
    bodies = dict([*missed, *heard])
    return [
        (number, bodies[number]) if number in bodies else ("gap", number, number)
        for number in range(after + 1, max(bodies, default=after) + 1)
    ]


@wrong(says="expected [(4, 'a'), (5, 'b'), ('gap', 6, 7), (8, 'c')]")
def names_how_many_are_missing(after, missed, heard):
    merged, last = [], after
    for number, body in sorted({pair for pair in missed + heard if pair[0] > after}):
        if number > last + 1:
            merged.append(("gap", number - last - 1))
        merged.append((number, body))
        last = number
    return merged


@wrong(says="names a number that is not missing")
def a_gap_where_nothing_is_missing(after, missed, heard):
    merged, last = [], after
    for number, body in sorted({pair for pair in missed + heard if pair[0] > after}):
        merged.append(("gap", last + 1, number - 1))
        merged.append((number, body))
        last = number
    return merged


@wrong(says="expected [(4, 'a'), (5, 'b'), ('gap', 6, 7), (8, 'c')]")
def gaps_at_the_end(after, missed, heard):
    merged = hides_the_gaps.answer(after, missed, heard)
    gaps = [
        ("gap", a + 1, b - 1)
        for a, b in itertools.pairwise([after, *(number for number, _ in merged)])
        if b - a > 1
    ]
    return merged + gaps


@wrong(says="`missed` after the call")
def adds_to_what_was_missed(after, missed, heard):
    missed += heard
    return with_gaps(after, sorted({pair for pair in missed if pair[0] > after}))


@wrong(says="`heard` after the call")
def sorts_what_was_heard(after, missed, heard):
    heard.sort()
    return with_gaps(after, sorted({pair for pair in missed + heard if pair[0] > after}))


@wrong(says="`heard` after the call")
def takes_what_was_heard_out(after, missed, heard):
    messages = dict(missed)
    while heard:
        number, body = heard.pop()
        messages[number] = body
    return with_gaps(after, sorted(pair for pair in messages.items() if pair[0] > after))


@wrong(says="got None, as from a function that ends without `return`")
def returns_what_sort_returns(after, missed, heard):
    return list({*missed, *heard}).sort()


@wrong(says="a generator runs nothing")
def yields(after, missed, heard):
    yield from with_gaps(after, sorted({pair for pair in missed + heard if pair[0] > after}))


@wrong(says="expected [(")
def lists_in_the_list(after, missed, heard):
    return [list(item) for item in a_dictionary_and_a_loop.answer(after, missed, heard)]


@wrong(says="is lost")
def believes_the_stream_alone(after, missed, heard):
    return with_gaps(after, [pair for pair in missed if pair[0] > after])


@wrong(says="raised")
def the_maximum_of_nothing(after, missed, heard):
    bodies = dict([*missed, *heard])
    return with_gaps(
        after, [(n, bodies[n]) for n in range(after + 1, max(bodies) + 1) if n in bodies]
    )


@wrong(says="expected")
def the_example(after, missed, heard):
    return [(4, "a"), (5, "b"), ("gap", 6, 7), (8, "c")]


@wrong(says="was seen, and")
def takes_all_that_was_missed(after, missed, heard):
    rest = [pair for pair in heard if pair[0] > after]
    return with_gaps(after, sorted(dict([*missed, *rest]).items()))
