"""In which line a key stands, in whatever way TOML lets it be written."""

from __future__ import annotations

import json
import random
import tomllib
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.policies.lines import lines

LURES = ["ttl = 3", "[entity.Article]", "# no comment", "a.b = {", *"]}'\"\\=,"]


class Author:
    """Writes a text with everything that TOML has, and notes down where each key stands."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._numbers = iter(range(10**6))
        self.text = ""
        self.where: dict[tuple[str, ...], int] = {}

    def write(self) -> None:
        self.blank()
        for _ in range(self._random.randrange(4)):
            self.assignment(())
            self.end()
        for _ in range(self._random.randrange(6)):
            self.table()

    def table(self) -> None:
        twice = self._random.random() < 0.2
        self.text += "[[" if twice else "["
        self.space()
        path = self.key(())
        self.space()
        self.text += "]]" if twice else "]"
        self.end()
        for _ in range(self._random.randrange(4)):
            self.assignment(path)
            self.end()

    def assignment(self, table: tuple[str, ...] | None) -> None:
        path = self.key(table)
        self.space()
        self.text += "="
        self.space()
        self.value(path, 3)

    def key(self, table: tuple[str, ...] | None) -> tuple[str, ...]:
        """A key that nothing has been called yet, with dots or without."""
        line = self.text.count("\n") + 1
        path = table or ()
        for number in range(self._random.choice([1, 1, 1, 2, 3])):
            if number:
                self.space()
                self.text += "."
                self.space()
            part = self._random.choice(["k", "ttl", "1", "-_", "x y", "[a", "b.c", "#", ""])
            part += f"_{next(self._numbers)}"
            written = [f"'{part}'", json.dumps(part), f'"\\u{ord(part[0]):04x}{part[1:]}"']
            if part.replace("_", "").replace("-", "").isalnum():
                written += [part] * 3
            self.text += self._random.choice(written)
            path = (*path, part)
            if table is not None:
                self.where[path] = line
        return path

    def value(self, path: tuple[str, ...] | None, depth: int) -> None:
        kinds = ["number", "date", "basic", "literal", "lines", "literal lines"]
        if depth:
            kinds += ["array", "inline"]
        lure = "".join(self._random.choices([*LURES, "é", " "], k=self._random.randrange(5)))
        many = "\n".join(self._random.choices(LURES, k=self._random.randrange(4)))
        quotes = '"' * self._random.randrange(3)
        match self._random.choice(kinds):
            case "number":
                self.text += self._random.choice(["3", "-0.5e3", "true", "inf", "0x1F", "1_000"])
            case "date":
                self.text += self._random.choice(["1979-05-27 07:32:00", "07:32:00", "1979-05-27"])
            case "basic":
                self.text += json.dumps(lure)
            case "literal":
                self.text += "'" + lure.replace("'", "") + "'"
            case "lines":
                inner = many.replace("\\", "\\\\").replace('"', '\\"')
                self.text += f'"""\n{inner}"a" ""b{quotes}"""'
            case "literal lines":
                inner = many.replace("'", "")
                self.text += f"'''{inner} ''a' b{quotes.replace(chr(34), chr(39))}'''"
            case "array":
                self.array(depth)
            case "inline":
                self.inline(path, depth)

    def array(self, depth: int) -> None:
        self.text += "["
        self.blank()
        for _ in range(self._random.randrange(4)):
            if self._random.random() < 0.3:
                self.inline(None, depth)
            else:
                self.value(None, depth - 1)
            self.blank()
            self.text += ","
            self.blank()
        self.text += "]"

    def inline(self, path: tuple[str, ...] | None, depth: int) -> None:
        self.text += "{"
        for number in range(self._random.randrange(4)):
            self.text += "," if number else ""
            self.space()
            key = self.key(path)
            self.space()
            self.text += "="
            self.space()
            self.value(None if path is None else key, depth - 1)
            self.space()
        self.text += "}"

    def space(self) -> None:
        self.text += self._random.choice(["", "", " ", "\t "])

    def blank(self) -> None:
        """Nothing, spaces, or lines that look like more."""
        for _ in range(self._random.randrange(3)):
            lure = self._random.choice(LURES)
            self.text += self._random.choice([" ", "\n", f"# {lure}\n", "  \n"])

    def end(self) -> None:
        """The end of a line."""
        self.space()
        lure = self._random.choice(LURES)
        self.text += self._random.choice(["\n", "\n", f"# {lure}\n"])
        self.blank()


def paths(table: Any, above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every key that a parsed text has, those in tables too."""
    found = set()
    for name, value in table.items():
        path = (*above, name)
        found |= {path}
        if isinstance(value, dict):
            found |= paths(value, path)
    return found


@given(st.integers(0, 2**32))
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_key_is_found_in_its_line_and_nothing_else(ending: str, seed: int) -> None:
    author = Author(seed)
    author.write()
    text = author.text.replace("\n", ending)
    parsed = tomllib.loads(text)
    found = lines(text)
    assert found == author.where
    assert paths(parsed) <= set(found)  # keys below [[...]] are known as well


def test_a_table_that_comes_in_parts_is_where_it_comes_first() -> None:
    text = "[a.b]\nc = 1\n[a]\nd.e = 1\nd.f = 2\n"
    assert lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "b", "c"): 2,
        ("a", "d"): 4,
        ("a", "d", "e"): 4,
        ("a", "d", "f"): 5,
    }


def test_a_text_without_keys_or_without_an_end() -> None:
    assert lines("") == lines("# a = 1") == lines("\n\n") == {}
    assert lines("a = 1") == {("a",): 1}
