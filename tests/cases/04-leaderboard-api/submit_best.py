from tests.cases import right, wrong


def answer(old_score, old_rank, new_score, new_rank):
    return {
        "old_score": old_score,
        "new_score": new_score,
        "old_rank": None if old_rank is None else old_rank + 1,
        "new_rank": new_rank + 1,
    }


@right
def five_commands_in_one_transaction(r, key, player, score):
    with r.pipeline() as pipe:
        pipe.zscore(key, player)
        pipe.zrevrank(key, player)
        pipe.zadd(key, {player: score}, gt=True)
        pipe.zscore(key, player)
        pipe.zrevrank(key, player)
        old_score, old_rank, _, new_score, new_rank = pipe.execute()
    return answer(old_score, old_rank, new_score, new_rank)


@right
def counts_from_the_other_end(r, key, player, score):
    pipe = r.pipeline().zmscore(key, [player]).zrank(key, player).zcard(key)
    pipe.zadd(key, {player: score}, gt=True)
    pipe.zmscore(key, [player]).zrank(key, player).zcard(key)
    (old,), old_rank, old_size, _, (new,), new_rank, size = pipe.execute()
    return {
        "old_score": old,
        "new_score": new,
        "old_rank": None if old_rank is None else old_size - old_rank,
        "new_rank": size - new_rank,
    }


SCRIPT = """
local old, rank = redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('ZREVRANK', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
return {
    old, rank, redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('ZREVRANK', KEYS[1], ARGV[1])
}
"""


def from_texts(reply):
    old_score, old_rank, new_score, new_rank = reply
    old_score = None if old_score is None else float(old_score)
    return answer(old_score, old_rank, float(new_score), new_rank)


@right
def script_with_gt(r, key, player, score):
    return from_texts(r.eval(SCRIPT, 1, key, player, score))


@right
def registered_script(r, key, player, score):
    return from_texts(r.register_script(SCRIPT)(keys=[key], args=[player, score]))


@right
def script_that_compares_by_itself(r, key, player, score):
    script = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    local kept = old
    if not old or tonumber(ARGV[2]) > tonumber(old) then
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
        kept = redis.call('ZSCORE', KEYS[1], ARGV[1])
    end
    return {old, rank, kept, redis.call('ZREVRANK', KEYS[1], ARGV[1])}
    """
    return from_texts(r.eval(script, 1, key, player, score))


@right
def script_on_a_pipeline_without_a_transaction(r, key, player, score):
    pipe = r.pipeline(transaction=False)
    pipe.eval(SCRIPT, 1, key, player, score)
    return from_texts(pipe.execute()[0])


@wrong(says="leaves a gap in which a better one")
def looks_and_then_stores(r, key, player, score):
    old_score, old_rank = r.zscore(key, player), r.zrevrank(key, player)
    if old_score is None or score > old_score:
        r.zadd(key, {player: score})
    return answer(old_score, old_rank, r.zscore(key, player), r.zrevrank(key, player))


@wrong(says="Between two trips the board changes")
def gt_in_three_trips(r, key, player, score):
    old_score, old_rank = r.pipeline().zscore(key, player).zrevrank(key, player).execute()
    r.zadd(key, {player: score}, gt=True)
    new_score, new_rank = r.pipeline().zscore(key, player).zrevrank(key, player).execute()
    return answer(old_score, old_rank, new_score, new_rank)


@wrong(says="Between two trips the board changes")
def watch_and_begin_again(r, key, player, score):
    before = []

    def change(pipe):
        before[:] = pipe.zscore(key, player), pipe.zrevrank(key, player)
        pipe.multi()
        if before[0] is None or score > before[0]:
            pipe.zadd(key, {player: score})
        pipe.zscore(key, player)
        pipe.zrevrank(key, player)

    *_, new_score, new_rank = r.transaction(change, key)
    return answer(*before, new_score, new_rank)


@wrong(says="Somebody scored meanwhile: begin again")
def watch_without_beginning_again(r, key, player, score):
    with r.pipeline() as pipe:
        pipe.watch(key)
        old_score, old_rank = pipe.zscore(key, player), pipe.zrevrank(key, player)
        pipe.multi()
        if old_score is None or score > old_score:
            pipe.zadd(key, {player: score})
        pipe.zscore(key, player)
        pipe.zrevrank(key, player)
        *_, new_score, new_rank = pipe.execute()
    return answer(old_score, old_rank, new_score, new_rank)


def change_with(r, key, player, score, transaction=True, **options):
    pipe = r.pipeline(transaction=transaction).zscore(key, player).zrevrank(key, player)
    pipe.zadd(key, {player: score}, **options).zscore(key, player).zrevrank(key, player)
    old_score, old_rank, _, new_score, new_rank = pipe.execute()
    return old_score, old_rank, new_score, new_rank


@wrong(says="Leave `transaction=False` out")
def a_pipeline_that_is_no_transaction(r, key, player, score):
    return answer(*change_with(r, key, player, score, transaction=False, gt=True))


@wrong(says="`gt=True` keeps the larger")
def plain_zadd(r, key, player, score):
    return answer(*change_with(r, key, player, score))


@wrong(says="`nx=True` never")
def keeps_the_first(r, key, player, score):
    return answer(*change_with(r, key, player, score, nx=True))


@wrong(says="and after it where nothing was")
def no_new_players(r, key, player, score):
    return answer(*change_with(r, key, player, score, gt=True, xx=True))


@wrong(says="Redis counts ranks from 0, players from 1")
def counts_from_zero(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    return {
        "old_score": old_score,
        "new_score": new_score,
        "old_rank": old_rank,
        "new_rank": new_rank,
    }


@wrong(says="`if old_rank` takes 0 for nothing")
def takes_the_leader_for_new(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    change = answer(old_score, old_rank, new_score, new_rank)
    return change | {"old_rank": old_rank + 1 if old_rank else None}


@wrong(says="`if old_score` takes 0 for nothing")
def takes_zero_points_for_none(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    return answer(old_score or None, old_rank, new_score, new_rank)


@wrong(says="Look before you add 1")
def adds_one_to_none(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    return {
        "old_score": old_score,
        "new_score": new_score,
        "old_rank": old_rank + 1,
        "new_rank": new_rank + 1,
    }


@wrong(says="has no old rank: None")
def zero_for_no_rank(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    return answer(old_score, -1 if old_rank is None else old_rank, new_score, new_rank)


@wrong(says="what a new player's score does: expected")
def zero_for_no_score(r, key, player, score):
    old_score, old_rank, new_score, new_rank = change_with(r, key, player, score, gt=True)
    return answer(old_score or 0.0, old_rank, new_score, new_rank)


@wrong(says="what a new player's score does: expected")
def counts_from_the_lowest(r, key, player, score):
    pipe = r.pipeline().zscore(key, player).zrank(key, player)
    pipe.zadd(key, {player: score}, gt=True).zscore(key, player).zrank(key, player)
    old_score, old_rank, _, new_score, new_rank = pipe.execute()
    return answer(old_score, old_rank, new_score, new_rank)


@wrong(says="ZREVRANK orders a tie by name")
def counts_who_has_more(r, key, player, score):
    script = """
    local function look()
        local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
        return score, score and redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
    end
    local old, rank = look()
    redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
    local kept, place = look()
    return {old, rank, kept, place}
    """
    return from_texts(r.eval(script, 1, key, player, score))


NUMBERS = """
local function number(score) return score and tonumber(score) end
local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local kept = redis.call('ZSCORE', KEYS[1], ARGV[1])
return {number(old), rank, number(kept), redis.call('ZREVRANK', KEYS[1], ARGV[1])}
"""


@wrong(says="Digits were lost on the way")
def a_script_that_returns_numbers(r, key, player, score):
    return from_texts(r.eval(NUMBERS, 1, key, player, score))


@wrong(says="a nil ends the table")
def a_script_that_returns_nil(r, key, player, score):
    script = NUMBERS.replace("return score and tonumber(score)", "return tonumber(score)")
    return from_texts(r.eval(script, 1, key, player, score))


@wrong(says="Digits were lost on the way")
def a_script_that_uses_tostring(r, key, player, score):
    script = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    local best = math.max(tonumber(old or ARGV[2]), tonumber(ARGV[2]))
    redis.call('ZADD', KEYS[1], tostring(best), ARGV[1])
    return {old, rank, tostring(best), redis.call('ZREVRANK', KEYS[1], ARGV[1])}
    """
    return from_texts(r.eval(script, 1, key, player, score))


