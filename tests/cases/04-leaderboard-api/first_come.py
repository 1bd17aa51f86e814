import time

from tests.cases import right, wrong

STORE = """
local row = redis.call('HGET', KEYS[2], ARGV[1])
if not row or tonumber(redis.call('ZSCORE', KEYS[1], row)) ~= tonumber(ARGV[2]) then
    if row then
        redis.call('ZREM', KEYS[1], row)
    end
    local count = redis.call('INCR', KEYS[3])
    row = string.format('%012.0f', 999999999999 - count) .. ':' .. ARGV[1]
    redis.call('ZADD', KEYS[1], ARGV[2], row)
    redis.call('HSET', KEYS[2], ARGV[1], row)
end
return redis.call('ZREVRANK', KEYS[1], row) + 1
"""


def run(r, script, key, player, score, *more):
    return r.eval(script, 3, key, f"{key}:rows", f"{key}:count", player, score, *more)


@right
def counts_down_in_a_script(r, key, player, score):
    return run(r, STORE, key, player, score)


@right
def registered_script(r, key, player, score):
    store = r.register_script(STORE)
    return store(keys=[key, f"{key}:rows", f"{key}:count"], args=[player, repr(float(score))])


@right
def decr_from_a_large_number(r, key, player, score):
    store = """
    local old = redis.call('HGET', KEYS[2], ARGV[1])
    if old then
        if redis.call('ZSCORE', KEYS[1], old) + 0 == ARGV[2] + 0 then
            return redis.call('ZCOUNT', KEYS[1], '-inf', '+inf') - redis.call('ZRANK', KEYS[1], old)
        end
        redis.call('ZREM', KEYS[1], old)
    end
    redis.call('SET', KEYS[3], '1000000000000000', 'NX')
    local row = redis.call('DECR', KEYS[3])
    row = string.format('%016d', row) .. ':' .. ARGV[1]
    redis.call('ZADD', KEYS[1], ARGV[2], row)
    redis.call('HSET', KEYS[2], ARGV[1], row)
    return redis.call('ZCARD', KEYS[1]) - redis.call('ZRANK', KEYS[1], row)
    """
    return run(r, store, key, player, score)


@right
def counter_in_a_hash_and_hexadecimal(r, key, player, score):
    store = """
    local key, player, score = KEYS[1], ARGV[1], ARGV[2]
    local old = redis.call('HGET', key .. ':rows', player)
    local kept = old and redis.call('ZSCORE', key, old)
    if not kept or tonumber(kept) ~= tonumber(score) then
        if old then redis.call('ZREM', key, old) end
        local count = redis.call('HINCRBY', key .. ':state', 'changes', 1)
        old = string.format('%012x', 2 ^ 47 - count) .. ':' .. player
        redis.call('ZADD', key, score, old)
        redis.call('HSET', key .. ':rows', player, old)
    end
    return redis.call('ZREVRANK', key, old) + 1
    """
    return r.eval(store, 1, key, player, score)


@right
def a_counter_for_each_score(r, key, player, score):
    return r.eval(STORE, 3, key, f"{key}:rows", f"{key}:{float(score)!r}", player, score)


@right
def the_clock_of_the_server_that_never_stands(r, key, player, score):
    store = STORE.replace(
        "local count = redis.call('INCR', KEYS[3])",
        """
        local now = redis.call('TIME')
        local count = now[1] * 1000000 + now[2]
        count = math.max(count, tonumber(redis.call('GET', KEYS[3]) or 0) + 1)
        redis.call('SET', KEYS[3], string.format('%.0f', count))
        """,
    )
    store = store.replace("'%012.0f', 999999999999", "'%016.0f', 9007199254740991")
    return run(r, store, key, player, score)


@right
def a_transaction_that_holds_the_script(r, key, player, score):
    pipe = r.pipeline()
    run(pipe, STORE, key, player, score)
    pipe.zcard(key)
    return pipe.execute()[0]


@wrong(says="In a tie the last one comes first")
def counts_up(r, key, player, score):
    return run(r, STORE.replace("999999999999 - count", "count"), key, player, score)


@wrong(says="write every stamp with the same number of digits")
def counts_up_without_leading_zeros(r, key, player, score):
    store = STORE.replace("string.format('%012.0f', 999999999999 - count)", "count")
    return run(r, store, key, player, score)


@wrong(says="write every stamp with the same number of digits")
def counts_down_from_ten_without_leading_zeros(r, key, player, score):
    store = STORE.replace("string.format('%012.0f', 999999999999 - count)", "(20 - count)")
    return run(r, store, key, player, score)


@wrong(says="The stamps have run out of digits")
def counts_down_from_ten_thousand(r, key, player, score):
    store = STORE.replace("'%012.0f', 999999999999", "'%04.0f', 9999")
    return run(r, store, key, player, score)


@wrong(says="write every stamp with the same number of digits")
def concatenates_a_large_number(r, key, player, score):
    # Lua writes a number of 15 digits with 14: the stamps of all are equal.
    store = STORE.replace("string.format('%012.0f', 999999999999 - count)", "(1e15 - count)")
    return run(r, store, key, player, score)


@wrong(says="a row is a stamp, a colon and the player")
def the_player_alone(r, key, player, score):
    r.zadd(key, {player: score})
    return r.zrevrank(key, player) + 1


@wrong(says="the order of 14 players with two scores")
def the_player_before_the_stamp(r, key, player, score):
    store = STORE.replace(
        "string.format('%012.0f', 999999999999 - count) .. ':' .. ARGV[1]",
        "ARGV[1] .. ':' .. string.format('%012.0f', 999999999999 - count)",
    )
    return run(r, store, key, player, score)


