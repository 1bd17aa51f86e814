import re

from tests.cases import right, wrong


def read(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def differences(before, after, check=True):
    old, new = read(before), read(after)
    if check and old["run_id"] != new["run_id"]:
        raise ValueError("the server restarted in between")
    names = ("keyspace_hits", "keyspace_misses")
    return tuple(int(new[name]) - int(old[name]) for name in names)


@right
def dictionaries(before, after):
    hits, misses = differences(before, after)
    return hits / (hits + misses) if hits + misses else None


@right
def regular_expressions(before, after):
    def number(name, text):
        return int(re.search(rf"^{name}:(\d+)", text, re.MULTILINE)[1])

    if re.findall(r"run_id:(\w+)", before) != re.findall(r"run_id:(\w+)", after):
        raise ValueError
    hits = number("keyspace_hits", after) - number("keyspace_hits", before)
    misses = number("keyspace_misses", after) - number("keyspace_misses", before)
    try:
        return 1 - misses / (hits + misses)
    except ZeroDivisionError:
        return None


@right
def lines_by_their_beginning(before, after):
    class Restarted(ValueError):
        pass

    seen = []
    for text in (before, after):
        found = {}
        for line in text.split("\r\n"):
            for name in ("run_id", "keyspace_hits", "keyspace_misses"):
                if line.startswith(name + ":"):
                    found[name] = line[len(name) + 1 :]
        seen.append(found)
    if len({found["run_id"] for found in seen}) > 1:
        raise Restarted
    hits, misses = (
        float(seen[1][name]) - float(seen[0][name]) for name in ("keyspace_hits", "keyspace_misses")
    )
    return None if hits == misses == 0 else hits / (hits + misses)


@wrong(says="since the server started, which hides what happens now")
def totals(before, after):
    differences(before, after)
    new = read(after)
    hits, misses = int(new["keyspace_hits"]), int(new["keyspace_misses"])
    return hits / (hits + misses) if hits + misses else None


@wrong(says="differences of the counters first, and the share of those")
def difference_of_the_ratios(before, after):
    differences(before, after)
    shares = []
    for text in (before, after):
        hits, misses = (int(read(text)[f"keyspace_{each}"]) for each in ("hits", "misses"))
        shares.append(hits / (hits + misses) if hits + misses else 0)
    return shares[1] - shares[0]


@wrong(says="then there is no share, and it is None")
def divides_by_zero(before, after):
    hits, misses = differences(before, after)
    return hits / (hits + misses)


@wrong(says="would be a figure about reads that there were not")
def zero_for_no_reads(before, after):
    hits, misses = differences(before, after)
    return hits / (hits + misses) if hits + misses else 0.0


@wrong(says="Reads that all missed are reads")
def none_for_no_hits(before, after):
    hits, misses = differences(before, after)
    return hits / (hits + misses) if hits else None


@wrong(says="That is in percent")
def percent(before, after):
    hits, misses = differences(before, after)
    return 100 * hits / (hits + misses) if hits + misses else None


@wrong(says="int instead of float")
def whole_division(before, after):
    hits, misses = differences(before, after)
    return hits // (hits + misses) if hits + misses else None


@wrong(says="That is the share of the misses")
def share_of_misses(before, after):
    hits, misses = differences(before, after)
    return misses / (hits + misses) if hits + misses else None


@wrong(says="Hits by misses is no share")
def hits_by_misses(before, after):
    hits, misses = differences(before, after)
    if not hits + misses:
        return None
    return hits / misses if misses else 1.0


@wrong(says="Do not round it")
def rounded(before, after):
    hits, misses = differences(before, after)
    return round(hits / (hits + misses), 2) if hits + misses else None


@wrong(says="run_id differs at every start")
def never_notices_a_restart(before, after):
    hits, misses = differences(before, after, check=False)
    return hits / (hits + misses) if hits + misses else None


@wrong(says="Counters and uptime may have overtaken the old ones")
def notices_counters_that_fell(before, after):
    hits, misses = differences(before, after, check=False)
    if hits < 0 or misses < 0:
        raise ValueError("the server restarted in between")
    return hits / (hits + misses) if hits + misses else None


@wrong(says="Counters and uptime may have overtaken the old ones")
def compares_uptimes(before, after):
    if int(read(after)["uptime_in_seconds"]) < int(read(before)["uptime_in_seconds"]):
        raise ValueError("the server restarted in between")
    hits, misses = differences(before, after, check=False)
    return hits / (hits + misses) if hits + misses else None


@wrong(says="run_id differs at every start")
def compares_process_ids(before, after):
    if read(before)["process_id"] != read(after)["process_id"]:
        raise ValueError("the server restarted in between")
    hits, misses = differences(before, after, check=False)
    return hits / (hits + misses) if hits + misses else None


@wrong(says="It is one run of the server")
def compares_replication_ids(before, after):
    if read(before)["master_replid"] != read(after)["master_replid"]:
        raise ValueError("the server restarted in between")
    hits, misses = differences(before, after)
    return hits / (hits + misses) if hits + misses else None


@wrong(says="cut at the first with")
def cuts_at_every_colon(before, after):
    old, new = (
        dict(line.split(":") for line in text.splitlines() if ":" in line)
        for text in (before, after)
    )
    if old["run_id"] != new["run_id"]:
        raise ValueError
    hits = int(new["keyspace_hits"]) - int(old["keyspace_hits"])
    misses = int(new["keyspace_misses"]) - int(old["keyspace_misses"])
    return hits / (hits + misses) if hits + misses else None


@wrong(says="Lines of INFO may be headers or empty")
def takes_every_line_for_a_pair(before, after):
    old, new = (dict(line.split(":", 1) for line in text.splitlines()) for text in (before, after))
    return int(new["keyspace_hits"]) - int(old["keyspace_hits"])


@wrong(says="expected")
def lines_by_their_position(before, after):
    old, new = ([line for line in text.splitlines() if ":" in line] for text in (before, after))
    if read(before)["run_id"] != read(after)["run_id"]:
        raise ValueError
    hits, misses = (
        float(re.findall(r"\d+", new[at])[0]) - float(re.findall(r"\d+", old[at])[0])
        for at in (11, 12)
    )
    return hits / (hits + misses) if hits + misses else None
