from collections import defaultdict

from tests.cases import right, wrong


def closure(kinds, kinds_of, whole):
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if kind not in whole:
            whole.add(kind)
            waiting.extend(kinds_of(kind))


def levels(
    kind,
    number,
    shown_by,
    kinds_of,
    most,
    *,
    known_of=lambda known, kind: known[kind],
    ask=lambda shown_by, kind, ids: [shown_by(kind, ids)],
    over=lambda known, most: [kind for kind in known if len(known[kind]) > most],
    grow=closure,
    goes_on=lambda ids, kind, whole: ids and kind not in whole,
    told=lambda ids, kind, whole: kind not in whole,
):
    known, whole = defaultdict(set, {kind: {number}}), set()
    level = {kind: {number}}
    while level:
        found = defaultdict(set)
        for each, ids in level.items():
            for answer in ask(shown_by, each, ids):
                for other, shown in answer.items():
                    found[other] |= shown - known_of(known, other)
        for other, ids in found.items():
            known[other] |= ids
        grow(over(known, most), kinds_of, whole)
        level = {each: ids for each, ids in found.items() if goes_on(ids, each, whole)}
    return {each: ids for each, ids in known.items() if ids and told(ids, each, whole)}, whole


@right
def level_by_level(kind, number, shown_by, kinds_of, most):
    return levels(kind, number, shown_by, kinds_of, most)


@right
def pairs_and_lists(kind, number, shown_by, kinds_of, most):
    seen, whole, level = {(kind, number)}, set(), [(kind, number)]
    while level:
        by_kind = {}
        for each, number in level:
            by_kind.setdefault(each, []).append(number)
        level = []
        for each, numbers in by_kind.items():
            if each in whole:
                continue
            for other, shown in shown_by(each, tuple(numbers)).items():
                level += [(other, one) for one in shown if (other, one) not in seen]
                seen.update((other, one) for one in shown)
            counts = defaultdict(int)
            for other, _ in seen:
                counts[other] += 1
            closure([other for other, count in counts.items() if count > most], kinds_of, whole)
        level = [(other, one) for other, one in dict.fromkeys(level) if other not in whole]
    ids = {}
    for each, number in seen:
        if each not in whole:
            ids.setdefault(each, set()).add(number)
    return ids, whole


@wrong(says="more than once: keep what is known")
def forgets_what_it_has_asked(kind, number, shown_by, kinds_of, most):
    ids, whole = levels(kind, number, shown_by, kinds_of, most)
    for each in ids:
        shown_by(each, ids[each])
    return ids, whole


@wrong(says="ids of")
def one_level_only(kind, number, shown_by, kinds_of, most):
    ids = {kind: {number}}
    for other, shown in shown_by(kind, {number}).items():
        if shown:
            ids[other] = ids.get(other, set()) | shown
    whole = set()
    closure([each for each in ids if len(ids[each]) > most], kinds_of, whole)
    return {each: ids[each] for each in ids if each not in whole}, whole


@wrong(says="ids of")
def takes_a_number_for_an_entity(kind, number, shown_by, kinds_of, most):
    def known_of(known, _):
        return set().union(*known.values())

    return levels(kind, number, shown_by, kinds_of, most, known_of=known_of)


@wrong(says="use a loop")
def calls_itself(kind, number, shown_by, kinds_of, most):
    known, whole = defaultdict(set, {kind: {number}}), set()

    def go(level):
        found = defaultdict(set)
        for each, ids in level.items():
            for other, shown in shown_by(each, ids).items():
                found[other] |= shown - known[other]
        for other, ids in found.items():
            known[other] |= ids
        closure([each for each in known if len(known[each]) > most], kinds_of, whole)
        rest = {each: ids for each, ids in found.items() if ids and each not in whole}
        if rest:
            go(rest)

    go({kind: {number}})
    return {each: ids for each, ids in known.items() if ids and each not in whole}, whole


@wrong(says="Each call is a query")
def asks_about_each_entity(kind, number, shown_by, kinds_of, most):
    def ask(shown_by, kind, ids):
        return [shown_by(kind, {each}) for each in ids]

    return levels(kind, number, shown_by, kinds_of, most, ask=ask)


