import itertools

from tests.cases import right, wrong


def warming(
    cache,
    source,
    ids,
    batch,
    most,
    *,
    distinct=dict.fromkeys,
    is_missing=lambda number, there: number not in there,
    room=lambda missing, most: missing[:most],
    spent=lambda missing, found: len(missing),
    errors=Exception,
    kept=lambda found: found,
    more=lambda most: most > 0,
    ends=lambda most: False,
    load=lambda source, missing: source.load_many(missing),
):
    waiting, stored = [*distinct(ids)], 0
    for start in range(0, len(waiting), batch):
        if not more(most):
            break
        part = waiting[start : start + batch]
        there = cache.get_many(part)
        missing = room([number for number in part if is_missing(number, there)], most)
        if not missing:
            continue
        try:
            found = kept(load(source, missing))
        except errors as error:
            return stored, error
        most -= spent(missing, found)
        if found:
            cache.set_many(found)
        stored += len(found)
        if ends(most):
            break
    return stored, None


@right
def slices(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most)


@right
def an_iterator_and_sets(cache, source, ids, batch, most):
    seen, stored = set(), 0
    coming = iter([number for number in ids if not (number in seen or seen.add(number))])
    while most > 0 and (part := tuple(itertools.islice(coming, batch))):
        there = cache.get_many(part).keys()
        missing = list(itertools.islice((number for number in part if number not in there), most))
        if missing:
            most -= len(missing)
            try:
                values = source.load_many(iter(missing))
            except Exception as error:
                return stored, error
            if len(values) > 0:
                cache.set_many(dict(values))
                stored += len(values)
    return stored, None


@wrong(says="the ids of each `get_many`")
def looks_at_each_by_itself(cache, source, ids, batch, most):
    stored = 0
    for number in dict.fromkeys(ids):
        if most > 0 and number not in cache.get_many([number]):
            most -= 1
            try:
                found = source.load_many([number])
            except Exception as error:
                return stored, error
            if found:
                cache.set_many(found)
            stored += len(found)
    return stored, None


@wrong(says="the ids of each `get_many`")
def one_look_for_all(cache, source, ids, batch, most):
    waiting = [*dict.fromkeys(ids)]
    there = cache.get_many(waiting) if waiting and most else {}
    missing = [number for number in waiting if number not in there][:most]
    stored = 0
    for start in range(0, len(missing), batch):
        try:
            found = source.load_many(missing[start : start + batch])
        except Exception as error:
            return stored, error
        if found:
            cache.set_many(found)
        stored += len(found)
    return stored, None


@wrong(says="the ids of each `load_many`")
def loads_each_by_itself(cache, source, ids, batch, most):
    def load(source, missing):
        return {
            number: value for each in missing for number, value in source.load_many([each]).items()
        }

    return warming(cache, source, ids, batch, most, load=load)


@wrong(says="is there, whatever its value")
def takes_none_for_missing(cache, source, ids, batch, most):
    def is_missing(number, there):
        return there.get(number) is None

    return warming(cache, source, ids, batch, most, is_missing=is_missing)


@wrong(says="is there, whatever its value")
def takes_empty_for_missing(cache, source, ids, batch, most):
    return warming(
        cache, source, ids, batch, most, is_missing=lambda number, there: not there.get(number)
    )


@wrong(says="with what is missing of it alone")
def loads_what_is_there(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, is_missing=lambda number, there: True)


@wrong(says="the ids of each `set_many`")
def stores_no_empty_values(cache, source, ids, batch, most):
    def kept(found):
        return {number: value for number, value in found.items() if value}

    return warming(cache, source, ids, batch, most, kept=kept)


@wrong(says="the ids of each `set_many`")
def stores_none_for_what_is_not(cache, source, ids, batch, most):
    def load(source, missing):
        return dict.fromkeys(missing) | source.load_many(missing)

    return warming(cache, source, ids, batch, most, load=load)


