"""`labkit comments rebuild` and `labkit comments check`, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit import newsroom
from labkit.connection import CannotConnect
from labkit.newsroom import DatabaseDown
from labkit.site.comments import command
from labkit.site.comments.views import CommentViews, NotBuilt

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.course.bench import Bench


@pytest.fixture
def where(client: Any, bench: Bench, tmp_path: Path) -> dict[str, Any]:
    database = f"sqlite:///{tmp_path / 'news.db'}"
    newsroom.open(database, articles=3, authors=2).close()
    return {"redis": bench.url, "database": database, "namespace": "news"}


def test_views_are_made_compared_and_made_anew(
    client: Any, where: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotBuilt):
        command.run_check(**where)
    command.run_rebuild(**where)
    assert command.run_check(**where)
    assert "as the database says" in capsys.readouterr().out
    root = CommentViews(client).root
    client.hincrby(f"{root}{client.get(root + 'live')}:counts", 1, 5)
    assert not command.run_check(**where)
    said = capsys.readouterr().out
    assert said.startswith("counts, 1: expected ")
    assert "1 difference. `labkit comments rebuild`" in said
    command.run_rebuild(**where)
    assert command.run_check(**where)


def test_what_is_wrong_is_said(
    where: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LABKIT_DATABASE_URL", raising=False)
    for action in (command.run_rebuild, command.run_check):
        with pytest.raises(ValueError, match="--database"):
            action(**where | {"database": None})
        with pytest.raises(CannotConnect):
            action(**where | {"redis": "redis://127.0.0.1:1"})
    with pytest.raises(DatabaseDown):
        command.run_rebuild(**where | {"database": f"sqlite:///{tmp_path / 'no' / 'news.db'}"})


def test_a_rebuild_that_was_superseded(
    where: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommentViews, "build", lambda *_: False)
    with pytest.raises(OSError, match="one process at a time"):
        command.run_rebuild(**where)
