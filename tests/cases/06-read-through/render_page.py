from tests.cases import right, wrong


def key_of(name, version):
    return f"news:part:{name}:v{version}"


@right
def mget_and_one_pipeline(r, parts, render):
    if not parts:
        return ""
    keys = [f"news:part:{name}:v{version}" for name, version in parts]
    texts = r.mget(keys)
    with r.pipeline() as pipe:
        for place, (name, _) in enumerate(parts):
            if texts[place] is None:
                texts[place] = render(name)
                pipe.set(keys[place], texts[place], ex=3600)
        pipe.execute()
    return "".join(texts)


@right
def a_dictionary_of_texts(r, parts, render):
    keys = {name: f"news:part:{name}:v{version}" for name, version in parts}
    texts = dict(zip(keys, r.mget(keys.values()), strict=True)) if keys else {}
    missing = [name for name, text in texts.items() if text is None]
    texts |= {name: render(name) for name in reversed(missing)}
    if missing:
        pipe = r.pipeline(transaction=False)
        for name in missing:
            pipe.setex(keys[name], 3600, texts[name])
        pipe.execute()
    return "".join(texts.values())


@right
def gets_in_a_pipeline_and_mset(r, parts, render):
    pipe = r.pipeline()
    for name, version in parts:
        pipe.get(key_of(name, version))
    texts = pipe.execute()
    new = {}
    for place, ((name, version), text) in enumerate(zip(parts, texts, strict=True)):
        if text is None:
            texts[place] = new[key_of(name, version)] = render(name)
    if new:
        with r.pipeline(transaction=True) as pipe:
            pipe.mset(new)
            for key in new:
                pipe.expire(key, 3600)
            pipe.execute()
    page = ""
    for text in texts:
        page += text
    return page


def rendered(
    r,
    parts,
    render,
    *,
    key_of=key_of,
    is_missing=lambda text: text is None,
    queue=lambda pipe, key, text: pipe.set(key, text, ex=3600),
    between="",
    transaction=True,
):
    """`mget_and_one_pipeline`, with something else in one place."""
    if not parts:
        return ""
    keys = [key_of(name, version) for name, version in parts]
    texts = r.mget(keys)
    with r.pipeline(transaction=transaction) as pipe:
        for place, (name, _) in enumerate(parts):
            if is_missing(texts[place]):
                texts[place] = render(name)
                queue(pipe, keys[place], texts[place])
        pipe.execute()
    return between.join(texts)


@wrong(says="MGET asks for all of the parts at once")
def a_get_for_each_part(r, parts, render):
    texts = {part: r.get(key_of(*part)) for part in parts}
    with r.pipeline() as pipe:
        for part, text in texts.items():
            if text is None:
                texts[part] = render(part[0])
                pipe.set(key_of(*part), texts[part], ex=3600)
        pipe.execute()
    return "".join(texts.values())


@wrong(says="expected two: an MGET, and one pipeline with a SET for each")
def a_set_for_each_part(r, parts, render):
    return rendered(r, parts, render, queue=lambda _, key, text: r.set(key, text, ex=3600))


@wrong(says="expected two: an MGET, and one pipeline with a SET for each")
def part_after_part(r, parts, render):
    page = ""
    for name, version in parts:
        text = r.get(key_of(name, version))
        if text is None:
            text = render(name)
            r.set(key_of(name, version), text, ex=3600)
        page += text
    return page


@wrong(says="When all of the parts are there, one MGET is all")
def what_is_there_lives_on(r, parts, render):
    if not parts:
        return ""
    keys = [key_of(*part) for part in parts]
    texts = r.mget(keys)
    with r.pipeline() as pipe:
        for place, (name, _) in enumerate(parts):
            if texts[place] is None:
                texts[place] = render(name)
                pipe.set(keys[place], texts[place], ex=3600)
            else:
                pipe.expire(keys[place], 3600)
        pipe.execute()
    return "".join(texts)


@wrong(says="what was sent to Redis for a page without parts: expected [], got ['MGET']")
def asks_for_a_page_without_parts(r, parts, render):
    keys = [key_of(name, version) for name, version in parts]
    texts = r.mget(keys)
    with r.pipeline() as pipe:
        for place, (name, _) in enumerate(parts):
            if texts[place] is None:
                texts[place] = render(name)
                pipe.set(keys[place], texts[place], ex=3600)
        pipe.execute()
    return "".join(texts)


