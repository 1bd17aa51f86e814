import base64
import itertools
import json

from tests.cases import right, wrong


def page(entries, limit, more=None):
    entries, more = entries[:limit], len(entries) > limit if more is None else more
    return {"entries": entries, "cursor": entries[-1] if more and entries else None}


def after(r, key, limit, cursor):
    """What follows the cursor, one more than the limit if there is one."""
    if cursor is None:
        return r.zrevrange(key, 0, limit, withscores=True)
    name, score = cursor
    with r.pipeline() as pipe:
        pipe.zrevrangebyscore(key, score, score)
        pipe.zrevrangebyscore(key, f"({score!r}", "-inf", start=0, num=limit + 1, withscores=True)
        tie, lower = pipe.execute()
    return [(other, score) for other in tie if other < name] + lower


@right
def the_last_entry_as_a_cursor(r, key, limit, cursor):
    return page(after(r, key, limit, cursor), limit)


@right
def an_empty_page_at_the_end(r, key, limit, cursor):
    entries = after(r, key, limit, cursor)[:limit]
    return {"entries": entries, "cursor": entries[-1] if len(entries) == limit else None}


@right
def an_opaque_text_as_a_cursor(r, key, limit, cursor):
    place = None if cursor is None else json.loads(base64.urlsafe_b64decode(cursor))
    found = page(after(r, key, limit, place), limit)
    if found["cursor"] is not None:
        found["cursor"] = base64.urlsafe_b64encode(json.dumps(found["cursor"]).encode()).decode()
    return found


@right
def score_and_name_in_a_text(r, key, limit, cursor):
    score, _, name = (cursor or "").partition(":")
    found = page(after(r, key, limit, (name, float(score)) if cursor else None), limit)
    if found["cursor"]:
        name, score = found["cursor"]
        found["cursor"] = f"{score!r}:{name}"
    return found


@right
def everything_from_the_score_down(r, key, limit, cursor):
    name, score = cursor or ("", float("inf"))
    board = r.zrevrangebyscore(key, score, "-inf", withscores=True)
    rest = [row for row in board if cursor is None or (row[1], row[0]) < (score, name)]
    return page(rest, limit)


# In Lua `<` compares as the server's locale does; Redis orders by bytes.
BEFORE = """
local function before(one, two)
    for i = 1, math.min(#one, #two) do
        local a, b = one:byte(i), two:byte(i)
        if a ~= b then return a < b end
    end
    return #one < #two
end
"""


@right
def a_script_with_the_rank_and_a_way_round(r, key, limit, cursor):
    script = """
    local key, limit, score, name = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3]
    local start = 0
    if score ~= '' then
        local there = redis.call('ZSCORE', key, name)
        if there and tonumber(there) == tonumber(score) then
            start = redis.call('ZREVRANK', key, name) + 1
        else
            start = redis.call('ZCOUNT', key, '(' .. score, '+inf')
            for _, other in ipairs(redis.call('ZREVRANGEBYSCORE', key, score, score)) do
                if before(other, name) then break end
                start = start + 1
            end
        end
    end
    return redis.call('ZREVRANGE', key, start, start + limit, 'WITHSCORES')
    """
    name, score = cursor or ("", "")
    flat = r.eval(BEFORE + script, 1, key, limit, score, name)
    return page([(flat[i], float(flat[i + 1])) for i in range(0, len(flat), 2)], limit)


@right
def halving_the_tie_in_a_registered_script(r, key, limit, cursor):
    script = """
    local key, score, name = KEYS[1], ARGV[2], ARGV[3]
    local low, high = 0, redis.call('ZCARD', key)
    if score == '' then high = 0 end
    while low < high do
        local middle = math.floor((low + high) / 2)
        local row = redis.call('ZRANGE', key, middle, middle, 'REV', 'WITHSCORES')
        local other = tonumber(row[2])
        if other > tonumber(score) or (other == tonumber(score) and not before(row[1], name)) then
            low = middle + 1
        else
            high = middle
        end
    end
    return redis.call('ZRANGE', key, low, low + ARGV[1], 'REV', 'WITHSCORES')
    """
    name, score = cursor or ("", "")
    flat = r.register_script(BEFORE + script)(keys=[key], args=[limit, score, name])
    return page(
        [(who, float(score)) for who, score in zip(flat[::2], flat[1::2], strict=True)], limit
    )


@wrong(says="go on from the score and the name")
def an_offset(r, key, limit, cursor):
    start = cursor or 0
    entries = r.zrevrange(key, start, start + limit, withscores=True)
    found = page(entries, limit)
    return found | {"cursor": start + limit if found["cursor"] else None}