@wrong(says="Each call is a query")
def depth_first(kind, number, shown_by, kinds_of, most):
    known, whole = defaultdict(set, {kind: {number}}), set()
    waiting = [(kind, {number})]
    while waiting:
        each, ids = waiting.pop()
        if each in whole:
            continue
        for other, shown in shown_by(each, ids).items():
            new = shown - known[other]
            known[other] |= new
            closure([k for k in known if len(known[k]) > most], kinds_of, whole)
            waiting += [(other, {one}) for one in new if other not in whole]
    return {each: ids for each, ids in known.items() if ids and each not in whole}, whole


@wrong(says="`shown_by` was called without ids")
def asks_with_nothing(kind, number, shown_by, kinds_of, most):
    def goes_on(ids, kind, whole):
        return kind not in whole and (ids or not shown_by(kind, ids))

    return levels(kind, number, shown_by, kinds_of, most, goes_on=goes_on)


@wrong(says="Leave out a kind of which nothing is reached")
def kinds_without_ids(kind, number, shown_by, kinds_of, most):
    ids, whole = levels(kind, number, shown_by, kinds_of, most)
    for each in kinds_of(kind) - whole:
        ids.setdefault(each, set())
    return ids, whole


@wrong(says="ids of")
def leaves_the_changed_one_out(kind, number, shown_by, kinds_of, most):
    ids, whole = levels(kind, number, shown_by, kinds_of, most)
    if kind in ids:
        ids[kind].discard(number)
    return {each: left for each, left in ids.items() if left}, whole


@wrong(says="the kinds that are old as a whole")
def just_as_many_are_too_many(kind, number, shown_by, kinds_of, most):
    def over(known, most):
        return [each for each in known if len(known[each]) >= most]

    return levels(kind, number, shown_by, kinds_of, most, over=over)


@wrong(says="the kinds that are old as a whole")
def the_kind_alone_is_whole(kind, number, shown_by, kinds_of, most):
    def grow(kinds, _, whole):
        whole.update(kinds)

    return levels(kind, number, shown_by, kinds_of, most, grow=grow)


@wrong(says="the kinds that are old as a whole")
def whole_for_one_step(kind, number, shown_by, kinds_of, most):
    def grow(kinds, kinds_of, whole):
        whole.update(kinds, *map(kinds_of, kinds))

    return levels(kind, number, shown_by, kinds_of, most, grow=grow)


@wrong(says="ids of")
def ids_of_whole_kinds_stay(kind, number, shown_by, kinds_of, most):
    return levels(kind, number, shown_by, kinds_of, most, told=lambda ids, kind, whole: True)


@wrong(says="nothing more is to be found out")
def asks_on_about_whole_kinds(kind, number, shown_by, kinds_of, most):
    return levels(
        kind, number, shown_by, kinds_of, most, goes_on=lambda ids, kind, whole: bool(ids)
    )


@wrong(says="the kinds that are old as a whole")
def bounds_all_kinds_together(kind, number, shown_by, kinds_of, most):
    def over(known, most):
        return [*known] if sum(map(len, known.values())) > most else []

    return levels(kind, number, shown_by, kinds_of, most, over=over)


@wrong(says="the kinds that are old as a whole")
def bounds_each_level(kind, number, shown_by, kinds_of, most):
    whole, ids, level = set(), {kind: {number}}, {kind: {number}}
    while level:
        found = defaultdict(set)
        for each, asked in level.items():
            for other, shown in shown_by(each, asked).items():
                found[other] |= shown - ids.get(other, set())
        closure([each for each in found if len(found[each]) > most], kinds_of, whole)
        for each, new in found.items():
            ids[each] = ids.get(each, set()) | new
        level = {each: new for each, new in found.items() if new and each not in whole}
    return {each: told for each, told in ids.items() if told and each not in whole}, whole


@wrong(says="the kinds that are old as a whole")
def cuts_at_most(kind, number, shown_by, kinds_of, most):
    ids, _ = levels(kind, number, shown_by, kinds_of, 10**9)
    return {each: {*sorted(told)[:most]} for each, told in ids.items()}, set()


@wrong(says="nothing more is to be found out")
def looks_for_whole_kinds_at_the_end(kind, number, shown_by, kinds_of, most):
    ids, whole = levels(kind, number, shown_by, kinds_of, 10**9)
    closure([each for each in ids if len(ids[each]) > most], kinds_of, whole)
    return {each: told for each, told in ids.items() if each not in whole}, whole


@wrong(says="Let the error through")
def half_of_it(kind, number, shown_by, kinds_of, most):
    def ask(shown_by, kind, ids):
        try:
            return [shown_by(kind, ids)]
        except TimeoutError:
            return []

    return levels(kind, number, shown_by, kinds_of, most, ask=ask)
