from tests.cases import right, wrong

CHOICE = {"q1": "local", "q2": "hybrid", "q3": "redis", "q4": "none", "q5": "nothing"}


@right
def as_the_options_are_written():
    return dict(CHOICE)


@right
def in_capitals_and_with_blanks():
    return {key: f" {option.upper()} " for key, option in CHOICE.items()}


@right
def with_a_note_beside():
    return CHOICE | {"note": "q5 took me a while"}


@wrong(says="what one process computes once")
def redis_for_tables_that_never_change():
    return CHOICE | {"q1": "redis"}


@wrong(says="no second process whose changes")
def hybrid_for_one_process():
    return CHOICE | {"q1": "hybrid"}


@wrong(says="computing the same tables at every call")
def computes_tables_at_every_call():
    return CHOICE | {"q1": "none"}


@wrong(says="eleven of the workers would not hear")
def local_for_twelve_workers():
    return CHOICE | {"q2": "local"}


@wrong(says="every page pays round trips that memory saves")
def redis_for_every_page():
    return CHOICE | {"q2": "redis"}


@wrong(says="every page reads the database")
def the_database_for_every_page():
    return CHOICE | {"q2": "none"}


@wrong(says="what a process remembers ends with it")
def sessions_in_memory():
    return CHOICE | {"q3": "local"}


@wrong(says="sessions change at almost every request")
def copies_of_sessions():
    return CHOICE | {"q3": "hybrid"}


@wrong(says="a session has to be kept somewhere")
def sessions_nowhere():
    return CHOICE | {"q3": "none"}


@wrong(says="no row is asked for twice")
def remembers_a_million_rows():
    return CHOICE | {"q4": "local"}


@wrong(says="a million writes, and not one read")
def stores_a_million_rows():
    return CHOICE | {"q4": "redis"}


@wrong(says="twice the work for no hit at all")
def keeps_a_million_rows_twice():
    return CHOICE | {"q4": "hybrid"}


@wrong(says="the first caller decides what the second one gets")
def one_key_for_one_and_true():
    return CHOICE | {"q5": "the key"}


@wrong(says="equal by chance")
def one_value_for_one_and_true():
    return CHOICE | {"q5": "the value"}


@wrong(says="each value has its own time")
def one_lifetime_for_one_and_true():
    return CHOICE | {"q5": "the time it has left"}


@wrong(says="Return a dictionary such as {'q1': '...'}, not ['local'")
def a_list_of_answers():
    return list(CHOICE.values())


@wrong(says="The dictionary has no text under 'q5'")
def leaves_one_out():
    return {key: option for key, option in CHOICE.items() if key != "q5"}


@wrong(says="q2 is 'memory'; the options are hybrid, local, none, redis")
def names_that_are_no_options():
    return CHOICE | {"q2": "memory"}
