from tests.cases import right, wrong


@right
def one_set_with_ex(r, name):
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text, ex=60)
    return text


@right
def setex(r, name):
    r.setex(f"start:greeting:{name}", 60, f"Hello, {name}!")
    return f"Hello, {name}!"


@wrong(says="returns nothing")
def stores_and_returns_nothing(r, name):
    r.set(f"start:greeting:{name}", f"Hello, {name}!", ex=60)


@wrong(says="never expires")
def forgets_the_time_to_live(r, name):
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text)
    return text


@wrong(says="a crash between them")
def set_and_then_expire(r, name):
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text)
    r.expire(f"start:greeting:{name}", 60)
    return text


@wrong(says="`px` milliseconds")
def milliseconds_for_seconds(r, name):
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text, px=60)
    return text


@wrong(says="Nothing is stored")
def returns_and_stores_nothing(r, name):
    return f"Hello, {name}!"


@wrong(says="the keys in Redis: expected")
def one_key_for_everybody(r, name):
    text = f"Hello, {name}!"
    r.set("start:greeting", text, ex=60)
    return text


@wrong(says="expected 'Hello, ")
def forgets_the_exclamation_mark(r, name):
    text = f"Hello, {name}"
    r.set(f"start:greeting:{name}", text, ex=60)
    return text
