"""What lesson 03 checks of a user who may only read, and of the five faults of a sick server."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from labkit.connection import describe
from labkit.course.exercise import AnswerRaised
from labkit.course.lessons.lesson_03_redis_cli import outline
from labkit.inspect import keys
from labkit.server import LocalServer, find_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from labkit.course.exercise import CheckFunction, Trial

# -- a user who may only read --------------------------------------------------------------------

reader = outline.exercise(
    "reader",
    "A user who may only look",
    hints=(
        "One ACL SETUSER with a list of rules, which the server reads from left to right. It adds "
        "to what the user has already, so begin with the rule that takes everything away.",
        "The rules are `reset`, `on`, the password behind `>`, the keys behind `~` and with a "
        "star, then all commands that read, and last without those that are dangerous.",
        'Send "ACL", "SETUSER" and the name with `r.execute_command`, and then `"reset"`, `"on"`, '
        '`f">{password}"`, `f"~{prefix}*"`, `"+@read"`, `"-@dangerous"`, in this order.',
    ),
)

# How each type of value is read, with what stands behind the key, and to which categories of
# commands that belongs.
_READS: dict[str, tuple[tuple[Any, ...], str]] = {
    "GET": ((), "read string"),
    "HGETALL": ((), "read hash"),
    "LRANGE": ((0, -1), "read list"),
    "SMEMBERS": ((), "read set"),
    "ZRANGE": ((0, -1), "read sortedset"),
    "XRANGE": (("-", "+"), "read stream"),
    "TYPE": ((), "read keyspace"),
    "EXISTS": ((), "read keyspace"),
    "TTL": ((), "read keyspace"),
}
_WRITES: dict[str, tuple[tuple[Any, ...], str]] = {
    "SET": (("x",), "write string"),
    "HSET": (("field", "x"), "write hash"),
    "EXPIRE": ((1000,), "write keyspace"),
    "DEL": ((), "write keyspace"),
}
# None of these a reader needs: of a key or a channel, and without.
_NAMING: dict[str, tuple[tuple[Any, ...], str]] = {
    "SORT_RO": ((), "read sortedset set list dangerous"),
    "PUBLISH": (("x",), "pubsub"),
    "SUBSCRIBE": ((), "pubsub"),
}
_OTHERS: dict[str, tuple[tuple[Any, ...], str]] = {
    "KEYS": (("*",), "read keyspace dangerous"),
    "CONFIG": (("GET", "maxmemory"), "admin dangerous"),
    "CLIENT": (("LIST",), "admin dangerous connection"),
    "ACL": (("USERS",), "admin dangerous"),
    "INFO": ((), "dangerous"),
    "EVAL": (("return 1", 0), "scripting"),
    "EVAL_RO": (("return 1", 0), "scripting"),
    "FLUSHALL": ((), "write keyspace dangerous"),
    "PUBSUB": (("CHANNELS",), "pubsub"),
    "CLUSTER": (("NODES",), "slow"),  # in none of the categories that are bad
}
_CATEGORIES = {
    name: {"all", *categories.split()}
    for name, (_, categories) in (_READS | _WRITES | _NAMING | _OTHERS).items()
}

_BEGIN_WITH_NOTHING = (
    "`+@all` less a few leaves what nobody thought of. Begin with nothing and add `+@read`, then "
    "take `-@dangerous` away."
)


class _User(Protocol):
    """What a user can do."""

    def opens(self, password: str) -> bool:
        """Whether the password signs the user in."""

    def may(self, *words: Any) -> bool:
        """Whether the user, signed in, may send this command."""

    def channels(self) -> list[str]:
        """The patterns of the channels that are the user's, beside the commands for them."""


