from tests.cases import right, wrong

CHOICE = {
    "q1": "the cache",
    "q2": "lock",
    "q3": "early renewal",
    "q4": "serve stale",
    "q5": "negative caching",
    "q6": "known ids",
    "q7": "the versions of the parts",
    "q8": "the database",
}


@right
def as_the_options_are_written():
    return dict(CHOICE)


@right
def in_capitals_and_with_blanks():
    return {key: f" {option.upper()} " for key, option in CHOICE.items()}


@right
def with_a_note_beside():
    return CHOICE | {"note": "q7 took me a while"}


@wrong(says="that is cache-aside")
def takes_read_through_for_cache_aside():
    return CHOICE | {"q1": "the page"}


@wrong(says="it does not know the database")
def thinks_redis_knows_the_database():
    return CHOICE | {"q1": "redis"}


@wrong(says="here is none to renew")
def renews_what_is_not_there():
    return CHOICE | {"q2": "early renewal"}


@wrong(says="nothing old is left to serve")
def serves_what_was_flushed():
    return CHOICE | {"q2": "serve stale"}


@wrong(says="the front page does")
def takes_missing_for_not_existing():
    return CHOICE | {"q2": "negative caching"}


@wrong(says="all 200 are let through")
def guards_what_everybody_may_see():
    return CHOICE | {"q2": "known ids"}


@wrong(says="at every expiry all the others wait 2 seconds")
def lets_all_wait_at_each_expiry():
    return CHOICE | {"q3": "lock"}


@wrong(says="older than its time to live")
def serves_what_is_too_old():
    return CHOICE | {"q3": "serve stale"}


@wrong(says="it is what costs 2 seconds")
def remembers_that_there_is_no_chart():
    return CHOICE | {"q3": "negative caching"}


@wrong(says="computed all the same")
def a_guard_saves_no_computation():
    return CHOICE | {"q3": "known ids"}


@wrong(says="nobody gets a page")
def one_waits_for_a_database_that_is_away():
    return CHOICE | {"q4": "lock"}


@wrong(says="gets the same error")
def renews_from_a_database_that_is_away():
    return CHOICE | {"q4": "early renewal"}


@wrong(says="all would answer 404")
def takes_away_for_not_existing():
    return CHOICE | {"q4": "negative caching"}


@wrong(says="let through to the database")
def a_guard_lets_known_ids_through():
    return CHOICE | {"q4": "known ids"}


@wrong(says="the next one loads again")
def a_lock_remembers_nothing():
    return CHOICE | {"q5": "lock"}


@wrong(says="there is no value to renew")
def renews_what_does_not_exist():
    return CHOICE | {"q5": "early renewal"}


@wrong(says="a deleted article is shown after all")
def serves_what_was_deleted():
    return CHOICE | {"q5": "serve stale"}


@wrong(says="a Bloom filter cannot forget one")
def a_guard_knows_what_was_deleted():
    return CHOICE | {"q5": "known ids"}


@wrong(says="so nobody waits, and each is loaded")
def a_lock_for_ids_that_come_once():
    return CHOICE | {"q6": "lock"}


@wrong(says="nothing is asked for twice")
def renews_what_comes_once():
    return CHOICE | {"q6": "early renewal"}


@wrong(says="there never was an old value")
def serves_what_never_was():
    return CHOICE | {"q6": "serve stale"}


@wrong(says="as many keys that push out what is useful")
def remembers_ten_million_absences():
    return CHOICE | {"q6": "negative caching"}


@wrong(says="has to be rendered to be hashed")
def renders_to_compare():
    return CHOICE | {"q7": "a hash of the page"}


@wrong(says="no ETag would ever match")
def a_tag_that_never_matches():
    return CHOICE | {"q7": "the time of the request"}


@wrong(says="far more in a second than the database")
def spares_redis():
    return CHOICE | {"q8": "redis"}


@wrong(says="readers suffer when the database does")
def spares_who_has_not_asked():
    return CHOICE | {"q8": "the readers"}


@wrong(says="Return a dictionary such as {'q1': '...'}, not ['the cache'")
def a_list_of_answers():
    return list(CHOICE.values())


@wrong(says="The dictionary has no text under 'q8'")
def leaves_one_out():
    return {key: option for key, option in CHOICE.items() if key != "q8"}


@wrong(says="q2 is 'a lock'; the options are early renewal, known ids, lock")
def names_that_are_no_options():
    return CHOICE | {"q2": "a lock"}
