from tests.cases import right, wrong

PAGE = """
local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
if not rank then
    return {}
end
local n = tonumber(ARGV[2])
local start = math.max(0, math.min(rank - math.floor(n / 2), redis.call('ZCARD', KEYS[1]) - n))
return redis.call('ZREVRANGE', KEYS[1], start, start + n - 1, 'WITHSCORES')
"""


def pairs(flat):
    return [(name, float(score)) for name, score in zip(flat[::2], flat[1::2], strict=True)]


@right
def start_moved_inside(r, key, player, n):
    return pairs(r.eval(PAGE, 1, key, player, n))


@right
def registered_script(r, key, player, n):
    return pairs(r.register_script(PAGE)(keys=[key], args=[player, n]))


@right
def python_counts_the_half(r, key, player, n):
    script = """
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if rank == false then return nil end
    local n, size = tonumber(ARGV[2]), redis.call('ZCARD', KEYS[1])
    local first = rank - ARGV[3]
    if first + n > size then first = size - n end
    if first < 0 then first = 0 end
    return redis.call('ZREVRANGE', KEYS[1], first, first + n - 1, 'WITHSCORES')
    """
    return pairs(r.eval(script, 1, key, player, n, n // 2) or [])


@right
def from_the_low_end(r, key, player, n):
    script = """
    local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
    if not rank then return {} end
    local n, size = tonumber(ARGV[2]), redis.call('ZCARD', KEYS[1])
    local last = math.min(size - 1, math.max(rank + math.floor(n / 2), n - 1))
    return redis.call('ZRANGE', KEYS[1], math.max(0, last - n + 1), last, 'WITHSCORES')
    """
    return pairs(r.eval(script, 1, key, player, n))[::-1]


@right
def more_than_enough_and_cut_in_python(r, key, player, n):
    script = """
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not rank then return {0, {}} end
    local first = math.max(0, rank - ARGV[2])
    return {rank - first, redis.call('ZREVRANGE', KEYS[1], first, rank + ARGV[2], 'WITHSCORES')}
    """
    place, flat = r.eval(script, 1, key, player, n)
    found = pairs(flat)
    start = max(0, min(place - n // 2, len(found) - n))
    return found[start : start + n]


@right
def the_whole_board_in_one_trip(r, key, player, n):
    board = r.zrange(key, 0, -1, desc=True, withscores=True)
    names = [name for name, _ in board]
    if player not in names:
        return []
    start = max(0, min(names.index(player) - n // 2, len(board) - n))
    return board[start : start + n]


@wrong(says="Between asking for the rank and reading the range")
def asks_for_the_rank_first(r, key, player, n):
    rank, size = r.pipeline().zrevrank(key, player).zcard(key).execute()
    if rank is None:
        return []
    start = max(0, min(rank - n // 2, size - n))
    return r.zrevrange(key, start, start + n - 1, withscores=True)


@wrong(says="ZREVRANGE includes its last index")
def one_too_many(r, key, player, n):
    return pairs(r.eval(PAGE.replace("start + n - 1", "start + n"), 1, key, player, n))


@wrong(says="ZREVRANGE includes its last index")
def half_on_each_side(r, key, player, n):
    script = """
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not rank then return {} end
    local half = math.floor(ARGV[2] / 2)
    local first = math.max(0, rank - half)
    return redis.call('ZREVRANGE', KEYS[1], first, rank + half, 'WITHSCORES')
    """
    return pairs(r.eval(script, 1, key, player, n))


def script(r, key, player, n, start):
    text = f"""
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not rank then return {{}} end
    local n, size = tonumber(ARGV[2]), redis.call('ZCARD', KEYS[1])
    local start = {start}
    return redis.call('ZREVRANGE', KEYS[1], start, start + n - 1, 'WITHSCORES')
    """
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="A negative index counts from the end")
def a_negative_start(r, key, player, n):
    return script(r, key, player, n, "rank - math.floor(n / 2)")


@wrong(says="Near the bottom the other side gives more")
def short_at_the_bottom(r, key, player, n):
    return script(r, key, player, n, "math.max(0, rank - math.floor(n / 2))")


@wrong(says="Near the top the other side gives more")
def short_at_the_top(r, key, player, n):
    text = """
    local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
    if not rank then return {} end
    local n, size = tonumber(ARGV[2]), redis.call('ZCARD', KEYS[1])
    local start = math.min(rank - math.floor(n / 2), size - n)
    return redis.call('ZREVRANGE', KEYS[1], math.max(0, start), start + n - 1, 'WITHSCORES')
    """
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="the start is never less than 0")
def negative_on_a_small_board(r, key, player, n):
    return script(r, key, player, n, "math.min(math.max(0, rank - math.floor(n / 2)), size - n)")


@wrong(says="A half is no index")
def half_an_index(r, key, player, n):
    return script(r, key, player, n, "math.max(0, math.min(rank - n / 2, size - n))")


@wrong(says="players stand before the player")
def the_larger_half_behind(r, key, player, n):
    return script(
        r, key, player, n, "math.max(0, math.min(rank - math.floor((n - 1) / 2), size - n))"
    )


@wrong(says="players stand before the player")
def the_player_first(r, key, player, n):
    return script(r, key, player, n, "math.max(0, math.min(rank, size - n))")


@wrong(says="the best one last")
def best_last(r, key, player, n):
    return start_moved_inside.answer(r, key, player, n)[::-1]


@wrong(says="players stand before the player")
def counts_from_the_lowest(r, key, player, n):
    text = PAGE.replace("'ZREVRANK'", "'ZRANK'")
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="names and scores in turn")
def hands_on_what_the_script_answers(r, key, player, n):
    return r.eval(PAGE, 1, key, player, n)


@wrong(says="`float(...)` makes a number of it")
def scores_as_text(r, key, player, n):
    flat = r.eval(PAGE, 1, key, player, n)
    return list(zip(flat[::2], flat[1::2], strict=True))


@wrong(says="a pair is a tuple")
def lists_for_pairs(r, key, player, n):
    return [list(pair) for pair in start_moved_inside.answer(r, key, player, n)]


@wrong(says="a list of (name, score) pairs is asked for")
def a_dictionary(r, key, player, n):
    return dict(start_moved_inside.answer(r, key, player, n))


@wrong(says="Digits were lost on the way")
def numbers_in_the_script(r, key, player, n):
    text = PAGE.replace("return redis.call('ZREVRANGE'", "local page = redis.call('ZREVRANGE'")
    text += "for i = 2, #page, 2 do page[i] = tonumber(page[i]) end return page"
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="5 around a stranger: expected [], got None")
def none_for_a_stranger(r, key, player, n):
    return start_moved_inside.answer(r, key, player, n) or None


@wrong(says="For a stranger ZREVRANK has no rank")
def forgets_the_stranger(r, key, player, n):
    text = PAGE.replace("if not rank then\n    return {}\nend", "")
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="5 around a stranger: expected []")
def takes_a_stranger_for_the_leader(r, key, player, n):
    text = PAGE.replace("return {}", "rank = 0")
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="Near the top the other side gives more")
def takes_the_leader_for_a_stranger(r, key, player, n):
    text = PAGE.replace("if not rank then", "if not rank or rank == 0 then")
    return pairs(r.eval(text, 1, key, player, n))


@wrong(says="players stand before the player")
def without_the_player(r, key, player, n):
    found = start_moved_inside.answer(r, key, player, n + 1)
    return [pair for pair in found if pair[0] != player]