@wrong(says="A double has no room for a time beside such a score")
def the_stamp_in_the_score(r, key, player, score):
    store = STORE.replace(
        "redis.call('ZADD', KEYS[1], ARGV[2], row)",
        "redis.call('ZADD', KEYS[1], string.format('%.17g', ARGV[2] - count / 1e9), row)",
    )
    return run(r, store, key, player, score)


@wrong(says="follows the clocks of many servers")
def the_clock_of_python(r, key, player, score):
    stamp = f"{10**20 - time.time_ns():020}"
    store = STORE.replace("string.format('%012.0f', 999999999999 - count)", "ARGV[3]")
    return run(r, store, key, player, score, stamp)


@wrong(says="the order of 14 players with two scores")
def the_second_of_python(r, key, player, score):
    stamp = f"{10**12 - int(time.time() / 1000):012}"
    store = STORE.replace("string.format('%012.0f', 999999999999 - count)", "ARGV[3]")
    return run(r, store, key, player, score, stamp)


@wrong(says="No two changes may have the same stamp")
def the_number_of_players_as_a_stamp(r, key, player, score):
    store = STORE.replace("redis.call('INCR', KEYS[3])", "redis.call('HLEN', KEYS[2])")
    return run(r, store, key, player, score)


@wrong(says="the row of the old score has to go")
def leaves_the_old_row(r, key, player, score):
    return run(r, STORE.replace("redis.call('ZREM', KEYS[1], row)", ""), key, player, score)


@wrong(says="was reached when it was reached first")
def moves_who_repeats(r, key, player, score):
    store = STORE.replace(
        "tonumber(redis.call('ZSCORE', KEYS[1], row)) ~= tonumber(ARGV[2])", "true"
    )
    return run(r, store, key, player, score)


@wrong(says="compare the old with the new, as numbers")
def compares_texts(r, key, player, score):
    store = STORE.replace(
        "tonumber(redis.call('ZSCORE', KEYS[1], row)) ~= tonumber(ARGV[2])",
        "redis.call('ZSCORE', KEYS[1], row) ~= ARGV[2]",
    )
    return run(r, store, key, player, score)


@wrong(says="also when it is lower")
def keeps_the_best(r, key, player, score):
    store = STORE.replace("row)) ~= tonumber", "row)) < tonumber")
    return run(r, store, key, player, score)


@wrong(says="what the same score again returns: expected 1, got 0")
def counts_places_from_zero(r, key, player, score):
    return run(r, STORE, key, player, score) - 1


@wrong(says="what the same score again returns: expected 1, got 3")
def counts_places_from_the_lowest(r, key, player, score):
    return run(r, STORE.replace("ZREVRANK", "ZRANK"), key, player, score)


@wrong(says="what the same score again returns: expected 1, got None")
def returns_nothing(r, key, player, score):
    run(r, STORE, key, player, score)


@wrong(says="Your function uses the key")
def one_counter_for_all_boards(r, key, player, score):
    return r.eval(STORE, 3, key, f"{key}:rows", "arcade:count", player, score)


@wrong(says="It leads from each player to the row")
def the_hash_has_another_name(r, key, player, score):
    return r.eval(STORE, 3, key, f"{key}:members", f"{key}:count", player, score)


@wrong(says="It leads from each player to the row")
def the_hash_leads_to_the_score(r, key, player, score):
    store = """
    local old = redis.call('HGET', KEYS[2], ARGV[1])
    if not old or tonumber(old) ~= tonumber(ARGV[2]) then
        for _, row in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            if string.sub(row, 14) == ARGV[1] then redis.call('ZREM', KEYS[1], row) end
        end
        local stamp = string.format('%012.0f', 999999999999 - redis.call('INCR', KEYS[3]))
        redis.call('ZADD', KEYS[1], ARGV[2], stamp .. ':' .. ARGV[1])
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    end
    for place, row in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
        if string.sub(row, 14) == ARGV[1] then return place end
    end
    """
    return run(r, store, key, player, score)


@wrong(says="hands the score on as it came, as text")
def a_score_cut_by_tostring(r, key, player, score):
    store = STORE.replace(
        "'ZADD', KEYS[1], ARGV[2]", "'ZADD', KEYS[1], tostring(tonumber(ARGV[2]))"
    )
    return run(r, store, key, player, score)


@wrong(says="Between two trips another score is stored")
def counts_in_a_trip_of_its_own(r, key, player, score):
    count = r.incr(f"{key}:count")
    old = r.hget(f"{key}:rows", player)
    if old is not None and r.zscore(key, old) == score:
        return r.zrevrank(key, old) + 1
    row = f"{999999999999 - count:012}:{player}"
    pipe = r.pipeline()
    if old is not None:
        pipe.zrem(key, old)
    pipe.zadd(key, {row: score}).hset(f"{key}:rows", player, row).zrevrank(key, row)
    return pipe.execute()[-1] + 1


@wrong(says="Between two trips another score is stored")
def watch_and_begin_again(r, key, player, score):
    rows, count = f"{key}:rows", f"{key}:count"

    def change(pipe):
        old = pipe.hget(rows, player)
        row = old
        same = old is not None and pipe.zscore(key, old) == score
        number = int(pipe.get(count) or 0) + 1
        pipe.multi()
        if not same:
            row = f"{999999999999 - number:012}:{player}"
            if old is not None:
                pipe.zrem(key, old)
            pipe.set(count, number).zadd(key, {row: score}).hset(rows, player, row)
        pipe.zrevrank(key, row)

    return r.transaction(change, key, rows, count)[-1] + 1


@wrong(says="is a list, not a sorted set")
def a_list(r, key, player, score):
    return r.rpush(key, player)
