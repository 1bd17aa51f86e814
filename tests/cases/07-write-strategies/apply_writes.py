from tests.cases import right, wrong

STREAM = "news:writes"


def latest_of(entries):
    return {fields["id"]: (fields["text"], entry) for entry, fields in entries}


def apply(db, entries):
    for number, (text, entry) in latest_of(entries).items():
        db.apply(int(number), text, entry)


@right
def read_apply_remove(r, db, count):
    entries = r.xrange(STREAM, count=count)
    if not entries:
        return 0
    apply(db, entries)
    return r.xdel(STREAM, *[entry for entry, _ in entries])


@right
def from_the_back_the_first_of_each(r, db, count):
    entries = r.xrange(STREAM, "-", "+", count)
    seen = set()
    for entry, fields in reversed(entries):
        if fields["id"] not in seen:
            seen.add(fields["id"])
            db.apply(int(fields["id"]), fields["text"], entry)
    with r.pipeline() as pipe:
        for entry, _ in entries:
            pipe.xdel(STREAM, entry)
        pipe.execute()
    return len(entries)


@wrong(says="Remove a write when the database has it, and not before")
def removes_first(r, db, count):
    entries = r.xrange(STREAM, count=count)
    if not entries:
        return 0
    r.xdel(STREAM, *[entry for entry, _ in entries])
    apply(db, entries)
    return len(entries)


@wrong(says="Apply the latest of each draft alone")
def applies_every_write(r, db, count):
    entries = r.xrange(STREAM, count=count)
    for entry, fields in entries:
        db.apply(int(fields["id"]), fields["text"], entry)
    return r.xdel(STREAM, *[entry for entry, _ in entries]) if entries else 0


@wrong(says="the database's drafts")
def keeps_the_first_of_each(r, db, count):
    entries = r.xrange(STREAM, count=count)
    if not entries:
        return 0
    apply(db, list(reversed(entries)))
    return r.xdel(STREAM, *[entry for entry, _ in entries])


@wrong(says="the database's drafts")
def reads_from_the_back(r, db, count):
    entries = list(reversed(r.xrevrange(STREAM, count=count)))
    if not entries:
        return 0
    apply(db, entries)
    return r.xdel(STREAM, *[entry for entry, _ in entries])


@wrong(says="ids are whole numbers")
def hands_over_texts_as_ids(r, db, count):
    entries = r.xrange(STREAM, count=count)
    for number, (text, entry) in latest_of(entries).items():
        db.apply(number, text, entry)
    return r.xdel(STREAM, *[entry for entry, _ in entries]) if entries else 0


@wrong(says="Let the error through")
def swallows_the_error(r, db, count):
    entries = r.xrange(STREAM, count=count)
    try:
        apply(db, entries)
    except Exception:
        return 0
    return r.xdel(STREAM, *[entry for entry, _ in entries]) if entries else 0


@wrong(says="Remove a write when the database has it, and not before")
def removes_in_finally(r, db, count):
    entries = r.xrange(STREAM, count=count)
    try:
        apply(db, entries)
    finally:
        if entries:
            r.xdel(STREAM, *[entry for entry, _ in entries])
    return len(entries)


@wrong(says="Remove the entries that you read, by their ids")
def empties_the_stream(r, db, count):
    entries = r.xrange(STREAM, count=count)
    apply(db, entries)
    if len(entries) < count:
        r.delete(STREAM)
        return len(entries)
    return r.xdel(STREAM, *[entry for entry, _ in entries])


@wrong(says="removing all of them together another")
def removes_one_by_one(r, db, count):
    entries = r.xrange(STREAM, count=count)
    apply(db, entries)
    return sum(r.xdel(STREAM, entry) for entry, _ in entries)


@wrong(says="Answer how many entries were removed")
def answers_the_number_of_drafts(r, db, count):
    entries = r.xrange(STREAM, count=count)
    apply(db, entries)
    if entries:
        r.xdel(STREAM, *[entry for entry, _ in entries])
    return len(latest_of(entries))
