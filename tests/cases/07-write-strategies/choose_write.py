from tests.cases import right, wrong

CHOICE = {
    "q1": "order",
    "q2": "the old article",
    "q3": "the mark",
    "q4": "the last second",
    "q5": "one",
    "q6": "dropped values count again",
    "q7": "the one of last year",
    "q8": "a version check",
}


@right
def as_the_options_are_written():
    return dict(CHOICE)


@right
def in_capitals_and_with_blanks():
    return {key: f" {option.upper()} " for key, option in CHOICE.items()}


@wrong(says="DEL and SET cost the same")
def deletes_for_speed():
    return CHOICE | {"q1": "speed"}


@wrong(says="the article comes back with the next reader")
def deletes_for_memory():
    return CHOICE | {"q1": "memory"}


@wrong(says="SET carries a time to live")
def deletes_for_expiry():
    return CHOICE | {"q1": "expiry"}


@wrong(says="hits do not ask the database")
def thinks_a_hit_is_compared():
    return CHOICE | {"q2": "the new article"}


@wrong(says="nothing tells a reader that it is old")
def thinks_a_reader_is_told():
    return CHOICE | {"q2": "an error"}


@wrong(says="the DEL is what did not come")
def takes_the_delete_for_done():
    return CHOICE | {"q2": "nothing"}


@wrong(says="readers have seen what never was")
def writes_the_cache_first():
    return CHOICE | {"q3": "the cache"}


@wrong(says="leaves the old article in the cache")
def writes_the_database_first():
    return CHOICE | {"q3": "the database"}


@wrong(says="stores it after the DEL")
def deletes_first():
    return CHOICE | {"q3": "a delete"}


@wrong(says="what `appendfsync always` buys")
def trusts_every_second_for_always():
    return CHOICE | {"q4": "nothing"}


@wrong(says="that is without AOF")
def forgets_the_file():
    return CHOICE | {"q4": "the whole queue"}


@wrong(says="stays pending")
def forgets_what_is_pending():
    return CHOICE | {"q4": "what the worker had taken"}


@wrong(says="how SCAN would find them")
def scans_for_values():
    return CHOICE | {"q5": "a thousand"}


@wrong(says="an index of the tag's keys")
def deletes_each_value():
    return CHOICE | {"q5": "a million"}


@wrong(says="when a missing generation counts for nothing")
def takes_0_for_nothing():
    return CHOICE | {"q6": "every value is lost"}


@wrong(says="if a value that was loaded under 0 has not expired")
def thinks_0_is_free():
    return CHOICE | {"q6": "nothing"}


@wrong(says="likely to be edited again")
def trusts_what_was_just_corrected():
    return CHOICE | {"q7": "the one of a minute ago"}


@wrong(says="too long for the one and too short for the other")
def one_time_for_all():
    return CHOICE | {"q7": "both the same"}


@wrong(says="shows what the database lost")
def the_cache_keeps_edits():
    return CHOICE | {"q8": "deleting the copy"}


@wrong(says="gone from the database already")
def expiry_keeps_edits():
    return CHOICE | {"q8": "a shorter time to live"}


@wrong(says="the second still wins")
def a_queue_keeps_edits():
    return CHOICE | {"q8": "write-behind"}


@wrong(says="Return a dictionary such as {'q1': '...'}, not ['order'")
def a_list_of_answers():
    return list(CHOICE.values())


@wrong(says="The dictionary has no text under 'q8'")
def leaves_one_out():
    return {key: option for key, option in CHOICE.items() if key != "q8"}


@wrong(says="q3 is 'mark'; the options are a delete, the cache, the database, the mark")
def names_that_are_no_options():
    return CHOICE | {"q3": "mark"}