class _SignedIn:
    """A user as the server lets them: signs in and tries."""

    def __init__(self, trial: Trial, name: str, password: str) -> None:
        self._trial, self._name = trial, name
        self._client = self._as(password)

    def opens(self, password: str) -> bool:
        pool = self._as(password).connection_pool
        try:
            pool.release(pool.get_connection())
        except redis.AuthenticationError:
            return False
        return True

    def may(self, *words: Any) -> bool:
        try:
            self._client.execute_command(*words)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.ResponseError as refusal:
            # Let through, and refused for another reason, or not known to an older server.
            return "unknown command" not in str(refusal)
        finally:
            self._client.connection_pool.disconnect()  # one that subscribes takes few commands
        return True

    def channels(self) -> list[str]:
        witness: Any = self._trial.another_client()
        return list(witness.acl_getuser(self._name).get("channels", ()))

    def _as(self, password: str) -> redis.Redis:
        client = self._trial.another_client()
        client.connection_pool.connection_kwargs.update(
            username=self._name,
            password=password,
            protocol=2,  # where SUBSCRIBE has a reply, as other commands have
            retry=Retry(NoBackoff(), 0),  # else a refused password is tried for seconds
        )
        return client


class _Rules:
    """A user as the rules say, for fakeredis, which keeps them and follows few.

    Args:
        rules: The rules in the order they were set.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._reset()
        for rule in rules:
            self._add(rule)

    def opens(self, password: str) -> bool:
        return self._on and (self._any_password or _hashed(password) in self._passwords)

    def may(self, name: str, *rest: Any) -> bool:
        return self._lets(name, rest) or any(each.may(name, *rest) for each in self._selectors)

    def channels(self) -> list[str]:
        return self._channels

    def _lets(self, name: str, rest: Sequence[Any]) -> bool:
        allowed = False
        for rule in self._commands:
            if self._is_meant(rule[1:].lower(), name, rest):
                allowed = rule[0] == "+"
        if name in _OTHERS:
            return allowed
        if "pubsub" in _CATEGORIES[name]:
            return allowed and any(fnmatch.fnmatchcase(rest[0], each) for each in self._channels)
        access = "W" if name in _WRITES else "R"
        return allowed and any(
            access in kinds and fnmatch.fnmatchcase(rest[0], pattern)
            for kinds, pattern in self._keys
        )

    def _is_meant(self, meant: str, name: str, rest: Sequence[Any]) -> bool:
        if meant.startswith("@"):
            return meant[1:] in _CATEGORIES[name]
        return meant in (name.lower(), f"{name}|{rest[0]}".lower() if rest else name.lower())

    def _reset(self) -> None:
        self._on = self._any_password = False
        self._passwords: set[str] = set()
        self._keys: list[tuple[str, str]] = []
        self._commands: list[str] = []
        self._channels: list[str] = []
        self._selectors: list[_Rules] = []

    def _add(self, rule: str) -> None:
        match rule.lower():
            case "reset":
                self._reset()
            case "on" | "off":
                self._on = rule.lower() == "on"
            case "nopass" | "resetpass":
                self._any_password = rule.lower() == "nopass"
                self._passwords.clear()
            case "resetkeys":
                self._keys.clear()
            case "allkeys":
                self._keys.append(("RW", "*"))
            case "resetchannels":
                self._channels.clear()
            case "allchannels":
                self._channels.append("*")
            case "clearselectors":
                self._selectors.clear()
            case "allcommands" | "nocommands":
                self._commands.append("+@all" if rule.lower() == "allcommands" else "-@all")
            case _:
                self._add_to_list(rule[0], rule[1:])

    def _add_to_list(self, sign: str, rest: str) -> None:
        match sign:
            case ">" | "#":
                self._any_password = False
                self._passwords.add(_hashed(rest) if sign == ">" else rest)
            case "<" | "!":
                self._passwords.discard(_hashed(rest) if sign == "<" else rest)
            case "+" | "-":
                self._commands.append(sign + rest)
            case "&":
                self._channels.append(rest)
            case "(":
                self._selectors.append(_Rules(rest.rstrip(")").split()))
            case "~":
                self._keys.append(("RW", rest))
            case "%":
                kinds, _, pattern = rest.partition("~")
                self._keys.append((kinds.upper(), pattern))


def _hashed(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _make(trial: Trial, name: str, password: str, prefix: str, old: Sequence[str] = ()) -> _User:
    """Call the answer; the user that it made, where these rules were set before."""
    refused = (
        "A rule is one of `on`, `reset`, `+@read` and the like, each a word of its own, and a "
        "password is added with `>` in front."
    )
    with trial.explain(redis.ResponseError, refused):
        trial.call(trial.client, name, password, prefix)
    if describe(trial.client).kind != "fakeredis":
        return _SignedIn(trial, name, password)
    rules = list(old)
    for command in trial.log:
        match command.name, command.args:
            case "ACL", (action, who, *words) if who == name:
                rules = [] if action.upper() == "DELUSER" else rules + words
    return _Rules(rules)


@contextlib.contextmanager
def _guests(trial: Trial) -> Iterator[None]:
    """Remove the users that are made meanwhile."""
    witness: Any = trial.another_client()
    before = set(witness.acl_users())
    try:
        yield
    finally:
        for name in set(witness.acl_users()) - before:
            witness.acl_deluser(name)


def _signs_in(trial: Trial, user: _User, name: str, password: str) -> None:
    trial.require(
        user.opens(password),
        f"{name} cannot sign in with the password {password}. A new user is off until a rule says "
        "`on`, and a password is added with `>` in front.",
    )


def _reads(trial: Trial, user: _User, name: str, prefix: str) -> None:
    """Demand that the user may read keys of the prefix, of every type."""
    key = f"{prefix}{trial.word()}"
    refused = [read for read, (rest, _) in _READS.items() if not user.may(read, key, *rest)]
    if not refused:
        return
    command = f"{name} may not `{refused[0]} {key}`."
    if user.may(refused[0], prefix, *_READS[refused[0]][0]):
        trial.fail(f"{command} `~{prefix}` fits the key of just this name: end it with a star.")
    if len(refused) < len(_READS):
        trial.fail(f"{command} Keys are of many types: `+@read` holds all commands that read.")
    trial.fail(
        f"{command} It takes two rules, one for the keys, `~{prefix}*`, and one for the commands, "
        "`+@read`."
    )


@reader.check("the user signs in with this password alone, and reads the keys", points=1)
def _signs_in_and_reads(trial: Trial) -> None:
    for ending in ("", ":"):
        name, password, prefix = _guest(trial, ending)
        with _guests(trial):
            user = _make(trial, name, password, prefix)
            _signs_in(trial, user, name, password)
            trial.require(
                not user.opens(trial.word()),
                f"{name} signs in with any password: `nopass` says that none is asked for. Add "
                "the password with `>` in front.",
            )
            _reads(trial, user, name, prefix)


def _guest(trial: Trial, ending: str) -> tuple[str, str, str]:
    """A name, a password and a prefix."""
    name, word, group = trial.words(3)
    return name, f"{word}>+~{trial.rng.randint(10, 99)}", f"arcade:{group}{ending}"


@reader.check("and may do nothing else: no write, no other key, nothing dangerous", points=1)
def _nothing_else(trial: Trial) -> None:
    for ending in ("", ":"):
        name, password, prefix = _guest(trial, ending)
        with _guests(trial):
            user = _make(trial, name, password, prefix)
            _signs_in(trial, user, name, password)
            _reads_nothing_else(trial, user, name, prefix)
            _only_reads(trial, user, name, prefix)


def _reads_nothing_else(trial: Trial, user: _User, name: str, prefix: str) -> None:
    start = prefix.rstrip(":")
    others = [f"news:{trial.word()}", f"old:{prefix}{trial.word()}", f"{start[:-1]}.:1"]
    for key, (read, (rest, _)) in zip(others * 3, _READS.items(), strict=True):
        trial.require(
            not user.may(read, key, *rest),
            f"{name} may `{read} {key}`, a key that does not begin with {prefix}: what belongs to "
            f"others is theirs. `~{prefix}*` is the only rule for keys.",
        )


def _only_reads(trial: Trial, user: _User, name: str, prefix: str) -> None:
    """Demand that the user may read, and may not write or administer."""
    key = f"{prefix}{trial.word()}"
    for write, (rest, _) in _WRITES.items():
        trial.require(
            not user.may(write, key, *rest),
            f"{name} may `{write} {key}`: whoever shall only look must not write. Add the "
            "commands that read, `+@read`, and no others.",
        )
    begun_with_all = user.may("CLUSTER", "NODES")
    for words in _needless(key):
        if not user.may(*words):
            continue
        said = f"{name} may `{' '.join(map(str, words))}`"
        if begun_with_all:
            trial.fail(f"{said}: {_BEGIN_WITH_NOTHING}")
        if "dangerous" in _CATEGORIES[words[0]]:
            trial.fail(
                f"{said}, which is dangerous: `@read` holds some that are, such as KEYS and "
                "SORT_RO. `-@dangerous` takes all of them away, and only behind the rules "
                "that add: they are read from left to right."
            )
        trial.fail(
            f"{said}, which is not reading a key: whoever shall only look runs no scripts, and "
            "neither publishes nor listens. Add `+@read`, and no other commands."
        )


def _needless(key: str) -> list[tuple[Any, ...]]:
    """What a reader needs no more than writes, each as its words."""
    return [
        *((name, key, *rest) for name, (rest, _) in _NAMING.items()),
        *((name, *rest) for name, (rest, _) in _OTHERS.items()),
    ]


@reader.check("made anew, the user loses all rights and passwords of before", points=1)
def _made_anew(trial: Trial) -> None:
    old = trial.word()
    rights_of_before = [
        ("~news:*", "~old:*", "+@read", "+@write"),
        ("~*", "+@all"),
        ("allchannels", "+@pubsub"),
    ]
    witness: Any = trial.another_client()
    if "selectors" in witness.acl_getuser("default"):  # since Redis 7.0
        rights_of_before.append(("(~* +@all)",))
    for some in rights_of_before:
        rights = ("on", f">{old}", *some)
        name, password, prefix = _guest(trial, ":")
        with _guests(trial):
            witness.execute_command("ACL", "SETUSER", name, *rights)
            user = _make(trial, name, password, prefix, rights)
            _signs_in(trial, user, name, password)
            _reads(trial, user, name, prefix)
            fresh = _make(trial, trial.word(), password, prefix)
            _may_no_more(trial, user, fresh, name, old, prefix)


def _may_no_more(trial: Trial, user: _User, fresh: _User, name: str, old: str, prefix: str) -> None:
    """Demand that the user may no more than a fresh one; what both may, other checks judge."""
    adds = "ACL SETUSER adds to what the user has already. Begin with the rule `reset`."
    trial.require(
        not user.opens(old) or fresh.opens(old),
        f"{name} was there before, and the old password still signs in. {adds}",
    )
    key, other = f"{prefix}{trial.word()}", f"news:{trial.word()}"
    trial.require(
        not user.may("GET", other) or fresh.may("GET", other),
        f"{name} was there before and may still read keys other than {prefix}*. {adds}",
    )
    commands = [(write, key, *rest) for write, (rest, _) in _WRITES.items()]
    for words in commands + _needless(key):
        trial.require(
            not user.may(*words) or fresh.may(*words),
            f"{name} was there before and may still do more than read: "
            f"`{' '.join(map(str, words))}`. {adds}",
        )
    trial.require(
        user.channels() == fresh.channels(),
        f"{name} was there before, and the channels of before are still theirs. {adds}",
    )


# -- the sick server -----------------------------------------------------------------------------

diagnose = outline.exercise(
    "diagnose",
    "Find the five faults",
    hints=(
        "Each fault has its own tool: times to live and memory by key, SLOWLOG, the counters of "
        "use, and the list of connections. `labkit.inspect` has a module for each.",
        "`keys.groups(r)` counts keys and immortal ones by group; `keys.largest(r, 1)` and "
        "`keys.hottest(r, 1)` name a key; `slowlog.entries(r, 1000)` has the seconds of each slow "
        "command, to be summed up; `clients.listing(r)` has the names of connections.",
        "The group whose `immortal` equals its `keys`; the one `key` of `largest` and of "
        "`hottest`; the first word of `slowlog.grouped(...)`, which puts the largest total first; "
        "and the name that `value_counts().idxmax()` finds among the names that are there.",
    ),
)

_FAULTS = {
    "immortal": "finds the group in which no key expires",
    "giant": "finds the key that takes most memory",
    "slow": "finds the command that took most of the server's time",
    "hot": "finds the key that is read most",
    "leak": "finds the name of the connections that are never closed",
}

_CONFIG = {
    "maxmemory-policy": "allkeys-lfu",
    # Every read counts one, up to 250, and the count stays.
    "lfu-log-factor": "0",
    "lfu-decay-time": "0",
    "slowlog-log-slower-than": "-1",
}

_NO_SERVER = (
    "The sick server must be a real one, which fakeredis is not, and there is neither redis-server "
    "nor valkey-server here. Install one, and check again."
)

# A few values may be read, to see what is in them.
_FEW_READS = 10

# What must not be sent besides whatever writes.
_MEDDLING = frozenset(
    {
        *("keys", "config|set", "config|resetstat", "config|rewrite", "slowlog|reset"),
        *("client|kill", "client|pause", "client|no-evict", "latency|reset", "memory|purge"),
        *("flushall", "flushdb", "shutdown", "debug", "script|flush", "acl|setuser"),
    }
)


@dataclass(frozen=True)
class _Fault:
    """What a fault is, and what it may be mistaken for.

    Attributes:
        truth: The right text.
        tempting: What to say to wrong ones.
        otherwise: What to say to any other.
    """

    truth: str
    tempting: Mapping[str, str]
    otherwise: str


class _Group:
    """Keys that are alike: what their names have in common, and the names."""

    def __init__(self, trial: Trial, size: int) -> None:
        word, end = trial.words(2)
        tail = trial.rng.choice(("", f":{end}"))
        numbers = trial.rng.sample(range(10_000), size)
        self.names = [f"arcade:{word}:{number}{tail}" for number in numbers]
        self.name = keys.group_of(self.names[0])


@contextlib.contextmanager
def _incident(trial: Trial) -> Iterator[Mapping[str, _Fault]]:
    """A sick server, whose client is the trial's meanwhile; its faults by name.

    It is none that others use: the incident changes settings, and fills the slow log.
    """
    if find_server() is None:
        with contextlib.suppress(AnswerRaised):
            trial.call(trial.client)
        trial.fail(_NO_SERVER)
    with (
        LocalServer(unix_socket=True, config=_CONFIG) as server,
        contextlib.ExitStack() as stack,
    ):
        client = stack.enter_context(server.client())
        groups = [_Group(trial, size) for size in (100, *trial.rng.sample(range(60, 90), 3))]
        immortal, largest = groups[1], groups[0]
        _plant_keys(trial, client, groups, immortal)
        giant, *small = trial.rng.sample(
            [n for g in groups if g is not immortal for n in g.names], 5
        )
        slow, asked = _plant_slow(trial, client, small[0])
        faults = {
            "immortal": _immortal(immortal, largest),
            "giant": _plant_giant(trial, client, giant, small[1:3]),
            "slow": slow,
            "hot": _plant_hot(trial, client, small[3], asked),
            "leak": _plant_leak(trial, server, stack),
        }
        trial.client = trial.named("r", client)
        yield faults


def _plant_keys(
    trial: Trial, client: redis.Redis, groups: Sequence[_Group], immortal: _Group
) -> None:
    with client.pipeline(transaction=False) as pipe:
        for group in groups:
            for name in group.names:
                expires = None if group is immortal else trial.rng.randint(1000, 9000)
                pipe.set(name, trial.word(trial.rng.randint(10, 40)), ex=expires)
        pipe.execute()


def _immortal(group: _Group, largest: _Group) -> _Fault:
    return _Fault(
        group.name,
        {
            largest.name: "It has the most keys, and they expire. TTL answers -1 of a key that "
            "never does; a frame of labkit.inspect has NaN there.",
            **dict.fromkeys(
                group.names,
                "That is one of the keys. Name the group, with a star for what differs: "
                "`keys.group_of` does.",
            ),
        },
        "Ask of every key when it expires, and count by group, as `keys.group_of` names it.",
    )


def _plant_giant(trial: Trial, client: redis.Redis, giant: str, decoys: Sequence[str]) -> _Fault:
    """A hash of long fields, a set of more members that are short, and a long string."""
    many, text = decoys
    with client.pipeline(transaction=False) as pipe:
        pipe.delete(giant, many)
        pipe.hset(giant, mapping={word: trial.word(500) for word in trial.words(80)})
        pipe.sadd(many, *range(400))
        pipe.set(text, trial.word(6000))
        for name in (giant, many, text):
            pipe.expire(name, 5000)
        pipe.execute()
    by_memory = "Ask MEMORY USAGE, which counts the bytes of a value of any type."
    return _Fault(
        giant,
        {
            many: f"It has the most members, and they are small. {by_memory}",
            text: f"It is the longest string, and a hash takes more. {by_memory}",
            keys.group_of(giant): "That is the group. Name the key itself.",
        },
        by_memory,
    )


def _plant_slow(trial: Trial, client: redis.Redis, asked: str) -> tuple[_Fault, str]:
    """A slow log; what is wrong in it, and the key that it names most."""
    small, large, made = (f"arcade:{word}" for word in trial.words(3))
    client.sadd(small, *trial.rng.sample(range(10**6), 2000))
    client.sadd(large, *trial.rng.sample(range(10**6), 10_000))
    work = {
        "SORT": lambda key: ("SORT", key, "LIMIT", 0, 1),
        "SUNIONSTORE": lambda key: ("SUNIONSTORE", made, key),
        "SINTERSTORE": lambda key: ("SINTERSTORE", made, key),
        "SDIFFSTORE": lambda key: ("SDIFFSTORE", made, key),
    }
    often, once = trial.rng.sample(sorted(work), 2)
    cheap = trial.rng.choice(("GET", "STRLEN", "EXISTS", "TTL"))
    commands = [work[often](small)] * 30 + [work[once](large)]
    trial.rng.shuffle(commands)
    commands += [(cheap, asked)] * 50
    # A machine that is busy elsewhere lengthens any of them now and then: once more, then.
    for _ in range(20):
        totals, longest = _log_slow(client, commands)
        if max(totals, key=totals.__getitem__) == often and longest == once:
            break
    # Made anew, the key that was asked begins its count of uses anew.
    client.unlink(small, large, made, asked)
    client.set(asked, trial.word(20), ex=5000)
    truth = max(totals, key=totals.__getitem__)
    return _Fault(
        truth,
        {
            cheap: "It was called most, and the newest entries are its own: SLOWLOG GET answers "
            "ten unless you ask for more. Ask for all, and sum up the time by command.",
            longest: "It has the longest entry, but just one. Sum up the time by command: many "
            "that take a while block the server for longer.",
            truth.lower(): "Write the name in capitals.",
            **{
                f"{truth} {key}": "Name the command alone, without its arguments."
                for key in (small, made)
            },
        },
        "Ask SLOWLOG GET for a thousand entries and sum up the duration by the command's name.",
    ), asked


def _log_slow(
    client: redis.Redis, commands: Sequence[tuple[Any, ...]]
) -> tuple[Mapping[str, int], str]:
    """Let these be in the slow log; how long each took in all, and which took longest once."""
    client.config_set("slowlog-log-slower-than", 0)
    client.slowlog_reset()
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        pipe.execute()
    client.config_set("slowlog-log-slower-than", -1)
    totals: Counter[str] = Counter()
    entries: Any = client.slowlog_get(1000)
    for entry in entries:
        totals[_name(entry)] += entry["duration"]
    return totals, _name(max(entries, key=lambda entry: entry["duration"]))


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["command"].decode().split()[0].upper())


def _plant_hot(trial: Trial, client: redis.Redis, hot: str, asked: str) -> _Fault:
    with client.pipeline(transaction=False) as pipe:
        for _ in range(trial.rng.randint(150, 220)):
            pipe.get(hot)
        pipe.execute()
    counted = (
        "The server counts uses under its policy, allkeys-lfu: OBJECT FREQ tells them, and "
        "`keys.hottest` puts them in order."
    )
    return _Fault(
        hot,
        {
            asked: "SLOWLOG names it most. What is in there was slow, or all of it, for a moment: "
            f"it does not count reads. {counted}",
            keys.group_of(hot): "That is the group. Name the key itself.",
        },
        counted,
    )


def _plant_leak(trial: Trial, server: LocalServer, stack: contextlib.ExitStack) -> _Fault:
    leak, first, second, last = trial.words(4)
    for name, count in (first, 2), (leak, trial.rng.randint(20, 28)), (second, 4), (last, 1):
        client = stack.enter_context(server.client(client_name=name))
        for _ in range(count):
            client.connection_pool.get_connection()
        stack.callback(client.connection_pool.disconnect)
    few = "Others have that name, and they are few. Count the connections by their name."
    return _Fault(
        leak,
        {
            **dict.fromkeys((first, second, last), few),
            "": "Connections without a name are yours, and few. Count those that have one.",
        },
        "CLIENT LIST has a line for each connection, with `name=`: count by that.",
    )


def _texts(trial: Trial) -> Mapping[str, str]:
    """Call the answer; its five texts."""
    told: Any
    lru = (
        "OBJECT IDLETIME goes with an LRU policy. This server counts uses, which OBJECT FREQ tells."
    )
    try:
        told = trial.call(trial.client)
    except AnswerRaised as raised:
        if "LFU" not in str(raised.__cause__):
            raise
        raise AnswerRaised(f"{raised} {lru}") from raised.__cause__
    trial.require(
        isinstance(told, dict),
        f"Return a dictionary of five texts, with {', '.join(_FAULTS)}; not {told!r:.80}.",
    )
    trial.require(len(trial.log) > 0, "Your function asks nothing of the server.")
    for name in _FAULTS:
        text = told.get(name)
        trial.require(
            isinstance(text, str),
            f"The dictionary has {text!r:.80} under {name!r}, where a text belongs.",
        )
    return {name: str(told[name]) for name in _FAULTS}


def _finds(name: str) -> CheckFunction:
    def check(trial: Trial) -> None:
        with _incident(trial) as faults:
            got, fault = _texts(trial)[name], faults[name]
            advice = fault.tempting.get(got, fault.otherwise)
            trial.equal(got, fault.truth, f"{name!r}", advice=advice)

    return check


for _fault, _statement in _FAULTS.items():
    diagnose.check(_statement, points=1)(_finds(_fault))


@diagnose.check("only looks: changes, resets and ends nothing", points=1)
def _only_looks(trial: Trial) -> None:
    with _incident(trial) as faults:
        client = trial.client
        writing = set(client.acl_cat("write"))
        used, before = _uses(client), _calls(client)
        found = _texts(trial)
        # The server's own count has what scripts and other connections of the answer sent, too.
        called = {name for name, count in _calls(client).items() if count > before.get(name, 0)}
        for name in sorted(called & (writing | _MEDDLING)):
            said = name.replace("|", " ").upper()
            trial.fail(f"Your answer sent {said}. {_why_not(name)}")
        reads = _uses(client) - used
        trial.require(
            reads <= _FEW_READS,
            f"Your answer read or touched keys {reads} times. The server counts each read as a "
            "use, and now OBJECT FREQ tells of yours, and not of the players'. TYPE, TTL, MEMORY "
            "USAGE and OBJECT tell of a key without reading it.",
        )
        trial.require(
            any(found[name] == fault.truth for name, fault in faults.items()),
            "It changes nothing, and it finds none of the five faults either.",
        )


def _calls(client: redis.Redis) -> Mapping[str, int]:
    """How often each command was called, such as `config|set`."""
    told: Any = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in told.items()}


def _uses(client: redis.Redis) -> int:
    """How often keys were used in all, as the server counts them."""
    return int(keys.survey(client, samples=None)["uses"].sum())


def _why_not(name: str) -> str:
    match name:
        case "keys":
            return (
                "KEYS goes through all keys in one go, and nobody else is served meanwhile: a sick "
                "server gets worse. SCAN does it in steps."
            )
        case "slowlog|reset" | "config|resetstat" | "latency|reset":
            return "What is reset is gone, and the others need it for finding out why. Read it."
        case "client|kill":
            return (
                "Whoever ends connections destroys what the others need for finding out why, and "
                "the program opens new ones."
            )
        case _ if name.startswith("config"):
            return "A setting is not changed for a look: it would be forgotten, and stay."
        case _:
            return "A diagnosis only looks: it must not write or stop anything."