@wrong(says="the page shows what it was before. The version belongs in the key")
def no_version_in_the_key(r, parts, render):
    return rendered(r, parts, render, key_of=lambda name, _: f"news:part:{name}")


@wrong(says="each part has a key of its own, with its own version")
def the_page_as_one_value(r, parts, render):
    if not parts:
        return ""
    key = "news:page:" + ",".join(f"{name}:v{version}" for name, version in parts)
    page = r.get(key)
    if page is None:
        page = "".join(render(name) for name, _ in parts)
        r.set(key, page, ex=3600)
    return page


@wrong(says="each part has a key of its own, with its own version")
def every_part_by_the_newest_version(r, parts, render):
    newest = max((version for _, version in parts), default=0) + sum(v for _, v in parts)
    return rendered(r, parts, render, key_of=lambda name, _: f"news:part:{name}:v{newest}")


@wrong(says="Nothing is stored under news:part:")
def a_key_of_its_own(r, parts, render):
    return rendered(r, parts, render, key_of=lambda name, version: f"news:{name}:{version}")


@wrong(says="An empty text is a value; only for a missing key MGET answers None")
def an_empty_text_is_missing(r, parts, render):
    return rendered(r, parts, render, is_missing=lambda text: not text)


@wrong(says="is not stored: an empty text is a value")
def stores_no_empty_text(r, parts, render):
    return rendered(
        r,
        parts,
        render,
        queue=lambda pipe, key, text: text and pipe.set(key, text, ex=3600),
    )


@wrong(says="and was rendered again")
def renders_everything(r, parts, render):
    return rendered(r, parts, render, is_missing=lambda _: True)


@wrong(says="in the order of `parts`")
def what_was_missing_comes_last(r, parts, render):
    if not parts:
        return ""
    texts = r.mget([key_of(*part) for part in parts])
    page = "".join(text for text in texts if text is not None)
    missing = [part for part, text in zip(parts, texts, strict=True) if text is None]
    return page + rendered(r, missing, render)


@wrong(says="with nothing between them")
def lines_between_the_parts(r, parts, render):
    return rendered(r, parts, render, between="\n")


@wrong(says="expected '")
def returns_a_list(r, parts, render):
    keys = [key_of(*part) for part in parts]
    rendered(r, parts, render)
    return r.mget(keys)


@wrong(says="got None, as from a function that ends without `return`")
def prints_the_page(r, parts, render):
    print(rendered(r, parts, render))


@wrong(says="never expires: pass its time to live to SET")
def mset_has_no_time_to_live(r, parts, render):
    return rendered(r, parts, render, queue=lambda pipe, key, text: pipe.mset({key: text}))


@wrong(says="but in no transaction")
def expire_beside_set(r, parts, render):
    return rendered(
        r,
        parts,
        render,
        queue=lambda pipe, key, text: pipe.set(key, text).expire(key, 3600),
        transaction=False,
    )


@wrong(says="leaves a key that never expires. Let SET carry")
def expire_in_a_third_trip(r, parts, render):
    page = rendered(r, parts, render, queue=lambda pipe, key, text: pipe.set(key, text))
    with r.pipeline() as pipe:
        for part in parts:
            pipe.expire(key_of(*part), 3600, nx=True)
        pipe.execute()
    return page


@wrong(says="seconds; expected 3600")
def a_minute(r, parts, render):
    return rendered(r, parts, render, queue=lambda pipe, key, text: pipe.set(key, text, ex=60))


@wrong(says="store only what you rendered")
def stores_every_part_again(r, parts, render):
    if not parts:
        return ""
    keys = [key_of(*part) for part in parts]
    texts = r.mget(keys)
    with r.pipeline() as pipe:
        for place, (name, _) in enumerate(parts):
            if texts[place] is None:
                texts[place] = render(name)
            pipe.set(keys[place], texts[place], ex=3600)
        pipe.execute()
    return "".join(texts)


@wrong(says="was rendered 2 times in one call")
def renders_twice(r, parts, render):
    return rendered(
        r,
        parts,
        lambda name: render(name) + render(name),
    )


@wrong(says="`render` takes the name of a part")
def renders_with_the_version(r, parts, render):
    if parts and r.mget([key_of(*part) for part in parts])[0] is None:
        return render(*parts[0])
    return rendered(r, parts, render)
