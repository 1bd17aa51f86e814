import collections
import json
import re

from tests.cases import right, wrong

READ = re.compile(r'"GET /articles/(\d+) HTTP/1.1" 200 ')


def key_of(number):
    return f"news:article:{number}"


@right
def counter_mget_and_pipelines(r, log, load_many, most):
    found = (READ.search(line) for line in log)
    reads = collections.Counter(int(match[1]) for match in found if match)
    ids = sorted(reads, key=lambda number: (-reads[number], number))[:most]
    texts = r.mget([key_of(number) for number in ids])
    missing = [number for number, text in zip(ids, texts, strict=True) if text is None]
    stored = 0
    for start in range(0, len(missing), 100):
        with r.pipeline() as pipe:
            for number, article in load_many(missing[start : start + 100]).items():
                pipe.set(key_of(number), json.dumps(article), nx=True, ex=300)
            stored += sum(reply is True for reply in pipe.execute())
    return stored


@right
def split_exists_and_lua(r, log, load_many, most):
    reads = {}
    for line in log:
        words = line.split()
        parts = words[6].split("/")
        is_read = words[5] == '"GET' and words[8] == "200"
        if is_read and parts[:-1] == ["", "articles"] and parts[-1].isdigit():
            reads[int(parts[-1])] = reads.get(int(parts[-1]), 0) + 1
    ranked = sorted((-count, number) for number, count in reads.items())
    ids = [number for _, number in ranked][:most]
    pipe = r.pipeline(transaction=False)
    for number in ids:
        pipe.exists(key_of(number))
    missing = {number for number, there in zip(ids, pipe.execute(), strict=True) if not there}
    script = """
        local stored = 0
        for place, key in ipairs(KEYS) do
            if redis.call('SET', key, ARGV[place], 'NX', 'PX', 300000) then
                stored = stored + 1
            end
        end
        return stored
    """
    stored = 0
    while missing:
        batch = [missing.pop() for _ in range(min(100, len(missing)))]
        articles = load_many(batch)
        keys = [key_of(number) for number in articles]
        texts = [json.dumps(article, sort_keys=True) for article in articles.values()]
        stored += r.eval(script, len(keys), *keys, *texts)
    return stored


@right
def most_common_of_sorted_lines(r, log, load_many, most):
    ids = []
    for line in log:
        request, (status, _) = line.split('"')[1], line.split('"')[2].split()
        if request.startswith("GET /articles/") and status == "200":
            number = request.removeprefix("GET /articles/").removesuffix(" HTTP/1.1")
            if number.isdecimal():
                ids.append(int(number))
    # What is equal stays in the order in which it was met.
    popular = [number for number, _ in collections.Counter(sorted(ids)).most_common(most)]
    if not popular:
        return 0
    there = r.mget(*map(key_of, popular))
    missing = [number for number, text in zip(popular, there, strict=True) if text is None]
    replies = []
    for batch in (missing[i : i + 100] for i in range(0, len(missing), 100)):
        pipe = r.pipeline()
        for number, article in load_many(batch).items():
            pipe.set(f"news:article:{number}", json.dumps(article), px=300_000, nx=True)
        replies += pipe.execute()
    return len([reply for reply in replies if reply])


def set_nx(pipe, key, text):
    pipe.set(key, text, nx=True, ex=300)


def warmed(
    r,
    log,
    load_many,
    most,
    *,
    number_in=lambda line: (match := READ.search(line)) and int(match[1]),
    order=lambda reads: sorted(reads, key=lambda number: (-reads[number], number)),
    size=100,
    queue=set_nx,
    count=lambda replies, batch: sum(reply is True for reply in replies),
    transaction=True,
):
    """`counter_mget_and_pipelines`, with something else in one place."""
    numbers = (number_in(line) for line in log)
    reads = collections.Counter(number for number in numbers if number)
    ids = order(reads)[:most]
    texts = r.mget([key_of(number) for number in ids])
    missing = [number for number, text in zip(ids, texts, strict=True) if text is None]
    stored = 0
    for start in range(0, len(missing), size):
        batch = missing[start : start + size]
        with r.pipeline(transaction=transaction) as pipe:
            for number, article in load_many(batch).items():
                queue(pipe, key_of(number), json.dumps(article))
            stored += count(pipe.execute(), batch)
    return stored


