"""Where keys to warm come from: access logs and files of keys."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from labkit.cache.keyfiles import ids_from
from labkit.cache.warming import keys_in, most_read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def line(request: str, status: int | str = 200) -> str:
    return f'192.0.2.7 - - [07/Mar/2025:09:00:01 +0000] "{request} HTTP/1.1" {status} 512\n'


LOG = "".join(
    [
        line("GET /articles/7"),
        line("GET /articles/12?page=2"),
        line("GET /articles/7", 304),
        line("GET /articles/9", 404),
        line("GET /articles/9", 500),
        line("GET /articles/9", 301),
        line("POST /articles/9"),
        line("GET /about"),
        line("GET /articles/12", 206),
        line("GET /articles/3"),
        "",
        "no log line at all\n",
    ]
)


def test_the_most_read_are_counted_from_what_was_answered_well() -> None:
    assert most_read(LOG.splitlines()) == ["7", "12", "3"]
    assert most_read(LOG.splitlines(), most=1) == ["7"]
    assert most_read([]) == []


@given(ids=st.lists(st.integers(1, 9)), most=st.integers(1, 10))
def test_they_come_in_the_order_of_their_counts(ids: list[int], most: int) -> None:
    found = most_read((line(f"GET /articles/{each}") for each in ids), most=most)
    counts = Counter(map(str, ids))
    assert found == sorted(counts, key=lambda key: (-counts[key], ids.index(int(key))))[:most]


def test_a_line_without_a_status_counts() -> None:
    assert most_read(["GET /articles/5", "GET /articles/5 with no status"]) == ["5"]


def test_a_size_or_a_time_is_not_taken_for_a_status() -> None:
    odd = '192.0.2.7 - - [x] "GET /articles/5 HTTP/1.1" 200 404 "-" "agent" 500\n'
    assert most_read([odd, line("GET /articles/6", 2000)]) == ["5", "6"]


def test_another_pattern_finds_other_keys() -> None:
    lines = [line("GET /authors/ada/"), line("GET /authors/bob/"), line("GET /authors/bob/")]
    assert most_read(lines, r"GET /(authors)/(\w+)/") == ["authors"]
    assert most_read(lines, r"GET /authors/(\w+)/") == ["bob", "ada"]


def write_plain(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


def write_gzip(path: Path, text: bytes) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(text))
    return packed


@pytest.fixture(params=[write_plain, write_gzip])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes a file, and gives its path."""
    return lambda text: request.param(tmp_path / "file", text)


def test_a_log_is_read_from_its_file(written: Callable[[bytes], Path]) -> None:
    path = written(LOG.encode())
    assert most_read(path) == most_read(str(path)) == ["7", "12", "3"]


def test_a_log_with_bytes_that_are_no_text_is_read_to_its_end(
    written: Callable[[bytes], Path],
) -> None:
    damaged = b'"GET /articles/\xff\xfe" 200\n' + line("GET /articles/7").encode()
    assert most_read(written(damaged)) == ["7"]


def test_a_file_of_keys_gives_one_a_line(written: Callable[[bytes], Path]) -> None:
    text = "\ufeff# the front page\nfront\n\n  article:1  \r\n\t\narticle:2#top\n#end\nünïcode"
    assert list(keys_in(written(text.encode()))) == [
        "front",
        "article:1",
        "article:2#top",
        "ünïcode",
    ]


def test_keys_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("a\n" * 100_000, "utf-8")
    keys = keys_in(path)
    assert next(keys) == "a"
    path.write_text("", "utf-8")
    assert sum(1 for _ in keys) < 99_999


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a group"):
        most_read([], r"GET /articles/\d+")
    with pytest.raises(ValueError, match="most is 0"):
        most_read([], most=0)
    with pytest.raises(FileNotFoundError):
        list(keys_in(tmp_path / "nothing"))


def test_ids_are_read_as_they_are_needed_and_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("# the first\n\n 3 \n4\nabc\n5\n")
    ids = ids_from(path, int)
    assert [next(ids), next(ids)] == [3, 4]
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:5: invalid literal for int"):
        next(ids)


def test_a_file_of_ids_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no such file of ids to warm: '/.*/warm/ids\.txt'"
    ):
        next(ids_from("warm/ids.txt", int))
