from tests.cases import right, wrong

CHOICE = {
    "q1": "near_ttl",
    "q2": "the delete that is owed",
    "q3": "a miss",
    "q4": "write-behind",
    "q5": "all articles, by their tag",
    "q6": "around all tiers",
    "q7": "reads of the database",
    "q8": "the interface",
}


@right
def as_the_options_are_written():
    return dict(CHOICE)


@right
def in_capitals_and_with_blanks():
    return {key: f" {option.upper()} " for key, option in CHOICE.items()}


@wrong(says="a copy in memory lives for `near_ttl` at most")
def the_time_of_redis():
    return CHOICE | {"q1": "ttl"}


@wrong(says="not the nine others")
def one_delete_for_all_memories():
    return CHOICE | {"q1": "not at all"}


@wrong(says="every copy in memory has a time to live")
def memory_keeps_for_ever():
    return CHOICE | {"q1": "for ever"}


@wrong(says="which nobody could delete")
def reads_first():
    return CHOICE | {"q2": "a read"}


@wrong(says="with it all that is not old")
def flushes():
    return CHOICE | {"q2": "a flush"}


@wrong(says="stays until it expires")
def trusts_what_comes_back():
    return CHOICE | {"q2": "nothing"}


@wrong(says="a miss costs one load")
def breaks_at_a_release():
    return CHOICE | {"q3": "an error"}


@wrong(says="as if the database had said so")
def makes_up_a_field():
    return CHOICE | {"q3": "the field's default"}


@wrong(says="has no such field any more")
def the_class_of_before():
    return CHOICE | {"q3": "the old article"}


@wrong(says="still waits for the database")
def writes_through_each_like():
    return CHOICE | {"q4": "write-through"}


@wrong(says="takes the copy away from 2,000 readers")
def deletes_at_each_like():
    return CHOICE | {"q4": "read-through"}


@wrong(says="would all go to the database")
def caches_no_likes():
    return CHOICE | {"q4": "none"}


@wrong(says="holds up the save")
def deletes_each_article():
    return CHOICE | {"q5": "each of the 40,000"}


@wrong(says="go on showing her old name")
def forgets_what_shows_her():
    return CHOICE | {"q5": "the author alone"}


@wrong(says="the weather has not changed")
def flushes_for_a_name():
    return CHOICE | {"q5": "the whole cache"}


@wrong(says="may still be a hit in Redis")
def measures_memory():
    return CHOICE | {"q6": "around memory"}


@wrong(says="what memory answers never gets there")
def measures_redis():
    return CHOICE | {"q6": "around redis"}


@wrong(says="it sees misses alone")
def measures_the_source():
    return CHOICE | {"q6": "around the source"}


@wrong(says="a hundred thousand a second")
def spares_redis():
    return CHOICE | {"q7": "commands to redis"}


@wrong(says="takes the database from them")
def hurries():
    return CHOICE | {"q7": "the time it takes"}


@wrong(says="eviction bounds them")
def counts_keys():
    return CHOICE | {"q7": "keys in the cache"}


@wrong(says="and none is saved")
def names_for_speed():
    return CHOICE | {"q8": "speed"}


@wrong(says="as `__cause__`")
def names_for_the_log():
    return CHOICE | {"q8": "logging"}


@wrong(says="whatever its name")
def names_for_retries():
    return CHOICE | {"q8": "retries"}


@wrong(says="The dictionary has no text under 'q8'")
def leaves_one_out():
    return {key: option for key, option in CHOICE.items() if key != "q8"}
