"""Policies in a file: TOML with what holds for all, and what is different for each entity."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache.policies.lines import lines
from labkit.cache.policies.policy import Policy, Warm, check_tiers, policy_of
from labkit.cache.policies.refusals import InvalidPolicy, nearest, one_of, shown, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from labkit.cache.policies.checks import Checked

_NONE = "none"  # TOML has no word for it
_TABLES = ("defaults", "entity")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class InvalidPolicies(ValueError):
    """What is wrong with a file, all at once.

    Args:
        errors: What is wrong, in the order of the lines.

    Attributes:
        errors: The same.
    """

    def __init__(self, errors: list[InvalidPolicy]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


class Policies:
    """A policy for each kind of entity, and one for all others.

    Args:
        entities: The policies by the names of entities: each a `Policy`, or a mapping of those
            options that are other than the defaults.
        defaults: The policy of every other entity.

    Attributes:
        defaults: The same.

    Raises:
        InvalidPolicy: One of them is no policy.

    Example:
        >>> policies = Policies.read('''
        ... [defaults]
        ... ttl = "10m"
        ... jitter = 0.1
        ...
        ... [entity.Article]
        ... strategy = "write-through"
        ... ''')
        >>> policies["Article"].strategy, policies["Article"].ttl, policies.get("Author").strategy
        ('write-through', 600.0, 'read-through')
    """

    def __init__(
        self,
        entities: Mapping[str, Policy | Mapping[str, Any]] | None = None,
        defaults: Policy | Mapping[str, Any] | None = None,
    ) -> None:
        self._given = entities or {}, defaults
        self._text: _Text | None = None
        self._places: Mapping[tuple[str, ...], str] = {}
        self.defaults = policy_of("defaults", defaults or {}, Policy())
        self._entities = {
            name: policy_of(f"entity.{name}", each, self.defaults)
            for name, each in self._given[0].items()
        }

    @classmethod
    def read(
        cls,
        source: str | os.PathLike[str],
        *,
        options: Mapping[str, Any] | None = None,
        tiers: Mapping[str, Any] | None = None,
    ) -> Policies:
        """Read policies from a file, or from a text.

        `[defaults]` takes the options of a `Policy` and holds for all entities; `[entity.NAME]`
        changes some of them for one; `warm`, `limits` and `queue` are tables in these. `"none"`
        stands for None. A file of keys to warm is looked for where the file of policies is.

        Args:
            source: A path, or a text that ends in ".toml": the file. Another text: TOML itself.
            options: Options of a `Policy`, apart from its tables, that hold where it says nothing.
            tiers: The tiers that there are, by their names; None: any name may be a tier's.

        Raises:
            InvalidPolicies: Something in it is wrong; tells all of it, each with its line.
            OSError: The file cannot be read.
        """
        return _Reading(_text(source), options or {}, tiers).policies()

    def over(self, options: Mapping[str, Any], tiers: Mapping[str, Any] | None = None) -> Policies:
        """The same policies with these options where they say nothing, and with these tiers.

        A `Policy` made in Python says everything, and so do defaults that are one.

        Args:
            options: Options of a `Policy`, apart from its tables.
            tiers: The tiers that there are, by their names; None: any name may be a tier's.

        Raises:
            InvalidPolicies: They do not go with these options or tiers; tells all of it.
        """
        if self._text is not None:
            return _Reading(self._text, options, tiers).policies()
        entities, defaults = self._given
        if defaults is None or not isinstance(defaults, Policy):
            defaults = {**options, **(defaults or {})}
        made = Policies(entities, defaults)
        if tiers is not None:
            made._check_tiers(tiers)
        return made

    def check_names(self, known: Iterable[str]) -> None:
        """Refuse policies of what is not there.

        Args:
            known: The names of all entities that there are.

        Raises:
            InvalidPolicies: There are policies of others; tells all, each with its line.
        """
        names = list(known)
        expected = one_of(names) if names else "none so far"
        wrong = [
            InvalidPolicy(
                f"entity.{_bare(name)}",
                f"is of no entity that is declared; expected {expected}",
                f"Did you mean {near}?" if near else "Declare it, or take its policy out.",
                self._places.get(("entity", name), ""),
            )
            for name in self._entities
            if name not in names
            for near in [nearest(name, names)]
        ]
        if wrong:
            raise InvalidPolicies(wrong)

    def _check_tiers(self, tiers: Mapping[str, Any]) -> None:
        wrong = []
        policies = {"defaults": self.defaults}
        policies |= {f"entity.{_bare(name)}": each for name, each in self._entities.items()}
        for where, policy in policies.items():
            try:
                check_tiers(f"{where}.tiers", policy.tiers, tiers)
            except InvalidPolicy as error:
                if policy is self.defaults or policy.tiers != self.defaults.tiers:
                    wrong.append(error)
        if wrong:
            raise InvalidPolicies(wrong)

    def get(self, name: str) -> Policy:
        """The policy of an entity; the defaults where it has none of its own."""
        return self._entities.get(name, self.defaults)

    def __getitem__(self, name: str) -> Policy:
        """The policy of an entity that has one of its own.

        Raises:
            KeyError: It has none.
        """
        if name not in self._entities:
            near = nearest(name, self._entities)
            raise KeyError(
                f"there is no policy of {name!r}; "
                + (f"did you mean {near!r}?" if near else "get() falls back to the defaults")
            )
        return self._entities[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entities

    def __iter__(self) -> Iterator[str]:
        return iter(self._entities)

    def __len__(self) -> int:
        return len(self._entities)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Policies):
            return NotImplemented
        return (self._entities, self.defaults) == (other._entities, other.defaults)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Policies({self._entities!r}, defaults={self.defaults!r})"


class _Text(NamedTuple):
    """A text with policies.

    Attributes:
        name: What messages call it: the path of the file.
        text: What it says.
        folder: Where the file is; None where it is none.
    """

    name: str
    text: str
    folder: Path | None = None


def _text(source: str | os.PathLike[str]) -> _Text:
    """The text of a file, or one that is TOML itself."""
    if isinstance(source, str) and ("\n" in source or not source.endswith(".toml")):
        return _Text("policies", source)
    path = os.fspath(source)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPolicies(
            [InvalidPolicy("the file", f"is no UTF-8: {error}", "Save it as UTF-8.", path)]
        ) from None
    return _Text(path, text, Path(path).parent)


class _Reading:
    """One text that is being read, and what was found wrong with it.

    Args:
        text: The text.
        usual: The options that hold where it says nothing.
        tiers: The tiers that there are; None: nobody knows.
    """

    def __init__(
        self, text: _Text, usual: Mapping[str, Any], tiers: Mapping[str, Any] | None
    ) -> None:
        self._source = text
        self._name = text.name
        self._text = text.text.replace("\r\n", "\n")
        self._usual = usual
        self._tiers = tiers
        self._errors: list[tuple[int, InvalidPolicy]] = []
        self._told: set[tuple[tuple[str, ...], str]] = set()
        self._lines: dict[tuple[str, ...], int] = {}

    def policies(self) -> Policies:
        """What it says."""
        data = self._parsed()
        for name in data:
            if name not in _TABLES:
                self._refuse((name,), _no_table(name, data[name]))
        said = self._options(Policy, data.get("defaults", {}), ("defaults",))
        given = _merged({**self._usual}, said)
        entities = self._tables(data.get("entity", {}), ("entity",))
        defaults = self._made(_apt(given, {}), ("defaults",), said)
        found = {}
        for name, table in entities.items():
            path = ("entity", name)
            own = self._options(Policy, table, path)
            policy = self._made(_apt(_merged(given, own), own), path, own)
            if policy is not None:
                found[name] = policy
        if self._errors:
            ordered = sorted(self._errors, key=lambda found: found[0])
            raise InvalidPolicies([error for _, error in ordered])
        made = Policies(found, defaults)
        made._text = self._source
        made._places = {path: self._place(path) for path in self._lines}
        return made

    def _parsed(self) -> dict[str, Any]:
        try:
            data = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidPolicies([self._no_toml(str(error))]) from None
        self._lines = lines(self._text)
        return data

    def _no_toml(self, message: str) -> InvalidPolicy:
        position = _POSITION.search(message)
        line = int(position[1] or self._text.count("\n") + 1) if position else 1
        fix = "Texts stand in quotes, tables in brackets; see toml.io."
        if "\n" not in self._text and "=" not in self._text:
            fix = 'A file is given by a Path, or by a name that ends in ".toml".'
        said = _POSITION.sub("", message).rstrip(".")
        return InvalidPolicy("this", f"is no TOML: {said}", fix, f"{self._name}:{line}")

    def _tables(self, found: Any, path: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """The tables of entities."""
        if not isinstance(found, dict):
            self._refuse(path, _no_entity(path[-1], found))
            return {}
        for name, table in found.items():
            if not isinstance(table, dict):
                self._refuse((*path, name), _no_entity(name, table))
        return {name: table for name, table in found.items() if isinstance(table, dict)}

    def _options(
        self, kind: type[Checked], table: Any, path: tuple[str, ...]
    ) -> dict[str, Any] | None:
        """The options of a table, checked one by one; None where one of them is wrong."""
        if not isinstance(table, dict):
            error = InvalidPolicy(
                path[-1],
                f"is {shown(table)}; expected a table",
                f"Write [{'.'.join(path)}], and options below it.",
            )
            self._refuse(path, error)
            return None
        found: dict[str, Any] | None = {}
        for name, given in table.items():
            value: Any = None
            try:
                check = kind.of(name)
                if given != _NONE or not check.optional:
                    part = Policy.parts.get(name) if kind is Policy else None
                    if part is None:
                        value = self._value(kind, name, check.value(name, given))
                    else:
                        value = self._options(part, given, (*path, name))
                        found = None if value is None else found
            except InvalidPolicy as error:
                self._refuse((*path, name), error)
                found = None
            if found is not None:
                found[name] = value
        return found

    def _value(self, kind: type[Checked], name: str, value: Any) -> Any:
        """What an option means here: files lie beside this one, and tiers are those that are."""
        if kind is Warm and name == "keys" and self._source.folder is not None:
            return str(self._source.folder / value)
        if name == "tiers" and self._tiers is not None:
            check_tiers(name, value, self._tiers)
        return value

    def _made(
        self, options: dict[str, Any] | None, path: tuple[str, ...], own: dict[str, Any] | None
    ) -> Policy | None:
        """The policy of these options, of which a table says its own and the defaults the rest."""
        if options is None or own is None:
            return None
        try:
            parts = {
                name: kind(**options[name])
                for name, kind in Policy.parts.items()
                if options.get(name) is not None
            }
            return Policy(**options | parts)
        except InvalidPolicy as error:
            for each in (error, *error.others):
                self._refuse((*path, *each.where.split(".")), each)
        return None

    def _refuse(self, path: tuple[str, ...], error: InvalidPolicy) -> None:
        """Note down what is wrong with the key of a path, or with what should be there."""
        place = path
        if path[0] == "entity" and path not in self._lines:
            inherited = ("defaults", *path[2:])
            if (inherited, error.problem) in self._told:
                return  # of the defaults already
            if inherited in self._lines:
                place = inherited
        self._told.add((path, error.problem))
        where = ".".join(map(_bare, path))
        self._errors.append((self._line(place), error.at(where, self._place(place))))

    def _place(self, path: tuple[str, ...]) -> str:
        """The file and the line of a key; the file alone of what does not stand in it."""
        line = self._line(path)
        return f"{self._name}:{line}" if line else self._name

    def _line(self, path: tuple[str, ...]) -> int:
        """Where a key stands, or else the innermost of its tables that is there."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)


