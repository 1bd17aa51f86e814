import contextlib
import json

from tests.cases import right, wrong


def key_of(article_id):
    return f"news:article:{article_id}"


@right
def null(r, load, article_id):
    text = r.get(key_of(article_id))
    if text is not None:
        return json.loads(text)
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article), ex=30 if article is None else 300)
    return article


@right
def a_mark(r, load, article_id):
    text = r.get(key_of(article_id))
    if text == "absent":
        return None
    if text:
        return json.loads(text)
    article = load(article_id)
    if article:
        r.setex(key_of(article_id), 300, json.dumps(article))
    else:
        r.setex(key_of(article_id), 30, "absent")
    return article


@right
def an_empty_text(r, load, article_id):
    key = key_of(article_id)
    text = r.get(key)
    if text is None:
        article = load(article_id)
        text = "" if article is None else json.dumps(article, indent=2)
        r.set(key, text, px=30_000 if article is None else 300_000)
    return json.loads(text) if text else None


@right
def an_empty_list_and_a_transaction(r, load, article_id):
    key = key_of(article_id)
    text = r.get(key)
    if text is None:
        text = json.dumps(load(article_id) or [])
        with r.pipeline() as pipe:
            pipe.set(key, text)
            pipe.expire(key, 30 if text == "[]" else 300)
            pipe.execute()
    return json.loads(text) or None


def absent(r, load, article_id, mark, seconds=30, read=json.loads):
    """`a_mark`, with another mark and another way to tell it."""
    text = r.get(key_of(article_id))
    if text is not None:
        return read(text)
    article = load(article_id)
    if article is None:
        r.set(key_of(article_id), mark, ex=seconds)
    else:
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="keep that too, or every question for a made-up id reaches the database")
def does_not_keep_none(r, load, article_id):
    text = r.get(key_of(article_id))
    if text:
        return json.loads(text)
    article = load(article_id)
    if article is not None:
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="compare what `r.get` answers with None, and only that")
def null_as_a_miss(r, load, article_id):
    article = json.loads(r.get(key_of(article_id)) or "null")
    if article is None:
        article = load(article_id)
        r.set(key_of(article_id), json.dumps(article), ex=30 if article is None else 300)
    return article


@wrong(says="compare what `r.get` answers with None, and only that")
def an_empty_text_as_a_miss(r, load, article_id):
    text = r.get(key_of(article_id))
    if text:
        return json.loads(text)
    article = load(article_id)
    if article is None:
        r.set(key_of(article_id), "", ex=30)
    else:
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="time to live of 300 seconds; expected 30")
def nothing_lives_as_long_as_an_article(r, load, article_id):
    return absent(r, load, article_id, "null", seconds=300)


@wrong(says="time to live of 30 seconds; expected 300")
def an_article_lives_as_short_as_nothing(r, load, article_id):
    text = r.get(key_of(article_id))
    if text is not None:
        return json.loads(text)
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article), ex=30)
    return article


@wrong(says="`px` counts milliseconds")
def milliseconds_for_seconds(r, load, article_id):
    text = r.get(key_of(article_id))
    if text is not None:
        return json.loads(text)
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article), px=30 if article is None else 300)
    return article


@wrong(says="never expires: pass its time to live to SET")
def nothing_for_ever(r, load, article_id):
    return absent(r, load, article_id, "null", seconds=None)


@wrong(says="a crash between SET and EXPIRE leaves a key that never expires")
def set_then_expire(r, load, article_id):
    text = r.get(key_of(article_id))
    if text is not None:
        return json.loads(text)
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article))
    r.expire(key_of(article_id), 30 if article is None else 300)
    return article


@wrong(says="a JSON object like every article")
def an_empty_object(r, load, article_id):
    return absent(r, load, article_id, "{}", read=lambda text: json.loads(text) or None)


@wrong(says="a JSON object like every article")
def an_article_that_says_so(r, load, article_id):
    def read(text):
        article = json.loads(text)
        return None if article.get("missing") else article

    return absent(r, load, article_id, '{"missing": true}', read=read)


@wrong(says="compare the whole text with what you store")
def looks_for_the_mark_anywhere(r, load, article_id):
    def read(text):
        return None if "null" in text else json.loads(text)

    return absent(r, load, article_id, "null", read=read)


@wrong(says="compare the whole text with what you store")
def looks_for_a_word_anywhere(r, load, article_id):
    def read(text):
        return None if "absent" in text else json.loads(text)

    return absent(r, load, article_id, "absent", read=read)


@wrong(says="raised JSONDecodeError")
def reads_its_mark_as_json(r, load, article_id):
    return absent(r, load, article_id, "absent")


@wrong(says="expected None, got 'absent'")
def returns_the_mark(r, load, article_id):
    def read(text):
        return text if text == "absent" else json.loads(text)

    return absent(r, load, article_id, "absent", read=read)


@wrong(says="what is stored is news:absent:")
def a_key_of_its_own(r, load, article_id):
    text, is_absent = r.mget(key_of(article_id), f"news:absent:{article_id}")
    if is_absent:
        return None
    if text is not None:
        return json.loads(text)
    article = load(article_id)
    if article is None:
        r.set(f"news:absent:{article_id}", 1, ex=30)
    else:
        r.set(key_of(article_id), json.dumps(article), ex=300)
    return article


@wrong(says="A hit is one GET, also where it says that there is nothing")
def exists_and_then_get(r, load, article_id):
    if r.exists(key_of(article_id)):
        return json.loads(r.get(key_of(article_id)))
    return null.answer(r, load, article_id)


@wrong(says="If it lives longer with each question")
def each_question_prolongs(r, load, article_id):
    text = r.getex(key_of(article_id), ex=300)
    return null.answer(r, load, article_id) if text is None else json.loads(text)


@wrong(says="There was no such article; then it was written")
def remembers_in_the_process(r, load, article_id, nothing=set()):  # noqa: B006
    if (r, article_id) in nothing:
        return None
    article = null.answer(r, load, article_id)
    if article is None:
        nothing.add((r, article_id))
    return article


@wrong(says="an error of the database has to reach the caller")
def an_error_is_nothing(r, load, article_id):
    def load_or_none(wanted):
        with contextlib.suppress(Exception):
            return load(wanted)

    return null.answer(r, load_or_none, article_id)


@wrong(says="raised TypeError")
def raises_for_a_made_up_id(r, load, article_id):
    article = null.answer(r, load, article_id)
    return dict(article)


@wrong(says="look into Redis first")
def always_loads(r, load, article_id):
    article = load(article_id)
    r.set(key_of(article_id), json.dumps(article), ex=30 if article is None else 300)
    return article