def taken_by(expression):
    """The number that a regular expression finds in a line."""
    return lambda line: (match := re.search(expression, line)) and int(match[1])


@wrong(says="but never with status 200")
def whatever_came_of_it(r, log, load_many, most):
    number_in = taken_by(r'"GET /articles/(\d+) HTTP')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="another 200 in the line may be a size")
def any_200_in_the_line(r, log, load_many, most):
    number_in = taken_by(r'"GET /articles/(\d+) HTTP.* 200')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="a read is a GET")
def whatever_the_method(r, log, load_many, most):
    number_in = taken_by(r' /articles/(\d+) HTTP/1.1" 200 ')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="/comments was read often, and only a read of")
def whatever_follows_the_id(r, log, load_many, most):
    number_in = taken_by(r'"GET /articles/(\d+).*" 200 ')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="was read often, and only a read of")
def whatever_goes_before(r, log, load_many, most):
    number_in = taken_by(r'"GET .*/articles/(\d+) HTTP/1.1" 200 ')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="/authors/")
def any_path_with_a_number(r, log, load_many, most):
    number_in = taken_by(r'"GET /\w+/(\d+) HTTP/1.1" 200 ')
    return warmed(r, log, load_many, most, number_in=number_in)


@wrong(says="the smaller id goes first, as a number")
def ties_as_they_come(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        order=lambda reads: [number for number, _ in reads.most_common()],
    )


@wrong(says="the smaller id goes first, as a number")
def ties_as_texts(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        order=lambda reads: sorted(reads, key=lambda number: (-reads[number], str(number))),
    )


@wrong(says="most read")
def the_least_read(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        order=lambda reads: sorted(reads, key=lambda number: (reads[number], number)),
    )


@wrong(says="most read")
def everything_that_was_read(r, log, load_many, most):
    return warmed(r, log, load_many, 10_000)


@wrong(says="`load_many` got the id '")
def ids_are_texts(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        number_in=lambda line: (match := READ.search(line)) and match[1],
        order=lambda reads: sorted(reads, key=lambda number: (-reads[number], int(number))),
    )


@wrong(says="All of them are in Redis")
def loads_what_is_there(r, log, load_many, most):
    found = (READ.search(line) for line in log)
    reads = collections.Counter(int(match[1]) for match in found if match)
    ids = sorted(reads, key=lambda number: (-reads[number], number))[:most]
    stored = 0
    for start in range(0, len(ids), 100):
        with r.pipeline() as pipe:
            for number, article in load_many(ids[start : start + 100]).items():
                set_nx(pipe, key_of(number), json.dumps(article))
            stored += sum(reply is True for reply in pipe.execute())
    return stored


@wrong(says="the next in the list do not move up")
def the_most_read_of_the_missing(r, log, load_many, most):
    found = (READ.search(line) for line in log)
    reads = collections.Counter(int(match[1]) for match in found if match)
    ids = sorted(reads, key=lambda number: (-reads[number], number))
    texts = r.mget([key_of(number) for number in ids])
    missing = [number for number, text in zip(ids, texts, strict=True) if text is None][:most]
    stored = 0
    for start in range(0, len(missing), 100):
        with r.pipeline() as pipe:
            for number, article in load_many(missing[start : start + 100]).items():
                set_nx(pipe, key_of(number), json.dumps(article))
            stored += sum(reply is True for reply in pipe.execute())
    return stored


@wrong(says="leave the database alone")
def asks_for_nothing(r, log, load_many, most):
    found = (READ.search(line) for line in log)
    reads = collections.Counter(int(match[1]) for match in found if match)
    ids = sorted(reads, key=lambda number: (-reads[number], number))[:most]
    texts = r.mget([key_of(number) for number in ids])
    missing = [number for number, text in zip(ids, texts, strict=True) if text is None]
    stored = 0
    for start in range(0, max(len(missing), 1), 100):
        with r.pipeline() as pipe:
            for number, article in load_many(missing[start : start + 100]).items():
                set_nx(pipe, key_of(number), json.dumps(article))
            stored += sum(reply is True for reply in pipe.execute())
    return stored


