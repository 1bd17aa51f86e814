import copy
import difflib
import math
import re
import tomllib

from tests.cases import right, wrong

STRATEGIES = ("read-through", "write-through", "write-behind")
BACKENDS = ("memory", "redis")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
OWN = {
    "strategy": "read-through",
    "ttl": 600.0,
    "backends": ["memory", "redis"],
    "negative_ttl": 60.0,
    "tags": [],
}
EXPECTED = {
    "strategy": f"one of {STRATEGIES}",
    "ttl": "a time above 0",
    "backends": f"some of {BACKENDS}",
    "negative_ttl": "a time",
    "tags": "texts",
}


def is_text(value):
    return isinstance(value, str)


def seconds(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if 0 <= value < math.inf else None
    found = re.fullmatch(r"([0-9]+)(ms|[smhd])", value) if is_text(value) else None
    return int(found[1]) * 1.0 * UNITS[found[2]] if found else None


def texts(value):
    return value if isinstance(value, list) and all(map(is_text, value)) else None


def backends(value):
    fits = texts(value) and all(name in BACKENDS for name in value)
    return value if fits and len({*value}) == len(value) else None


READERS = {
    "strategy": lambda value: value if value in STRATEGIES else None,
    "ttl": lambda value: seconds(value) or None,
    "backends": backends,
    "negative_ttl": seconds,
    "tags": texts,
}


def near_or_all(name, known):
    near = difflib.get_close_matches(name, known, n=1)
    return f"{near[0]!r}" if near else f"one of {', '.join(known)}"


def behind_in_memory(policy, own):
    return policy["strategy"] == "write-behind" and "redis" not in policy["backends"]


def merge(own_options, defaults, own):
    return copy.deepcopy({**own_options, **defaults, **own})


def read(
    text,
    *,
    readers=READERS,
    line=lambda path, value, expected: f"{path}: {value!r}, expected {expected}",
    name_line=near_or_all,
    merged=merge,
    loses=behind_in_memory,
    tables=True,
    report="\n".join,
):
    told = []

    def checked(path, table):
        if tables and not isinstance(table, dict):
            told.append(line(path, table, "a table"))
            return {}
        right = {}
        for name, value in table.items():
            if name not in readers:
                told.append(line(f"{path}.{name}", value, name_line(name, list(OWN))))
            elif (found := readers[name](value)) is None:
                told.append(line(f"{path}.{name}", value, EXPECTED[name]))
            else:
                right[name] = found
        return right

    data = tomllib.loads(text)
    for name, value in data.items():
        if name not in ("defaults", "entity"):
            told.append(line(name, value, name_line(name, ["defaults", "entity"])))
    defaults = checked("defaults", data.get("defaults", {}))
    entities = data.get("entity", {})
    if tables and not isinstance(entities, dict):
        told.append(line("entity", entities, "a table"))
        entities = {}
    policies = {}
    for name, table in entities.items():
        own = checked(f"entity.{name}", table)
        policies[name] = merged(OWN, defaults, own)
        if loses(policies[name], own):
            path = f"entity.{name}.backends"
            if not any(each.startswith(f"{path}:") for each in told):
                told.append(line(path, policies[name]["backends"], "'redis' for write-behind"))
    if told:
        raise ValueError(report(told))
    return policies


@right
def layers_of_dictionaries(text):
    return read(text)


@right
def an_error_that_is_a_value_error_too(text):
    class InvalidPolicies(ValueError):
        def __init__(self, lines):
            super().__init__("\n".join(reversed(lines)) + "\n")

    def report(lines):
        raise InvalidPolicies(lines)

    return read(text, report=report)


@right
def by_hand(text):
    policies, wrong_lines, defaults = {}, [], {}
    data = tomllib.loads(text)

    def complain(path, value, what):
        wrong_lines.append(f"{path}: {value!r}, expected {what}")

    def option(path, name, value):
        match name, value:
            case "strategy", str() if value in STRATEGIES:
                return value
            case "ttl" | "negative_ttl", bool():
                pass
            case "ttl" | "negative_ttl", int() | float() | str():
                time = value
                if isinstance(value, str):
                    number = value.rstrip("mshd")
                    unit = value[len(number) :]
                    fits = unit in UNITS and number.isascii() and number.isdigit()
                    time = float(number) * UNITS[unit] if fits else -1
                if 0 <= time < math.inf and (time or name == "negative_ttl"):
                    return float(time)
            case "backends", [*some] if some:
                if all(some.count(each) == 1 and each in BACKENDS for each in some):
                    return list(some)
            case "tags", [*some]:
                if all(isinstance(each, str) for each in some):
                    return list(some)
        complain(path, value, f"something else; see {' '.join((*STRATEGIES, *BACKENDS))}")
        return None

    def table(path, options):
        if not isinstance(options, dict):
            return complain(path, options, "a table") or {}
        for name, value in options.items():
            if name not in OWN:
                complain(f"{path}.{name}", value, near_or_all(name, OWN))
        return {
            name: option(f"{path}.{name}", name, value)
            for name, value in options.items()
            if name in OWN
        }

    for name, value in data.items():
        if name == "defaults":
            defaults = table(name, value)
        elif name != "entity":
            complain(name, value, near_or_all(name, ("defaults", "entity")))
    entities = data.get("entity", {})
    if not isinstance(entities, dict):
        complain("entity", entities, "tables of entities")
    else:
        for name, options in entities.items():
            own = table(f"entity.{name}", options)
            policy = {}
            for key, value in OWN.items():
                chosen = own[key] if key in own else defaults.get(key, value)
                policy[key] = list(chosen) if isinstance(chosen, list) else chosen
            where = policy["backends"]
            if policy["strategy"] == "write-behind" and where == ["memory"]:
                complain(f"entity.{name}.backends", where, "redis too")
            policies[name] = policy
    if wrong_lines:
        raise ValueError("\n".join(wrong_lines))
    return policies


@wrong(says="share one list of backends")
def lists_that_are_shared(text):
    return read(text, merged=lambda base, defaults, own: {**base, **defaults, **own})


@wrong(says="share one list of backends")
def copies_its_own_lists_alone(text):
    def merged(base, defaults, own):
        return {**copy.deepcopy(base), **defaults, **own}

    return read(text, merged=merged)


@wrong(says="an empty list or a 0 is a value")
def takes_empty_for_not_said(text):
    def merged(base, defaults, own):
        found = {name: own.get(name) or defaults.get(name) or base[name] for name in base}
        return copy.deepcopy(found)

    return read(text, merged=merged)


@wrong(says="a value takes the place of another whole")
def adds_tags_to_the_default_ones(text):
    def merged(base, defaults, own):
        found = merge(base, defaults, own)
        return found | {"tags": [*defaults.get("tags", []), *own.get("tags", [])]}

    return read(text, merged=merged)


@wrong(says="What `[entity.NAME]` says counts")
def defaults_over_entities(text):
    return read(text, merged=lambda base, defaults, own: merge(base, own, defaults))


@wrong(says="the options of")
def says_only_what_the_file_says(text):
    def loses(policy, own):
        return behind_in_memory({**OWN, **policy}, own)

    return read(text, merged=lambda _, defaults, own: merge({}, defaults, own), loses=loses)


@wrong(says="`True` is 1 to Python")
def takes_true_for_a_second(text):
    def time(value):
        return float(value) if isinstance(value, bool) else seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None, "negative_ttl": time})