@wrong(says="go on from the score and the name")
def a_page_number(r, key, limit, cursor):
    number = cursor or 1
    board = r.zrange(key, 0, -1, desc=True, withscores=True)
    entries = board[(number - 1) * limit : number * limit]
    return {"entries": entries, "cursor": number + 1 if number * limit < len(board) else None}


@wrong(says="go on from the score and the name")
def the_rank_of_the_last_name(r, key, limit, cursor):
    script = """
    local start = 0
    if ARGV[2] ~= '' then
        local rank = redis.call('ZREVRANK', KEYS[1], ARGV[2])
        if not rank then return {} end
        start = rank + 1
    end
    return redis.call('ZREVRANGE', KEYS[1], start, start + ARGV[1], 'WITHSCORES')
    """
    flat = r.eval(script, 1, key, limit, cursor or "")
    rows = [(name, float(score)) for name, score in zip(flat[::2], flat[1::2], strict=True)]
    found = page(rows, limit)
    return found | {"cursor": found["cursor"] and found["cursor"][0]}


@wrong(says="The score alone, or not all of its digits, is no place within a tie")
def the_score_alone(r, key, limit, cursor):
    best = "+inf" if cursor is None else f"({cursor!r}"
    entries = r.zrevrangebyscore(key, best, "-inf", start=0, num=limit + 1, withscores=True)
    found = page(entries, limit)
    return found | {"cursor": found["cursor"] and found["cursor"][1]}


@wrong(says="the cursor's own entry belongs to the page before")
def the_score_with_its_tie(r, key, limit, cursor):
    best = "+inf" if cursor is None else cursor
    entries = r.zrevrangebyscore(key, best, "-inf", start=0, num=limit + 1, withscores=True)
    found = page(entries, limit)
    return found | {"cursor": found["cursor"] and found["cursor"][1]}


def after_with(r, key, limit, cursor, keep, score_text=repr):
    if cursor is None:
        return page(after(r, key, limit, None), limit)
    name, score = cursor
    pipe = r.pipeline()
    pipe.zrevrangebyscore(key, score_text(score), score_text(score))
    pipe.zrevrangebyscore(
        key, f"({score_text(score)}", "-inf", start=0, num=limit + 1, withscores=True
    )
    tie, lower = pipe.execute()
    return page([(other, score) for other in tie if keep(other, name)] + lower, limit)


@wrong(says="the cursor's own entry belongs to the page before")
def the_cursor_comes_again(r, key, limit, cursor):
    return after_with(r, key, limit, cursor, lambda other, name: other <= name)


@wrong(says="the *smaller* names are still to come")
def names_from_a_to_z(r, key, limit, cursor):
    return after_with(r, key, limit, cursor, lambda other, name: other > name)


@wrong(says="of a page")
def names_without_regard_to_capitals(r, key, limit, cursor):
    return after_with(r, key, limit, cursor, lambda other, name: other.lower() < name.lower())


@wrong(says="a score that has lost digits, leads back")
def a_score_of_six_digits(r, key, limit, cursor):
    return after_with(
        r, key, limit, cursor, lambda other, name: other < name, score_text="{:g}".format
    )


@wrong(says="or not all of its digits")
def a_whole_score(r, key, limit, cursor):
    return after_with(r, key, limit, cursor, lambda other, name: other < name, score_text=int)


@wrong(says="or not all of its digits")
def leaves_out_the_tie(r, key, limit, cursor):
    return after_with(r, key, limit, cursor, lambda *_: False)


@wrong(says="fill a page together")
def the_tie_and_the_rest_on_pages_of_their_own(r, key, limit, cursor):
    if cursor is None:
        return page(after(r, key, limit, None), limit)
    found = after(r, key, limit, cursor)
    tie = [row for row in found if row[1] == cursor[1]]
    return page(tie or found, limit, more=len(found) > len(tie[:limit] or found[:limit]))


@wrong(says="what is joined has to be cut")
def forgets_to_cut(r, key, limit, cursor):
    entries = after(r, key, limit, cursor)
    return page(entries, len(entries), more=len(entries) > limit)


@wrong(says="ZREVRANGE includes its last index")
def one_too_many(r, key, limit, cursor):
    return page(after(r, key, limit + 1, cursor), limit + 1)


@wrong(says="Between the rest of the tie and what follows it the board may change")
def two_trips(r, key, limit, cursor):
    if cursor is None:
        return page(after(r, key, limit, None), limit)
    name, score = cursor
    tie = r.zrevrangebyscore(key, score, score)
    lower = r.zrevrangebyscore(key, f"({score!r}", "-inf", start=0, num=limit + 1, withscores=True)
    return page([(other, score) for other in tie if other < name] + lower, limit)


