import re
from collections import Counter, defaultdict

from tests.cases import right, wrong


def words_of(command):
    return command.decode(errors="replace").split(" ")


def shape(command):
    name, *rest = words_of(command)
    return " ".join([name.upper(), *(re.sub(r"\d+", "*", each) for each in rest[:1])])


def rows(entries, shape=shape, add=sum):
    groups = defaultdict(list)
    for entry in entries:
        groups[shape(entry["command"])].append(entry["duration"])
    found = [(name, len(micros), add(micros)) for name, micros in groups.items()]
    return sorted(found, key=lambda row: (-row[2], row[0]))


@right
def groups(entries):
    return rows(entries)


@right
def counters(entries):
    counts, totals = Counter(), Counter()
    for entry in entries:
        words = entry["command"].split()
        words[0] = words[0].upper()
        words[1:] = [re.sub(rb"[0-9]+", b"*", word) for word in words[1:2]]
        name = b" ".join(words).decode(errors="backslashreplace")
        counts[name] += 1
        totals[name] += entry["duration"]
    return [
        (name, counts[name], total)
        for name, total in sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


@right
def sorted_twice(entries):
    found = {}
    for entry in entries:
        command = entry["command"].decode(errors="surrogateescape")
        name, blank, rest = command.partition(" ")
        name = name.upper() + blank + re.sub("[0-9]+", "*", rest.partition(" ")[0])
        count, total = found.get(name, (0, 0))
        found[name] = count + 1, total + entry["duration"]
    result = [(name, *both) for name, both in sorted(found.items())]
    result.sort(key=lambda row: row[2], reverse=True)
    return result


@wrong(says="Every line stands for itself")
def whole_lines(entries):
    return rows(entries, lambda command: command.decode(errors="replace"))


@wrong(says="Of the arguments only the first belongs to the shape")
def all_arguments(entries):
    def starred(command):
        name, *rest = words_of(command)
        return " ".join([name.upper(), *(re.sub(r"\d+", "*", each) for each in rest)])

    return rows(entries, starred)


@wrong(says="That is the slowest alone")
def the_slowest_of_each(entries):
    return rows(entries, add=max)


@wrong(says="That is the mean")
def means(entries):
    return rows(entries, add=lambda micros: sum(micros) / len(micros))


@wrong(says="The total stays in microseconds")
def milliseconds(entries):
    return rows(entries, add=lambda micros: sum(micros) / 1000)


@wrong(says="How often a command came says nothing of the time it took")
def the_most_frequent_first(entries):
    return sorted(rows(entries), key=lambda row: (-row[1], row[0]))


@wrong(says="Many commands may take more time than the slowest one")
def the_slowest_first(entries):
    most = defaultdict(int)
    for entry in entries:
        name = shape(entry["command"])
        most[name] = max(most[name], entry["duration"])
    return sorted(rows(entries), key=lambda row: (-most[row[0]], row[0]))


@wrong(says="The most total time comes first")
def the_least_first(entries):
    return sorted(rows(entries), key=lambda row: (row[2], row[0]))


@wrong(says="Equal totals stand by shape, from a to z")
def equal_ones_turned_round(entries):
    return sorted(rows(entries), key=lambda row: (row[2], row[0]), reverse=True)


@wrong(says="Equal totals stand by shape, from a to z")
def equal_ones_as_they_came(entries):
    totals, counts = Counter(), Counter()
    for entry in entries:
        totals[shape(entry["command"])] += entry["duration"]
        counts[shape(entry["command"])] += 1
    return [(name, counts[name], total) for name, total in totals.most_common()]


@wrong(says="begins as Python shows bytes")
def str_of_bytes(entries):
    return rows(entries, lambda command: shape(str(command).encode()))


@wrong(says="A command is bytes")
def takes_bytes_for_text(entries):
    return rows(entries, lambda command: re.sub(r"\d+", "*", command))


@wrong(says="a text and two numbers")
def shapes_of_bytes(entries):
    return rows(entries, lambda command: shape(command).encode())


@wrong(says="A run of digits is one")
def digits_one_by_one(entries):
    def starred(command):
        name, *rest = words_of(command)
        return " ".join([name.upper(), *(re.sub(r"\d", "*", each) for each in rest[:1])])

    return rows(entries, starred)


@wrong(says="wherever it stands")
def digits_at_the_end_alone(entries):
    def starred(command):
        name, *rest = words_of(command)
        return " ".join([name.upper(), *(re.sub(r"\d+$", "*", each) for each in rest[:1])])

    return rows(entries, starred)


@wrong(says="zrange and ZRANGE are one command")
def names_as_they_are(entries):
    def starred(command):
        name, *rest = words_of(command)
        return " ".join([name, *(re.sub(r"\d+", "*", each) for each in rest[:1])])

    return rows(entries, starred)


@wrong(says="Digits in the command's own name stay")
def digits_of_the_name_too(entries):
    def starred(command):
        name, *rest = words_of(command)
        return re.sub(r"\d+", "*", " ".join([name.upper(), *rest[:1]]))

    return rows(entries, starred)


@wrong(says='`.decode(errors="replace")` takes them all')
def strict_utf8(entries):
    def starred(command):
        name, *rest = command.decode().split(" ")
        return " ".join([name.upper(), *(re.sub(r"\d+", "*", each) for each in rest[:1])])

    return rows(entries, starred)


@wrong(says="Two commands of two shapes")
def leaves_out_what_is_no_text(entries):
    texts = []
    for entry in entries:
        try:
            entry["command"].decode()
        except UnicodeDecodeError:
            continue
        texts.append(entry)
    return rows(texts)


@wrong(says="in which `ö` is two bytes")
def latin_1(entries):
    return rows(entries, lambda command: shape(command.decode("latin-1").encode()))


@wrong(says="in which `ö` is two bytes")
def ascii_alone(entries):
    return rows(entries, lambda command: shape(command.decode("ascii", "ignore").encode()))


@wrong(says="keys keep their case")
def all_in_capitals(entries):
    return rows(entries, lambda command: shape(command).upper())


@wrong(says="A command without arguments has no second word")
def always_an_argument(entries):
    def starred(command):
        words = words_of(command)
        return words[0].upper() + " " + re.sub(r"\d+", "*", words[1])

    return rows(entries, starred)


@wrong(says="the name alone, in capitals, and no blank")
def a_blank_without_an_argument(entries):
    def starred(command):
        name, _, rest = command.decode(errors="replace").partition(" ")
        return name.upper() + " " + re.sub(r"\d+", "*", rest.partition(" ")[0])

    return rows(entries, starred)


@wrong(says="Return a list of tuples, not dict")
def a_dictionary(entries):
    return {name: both for name, *both in rows(entries)}


@wrong(says="A row is a tuple")
def lists_in_the_list(entries):
    return [list(row) for row in rows(entries)]