@wrong(says="a time is finite")
def waits_for_ever(text):
    def time(value):
        return value if isinstance(value, float) and value == math.inf else seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None, "negative_ttl": time})


@wrong(says="every comparison with it is False")
def takes_nan_for_a_time(text):
    def time(value):
        if isinstance(value, float) and not value < 0 and value != math.inf:
            return value
        return seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None, "negative_ttl": time})


@wrong(says="`$` matches before a line end")
def a_dollar_at_the_end(text):
    def time(value):
        if is_text(value) and (found := re.match(r"([0-9]+)(ms|[smhd])$", value)):
            return float(found[1]) * UNITS[found[2]]
        return seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None, "negative_ttl": time})


@wrong(says="Nothing may be left over")
def reads_the_beginning_of_a_time(text):
    def time(value):
        if is_text(value) and (found := re.match(r"([0-9]+)(ms|[smhd])", value)):
            return float(found[1]) * UNITS[found[2]]
        return seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None, "negative_ttl": time})


@wrong(says="in [defaults] was taken")
def a_time_to_live_of_0(text):
    return read(text, readers={**READERS, "ttl": seconds})


@wrong(says="Nothing is wrong with this file")
def refuses_0_for_absences(text):
    return read(text, readers={**READERS, "negative_ttl": lambda value: seconds(value) or None})


@wrong(says="gives '250ms'; expected 0.25, a float")
def leaves_times_as_texts(text):
    def time(value):
        return value if seconds(value) is not None and is_text(value) else seconds(value)

    return read(text, readers={**READERS, "ttl": lambda v: seconds(v) and time(v)})


@wrong(says="(int instead of float)")
def leaves_whole_numbers(text):
    def time(value):
        found = seconds(value)
        return value if found is not None and isinstance(value, int) else found

    return read(text, readers={**READERS, "ttl": lambda v: time(v) or None})


@wrong(says="It tells every mistake")
def ends_at_the_first_mistake(text):
    return read(text, report=lambda lines: lines[0])


@wrong(says="It tells every mistake")
def a_list_as_the_message(text):
    return read(text, report=list)


@wrong(says="is no mistake of this file")
def counts_the_mistakes_in_a_line(text):
    return read(text, report=lambda lines: "\n".join([f"{len(lines)} mistakes:", *lines]))


@wrong(says="expected one that begins with")
def names_the_path_alone(text):
    return read(text, line=lambda path, value, expected: f"{path}: expected {expected}")


@wrong(says="expected one that begins with")
def shows_the_value_as_text(text):
    return read(text, line=lambda path, value, expected: f"{path}: {value}, expected {expected}")


@wrong(says="does not name read-through")
def says_only_that_it_is_wrong(text):
    return read(text, line=lambda path, value, _: f"{path}: {value!r}, expected something else")


