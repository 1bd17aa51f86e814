import time

from tests.cases import right, wrong


def name(board, window, period):
    return f"arcade:{{{board}}}:{window}:{period}"


def name_of_all(board):
    return f"arcade:{{{board}}}:all"


def store(r, board, player, score, windows, expire, transaction=True, **options):
    options = options or {"gt": True}
    pipe = r.pipeline(transaction=transaction)
    pipe.zadd(name_of_all(board), {player: score}, **options)
    for window, (period, until) in windows.items():
        pipe.zadd(name(board, window, period), {player: score}, **options)
        expire(pipe, name(board, window, period), until)
    pipe.execute()


@right
def a_moment_in_one_transaction(r, board, player, score, windows):
    store(r, board, player, score, windows, lambda pipe, key, until: pipe.expireat(key, until))


@right
def a_moment_in_milliseconds(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.pexpireat(key, until * 1000),
    )


@right
def a_moment_where_there_is_none(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until, nx=True),
    )


@right
def seconds_until_the_moment(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expire(key, until - int(time.time())),
    )


SCRIPT = """
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
for i = 2, #KEYS do
    redis.call('ZADD', KEYS[i], 'GT', ARGV[2], ARGV[1])
    redis.call('EXPIREAT', KEYS[i], ARGV[i + 1])
end
"""


def arguments(board, windows):
    keys = [name(board, window, period) for window, (period, _) in windows.items()]
    return [name_of_all(board), *keys], [until for _, until in windows.values()]


@right
def script(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    r.eval(SCRIPT, len(keys), *keys, player, score, *moments)


@right
def registered_script_that_compares_by_itself(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    text = """
    for i, key in ipairs(KEYS) do
        local old = redis.call('ZSCORE', key, ARGV[1])
        if not old or tonumber(old) < tonumber(ARGV[2]) then
            redis.call('ZADD', key, ARGV[2], ARGV[1])
        end
        if i > 1 and redis.call('TTL', key) < 0 then
            redis.call('EXPIREAT', key, ARGV[i + 1])
        end
    end
    return #KEYS
    """
    return r.register_script(text)(keys=keys, args=[player, score, *moments])


@right
def a_transaction_with_the_larger_of_two_sets(r, board, player, score, windows):
    pipe = r.pipeline()
    keys, moments = arguments(board, windows)
    new = f"arcade:{{{board}}}:new"
    pipe.zadd(new, {player: score})
    for key, moment in zip(keys, [None, *moments], strict=True):
        pipe.zunionstore(key, [key, new], aggregate="MAX")
        if moment:
            pipe.expireat(key, moment)
    pipe.delete(new)
    pipe.execute()


@wrong(says="EXPIRE takes a number of seconds")
def a_moment_for_a_number_of_seconds(r, board, player, score, windows):
    store(r, board, player, score, windows, lambda pipe, key, until: pipe.expire(key, until))


@wrong(says="EXPIREAT takes a moment")
def prolongs_with_every_score(r, board, player, score, windows):
    store(r, board, player, score, windows, lambda pipe, key, until: pipe.expire(key, 86_400))


@wrong(says="EXPIREAT takes a moment, in seconds")
def a_moment_in_milliseconds_for_seconds(r, board, player, score, windows):
    store(
        r, board, player, score, windows, lambda pipe, key, until: pipe.expireat(key, until * 1000)
    )


@wrong(says="A moment that is over deletes a key at once")
def a_moment_in_seconds_for_milliseconds(r, board, player, score, windows):
    store(r, board, player, score, windows, lambda pipe, key, until: pipe.pexpireat(key, until))


@wrong(says="A moment that is over deletes a key at once")
def a_number_of_seconds_for_a_moment(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until - int(time.time())),
    )


@wrong(says="has no time to live, and stays for ever")
def never_expires(r, board, player, score, windows):
    store(r, board, player, score, windows, lambda *_: None)


@wrong(says="has no time to live, and stays for ever")
def only_later_than_what_was_said_before(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until, gt=True),
    )


@wrong(says="has no time to live, and stays for ever: after its score is stored")
def expires_before_there_is_a_key(r, board, player, score, windows):
    pipe = r.pipeline()
    pipe.zadd(name_of_all(board), {player: score}, gt=True)
    for window, (period, until) in windows.items():
        pipe.expireat(name(board, window, period), until)
        pipe.zadd(name(board, window, period), {player: score}, gt=True)
    pipe.execute()


