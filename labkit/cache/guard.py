"""A circuit breaker in front of a store.

A store that fails once is left alone for a while: callers go on without it at once, instead of each
waiting for its own time-out. When the while is over, one caller at a time tries again.

What could not be deleted meanwhile is owed: it is deleted before anything else is asked of the
store, so that a store which comes back does not serve what was invalidated while it was away.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from labkit.cache.errors import Refused, Unavailable
from labkit.cache.steps import Ask, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.backends.base import Store
    from labkit.cache.steps import Steps

AWAY: Final = object()
"""What a store that does not answer has answered."""

_MOST_OWED = 10_000  # beyond that the whole namespace is cleared
_ROUNDS = 100  # of paying what is owed, until nothing is

# The keys of the claims that a method grants, or ends. Where no answer comes, a claim may be there
# that is nobody's, and all would wait for its lease to run out: so it is deleted.
_GRANTED: dict[str, Callable[[Any], Sequence[str]]] = {
    "claim": lambda key: [key],
    "claim_many": list,
}
_ENDED: dict[str, Callable[[Any], Sequence[str]]] = {
    "fill": lambda claim: [claim.key],
    "fill_many": lambda fills: [claim.key for claim, _, _ in fills],
    "release": lambda claim: [claim.key],
}


class Guard:
    """A store, and whether to ask it.

    Args:
        store: The store.
        name: What statistics call it.
        pause: Seconds for which a store that failed is left alone.
        now: A clock.
    """

    def __init__(
        self, store: Store, name: str, pause: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.store: Any = store
        self.name = name
        self.away = False
        self.failures = 0
        self.openings = 0
        self._pause = pause
        self._now = now
        self._until = 0.0
        self._lock = threading.Lock()
        self._owed: dict[str, dict[str, int]] = {}  # by method and target, numbered
        self._numbers = itertools.count()

    def ask(self, method: str, *arguments: Any, **named: Any) -> Steps[Any]:
        """Call a method of the store; AWAY where that fails, or the store is left alone."""
        if self.away and (not self.closed() or not (yield from self._settle())):
            if held := _ENDED.get(method):
                self.owe("delete", held(arguments[0]))
            return AWAY
        granted = _GRANTED.get(method)
        try:
            answer = yield (Take if granted else Ask)(self.store, method, arguments, named)
        except Unavailable as error:
            self.failed(error)
            held = granted or _ENDED.get(method)
            if held and self.away:
                self.owe("delete", held(arguments[0]))
            return AWAY
        if self.away:
            self.answered()
        return answer

    def _settle(self) -> Steps[bool]:
        """Pay what is owed to a store that may have come back."""
        for _ in range(_ROUNDS):  # others may owe more meanwhile
            debts = self.debts()
            for method, targets in debts.items():
                try:
                    for arguments in calls(method, list(targets)):
                        yield Ask(self.store, method, arguments, {})
                except Unavailable as error:
                    self.failed(error)
                    return False
                self.paid(method, targets)
            if debts:
                self.answered()
            if not self.owes:
                return True
        return False

    def rests(self) -> bool:
        """Whether nobody is to ask the store now."""
        return self.away and self._now() < self._until

    def closed(self) -> bool:
        """Whether to ask the store now.

        While it is away, one caller a pause is told to try; it has to say how that went.
        """
        if not self.away:
            return True
        if self._now() < self._until:
            return False
        with self._lock:
            if self.away and self._now() < self._until:
                return False
            self._until = self._now() + self._pause
            return True

    def failed(self, error: Unavailable) -> None:
        """The store did not do what it was asked; one that refused it is not taken for away."""
        with self._lock:
            self.failures += 1
            if not isinstance(error, Refused):
                self._open()

    def answered(self) -> None:
        """The store does what it is asked again."""
        with self._lock:
            self.away = bool(self._owed)

    def owe(self, method: str, targets: Sequence[str]) -> None:
        """Remember an invalidation that failed: of keys, tags, prefixes, or (no targets) of all."""
        with self._lock:
            number = next(self._numbers)
            self._owed.setdefault(method, {}).update(dict.fromkeys(targets or [""], number))
            if self.owes > _MOST_OWED:
                self._owed = {"clear": {"": number}}
            # The store would serve what should be gone, so nobody asks it before it is paid. Where
            # it is left alone already, that is not put off: under many writes it would never end.
            if not self.away:
                self._open()

    def debts(self) -> dict[str, dict[str, int]]:
        """What is owed: the targets of each method, with the numbers that `paid` wants."""
        with self._lock:
            return {method: dict(targets) for method, targets in self._owed.items()}

    def paid(self, method: str, targets: Mapping[str, int]) -> None:
        """Forget these debts, but for those that somebody owes again meanwhile."""
        with self._lock:
            left = self._owed.get(method, {})
            for target, number in targets.items():
                if left.get(target) == number:
                    del left[target]
            if not left:
                self._owed.pop(method, None)

    @property
    def owes(self) -> int:
        """How many invalidations the store has not heard of."""
        return sum(map(len, list(self._owed.values())))

    def forget_parent(self) -> None:
        """In a forked process: no thread is left that could let go of the lock."""
        self._lock = threading.Lock()

    def _open(self) -> None:
        self.openings += not self.away
        self.away = True
        self._until = self._now() + self._pause


def calls(method: str, targets: Sequence[str]) -> list[tuple[Any, ...]]:
    """The arguments of each call of a store's method that an invalidation needs."""
    if method == "clear":
        return [()]
    if method == "delete_prefix":
        return [(target,) for target in targets]
    return [(targets,)] if targets else []
