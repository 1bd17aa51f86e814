"""A learner's files: put a notebook back, take work along, bring it back."""

from __future__ import annotations

import itertools
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from labkit.course import build, catalogue
from labkit.course.errors import CourseError
from labkit.course.progress import FILE, Progress


def progress() -> Progress:
    """The progress kept beside the notebooks."""
    return Progress(catalogue.NOTEBOOKS / FILE)


def reset(lesson: str) -> str:
    """Put a lesson's notebook back as it was, keeping the learner's as a backup.

    Returns:
        A sentence that says where the backup is.

    Raises:
        LookupError: There is no such lesson.
    """
    catalogue.outline(lesson)
    notebook = catalogue.learner_notebook(lesson)
    with tempfile.TemporaryDirectory(prefix="labkit-reset-") as folder:
        build.release([lesson], catalogue.SOLUTIONS, Path(folder) / "notebooks")
        fresh = (Path(folder) / "notebooks" / lesson / notebook.name).read_bytes()
    kept = _replace(notebook, fresh)
    return f"{lesson} is as it was." + (f" Yours is kept as {kept.name}." if kept else "")


def export(file: Path) -> str:
    """Write every learner's notebook and the progress to one zip file.

    Returns:
        A sentence that says what was written.

    Raises:
        CourseError: The file exists already, or there is nothing to write.
    """
    if file.exists():
        raise CourseError(f"{file} exists already. Name another file, or remove it first.")
    mine = _learner_files()
    if not mine:
        raise CourseError(f"There is nothing to export in {catalogue.NOTEBOOKS}.")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in mine:
            archive.write(path, path.relative_to(catalogue.NOTEBOOKS).as_posix())
    return f"Wrote {len(mine)} files to {file}."


def restore(file: Path) -> str:
    """Bring back what `export` wrote, keeping what it replaces as a backup.

    Returns:
        A sentence that says what was restored.

    Raises:
        CourseError: The file is missing, damaged, or holds anything but a learner's files.
            Nothing is changed then.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(
            f"{file} cannot be read ({error}). Give a file that `labkit progress export` wrote."
        ) from error
    for name in found:
        if not _is_learner_file(name):
            raise CourseError(
                f"{file} holds {name}, which is no lesson's notebook. Nothing was restored."
            )
    for name, content in found.items():
        _replace(catalogue.NOTEBOOKS / name, content)
    return f"Restored {len(found)} files. What they replaced is kept beside them as a backup."


def _learner_files() -> list[Path]:
    candidates = [catalogue.NOTEBOOKS / FILE, *map(catalogue.learner_notebook, catalogue.names())]
    return [path for path in candidates if path.exists()]


def _is_learner_file(name: str) -> bool:
    # Compared with a fixed list, so that no name in an archive can lead out of the folder.
    known = {f"{lesson}/{lesson}.ipynb" for lesson in catalogue.names()} | {FILE}
    return PurePosixPath(name).as_posix() in known


def _replace(path: Path, content: bytes) -> Path | None:
    """Write a file; an old one with other content is kept under a new name, which is returned."""
    kept = None
    if path.exists():
        if path.read_bytes() == content:
            return None
        kept = next(
            candidate
            for number in itertools.count(1)
            if not (candidate := path.with_suffix(f".backup-{number}{path.suffix}")).exists()
        )
        path.rename(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return kept