@wrong(says="all time does not end")
def all_time_ends_with_the_last_window(r, board, player, score, windows):
    pipe = r.pipeline()
    keys, moments = arguments(board, windows)
    for key, until in zip(keys, [max(moments), *moments], strict=True):
        pipe.zadd(key, {player: score}, gt=True).expireat(key, until)
    pipe.execute()


@wrong(says="`gt=True` keeps the larger, in every window")
def keeps_the_last(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until),
        xx=False,
    )


@wrong(says="`gt=True` keeps the larger, in every window")
def keeps_the_first(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until),
        nx=True,
    )


@wrong(says="`gt=True` keeps the larger, in every window")
def keeps_the_best_of_all_time_only(r, board, player, score, windows):
    pipe = r.pipeline()
    pipe.zadd(name_of_all(board), {player: score}, gt=True)
    for window, (period, until) in windows.items():
        key = name(board, window, period)
        pipe.zadd(key, {player: score}).expireat(key, until)
    pipe.execute()


@wrong(says="`gt=True` keeps the larger, in every window")
def adds_up(r, board, player, score, windows):
    pipe = r.pipeline()
    keys, moments = arguments(board, windows)
    for key, until in zip(keys, [None, *moments], strict=True):
        pipe.zincrby(key, score, player)
        if until:
            pipe.expireat(key, until)
    pipe.execute()


@wrong(says="Each window has a best of its own")
def nothing_where_all_time_is_no_better(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    text = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if old and tonumber(old) >= tonumber(ARGV[2]) then return end
    """
    r.eval(text + SCRIPT, len(keys), *keys, player, score, *moments)


@wrong(says="Each window has a best of its own")
def the_best_of_all_time_in_every_window(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    text = """
    local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
    local best = ARGV[2]
    if old and tonumber(old) > tonumber(best) then best = old end
    """
    text += SCRIPT.replace("ARGV[2]", "best")
    r.eval(text, len(keys), *keys, player, score, *moments)


@wrong(says="and so has all time")
def forgets_all_time(r, board, player, score, windows):
    pipe = r.pipeline()
    for window, (period, until) in windows.items():
        key = name(board, window, period)
        pipe.zadd(key, {player: score}, gt=True).expireat(key, until)
    pipe.execute()


@wrong(says="There is arcade:")
def without_braces(r, board, player, score, windows):
    pipe = r.pipeline()
    pipe.zadd(f"arcade:{board}:all", {player: score}, gt=True)
    for window, (period, until) in windows.items():
        key = f"arcade:{board}:{window}:{period}"
        pipe.zadd(key, {player: score}, gt=True).expireat(key, until)
    pipe.execute()


@wrong(says="Every window that `windows` names has a key")
def knows_two_windows(r, board, player, score, windows):
    known = {window: windows[window] for window in ("daily", "weekly") if window in windows}
    a_moment_in_one_transaction.answer(r, board, player, score, known)


@wrong(says="A crash between two trips")
def a_trip_for_each_window(r, board, player, score, windows):
    r.zadd(name_of_all(board), {player: score}, gt=True)
    for window, (period, until) in windows.items():
        key = name(board, window, period)
        r.zadd(key, {player: score}, gt=True)
        r.expireat(key, until)


@wrong(says="A crash between two trips")
def expires_in_a_second_trip(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    pipe = r.pipeline()
    for key in keys:
        pipe.zadd(key, {player: score}, gt=True)
    pipe.execute()
    for key, until in zip(keys[1:], moments, strict=True):
        pipe.expireat(key, until)
    pipe.execute()


@wrong(says="can be interrupted between its commands")
def a_pipeline_that_is_no_transaction(r, board, player, score, windows):
    store(
        r,
        board,
        player,
        score,
        windows,
        lambda pipe, key, until: pipe.expireat(key, until),
        transaction=False,
    )


@wrong(says="can be interrupted between its commands")
def a_script_for_each_window(r, board, player, score, windows):
    keys, moments = arguments(board, windows)
    pipe = r.pipeline(transaction=False)
    pipe.zadd(keys[0], {player: score}, gt=True)
    for key, until in zip(keys[1:], moments, strict=True):
        text = "redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2]) "
        text += "redis.call('EXPIREAT', KEYS[1], ARGV[3])"
        pipe.eval(text, 1, key, score, player, until)
    pipe.execute()


@wrong(says="There is no key")
def forgets_to_send(r, board, player, score, windows):
    pipe = r.pipeline()
    for key in arguments(board, windows)[0]:
        pipe.zadd(key, {player: score}, gt=True)


@wrong(says="Your function returns the pipeline itself")
def returns_the_pipeline(r, board, player, score, windows):
    return r.pipeline().zadd(name_of_all(board), {player: score}, gt=True)