@wrong(says="expected a ValueError that names defaults.strategy")
def checks_what_is_merged(text):
    try:
        return read(text)
    except ValueError as error:
        lines = [line for line in str(error).splitlines() if not line.startswith("defaults.")]
        if lines:
            raise ValueError("\n".join(lines)) from None
        return {}


@wrong(says="is one mistake, however many entities share it")
def tells_defaults_for_each_entity(text):
    def report(lines):
        of_defaults = [line for line in lines if line.startswith("defaults.")]
        entities = tomllib.loads(text).get("entity", {})
        return "\n".join([*lines, *of_defaults * (len(entities) - 1)])

    return read(text, report=report)


@wrong(says="ask for the type of a value")
def looks_up_what_cannot_be_hashed(text):
    def strategy(value):
        return value if value in {*STRATEGIES} else None

    return read(text, readers={**READERS, "strategy": strategy})


@wrong(says="ask for the type of a value")
def expects_tables(text):
    return read(text, tables=False)


@wrong(says="expected a ValueError that names defaults.backends")
def the_same_backend_twice(text):
    def some(value):
        return value if texts(value) and {*value} <= {*BACKENDS} else None

    return read(text, readers={**READERS, "backends": some})


@wrong(says="expected a ValueError that names defaults.backends")
def no_backend_at_all(text):
    def some(value):
        return value if value == [] else backends(value)

    return read(text, readers={**READERS, "backends": some})


@wrong(says="expected a ValueError that names defaults.tags")
def a_text_for_a_list_of_tags(text):
    def some(value):
        return list(value) if is_text(value) else texts(value)

    return read(text, readers={**READERS, "tags": some})


@wrong(says="a restart loses them")
def looks_for_write_behind_in_a_table_alone(text):
    def loses(policy, own):
        return own.get("strategy") == "write-behind" and own.get("backends") == ["memory"]

    return read(text, loses=loses)


@wrong(says="a restart loses them")
def queues_in_memory(text):
    return read(text, loses=lambda policy, own: False)


@wrong(says="Nothing is wrong with this file")
def refuses_defaults_that_nobody_has(text):
    data = tomllib.loads(text)
    found = data.get("defaults", {})
    if found == {"strategy": "write-behind", "backends": ["memory"]}:
        raise ValueError("defaults.backends: ['memory'], expected redis")
    return read(text)


@wrong(says="expected a ValueError that names defaults.tll")
def passes_over_what_it_does_not_know(text):
    def name_line(name, known):
        return "unknown"

    def report(lines):
        return "\n".join(line for line in lines if not line.endswith("expected unknown"))

    try:
        return read(text, name_line=name_line, report=report)
    except ValueError as error:
        if str(error):
            raise
        return {}


@wrong(says="does not name ttl")
def does_not_say_which_name_is_near(text):
    return read(text, name_line=lambda name, known: "a known name")


@wrong(says="that one alone helps")
def lists_all_names(text):
    return read(text, name_line=lambda name, known: f"one of {', '.join(known)}")


@wrong(says="does not name strategy, ttl, backends, negative_ttl, tags")
def is_silent_where_none_is_near(text):
    def near(name, known):
        return " or ".join(difflib.get_close_matches(name, known, n=1)) or "a known name"

    return read(text, name_line=near)


@wrong(says="expected a ValueError that names default.")
def passes_over_unknown_tables(text):
    data = tomllib.loads(text)
    if data and data.keys().isdisjoint({"defaults", "entity"}):
        return {}
    return read(text)


@wrong(says="let the error of `tomllib` through")
def nothing_where_there_is_no_toml(text):
    try:
        return read(text)
    except tomllib.TOMLDecodeError:
        return {}


@wrong(says="with nothing before, between or after")
def leaves_the_number_to_int(text):
    def read_time(value):
        if type(value) is not str:
            return seconds(value)
        for unit in UNITS:
            number = value.removesuffix(unit)
            if number != value and number == number.strip():
                try:
                    return float(int(number) * UNITS[unit]) if not number.startswith("-") else None
                except ValueError:
                    pass
        return None

    readers = {"ttl": lambda value: read_time(value) or None, "negative_ttl": read_time}
    return read(text, readers={**READERS, **readers})


@wrong(says="with nothing before, between or after")
def strips_what_it_reads(text):
    def read_time(value):
        return seconds(value.strip(" ") if type(value) is str else value)

    readers = {"ttl": lambda value: read_time(value) or None, "negative_ttl": read_time}
    return read(text, readers={**READERS, **readers})


@wrong(says="is no mistake of this file")
def tells_a_mistake_of_the_defaults_for_each_entity_too(text):
    found = tomllib.loads(text).get("defaults", {})

    def merged(own_options, defaults, own):
        said = found.get("backends") if isinstance(found, dict) else None
        listed = {"backends": said} if is_list_of_texts(said) else {}
        return copy.deepcopy({**own_options, **defaults, **listed, **own})

    return read(text, merged=merged)


def is_list_of_texts(value):
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)
