"""The course: checks, hints and progress for the learner; build and grade for the instructor."""

from labkit.course.lesson import Lesson

__all__ = ["Lesson"]
