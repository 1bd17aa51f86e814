from tests.cases import right, wrong


@right
def f_string(board, window, period=None):
    key = f"arcade:{{{board}}}:{window}"
    return key if period is None else f"{key}:{period}"


@right
def joined(board, window, period=None):
    parts = ["arcade", "{" + board + "}", window, period]
    return ":".join(part for part in parts if part is not None)


@right
def format_and_an_ending(board, window, period=None):
    ending = f":{period}" if period else ""
    return f"arcade:{{{board}}}:{window}" + ending


@right
def collects_what_follows(board, *parts):
    return ":".join(["arcade", f"{{{board}}}", *filter(None, parts)])


@wrong(says="has no braces")
def single_braces_in_the_f_string(board, window, period=None):
    key = f"arcade:{board}:{window}"
    return key if period is None else f"{key}:{period}"


@wrong(says="it takes three")
def double_braces_in_the_f_string(board, window, period=None):
    key = f"arcade:{{board}}:{window}"
    return key if period is None else f"{key}:{period}"


@wrong(says="expected 'arcade:{")
def two_pairs_of_braces(board, window, period=None):
    key = f"arcade:{{{{{board}}}}}:{window}"
    return key if period is None else f"{key}:{period}"


@wrong(says="has no fourth part")
def none_as_a_period(board, window, period=None):
    return f"arcade:{{{board}}}:{window}:{period}"


@wrong(says="has no fourth part")
def a_colon_at_the_end(board, window, period=None):
    return f"arcade:{{{board}}}:{window}:{period or ''}"


@wrong(says="All boards are in one slot")
def braces_around_the_prefix(board, window, period=None):
    key = f"{{arcade}}:{board}:{window}"
    return key if period is None else f"{key}:{period}"


@wrong(says="are in different slots")
def braces_around_board_and_window(board, window, period=None):
    key = f"arcade:{{{board}:{window}}}"
    return key if period is None else f"{key}:{period}"


@wrong(says="are in different slots")
def braces_around_the_window(board, window, period=None):
    key = f"arcade:{board}:{{{window}}}"
    return key if period is None else f"{key}:{period}"


@wrong(says="expected 'arcade:{")
def window_before_board(board, window, period=None):
    key = f"arcade:{window}:{{{board}}}"
    return key if period is None else f"{key}:{period}"


@wrong(says="expected 'arcade:{")
def no_prefix(board, window, period=None):
    key = f"{{{board}}}:{window}"
    return key if period is None else f"{key}:{period}"


@wrong(says="whichever they are")
def knows_the_daily_window_only(board, window, period=None):
    return f"arcade:{{{board}}}:{window}" + (f":{period}" if window == "daily" else "")


@wrong(says="has no fourth part")
def knows_all_time_only(board, window, period=None):
    return f"arcade:{{{board}}}:{window}" + ("" if window == "all" else f":{period}")


@wrong(says="as from a function that ends without `return`")
def prints_it(board, window, period=None):
    print(f"arcade:{{{board}}}:{window}" + (f":{period}" if period else ""))


@wrong(says="(bytes instead of str)")
def bytes_for_redis(board, window, period=None):
    return f_string.answer(board, window, period).encode()


@wrong(says="stand in the key as they are")
def a_slug_of_the_board(board, window, period=None):
    return f_string.answer(board.lower().replace(" ", "-"), window, period)


@wrong(says="share a key")
def forgets_the_window(board, window, period=None):
    return f"arcade:{{{board}}}" + (f":{period}" if period and window == "daily" else "")