@wrong(says="`float(...)` makes a number of it")
def scores_as_text(r, key, player, score):
    return answer(*[r.eval(SCRIPT, 1, key, player, score)[i] for i in (0, 1, 2, 3)])


@wrong(says="not texts")
def compares_texts(r, key, player, score):
    script = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not old or ARGV[2] > old then
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    end
    local kept = redis.call('ZSCORE', KEYS[1], ARGV[1])
    return {old, rank, kept, redis.call('ZREVRANK', KEYS[1], ARGV[1])}
    """
    return from_texts(r.eval(script, 1, key, player, score))


@wrong(says="and after it where nothing was")
def takes_a_new_player_for_zero_points(r, key, player, score):
    script = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if tonumber(ARGV[2]) > tonumber(old or 0) then
        redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
    end
    local kept = redis.call('ZSCORE', KEYS[1], ARGV[1])
    return {old, rank, kept, redis.call('ZREVRANK', KEYS[1], ARGV[1])}
    """
    return from_texts(r.eval(script, 1, key, player, score))


@wrong(says="The text of your script differs from call to call")
def values_in_the_text_of_the_script(r, key, player, score):
    script = SCRIPT.replace("ARGV[1]", f"'{player}'").replace("ARGV[2]", f"'{score!r}'")
    return from_texts(r.register_script(script)(keys=[key]))


@wrong(says="asks whether the server knows it")
def registered_script_on_a_pipeline(r, key, player, score):
    pipe = r.pipeline()
    r.register_script(SCRIPT)(keys=[key], args=[player, score], client=pipe)
    return from_texts(pipe.execute()[0])


@wrong(says="Your function returns nothing")
def stores_and_answers_nothing(r, key, player, score):
    r.zadd(key, {player: score}, gt=True)


@wrong(says="the score kept")
def forgets_to_send(r, key, player, score):
    r.pipeline().zadd(key, {player: score}, gt=True)
    r.ping()
    return {"old_score": None, "new_score": float(score), "old_rank": None, "new_rank": 3}
