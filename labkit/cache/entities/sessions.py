"""Within a request an entity is one object, however often it is asked for."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sessions:
    """The sessions of one smart cache: the entities that each has met, by their names and ids.

    A session belongs to the code in its `with` block, and to the tasks and threads that copy its
    context, such as those of `asyncio.to_thread`.
    """

    def __init__(self) -> None:
        self._met: ContextVar[dict[tuple[str, Any], Any] | None] = ContextVar("met", default=None)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """A session; one within another is a part of that."""
        if self._met.get() is not None:
            yield
            return
        token = self._met.set({})
        try:
            yield
        finally:
            self._met.reset(token)

    @property
    def met(self) -> dict[tuple[str, Any], Any] | None:
        """What this session has met; None outside of any."""
        return self._met.get()

    def forget(self, name: str, ids: Any = None) -> None:
        """Ask the cache again for entities of a name: some, or None for all of them."""
        met = self._met.get()
        if not met:
            return
        if ids is None:
            ids = [own for kind, own in list(met) if kind == name]
        for each in ids:
            met.pop((name, each), None)
