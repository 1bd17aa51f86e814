"""The learner's handle: what it says, what it keeps, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit import LocalServer, connect
from labkit.course import Lesson, catalogue
from labkit.course.exercise import Outcome
from labkit.course.report import verdict_html, verdict_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from labkit.course.bench import Bench

NAME = "00-start-here"


def greet(r: Any, name: str) -> str:
    text = f"Hello, {name}!"
    r.set(f"start:greeting:{name}", text, ex=60)
    return text


def unfinished(r: Any, name: str) -> str:
    raise NotImplementedError


@pytest.fixture(scope="module", params=["fake", "real"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "fake":
        yield "fake://lesson-tests"
        return
    with LocalServer() as server:
        yield server.url


@pytest.fixture
def lesson(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lesson]:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    lesson = Lesson(NAME, url)
    yield lesson
    lesson.finish()


def test_the_set_up_says_where_you_are(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    Lesson(NAME, "fake://")
    said = capsys.readouterr().out
    assert "fakeredis" in said
    assert "start:" in said
    assert "0 of 3 points" in said


def test_checking_returns_a_plain_float_and_keeps_the_points(
    lesson: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    points = lesson.check("greet", greet)
    assert type(points) is float
    assert points == 3.0
    said = capsys.readouterr()
    assert "3 of 3 points" in said.out
    assert said.err == ""
    lesson.progress()
    assert "3 of 3" in capsys.readouterr().out


def test_an_untouched_stub_is_no_attempt(
    lesson: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lesson.check("greet", unfinished) == 0.0
    assert "not attempted" in capsys.readouterr().out
    lesson.solution("greet")
    assert "after your first attempt" in capsys.readouterr().out


def test_the_worked_solution_is_shown_after_an_attempt(
    lesson: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson.check("greet", lambda *_: None)
    lesson.solution("greet")
    assert "def greet(" in capsys.readouterr().out


def test_hints_tell_more_one_by_one(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    for number in [1, 2, 3, 3]:
        lesson.hint("greet")
        said = capsys.readouterr().out
        assert f"Hint {number} of 3" in said
        assert catalogue.outline(NAME).exercises["greet"].hints[number - 1] in said
    with pytest.raises(ValueError, match="numbered 1 to 3"):
        lesson.hint("greet", 4)


def test_an_unknown_exercise_is_named_with_those_there_are(lesson: Lesson) -> None:
    with pytest.raises(LookupError, match=r"no exercise 'greeet'.*greet"):
        lesson.check("greeet", greet)


def test_an_unknown_lesson_is_named_with_those_there_are() -> None:
    with pytest.raises(LookupError, match="00-start-here"):
        Lesson("zz")


def test_checks_leave_the_lessons_keys_alone(lesson: Lesson) -> None:
    lesson.client.set("start:mine", "kept")
    lesson.check("greet", greet)
    assert lesson.client.keys("*") == ["start:mine"]


def test_finish_removes_the_lessons_keys_only(lesson: Lesson, url: str) -> None:
    witness = connect(url)
    witness.set("other:key", "kept")
    witness.mset({f"start:{number}": number for number in range(2500)})
    lesson.finish()
    assert witness.keys("*") == ["other:key"]
    witness.delete("other:key")
    witness.close()


def test_beginning_removes_what_an_earlier_run_left(lesson: Lesson, url: str) -> None:
    lesson.client.set("start:leftover", 1)
    assert Lesson(NAME, url).client.exists("start:leftover") == 0


def test_what_is_missing_is_said_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    lesson = Lesson(NAME, "fake://")
    capsys.readouterr()
    assert not lesson.offers("OBJECT", "EVAL")
    assert "Skipped: this cell needs OBJECT;" in capsys.readouterr().out
    assert lesson.offers("EVAL")
    assert capsys.readouterr().out == ""


def test_a_report_tells_each_outcome_by_sign_and_word(bench: Bench) -> None:
    exercise = catalogue.outline(NAME).exercises["greet"]

    def breaks(r: Any, name: str) -> str:
        r.set(f"start:greeting:{name}", "<b>no</b>")
        return "<b>no</b>"

    def raises(r: Any, name: str) -> str:
        return dict[str, str]()[name]

    for answer, outcome in [
        (greet, Outcome.PASSED),
        (breaks, Outcome.FAILED),
        (raises, Outcome.RAISED),
        (unfinished, Outcome.NOT_ATTEMPTED),
    ]:
        verdict = exercise.judge(answer, bench)
        assert outcome.value in verdict_text(verdict)
        assert outcome.value in verdict_html(verdict)
    html = verdict_html(exercise.judge(breaks, bench))
    assert "<b>no</b>" not in html
    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "greet(r, " in verdict_text(exercise.judge(raises, bench))