@wrong(says="says which of")
def a_question_for_each_key(r, log, load_many, most):
    found = (READ.search(line) for line in log)
    reads = collections.Counter(int(match[1]) for match in found if match)
    ids = sorted(reads, key=lambda number: (-reads[number], number))[:most]
    missing = [number for number in ids if not r.exists(key_of(number))]
    stored = 0
    for start in range(0, len(missing), 100):
        with r.pipeline() as pipe:
            for number, article in load_many(missing[start : start + 100]).items():
                set_nx(pipe, key_of(number), json.dumps(article))
            stored += sum(reply is True for reply in pipe.execute())
    return stored


@wrong(says="100 are the most")
def all_at_once(r, log, load_many, most):
    return warmed(r, log, load_many, most, size=10_000)


@wrong(says="ask for 100 at a time")
def one_at_a_time(r, log, load_many, most):
    return warmed(r, log, load_many, most, size=1)


@wrong(says="put its SETs on one pipeline")
def a_trip_for_each_article(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        queue=lambda _, key, text: r.set(key, text, nx=True, ex=300),
        count=lambda _, batch: len(batch),
    )


@wrong(says="`nx=True` stores only where nothing is")
def writes_over_what_is_newer(r, log, load_many, most):
    return warmed(
        r, log, load_many, most, queue=lambda pipe, key, text: pipe.set(key, text, ex=300)
    )


@wrong(says="in the SET itself")
def looks_again_before_it_stores(r, log, load_many, most):
    def load_missing(batch):
        articles = load_many(batch)
        there = r.mget([key_of(number) for number in articles])
        return {
            number: article
            for (number, article), text in zip(articles.items(), there, strict=True)
            if text is None
        }

    return warmed(
        r,
        log,
        load_missing,
        most,
        queue=lambda pipe, key, text: pipe.set(key, text, ex=300),
    )


@wrong(says="The reply to each SET says whether it stored")
def counts_what_it_loaded(r, log, load_many, most):
    return warmed(r, log, load_many, most, count=lambda _, batch: len(batch))


@wrong(says="The reply to each SET says whether it stored")
def counts_the_replies(r, log, load_many, most):
    return warmed(r, log, load_many, most, count=lambda replies, _: len(replies))


@wrong(says="never expires: pass its time to live to SET")
def no_time_to_live(r, log, load_many, most):
    return warmed(r, log, load_many, most, queue=lambda pipe, key, text: pipe.setnx(key, text))


@wrong(says="leave it alone")
def setnx_and_expire(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        queue=lambda pipe, key, text: pipe.setnx(key, text).expire(key, 300),
        count=lambda replies, _: sum(replies[::2]),
    )


@wrong(says="but in no transaction")
def expire_beside_set(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        queue=lambda pipe, key, text: pipe.set(key, text, nx=True).expire(key, 300),
        count=lambda replies, _: sum(reply is True for reply in replies[::2]),
        transaction=False,
    )


@wrong(says="which is no JSON")
def the_text_of_python(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        queue=lambda pipe, key, text: set_nx(pipe, key, str(json.loads(text))),
    )


@wrong(says="go through what it returned")
def null_for_what_is_gone(r, log, load_many, most):
    def load_all(batch):
        articles = load_many(batch)
        return {number: articles.get(number) for number in batch}

    return warmed(r, log, load_all, most)


@wrong(says="raised KeyError")
def expects_every_article(r, log, load_many, most):
    def load_all(batch):
        articles = load_many(batch)
        return {number: articles[number] for number in batch}

    return warmed(r, log, load_all, most)


@wrong(says="Like an open file, `log` gives each line once")
def goes_through_the_log_twice(r, log, load_many, most):
    total = sum(1 for _ in log)
    return warmed(r, log, load_many, min(most, total))


@wrong(says="expected 2, got None, as from a function that ends without `return`")
def returns_nothing(r, log, load_many, most):
    warmed(r, log, load_many, most)


@wrong(says="how many articles are stored")
def a_key_of_its_own(r, log, load_many, most):
    return warmed(
        r,
        log,
        load_many,
        most,
        queue=lambda pipe, key, text: set_nx(pipe, key.replace("article", "warm"), text),
    )
