from tests.cases import right, wrong

TOOLS = {"q1": "scan", "q2": "slowlog", "q3": "--latency", "q4": "monitor"}


@right
def as_the_options_are_written():
    return dict(TOOLS)


@right
def in_capitals_and_with_blanks():
    return {key: f" {tool.upper()} " for key, tool in TOOLS.items()}


@wrong(says="nobody else is served until it is done")
def keys_while_people_play():
    return TOOLS | {"q1": "keys"}


@wrong(says="A key that nobody asks for never shows up")
def waits_for_every_key_to_be_asked_for():
    return TOOLS | {"q1": "monitor"}


@wrong(says="counts the keys of each database")
def info_for_names():
    return TOOLS | {"q1": "info"}


@wrong(says="not those of last night")
def monitor_for_the_past():
    return TOOLS | {"q2": "monitor"}


@wrong(says="no keys, and not when")
def sums_for_single_commands():
    return TOOLS | {"q2": "commandstats"}


@wrong(says="not which command on which key")
def spikes_for_commands():
    return TOOLS | {"q2": "latency"}


@wrong(says="It counts the running alone")
def slowlog_for_the_network():
    return TOOLS | {"q3": "slowlog"}


@wrong(says="the wait for one's turn are in neither")
def commandstats_for_the_network():
    return TOOLS | {"q3": "commandstats"}


@wrong(says="It shows no durations")
def monitor_for_durations():
    return TOOLS | {"q3": "monitor"}


@wrong(says="a setting that somebody has to undo")
def slowlog_for_everything():
    return TOOLS | {"q4": "slowlog"}


@wrong(says="not what came before, and no keys")
def connections_for_commands():
    return TOOLS | {"q4": "client list"}


@wrong(says="not who asks for it")
def keys_for_commands():
    return TOOLS | {"q4": "scan"}


@wrong(says="q2 is 'slow log'; the options are commandstats, latency, monitor, slowlog")
def names_that_are_no_options():
    return TOOLS | {"q2": "slow log"}


@wrong(says="Return a dictionary such as {'q1': '...'}")
def a_list_of_answers():
    return list(TOOLS.values())
