from collections import Counter

from labkit.inspect import clients, keys, slowlog
from tests.cases import right, wrong


def asked(r, command, names):
    """The reply to one command for each key."""
    with r.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.execute_command(*command.split(), name)
        return dict(zip(names, pipe.execute(), strict=True))


def totals(r, count=1000):
    found = Counter()
    for entry in r.slowlog_get(count):
        found[entry["command"].split()[0].decode().upper()] += entry["duration"]
    return found


def frames(r):
    found = keys.groups(r)
    never = found[found["immortal"] == found["keys"]]
    names = clients.listing(r)["name"].dropna()
    return {
        "immortal": never["keys"].idxmax(),
        "giant": keys.largest(r, 1)["key"][0],
        "slow": slowlog.grouped(slowlog.entries(r, 1000)).index[0].split(" ")[0],
        "hot": keys.hottest(r, 1)["key"][0],
        "leak": names.value_counts().idxmax(),
    }


def plain(r):
    names = list(r.scan_iter(count=1000))
    never = {keys.group_of(name) for name, left in asked(r, "TTL", names).items() if left == -1}
    sizes, uses = asked(r, "MEMORY USAGE", names), asked(r, "OBJECT FREQ", names)
    programs = Counter(line["name"] for line in r.client_list() if line["name"])
    return {
        "immortal": never.pop(),
        "giant": max(names, key=sizes.get),
        "slow": totals(r).most_common(1)[0][0],
        "hot": max(names, key=uses.get),
        "leak": programs.most_common(1)[0][0],
    }


@right
def labkit_inspect(r):
    return frames(r)


@right
def plain_commands(r):
    return plain(r)


@right
def one_survey(r):
    rows = keys.survey(r)
    mortal = rows.groupby("group")["ttl"].count()
    origins = clients.groups(r)
    return {
        "immortal": mortal.idxmin(),
        "giant": rows.loc[rows["memory"].idxmax(), "key"],
        "slow": totals(r, 128).most_common(1)[0][0],
        "hot": rows.loc[rows["uses"].idxmax(), "key"],
        "leak": origins.index[0][0],
    }


@right
def a_script(r):
    script = """
    local most, hot = -1
    for _, name in ipairs(redis.call('SCAN', 0, 'COUNT', 10000)[2]) do
        local uses = redis.call('OBJECT', 'FREQ', name)
        if uses > most then most, hot = uses, name end
    end
    return hot
    """
    return plain(r) | {"hot": r.eval(script, 0)}


@right
def looks_into_the_giant(r):
    found = plain(r)
    for field in r.hkeys(found["giant"])[:3]:
        r.hget(found["giant"], field)
    return found


@wrong(says="It has the most keys, and they expire")
def the_largest_group_is_immortal(r):
    return plain(r) | {"immortal": keys.groups(r)["keys"].idxmax()}


@wrong(says="That is one of the keys")
def names_an_immortal_key(r):
    return plain(r) | {"immortal": keys.immortal(r)["key"][0]}


@wrong(says="It has the most members, and they are small")
def counts_members(r):
    return plain(r) | {"giant": max(r.scan_iter(_type="set"), key=r.scard)}


@wrong(says="It is the longest string")
def measures_strings(r):
    return plain(r) | {"giant": max(r.scan_iter(_type="string"), key=r.strlen)}


@wrong(says="answers ten unless you ask for more")
def the_newest_ten(r):
    return plain(r) | {"slow": totals(r, None).most_common(1)[0][0]}


@wrong(says="It was called most")
def counts_slow_commands(r):
    entries = slowlog.entries(r, 1000)
    return plain(r) | {"slow": Counter(e.words[0].decode() for e in entries).most_common(1)[0][0]}


@wrong(says="It has the longest entry, but just one")
def the_slowest_entry(r):
    entry = max(slowlog.entries(r, 1000), key=lambda entry: entry.seconds)
    return plain(r) | {"slow": entry.words[0].decode()}


@wrong(says="Write the name in capitals")
def in_small_letters(r):
    found = plain(r)
    return found | {"slow": found["slow"].lower()}


@wrong(says="it does not count reads")
def the_key_in_the_slow_log(r):
    entries = [entry.words[1].decode() for entry in slowlog.entries(r, 1000) if entry.words[1:]]
    there = Counter(name for name in entries if r.exists(name))
    return plain(r) | {"hot": there.most_common(1)[0][0]}


@wrong(says="OBJECT FREQ tells")
def idle_for_the_shortest_time(r):
    return plain(r) | {"hot": min(r.scan_iter(), key=lambda name: r.object("idletime", name))}


@wrong(says="where a text belongs")
def gives_bytes(r):
    found = plain(r)
    return found | {"hot": found["hot"].encode()}


@wrong(says="SCAN does it in steps")
def asks_keys_in_a_script(r):
    r.eval("return #redis.call('KEYS', '*')", 0)
    return plain(r)


@wrong(says="counts each read as a use")
def dumps_every_key(r):
    sizes = {name: len(r.dump(name)) for name in r.scan_iter(count=1000)}
    return plain(r) | {"giant": max(sizes, key=sizes.get)}


@wrong(says="counts each read as a use")
def reads_values_in_one_command(r):
    found = plain(r)
    r.mget(list(r.scan_iter(count=1000, _type="string")))
    return found


@wrong(says="counts each read as a use")
def touches_every_key(r):
    found = plain(r)
    r.touch(*r.scan_iter(count=1000))
    return found


@wrong(says="counts each read as a use")
def asks_every_length_in_a_script(r):
    script = """
    for _, name in ipairs(redis.call('SCAN', 0, 'COUNT', 10000)[2]) do
        redis.pcall('STRLEN', name)
    end
    """
    found = plain(r)
    r.eval(script, 0)
    return found


@wrong(says="What is reset is gone")
def resets_the_slow_log(r):
    found = plain(r)
    r.slowlog_reset()
    return found


@wrong(says="A setting is not changed for a look")
def changes_a_setting(r):
    r.config_set("slowlog-log-slower-than", 1000)
    return plain(r)


@wrong(says="the program opens new ones")
def ends_the_leak(r):
    found = plain(r)
    for line in r.client_list():
        if line["name"] == found["leak"]:
            r.client_kill_filter(_id=line["id"])
    return found


@wrong(says="must not write")
def mends_what_it_finds(r):
    found = plain(r)
    r.expire(found["giant"], 10)
    return found
