"""What a cache does about the changes that others make."""

from __future__ import annotations

import weakref
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING

from labkit.cache.steps import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from labkit.cache.engine import Engine


class Ear:
    """What an engine does about changes that others make; a `Listener`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)

    def changed(self, keys: Sequence[str]) -> None:
        """Drop these keys."""
        if engine := self._engine():
            self._drop(engine, "delete", keys, lambda: engine.drop_keys(keys))

    def dropped(self, tags: Sequence[str]) -> None:
        """Drop what carries these tags."""
        if engine := self._engine():
            self._drop(engine, "drop_tags", tags, lambda: engine.drop_tags(tags))

    def prefix_deleted(self, prefix: str) -> None:
        """Drop the keys that start so."""
        if engine := self._engine():
            self._drop(engine, "delete_prefix", [prefix], lambda: engine.drop_prefix(prefix))

    def cleared(self) -> None:
        """Drop everything."""
        if engine := self._engine():
            self._drop(engine, "clear", [], engine.drop_all)

    def cut(self, since: float) -> None:
        """Let nothing live longer than the bound of staleness."""
        if engine := self._engine():
            with engine.changing():
                engine.listening = False
                if engine.memory is not None:
                    engine.memory.keep_at_most(max(0.0, engine.staleness - since))

    def restored(self) -> None:
        """Drop everything, and keep what comes from now on for its whole time."""
        if engine := self._engine():
            self._upper(engine, "clear", [])
            with engine.changing():
                engine.drop_all()
                engine.listening = True

    def _drop(
        self, engine: Engine, method: str, targets: Sequence[str], drop: Callable[[], object]
    ) -> None:
        """Drop something from memory and from the stores before the authority."""
        drop()
        if len(engine.stores) > 1:
            self._upper(engine, method, targets)
            drop()  # what came from there meanwhile

    @staticmethod
    def _upper(engine: Engine, method: str, targets: Sequence[str]) -> None:
        """Tell the stores before the authority."""
        for guard in engine.stores[:-1]:
            tell = partial(guard.tell, method, targets)
            if engine.loop is None or guard.store.blocking:
                run(tell())
                continue
            if guard.rests():  # a loop that is held up is not waited for again and again
                guard.remember(method, targets)
                continue
            try:
                engine.background.run_in(engine.loop, tell, engine.staleness)
            except (TimeoutError, CancelledError, RuntimeError):  # the loop is held up, or gone
                guard.remember(method, targets)
