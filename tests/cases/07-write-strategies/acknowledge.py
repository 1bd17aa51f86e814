from tests.cases import right, wrong

SCRIPT = """
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then return false end
redis.call('SET', KEYS[2], ARGV[2])
return redis.call('XADD', KEYS[1], '*', 'id', ARGV[1], 'text', ARGV[2])
"""


def run(r, script, number, text, most):
    return r.eval(script, 2, "news:writes", f"news:draft:{number}", number, text, most)


@right
def one_script(r, number, text, most):
    return run(r, SCRIPT, number, text, most)


@right
def an_empty_text_for_no(r, number, text, most):
    return run(r, SCRIPT.replace("return false", "return ''"), number, text, most) or None


@wrong(says="Nothing stands in news:writes")
def stores_only(r, number, text, most):
    r.set(f"news:draft:{number}", text)


@wrong(says="what stands under news:draft:")
def queues_only(r, number, text, most):
    return run(r, SCRIPT.replace("redis.call('SET', KEYS[2], ARGV[2])\n", ""), number, text, most)


@wrong(says="Store and queue in one script")
def two_trips(r, number, text, most):
    if r.xlen("news:writes") >= most:
        return None
    r.set(f"news:draft:{number}", text)
    return r.xadd("news:writes", {"id": number, "text": text})


@wrong(says="took the last place")
def looks_and_then_a_transaction(r, number, text, most):
    if r.xlen("news:writes") >= most:
        return None
    with r.pipeline(transaction=True) as pipe:
        pipe.set(f"news:draft:{number}", text)
        pipe.xadd("news:writes", {"id": number, "text": text})
        return pipe.execute()[1]


@wrong(says="and your function answered")
def no_bound(r, number, text, most):
    with r.pipeline(transaction=True) as pipe:
        pipe.set(f"news:draft:{number}", text)
        pipe.xadd("news:writes", {"id": number, "text": text})
        return pipe.execute()[1]


@wrong(says="in no transaction")
def a_plain_pipeline(r, number, text, most):
    with r.pipeline(transaction=False) as pipe:
        pipe.set(f"news:draft:{number}", text)
        pipe.xadd("news:writes", {"id": number, "text": text})
        return pipe.execute()[1]


@wrong(says="there was room")
def stops_one_too_early(r, number, text, most):
    return run(r, SCRIPT.replace(">=", "+ 1 >="), number, text, most)


@wrong(says="A write that was refused must not be read")
def stores_before_it_looks(r, number, text, most):
    script = "redis.call('SET', KEYS[2], ARGV[2])\n" + SCRIPT
    return run(r, script, number, text, most)


@wrong(says="The id of the entry is the receipt")
def answers_true(r, number, text, most):
    return True if run(r, SCRIPT, number, text, most) else None


@wrong(says="no more may, and your function answered")
def trims_the_oldest_away(r, number, text, most):
    script = """
    redis.call('SET', KEYS[2], ARGV[2])
    return redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], '*', 'id', ARGV[1], 'text', ARGV[2])
    """
    return run(r, script, number, text, most)


@wrong(says="Texts belong in its arguments")
def writes_the_text_into_the_script(r, number, text, most):
    script = SCRIPT.replace("ARGV[2]", f"'{text}'")
    return run(r, script, number, text, most)


@wrong(says="compare with `tonumber(ARGV[3])`")
def compares_a_number_with_a_text(r, number, text, most):
    return run(r, SCRIPT.replace("tonumber(ARGV[3])", "ARGV[3]"), number, text, most)


@wrong(says="has a time to live: the readers' text is gone")
def lets_the_text_expire(r, number, text, most):
    return run(
        r, SCRIPT.replace("ARGV[2])\nreturn", "ARGV[2], 'EX', 30)\nreturn"), number, text, most
    )


@wrong(says="the newest entry of news:writes")
def writes_the_text_as_python_would(r, number, text, most):
    return run(r, SCRIPT.replace("ARGV[2]", repr(text)), number, text, most)