@wrong(says="where nothing is left, the cursor is None")
def the_cursor_is_never_none(r, key, limit, cursor):
    entries = after(r, key, limit, cursor)[:limit]
    return {"entries": entries, "cursor": entries[-1] if entries else cursor or ("", 0.0)}


@wrong(says="look first")
def the_last_of_an_empty_page(r, key, limit, cursor):
    entries = after(r, key, limit, cursor)[:limit]
    last = entries[-1]
    return {"entries": entries, "cursor": last if len(entries) == limit else None}


@wrong(says="the cursor is None only where nothing is left")
def stops_after_the_first_page(r, key, limit, cursor):
    return {"entries": after(r, key, limit, cursor)[:limit], "cursor": None}


@wrong(says="the next page begins right after the last entry")
def the_cursor_is_the_first_of_the_next_page(r, key, limit, cursor):
    entries = after(r, key, limit, cursor)
    return {
        "entries": entries[:limit],
        "cursor": entries[limit] if len(entries) > limit else None,
    }


@wrong(says="read each page from the board as it is now")
def the_rest_of_the_board_as_a_cursor(r, key, limit, cursor):
    board = r.zrange(key, 0, -1, desc=True, withscores=True)
    rest = board if cursor is None else cursor
    return {"entries": rest[:limit], "cursor": rest[limit:] or None}


@wrong(says="A cursor is a place")
def an_iterator_as_a_cursor(r, key, limit, cursor):
    board = r.zrange(key, 0, -1, desc=True, withscores=True)
    rest = iter(board) if cursor is None else cursor
    entries = list(itertools.islice(rest, limit))
    return {"entries": entries, "cursor": rest if len(entries) == limit else None}


@wrong(says="read each page from the board as it is now")
def a_copy_of_the_board(r, key, limit, cursor):
    copy, start = cursor or (f"{key}:copy", 0)
    pipe = r.pipeline()
    if cursor is None:
        pipe.zunionstore(copy, [key])
    pipe.zrevrange(copy, start, start + limit, withscores=True)
    entries = pipe.execute()[-1]
    more = len(entries) > limit
    return {"entries": entries[:limit], "cursor": (copy, start + limit) if more else None}


@wrong(says="A page is read, and writes nothing")
def keeps_the_place_on_the_server(r, key, limit, cursor):
    pipe = r.pipeline()
    if cursor is None:
        pipe.zrevrange(key, 0, limit, withscores=True)
    else:
        _, score = cursor
        pipe.zrevrangebyscore(key, score, score)
        pipe.zrevrangebyscore(key, f"({score!r}", "-inf", start=0, num=limit + 1, withscores=True)
    pipe.set(f"{key}:place", json.dumps(cursor))
    *tie, rest, _ = pipe.execute()
    ties = [(other, cursor[1]) for other in tie[0] if other < cursor[0]] if tie else []
    return page(ties + rest, limit)


@wrong(says="Your function sends more than a place and a limit")
def the_names_already_seen(r, key, limit, cursor):
    script = """
    local seen, page = {}, {}
    for i = 2, #ARGV do seen[ARGV[i]] = true end
    local board = redis.call('ZREVRANGE', KEYS[1], 0, -1, 'WITHSCORES')
    for i = 1, #board, 2 do
        if not seen[board[i]] then
            page[#page + 1] = board[i]
            page[#page + 1] = board[i + 1]
            if #page > 2 * ARGV[1] then break end
        end
    end
    return page
    """
    seen = list(cursor or [])
    flat = r.eval(script, 1, key, limit, *seen, *[""] * 40)
    rows = [(name, float(score)) for name, score in zip(flat[::2], flat[1::2], strict=True)]
    found = page(rows, limit)
    seen += [name for name, _ in found["entries"]]
    return found | {"cursor": seen if found["cursor"] else None}


@wrong(says="the first page")
def the_lowest_first(r, key, limit, cursor):
    start = cursor or 0
    entries = r.zrange(key, start, start + limit, withscores=True)
    found = page(entries, limit)
    return found | {"cursor": start + limit if found["cursor"] else None}


@wrong(says="Return a dictionary with `entries` and `cursor`")
def returns_a_pair(r, key, limit, cursor):
    return tuple(the_last_entry_as_a_cursor.answer(r, key, limit, cursor).values())


@wrong(says="is a list of names, or of names and scores in turn")
def names_without_scores(r, key, limit, cursor):
    found = the_last_entry_as_a_cursor.answer(r, key, limit, cursor)
    return found | {"entries": [name for name, _ in found["entries"]]}


@wrong(says="the first page")
def the_cursor_of_zscan(r, key, limit, cursor):
    position, entries = r.zscan(key, cursor or 0, count=limit)
    return {"entries": entries[:limit], "cursor": position or None}
