from tests.cases import right, wrong

LOOK = """
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then
    return false
end
return {score, redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')}
"""


def answer(found):
    if found is None:
        return None
    score, better = found
    return {"rank": better + 1, "score": float(score)}


@right
def script_that_counts(r, key, player):
    return answer(r.eval(LOOK, 1, key, player))


@right
def registered_script(r, key, player):
    return answer(r.register_script(LOOK)(keys=[key], args=[player]))


@right
def all_but_those_with_as_many_or_fewer(r, key, player):
    look = """
    local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if score then
        local rest = redis.call('ZCOUNT', KEYS[1], '-inf', score)
        return {redis.call('ZCARD', KEYS[1]) - rest, score}
    end
    """
    found = r.eval(look, 1, key, player)
    return found and {"rank": found[0] + 1, "score": float(found[1])}


@right
def the_first_of_the_tie(r, key, player):
    look = """
    local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if not score then return {} end
    local first = redis.call('ZREVRANGEBYSCORE', KEYS[1], score, score, 'LIMIT', 0, 1)[1]
    return {score, redis.call('ZREVRANK', KEYS[1], first)}
    """
    return answer(r.eval(look, 1, key, player) or None)


@right
def number_for_the_count_and_text_for_the_answer(r, key, player):
    look = """
    local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if not score then return nil end
    local exact = string.format('%.17g', tonumber(score))
    return {exact, #redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. exact, '+inf')}
    """
    return answer(r.eval(look, 1, key, player))


@right
def the_whole_board_in_one_trip(r, key, player):
    scores = dict(r.zrange(key, 0, -1, withscores=True))
    if player not in scores:
        return None
    mine = scores[player]
    return {"rank": 1 + sum(score > mine for score in scores.values()), "score": mine}


@wrong(says="it takes twice as long")
def asks_twice(r, key, player):
    score = r.zscore(key, player)
    if score is None:
        return None
    return {"rank": r.zcount(key, f"({score!r}", "+inf") + 1, "score": score}


@wrong(says="ZREVRANK orders a tie by name")
def place_in_the_order(r, key, player):
    rank, score = r.pipeline().zrevrank(key, player).zscore(key, player).execute()
    return None if rank is None else {"rank": rank + 1, "score": score}


@wrong(says="*plus one*")
def forgets_to_add_one(r, key, player):
    found = r.eval(LOOK, 1, key, player)
    return None if found is None else {"rank": found[1], "score": float(found[0])}


@wrong(says="do not count the player as well")
def counts_the_player_too(r, key, player):
    return answer(r.eval(LOOK.replace("'(' .. ", ""), 1, key, player))


@wrong(says="Each of the tie is called number 4")
def counts_who_has_as_many(r, key, player):
    found = r.eval(LOOK.replace("'(' .. ", ""), 1, key, player)
    return None if found is None else {"rank": found[1], "score": float(found[0])}


@wrong(says="Digits were lost on the way")
def returns_a_number(r, key, player):
    return answer(r.eval(LOOK.replace("{score", "{tonumber(score)"), 1, key, player))


@wrong(says="Digits were lost on the way")
def returns_a_number_as_text(r, key, player):
    return answer(r.eval(LOOK.replace("{score", "{tostring(tonumber(score))"), 1, key, player))


@wrong(says="A bound that has lost digits")
def counts_from_a_rounded_score(r, key, player):
    return answer(r.eval(LOOK.replace("'(' .. score", "'(' .. tonumber(score)"), 1, key, player))


@wrong(says="`float(...)` makes a number of it")
def hands_on_the_text(r, key, player):
    found = r.eval(LOOK, 1, key, player)
    return found and {"rank": found[1] + 1, "score": found[0]}


@wrong(says="For a stranger ZSCORE answers false in a script")
def forgets_the_stranger_in_the_script(r, key, player):
    look = """
    local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
    return {score, redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')}
    """
    return answer(r.eval(look, 1, key, player))


@wrong(says="it arrives as None")
def forgets_the_stranger_in_python(r, key, player):
    score, better = r.eval(LOOK, 1, key, player)
    return {"rank": better + 1, "score": float(score)}


@wrong(says="the answer for a stranger: expected None")
def a_stranger_has_nothing(r, key, player):
    return answer(r.eval(LOOK, 1, key, player)) or {"rank": None, "score": None}


@wrong(says="return a dictionary with `rank` and `score`, not None")
def takes_zero_points_for_none(r, key, player):
    found = answer(r.eval(LOOK, 1, key, player))
    return found if found and found["score"] else None


@wrong(says="return a dictionary with `rank` and `score`, not None")
def takes_the_leader_for_a_stranger(r, key, player):
    found = r.eval(LOOK, 1, key, player)
    if not found or not found[1]:
        return None
    return answer(found)


@wrong(says="counted from the lowest score")
def counts_from_the_lowest(r, key, player):
    return answer(
        r.eval(LOOK.replace("'(' .. score, '+inf'", "'-inf', '(' .. score"), 1, key, player)
    )


@wrong(says="would be another style")
def counts_each_score_once(r, key, player):
    scores = dict(r.zrange(key, 0, -1, withscores=True))
    if player not in scores:
        return None
    better = {score for score in scores.values() if score > scores[player]}
    return {"rank": 1 + len(better), "score": scores[player]}


@wrong(says="return a dictionary with `rank` and `score`, not (")
def returns_a_pair(r, key, player):
    found = answer(r.eval(LOOK, 1, key, player))
    return found and tuple(found.values())