def _merged(defaults: dict[str, Any] | None, own: dict[str, Any] | None) -> dict[str, Any] | None:
    """The options of an entity: its own, and the defaults for those that it does not say."""
    if defaults is None or own is None:
        return None
    merged = defaults | own
    for name in Policy.parts:
        if own.get(name) is not None and defaults.get(name) is not None:
            merged[name] = defaults[name] | own[name]
    return merged


def _apt(options: dict[str, Any] | None, own: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The options without an `on_start` that was said of all, where no file goes with it."""
    warm = options.get("warm") if options else None
    said = "on_start" in ((own or {}).get("warm") or {})
    if not options or not warm or warm.get("keys") or said:
        return options
    return options | {"warm": warm | {"on_start": False}}


def _no_table(name: str, value: Any) -> InvalidPolicy:
    """The refusal of what stands outside of the two tables."""
    if name in Policy.options:
        fix = f"Write {name} below [defaults], or below the [entity.NAME] that it is for."
        return InvalidPolicy(name, "is outside of any table", fix)
    near = nearest(name, _TABLES)
    if near is None and isinstance(value, dict):
        problem = "is no table of policies; expected defaults or entity"
        return InvalidPolicy(name, problem, f"Write [entity.{_bare(name)}] if it is an entity.")
    return unknown(name, name, _TABLES, "table of policies")


def _no_entity(name: str, value: Any) -> InvalidPolicy:
    """The refusal of an entity, or of all, that is no table."""
    if name in Policy.options:
        fix = f"Write {name} below [defaults] if it holds for all."
    else:
        fix = "Write [entity.NAME], with the name of an entity, and options below it."
    return InvalidPolicy(name, f"is {shown(value)}; expected a table of options", fix)


def _bare(part: str) -> str:
    """A part of a key as TOML writes it."""
    return part if _BARE.fullmatch(part) else shown(part)
