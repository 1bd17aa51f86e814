"""nbgrader's settings for this course; every `nbgrader` command run in this folder reads them."""

import os

from labkit.course.autograding import configure
from labkit.course.environment import scripts_first

# nbgrader starts `alembic` by name; this finds it without an activated virtual environment.
os.environ["PATH"] = scripts_first()

configure(get_config())  # type: ignore[name-defined]  # noqa: F821 - nbgrader provides it
