"""How far a walk through many keys has come, kept in a file: one that was killed goes on there."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.cache.keys import encode

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator


class Checkpoint:
    """The position of a walk: how many keys are behind it, and a digest of them.

    The file is there while the walk is under way, and replaced as a whole at each step. It is gone
    once the walk has come to its end. One file serves one walk at a time.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def resume(self, keys: Iterator[object]) -> Trail:
        """Take from `keys` those that are behind the saved position.

        Returns:
            The position, to be carried on with.

        Raises:
            ValueError: They are not the keys that were there, or the file is no checkpoint.
        """
        trail = Trail()
        try:
            saved = json.loads(self.path.read_text("utf-8"))
            count, digest = int(saved["count"]), str(saved["digest"])
        except FileNotFoundError:
            return trail
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{self.path} is no checkpoint ({error}); delete it to begin at the first key"
            ) from error
        trail.add(itertools.islice(keys, count))
        if trail.digest != digest:
            raise ValueError(
                f"{self.path} is the checkpoint of other keys: its first {count} were not these. "
                "Give the same keys in the same order, or delete it to begin at the first one"
            )
        return trail

    def save(self, trail: Trail) -> None:
        """Keep a position."""
        # Through a second file and a rename: whenever the process is killed, one is whole.
        fresh = self.path.with_name(f"{self.path.name}.new")
        fresh.write_text(json.dumps({"count": trail.count, "digest": trail.digest}), "utf-8")
        fresh.replace(self.path)

    def remove(self) -> None:
        """Forget the position: the walk has come to its end."""
        self.path.unlink(missing_ok=True)


class Trail:
    """The keys that are behind a walk."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.blake2b(digest_size=16)

    @property
    def digest(self) -> str:
        """The same for the same keys in the same order, in every process."""
        return self._hash.hexdigest()

    def add(self, keys: Iterable[object]) -> None:
        """Put keys behind.

        Raises:
            Unkeyable: One has no text that is the same in every process.
        """
        for key in keys:
            self.count += 1
            self._hash.update(f"{encode(key)}\n".encode())
