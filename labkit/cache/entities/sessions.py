"""Within a request an entity is one object, however often it is asked for."""

from __future__ import annotations

import contextlib
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_Key = tuple[str, Any]


class Session:
    """What one request has met: entities by their names and ids, None for what is not there.

    What is forgotten while it is loaded is not kept: the load may be from before a write.
    """

    def __init__(self) -> None:
        self._met: dict[_Key, Any] = {}
        self._loads: dict[object, dict[_Key, None]] = {}  # what each of them may keep
        self._lock = threading.Lock()

    def met(self, name: str, ids: Iterable[Any]) -> dict[Any, Any]:
        """What it has met of ids."""
        with self._lock:
            return {each: self._met[name, each] for each in ids if (name, each) in self._met}

    @contextlib.contextmanager
    def loading(self, name: str, ids: Sequence[Any]) -> Iterator[object]:
        """A load of ids that it has not met; answers what `keep` wants to know of it."""
        load = object()
        with self._lock:
            self._loads[load] = dict.fromkeys((name, each) for each in ids)
        try:
            yield load
        finally:
            with self._lock:
                del self._loads[load]

    def keep(
        self, load: object, name: str, ids: Sequence[Any], loaded: Mapping[Any, Any]
    ) -> dict[Any, Any]:
        """Keep what was loaded of ids; answers what everybody gets, which is what was first."""
        found = {}
        with self._lock:
            for each in ids:
                key = (name, each)
                found[each] = self._met.get(key, loaded.get(each))
                if key in self._loads[load]:
                    self._met[key] = found[each]
        return found

    def forget(self, name: str, ids: Iterable[Any] | None) -> None:
        """Ask the cache again for entities of a name: some, or None for all of them."""
        some = None if ids is None else [(name, each) for each in ids]
        with self._lock:
            for known in (self._met, *self._loads.values()):
                gone = [key for key in known if key[0] == name] if some is None else some
                for key in gone:
                    known.pop(key, None)


class Sessions:
    """The sessions of one smart cache.

    A session belongs to the code in its `with` block, and to the tasks and threads that copy its
    context, such as those of `asyncio.to_thread`.
    """

    def __init__(self) -> None:
        self._current: ContextVar[Session | None] = ContextVar("session", default=None)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """A session; one within another is a part of that."""
        if self._current.get() is not None:
            yield
            return
        token = self._current.set(Session())
        try:
            yield
        finally:
            try:
                self._current.reset(token)
            except ValueError as error:
                raise RuntimeError(
                    "a session ends in another context than it began in, so that nobody was in it; "
                    "in FastAPI write the dependency as `async def`, or begin it in a middleware"
                ) from error

    @property
    def current(self) -> Session | None:
        """The session of whoever asks; None outside of any."""
        return self._current.get()

    def forget(self, name: str, ids: Iterable[Any] | None = None) -> None:
        """Ask the cache again for entities of a name: some, or None for all of them."""
        session = self._current.get()
        if session is not None:
            session.forget(name, ids)
