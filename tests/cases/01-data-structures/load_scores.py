from tests.cases import right, wrong


def pieces(scores, size=1000):
    entries = list(scores.items())
    return [dict(entries[start : start + size]) for start in range(0, len(entries), size)]


@right
def a_dictionary_a_command(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", piece) for piece in pieces(scores))


@right
def a_pipeline_a_piece(r, board, scores):
    new = 0
    for piece in pieces(scores):
        with r.pipeline(transaction=False) as pipe:
            for name, score in piece.items():
                pipe.zadd(f"arcade:board:{board}", {name: score})
            new += sum(pipe.execute())
    return new


@right
def one_pipeline_sent_when_full(r, board, scores):
    new = 0
    pipe = r.pipeline()
    for number, (name, score) in enumerate(scores.items(), start=1):
        pipe.zadd(f"arcade:board:{board}", {name: score})
        if number % 1000 == 0:
            new += sum(pipe.execute())
    return new + sum(pipe.execute())


@right
def takes_the_scores_out_of_its_dictionary(r, board, scores):
    new = 0
    while scores:
        piece = dict(scores.popitem() for _ in range(min(1000, len(scores))))
        new += r.zadd(f"arcade:board:{board}", piece)
    return new


@wrong(says="One command a trip makes 1,000 journeys")
def one_by_one(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", {name: score}) for name, score in scores.items())


@wrong(says="Without a bound, commands and answers")
def all_at_once(r, board, scores):
    return r.zadd(f"arcade:board:{board}", scores) if scores else 0


@wrong(says="Without a bound, commands and answers")
def pieces_in_one_pipeline(r, board, scores):
    pipe = r.pipeline()
    for piece in pieces(scores):
        pipe.zadd(f"arcade:board:{board}", piece)
    return sum(pipe.execute())


@wrong(says="smaller pieces make more of them")
def pieces_of_a_hundred(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", piece) for piece in pieces(scores, size=100))


@wrong(says="1100 are new, not 1500")
def returns_how_many_went_in(r, board, scores):
    for piece in pieces(scores):
        r.zadd(f"arcade:board:{board}", piece)
    return len(scores)


@wrong(says="ZADD refuses an empty dictionary")
def raises_without_scores(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", piece) for piece in pieces(scores) or [{}])


@wrong(says="the last piece is often the one that is forgotten")
def forgets_the_last_piece(r, board, scores):
    new, piece = 0, {}
    for name, score in scores.items():
        piece[name] = score
        if len(piece) == 1000:
            new += r.zadd(f"arcade:board:{board}", piece)
            piece = {}
    return new


@wrong(says="a dictionary from member to score")
def members_and_scores_swapped(r, board, scores):
    swapped = [{score: name for name, score in piece.items()} for piece in pieces(scores)]
    return sum(r.zadd(f"arcade:board:{board}", piece) for piece in swapped)


@wrong(says="on the board: expected")
def ranks_for_scores(r, board, scores):
    ranks = {name: rank for rank, name in enumerate(sorted(scores, key=scores.get))}
    return sum(r.zadd(f"arcade:board:{board}", piece) for piece in pieces(ranks))


@wrong(says="also counts the members whose score changed")
def counts_changed_ones_too(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", piece, ch=True) for piece in pieces(scores))


@wrong(says="keep some of the old scores")
def leaves_old_scores(r, board, scores):
    return sum(r.zadd(f"arcade:board:{board}", piece, nx=True) for piece in pieces(scores))


@wrong(says="ZADD itself answers how many members were new")
def counts_before_and_after(r, board, scores):
    key = f"arcade:board:{board}"
    before = r.zcard(key)
    for piece in pieces(scores):
        r.zadd(key, piece)
    return r.zcard(key) - before
