"""The learner's handle in a notebook: a client, the checks, hints and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit import connection
from labkit.course import catalogue, report
from labkit.course.bench import Bench
from labkit.course.progress import Progress

if TYPE_CHECKING:
    import redis

    from labkit.course.exercise import Exercise


class Lesson:
    """One lesson in one notebook.

    Making it connects to a server, removes what an earlier run of the lesson left there, and
    says which server it is and how far you are.

    Attributes:
        client: A client of the lesson's server.
        prefix: What every key of the lesson begins with.

    Args:
        name: The lesson's folder, such as `"01-data-structures"`.
        url: A server to use in place of the one `labkit.connect()` finds.

    Raises:
        LookupError: There is no such lesson.
        labkit.connection.CannotConnect: The server cannot be reached.
    """

    def __init__(self, name: str, url: str | None = None) -> None:
        self.outline = catalogue.outline(name)
        self.prefix = self.outline.prefix
        self.client: redis.Redis = connection.connect(url)
        self.server = connection.describe(self.client)
        self._progress = Progress.beside_notebooks(name)
        self._bench: Bench | None = None
        self._remove_keys()
        print(f"{self.outline.title} ({name})")
        print(f"Server: {self.server}")
        print(f"Keys of this lesson begin with {self.prefix}")
        print(self._so_far())

    def check(self, name: str, answer: object) -> float:
        """Check an answer, show what is right and what is not, and return the points.

        Args:
            name: The exercise.
            answer: Your function.

        Returns:
            The points earned, a plain float: nbgrader takes it as the grade of the cell.
        """
        exercise = self._exercise(name)
        if self._bench is None:
            self._bench = Bench(fake=self.server.kind == "fakeredis")
        verdict = exercise.judge(answer, self._bench)
        if verdict.attempted:
            self._progress.attempt(self.outline.name, name, verdict.points)
        report.show_verdict(verdict, self._so_far())
        return verdict.points

    def hint(self, name: str, number: int | None = None) -> None:
        """Show a hint: the next one you have not read, or the one you name by number.

        Args:
            name: The exercise.
            number: 1, 2 or 3; each tells more than the one before.
        """
        exercise = self._exercise(name)
        count = len(exercise.hints)
        if number is None:
            number = min(self._progress.record(self.outline.name, name)["hints"] + 1, count)
        if number not in range(1, count + 1):
            raise ValueError(f"There is no hint {number!r}; they are numbered 1 to {count}.")
        self._progress.hint(self.outline.name, name, number)
        more = f' `lesson.hint("{name}")` again tells more.' if number < count else ""
        report.show_text(f"Hint {number} of {count}: {exercise.hints[number - 1]}{more}")

    def solution(self, name: str) -> None:
        """Show a worked solution, once you have tried the exercise yourself.

        Args:
            name: The exercise.
        """
        exercise = self._exercise(name)
        if not self._progress.record(self.outline.name, name)["attempts"]:
            report.show_text(
                "The worked solution is shown after your first attempt. Write an answer, however "
                f'rough, and run its checks; `lesson.hint("{exercise.name}")` helps you begin.'
            )
            return
        report.show_source(catalogue.worked_solutions(self.outline.name)[name])

    def progress(self) -> None:
        """Show a table of this lesson's exercises and of the points in every lesson."""
        show_progress(self._progress, self.outline.name)

    def doctor(self) -> None:
        """Say what this machine has, and what to do about the rest."""
        from labkit.course import doctor

        doctor.main()

    def offers(self, *commands: str) -> bool:
        """Whether the server has these commands; says so in a sentence when it has not.

        Args:
            *commands: Commands a cell needs, such as `"OBJECT"`.
        """
        missing = [command for command in commands if not self.server.offers(command)]
        if missing:
            kind, version = self.server.kind, self.server.version
            print(f"Skipped: this cell needs {' and '.join(missing)}; {kind} {version} has none.")
        return not missing

    def finish(self) -> None:
        """Remove the lesson's keys and stop what it started."""
        removed = self._remove_keys()
        self.client.close()
        if self._bench is not None:
            self._bench.close()
            self._bench = None
        print(f"Removed {removed} keys that began with {self.prefix}")
        print(self._so_far())

    def _exercise(self, name: str) -> Exercise:
        try:
            return self.outline.exercises[name]
        except KeyError:
            known = ", ".join(self.outline.exercises)
            raise LookupError(
                f"This lesson has no exercise {name!r}. Its exercises: {known}."
            ) from None

    def _so_far(self) -> str:
        points = self._progress.points(self.outline.name)
        return f"Progress in this lesson: {points:g} of {self.outline.points:g} points."

    def _remove_keys(self) -> int:
        keys = sorted(set(self.client.scan_iter(match=f"{self.prefix}*", count=1000)))
        for start in range(0, len(keys), 1000):
            self.client.unlink(*keys[start : start + 1000])
        return len(keys)


def show_progress(progress: Progress, lesson: str | None = None) -> None:
    """Show what has been earned: a lesson's exercises, and every lesson's points.

    Args:
        progress: The progress to show.
        lesson: The lesson to show in full; without it only the lessons' totals.
    """
    if lesson is not None:
        records = progress.read().get(lesson, {})
        report.table(
            ["Exercise", "Points", "Attempts", "Hints read"],
            [
                [
                    exercise.title,
                    f"{progress.record(lesson, name)['points']:g} of {exercise.points:g}",
                    records[name]["attempts"] if name in records else 0,
                    records[name]["hints"] if name in records else 0,
                ]
                for name, exercise in catalogue.outline(lesson).exercises.items()
            ],
        )
    report.table(
        ["Lesson", "Title", "Points"],
        [
            [name, outline.title, f"{progress.points(name):g} of {outline.points:g}"]
            for name in catalogue.names()
            for outline in [catalogue.outline(name)]
        ],
    )
