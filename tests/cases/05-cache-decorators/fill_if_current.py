import redis

from tests.cases import right, wrong

COMPARE_AND_SET = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', 600)
return 1
"""


@right
def watch(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        try:
            pipe.watch(generation)
            if pipe.get(generation) != seen:
                return False
            pipe.multi()
            pipe.set(key, value, ex=600)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@right
def script(r, key, value, generation, seen):
    return r.eval(COMPARE_AND_SET, 2, key, generation, value, seen or "") == 1


@right
def registered_script(r, key, value, generation, seen):
    store = r.register_script(COMPARE_AND_SET)
    return bool(store(keys=[key, generation], args=[value, "" if seen is None else seen]))


@right
def watch_and_look_again(r, key, value, generation, seen):
    while True:
        with r.pipeline() as pipe:
            try:
                pipe.watch(generation, key)
                if pipe.get(generation) != seen:
                    return False
                pipe.multi()
                pipe.setex(key, 600, value)
                pipe.execute()
            except redis.WatchError:
                continue
            return True


@right
def the_transaction_helper(r, key, value, generation, seen):
    def fill(pipe):
        current = pipe.get(generation) == seen
        pipe.multi()
        if current:
            pipe.set(key, value).expire(key, 600)
        return current

    return r.transaction(fill, generation, value_from_callable=True)


@wrong(says="Compare and store in one script, or WATCH")
def get_then_set(r, key, value, generation, seen):
    if r.get(generation) != seen:
        return False
    r.set(key, value, ex=600)
    return True


@wrong(says="WATCH the generation, and before you read it")
def watches_after_the_look(r, key, value, generation, seen):
    if r.get(generation) != seen:
        return False
    with r.pipeline() as pipe:
        pipe.watch(generation)
        pipe.multi()
        pipe.set(key, value, ex=600)
        try:
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@wrong(says="WATCH the generation, and before you read it")
def watches_the_key(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        try:
            pipe.watch(key)
            if pipe.get(generation) != seen:
                return False
            pipe.multi()
            pipe.set(key, value, ex=600)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@wrong(says="WATCH the generation, and before you read it")
def forgets_multi(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        pipe.watch(generation)
        if pipe.get(generation) != seen:
            return False
        pipe.set(key, value, ex=600)
        return True


@wrong(says="Compare and store in one script, or WATCH")
def a_transaction_without_watch(r, key, value, generation, seen):
    if r.get(generation) != seen:
        return False
    with r.pipeline() as pipe:
        pipe.set(key, value, ex=600)
        pipe.execute()
    return True


@wrong(says="that is the case to answer False in")
def does_not_catch_watch_error(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        pipe.watch(generation)
        if pipe.get(generation) != seen:
            return False
        pipe.multi()
        pipe.set(key, value, ex=600)
        pipe.execute()
    return True


@wrong(says="the answer when somebody invalidated in between: expected False, got True")
def answers_true_after_watch_error(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        try:
            pipe.watch(generation)
            if pipe.get(generation) != seen:
                return False
            pipe.multi()
            pipe.set(key, value, ex=600)
            pipe.execute()
        except redis.WatchError:
            pass
    return True


@wrong(says="A generation that was never counted reads as None")
def zero_for_a_generation_that_is_missing(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        try:
            pipe.watch(generation)
            if (pipe.get(generation) or "0") != seen:
                return False
            pipe.multi()
            pipe.set(key, value, ex=600)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@wrong(says="Redis has no None: send '' instead")
def none_to_a_script(r, key, value, generation, seen):
    return r.eval(COMPARE_AND_SET, 2, key, generation, value, seen) == 1


@wrong(says="A generation that was never counted reads as None")
def false_in_lua(r, key, value, generation, seen):
    text = COMPARE_AND_SET.replace(" or ''", "")
    return r.eval(text, 2, key, generation, value, seen or "") == 1


@wrong(says="`seen` is a text")
def compares_a_number_with_a_text(r, key, value, generation, seen):
    current = r.get(generation)
    if current is not None and int(current) != seen:
        return False
    return watch.answer(r, key, value, generation, seen)


@wrong(says="what was loaded is old, and your function stored it")
def a_missing_generation_is_current(r, key, value, generation, seen):
    with r.pipeline() as pipe:
        try:
            pipe.watch(generation)
            if (now := pipe.get(generation)) is not None and now != seen:
                return False
            pipe.multi()
            pipe.set(key, value, ex=600)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@wrong(says="what was loaded is old, and your function stored it")
def does_not_compare(r, key, value, generation, seen):
    r.set(key, value, ex=600)
    return True


@wrong(says="what was loaded is old, and your function stored it")
def none_matches_everything(r, key, value, generation, seen):
    if seen is None:
        r.set(key, value, ex=600)
        return True
    return watch.answer(r, key, value, generation, seen)


@wrong(says="Compare first, and then store")
def takes_it_back(r, key, value, generation, seen):
    r.set(key, value, ex=600)
    if r.get(generation) == seen:
        return True
    r.delete(key)
    return False


@wrong(says="Compare first, and then store")
def deletes_what_is_there(r, key, value, generation, seen):
    stored = watch.answer(r, key, value, generation, seen)
    if not stored:
        r.delete(key)
    return stored


@wrong(says="never expires: pass its time to live to SET")
def forgets_the_time_to_live(r, key, value, generation, seen):
    text = COMPARE_AND_SET.replace(", 'EX', 600", "")
    return r.eval(text, 2, key, generation, value, seen or "") == 1


@wrong(says="is stored and never expires: pass `ex=600`")
def expires_afterwards(r, key, value, generation, seen):
    text = COMPARE_AND_SET.replace(", 'EX', 600", "")
    stored = r.eval(text, 2, key, generation, value, seen or "") == 1
    if stored:
        r.expire(key, 600)
    return stored


@wrong(says="expected True, got 1 (int instead of bool)")
def hands_on_what_the_script_answers(r, key, value, generation, seen):
    return r.eval(COMPARE_AND_SET, 2, key, generation, value, seen or "")


@wrong(says="expected False, got None, as from a function that ends without `return`")
def returns_nothing_for_no(r, key, value, generation, seen):
    return script.answer(r, key, value, generation, seen) or None


@wrong(says="expected True, got None")
def returns_nothing_for_yes(r, key, value, generation, seen):
    return None if script.answer(r, key, value, generation, seen) else False


@wrong(says="Compare and store in one script, or WATCH")
def a_lock_that_nobody_else_takes(r, key, value, generation, seen):
    with r.lock(f"{generation}:lock", timeout=10):
        if r.get(generation) != seen:
            return False
        r.set(key, value, ex=600)
        return True
