import copy

from tests.cases import right, wrong


@right
def a_loop_of_attempts(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
        except db.Conflict:
            if attempt == attempts - 1:
                raise
        else:
            return edited
    return None


@right
def calls_itself_with_one_less(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    try:
        db.save(article_id, edited, if_version=version)
    except db.Conflict:
        if attempts == 1:
            raise
        return calls_itself_with_one_less.answer(db, article_id, change, attempts - 1)
    return edited


@right
def counts_down(db, article_id, change, attempts=5):
    while True:
        attempts -= 1
        found = db.read(article_id)
        edited = change(found[0])
        try:
            db.save(article_id, edited, found[1])
            return copy.deepcopy(edited)
        except db.Conflict as conflict:
            if not attempts:
                raise conflict


@wrong(says="`db.save` was called without `if_version=`")
def saves_in_any_case(db, article_id, change, attempts=5):
    article, _ = db.read(article_id)
    edited = change(article)
    db.save(article_id, edited)
    return edited


@wrong(says="after a Conflict read again, change that")
def does_not_try_again(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    db.save(article_id, edited, if_version=version)
    return edited


@wrong(says="after a Conflict read again, change that")
def tries_again_with_the_same_version(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    for attempt in range(attempts):
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="your save came over the others")
def saves_its_first_edit_under_the_new_version(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    for attempt in range(attempts):
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == attempts - 1:
                raise
            _, version = db.read(article_id)
    return None


@wrong(says="your save came over the others")
def asks_for_the_version_at_the_end(db, article_id, change, attempts=5):
    article, _ = db.read(article_id)
    edited = change(article)
    for attempt in range(attempts):
        _, version = db.read(article_id)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="your save came over the others")
def saves_in_any_case_after_a_conflict(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    try:
        db.save(article_id, edited, if_version=version)
    except db.Conflict:
        db.save(article_id, edited)
    return edited


@wrong(says="2 times: change what the database has now")
def changes_what_it_has_changed(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    for attempt in range(attempts):
        article = change(article)
        try:
            db.save(article_id, article, if_version=version)
            return article
        except db.Conflict:
            if attempt == attempts - 1:
                raise
            now, version = db.read(article_id)
            edits = now["edits"] + [edit for edit in article["edits"] if edit == "mine"]
            article = {**now, "edits": edits}
    return None


@wrong(says="Nobody else has saved: the version is the one that `db.read` answered")
def saves_under_the_next_version(db, article_id, change, attempts=5):
    article, version = db.read(article_id)
    edited = change(article)
    db.save(article_id, edited, if_version=version + 1)
    return edited


@wrong(says="Let the last Conflict through")
def gives_up_in_silence(db, article_id, change, attempts=5):
    for _ in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            continue
    return None


@wrong(says="Others are always quicker: stop after `attempts` attempts")
def tries_for_ever(db, article_id, change, attempts=5):
    while True:
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            continue


@wrong(says="theirs is lost. Let the Conflict through")
def forces_the_last_attempt(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            if attempt == attempts - 1:
                db.save(article_id, edited, if_version=db.read(article_id)[1])
            else:
                db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            continue
    return None


@wrong(says="how often `db.save` was called, with attempts=")
def one_attempt_too_many(db, article_id, change, attempts=5):
    for attempt in range(attempts + 1):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == attempts:
                raise
    return None


@wrong(says="how often `db.save` was called, with attempts=")
def one_attempt_too_few(db, article_id, change, attempts=5):
    for attempt in range(1, max(attempts, 2)):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == max(attempts, 2) - 1:
                raise
    return None


@wrong(says="how often `db.save` was called, with attempts=")
def always_five_attempts(db, article_id, change, attempts=5):
    for attempt in range(5):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == 4:
                raise
    return None


@wrong(says="that is no Conflict, and trying again may make it worse")
def tries_again_after_any_error(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        try:
            article, version = db.read(article_id)
            edited = change(article)
            db.save(article_id, edited, if_version=version)
            return edited
        except Exception:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="that is no Conflict, and trying again may make it worse")
def tries_again_after_a_timeout(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except (db.Conflict, TimeoutError):
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="how often the article was read, with nobody else there")
def reads_to_compare_before_the_save(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        if db.read(article_id)[1] != version:
            continue
        try:
            db.save(article_id, edited, if_version=version)
            return edited
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="got None, as from a function that ends without `return`. Return the article")
def returns_nothing(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        try:
            return db.save(article_id, change(article), if_version=version)
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="Return the article as it was saved")
def returns_what_was_read(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        try:
            db.save(article_id, change(copy.deepcopy(article)), if_version=version)
            return article
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="raised TypeError")
def changes_in_place_whatever_change_returns(db, article_id, change, attempts=5):
    read = db.read(article_id)
    db.save(article_id, change(read), if_version=read[1])
    return read[0]


@wrong(says="the article in the database: expected")
def takes_every_change_for_one_in_place(db, article_id, change, attempts=5):
    for attempt in range(attempts):
        article, version = db.read(article_id)
        change(article)
        try:
            db.save(article_id, article, if_version=version)
            return article
        except db.Conflict:
            if attempt == attempts - 1:
                raise
    return None


@wrong(says="Your function raised a Conflict of its own")
def raises_a_conflict_of_its_own(db, article_id, change, attempts=5):
    for _ in range(attempts):
        article, version = db.read(article_id)
        edited = change(article)
        try:
            db.save(article_id, edited, if_version=version)
        except db.Conflict:
            continue
        return edited
    raise db.Conflict(f"{attempts} attempts were not enough.")
