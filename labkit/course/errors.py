"""What the course's tools raise when they cannot do what was asked."""

from __future__ import annotations


class CourseError(Exception):
    """Something asked of the course's tools cannot be done; the message says what to do."""