@wrong(says="`load_many` was called without ids")
def asks_for_nothing(cache, source, ids, batch, most):
    def is_missing(number, there):
        return number not in there

    waiting, stored = [*dict.fromkeys(ids)], 0
    for start in range(0, len(waiting), batch):
        part = waiting[start : start + batch]
        if most <= 0:
            break
        there = cache.get_many(part)
        missing = [number for number in part if is_missing(number, there)][:most]
        most -= len(missing)
        try:
            found = source.load_many(missing)
        except Exception as error:
            return stored, error
        if found:
            cache.set_many(found)
        stored += len(found)
    return stored, None


@wrong(says="counts once, where it is first")
def loads_twice_what_comes_twice(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, distinct=list)


@wrong(says="the most important first")
def loses_the_order(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, distinct=lambda ids: sorted({*ids}))


@wrong(says="those that it does not have among them")
def counts_what_came(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, spent=lambda missing, found: len(found))


@wrong(says="At most")
def goes_over_in_the_last_batch(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, room=lambda missing, most: missing)


@wrong(says="nothing has to be looked up")
def looks_before_it_ends(cache, source, ids, batch, most):
    return warming(
        cache,
        source,
        ids,
        batch,
        most,
        more=lambda most: True,
        ends=lambda most: most == 0,
    )


@wrong(says="nothing more is looked up")
def looks_on_when_it_is_full(cache, source, ids, batch, most):
    start = most
    return warming(cache, source, ids, batch, most, more=lambda most: start > 0)


@wrong(says="those that it does not have among them")
def bounds_what_it_looks_at(cache, source, ids, batch, most):
    return warming(cache, source, [*dict.fromkeys(ids)][:most], batch, most)


@wrong(says="is returned: no raise")
def raises(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, errors=())


@wrong(says="is returned: no raise")
def expects_time_outs_alone(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, errors=TimeoutError)


@wrong(says="A database that is in trouble needs no more questions")
def goes_on_after_an_error(cache, source, ids, batch, most):
    errors = []

    def load(source, missing):
        try:
            return source.load_many(missing)
        except Exception as error:
            errors.append(error)
            return {}

    stored, _ = warming(cache, source, ids, batch, most, load=load)
    return stored, errors[0] if errors else None


@wrong(says="without a cache there is nothing to warm")
def takes_every_error_for_the_sources(cache, source, ids, batch, most):
    stored = 0

    class Counting:
        get_many = cache.get_many

        def set_many(self, values):
            nonlocal stored
            cache.set_many(values)
            stored += len(values)

    try:
        return warming(Counting(), source, ids, batch, most, errors=())
    except Exception as error:
        return stored, error


@wrong(says="`except Exception`")
def catches_whoever_ends_it(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most, errors=BaseException)


@wrong(says="Store each batch before the next is loaded")
def stores_at_the_end(cache, source, ids, batch, most):
    loaded = {}

    class Late:
        get_many = cache.get_many

        def set_many(self, values):
            loaded.update(values)

    result = warming(Late(), source, ids, batch, most)
    if loaded and result[1] is None:
        cache.set_many(loaded)
    return result


@wrong(says="expected the error itself")
def the_text_of_the_error(cache, source, ids, batch, most):
    stored, error = warming(cache, source, ids, batch, most)
    return stored, error and str(error)


@wrong(says="expected a pair")
def the_count_alone(cache, source, ids, batch, most):
    return warming(cache, source, ids, batch, most)[0]


@wrong(says="what `warm` returned")
def counts_what_it_asked_for(cache, source, ids, batch, most):
    asked = 0

    def load(source, missing):
        nonlocal asked
        found = source.load_many(missing)
        asked += len(missing)
        return found

    return asked, warming(cache, source, ids, batch, most, load=load)[1]


@wrong(says="Whatever `load_many` returns is stored, None as well")
def stores_no_none(cache, source, ids, batch, most):
    def kept(found):
        return {number: value for number, value in found.items() if value is not None}

    return warming(cache, source, ids, batch, most, kept=kept)
