from tests.cases import right, wrong

DESIGN = {
    "q1": "zadd gt",
    "q2": "zcount",
    "q3": "time zone",
    "q4": "score and name",
    "q5": "same key again",
    "q6": "stream",
}


@right
def as_the_options_are_written():
    return dict(DESIGN)


@right
def in_capitals_and_with_blanks():
    return {key: f" {option.upper()} " for key, option in DESIGN.items()}


@right
def with_a_note_beside():
    return DESIGN | {"note": "q6 took me a while"}


@wrong(says="a better score, and it is lost")
def reads_and_writes():
    return DESIGN | {"q1": "get and set"}


@wrong(says="a crashed holder stops everybody")
def locks():
    return DESIGN | {"q1": "a lock"}


@wrong(says="comparing on the server needs none")
def watches():
    return DESIGN | {"q1": "watch"}


@wrong(says="It orders a tie by name")
def the_order_as_a_rank():
    return DESIGN | {"q2": "zrevrank"}


@wrong(says="It counts everybody")
def the_size_as_a_rank():
    return DESIGN | {"q2": "zcard"}


@wrong(says="Reading the players above")
def the_players_above():
    return DESIGN | {"q2": "zrange"}


@wrong(says="The day would end at one in the morning")
def the_day_of_utc():
    return DESIGN | {"q3": "utc"}


@wrong(says="the half of the year in which the clocks differ")
def an_offset_for_a_zone():
    return DESIGN | {"q3": "fixed offset"}


@wrong(says="Two days a year have 23 and 25 hours")
def days_of_24_hours():
    return DESIGN | {"q3": "24 hours"}


@wrong(says="as soon as one player moves")
def an_offset_for_a_place():
    return DESIGN | {"q4": "offset"}


@wrong(says="an offset under another name")
def a_page_number():
    return DESIGN | {"q4": "page number"}


@wrong(says="Within a tie it is no place")
def the_score_alone():
    return DESIGN | {"q4": "score"}


@wrong(says="The score may not have been stored")
def gives_up():
    return DESIGN | {"q5": "give up"}


@wrong(says="The score may be stored twice")
def posts_with_a_new_key():
    return DESIGN | {"q5": "new key"}


@wrong(says="The score may be stored twice")
def posts_without_a_key():
    return DESIGN | {"q5": "no key"}


@wrong(says="It keeps nothing")
def publishes():
    return DESIGN | {"q6": "pub/sub"}


@wrong(says="It costs a request a second for each client")
def polls():
    return DESIGN | {"q6": "polling"}


@wrong(says="takes it from everybody else")
def a_list_of_events():
    return DESIGN | {"q6": "list"}


@wrong(says="Return a dictionary such as {'q1': '...'}, not ['zadd gt'")
def a_list_of_answers():
    return list(DESIGN.values())


@wrong(says="The dictionary has no text under 'q5'")
def leaves_one_out():
    return {key: option for key, option in DESIGN.items() if key != "q5"}


@wrong(says="q4 is 'cursor'; the options are offset, page number, score, score and name")
def names_that_are_no_options():
    return DESIGN | {"q4": "cursor"}
