"""The guide's examples run as they stand."""

from __future__ import annotations

from tests.guides import examples


def test_the_examples_of_the_guide_run() -> None:
    _, printed = examples("cache", blocks=22)
    assert printed[:4] == [
        "{'title': 'Story 1'}",
        "{'title': 'Story 1'}",
        "article:1",
        "1 {'memory': 1, 'redis': 0}",
    ]
    assert "{'a': 1, 'b': None}" in printed
    assert "Ferry is back {1: 'Ferry is back', 2: 'Bridge is shut'}" in printed
    assert "Ferry is late None 1" in printed
    assert "Ferry sails again 0" in printed
    assert "Ferry is back once more 2" in printed
    assert "True Ferry is back once more" in printed
    assert printed[printed.index("True Ferry is back once more") + 1] == "None"
    assert "<p>At noon ...</p>" in printed
    assert "True False" in printed
    assert printed[printed.index("True False") + 1] == "1"
    assert "1.0 1000" in printed
    assert "Story 2 Nora" in printed
    at = printed.index("Story 2 Nora")
    assert printed[at + 1 : at + 6] == [
        "[2, 4]",
        "[4]",
        "Story 2, retold",
        "True",
        "write-through 240.0",
    ]
    assert any(line.startswith("labkit_cache_hits_total{") for line in printed)
    assert printed[-4:] == [
        "memory ('site',) 'first, and right' False",
        "None",
        "1 process, True",
        "0",
    ]
