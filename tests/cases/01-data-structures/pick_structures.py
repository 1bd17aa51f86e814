from tests.cases import right, wrong

STRUCTURES = {
    "q1": "list",
    "q2": "hash",
    "q3": "hyperloglog",
    "q4": "sorted set",
    "q5": "set",
    "q6": "stream",
}


@right
def as_the_options_are_written():
    return dict(STRUCTURES)


@right
def in_capitals_and_with_blanks():
    return {key: f" {structure.title()} " for key, structure in STRUCTURES.items()}


@wrong(says="Not set: A set drops the order")
def chat_lines_in_a_set():
    return STRUCTURES | {"q1": "set"}


@wrong(says="two writers of different fields overwrite each other")
def a_profile_as_one_string():
    return STRUCTURES | {"q2": "string"}


@wrong(says="several gigabytes")
def an_exact_set_of_a_hundred_million():
    return STRUCTURES | {"q3": "set"}


@wrong(says="all the million must be read and sorted")
def scores_in_a_hash():
    return STRUCTURES | {"q4": "hash"}


@wrong(says="cannot name one")
def friends_in_a_hyperloglog():
    return STRUCTURES | {"q5": "hyperloglog"}


@wrong(says="What one service pops, the others never see")
def events_in_a_list():
    return STRUCTURES | {"q6": "list"}


@wrong(says="Return a dictionary such as {'q1': '...'}, not ['list'")
def a_list_of_answers():
    return list(STRUCTURES.values())


@wrong(says="The dictionary has no text under 'q4'")
def leaves_one_out():
    return {key: structure for key, structure in STRUCTURES.items() if key != "q4"}


@wrong(says="q4 is 'zset'; the options are hash, list, sorted set, string")
def names_that_are_no_options():
    return STRUCTURES | {"q4": "zset"}
