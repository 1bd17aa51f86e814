"""A store, behind a circuit breaker, and what could not be said to it.

What could not be deleted meanwhile is owed: it is deleted before anything else is asked of the
store, so that a store which comes back does not serve what was invalidated while it was away. And
it is tried again each `pause` where nobody asks, for others may read there meanwhile.
"""

from __future__ import annotations

import itertools
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from labkit.cache.background import BeginResting, Rest, alive
from labkit.cache.breaker import Breaker
from labkit.cache.errors import Unavailable
from labkit.cache.steps import Ask, Deliver, Delivered, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.cache.backends.base import Store
    from labkit.cache.background import Alarm, Background, Worker
    from labkit.cache.steps import Steps

AWAY: Final = object()
"""What a store that does not answer has answered."""

_MOST_OWED = 10_000  # beyond that the whole namespace is cleared
_ROUNDS = 100  # of paying what is owed, until nothing is
_INVALIDATES = ("delete", "drop_tags", "delete_prefix", "clear")
_HEARD = (*_INVALIDATES, "set_many")  # what is not given up half-way

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


class Guard(Breaker):
    """A store, whether to ask it, and what it has to be told first.

    Args:
        store: The store.
        name: What statistics call it.
        pause: Seconds for which a store that failed is left alone.
        background: Pays what is owed to a store that nobody asks.
        now: A clock.

    Attributes:
        nearer: Those of the stores before it, which may have been filled from it.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        pause: float,
        background: Background,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(pause, now)
        self.store: Any = store
        self.name = name
        self.nearer: Sequence[Guard] = ()
        self._background = background
        self._owed: dict[str, dict[str, int]] = {}  # by method and target, numbered
        self._numbers = itertools.count()
        self._answers = False
        self._begins = False
        self._payer: Worker | None = None

    def ask(self, method: str, *arguments: Any, **named: Any) -> Steps[Any]:
        """Call a method of the store; AWAY where that fails, or the store is left alone."""
        # While it answers who pays, invalidations go to it at once, in whatever order: many who
        # owe could otherwise owe faster than one can pay.
        at_once = self._answers and method in _INVALIDATES
        if self.away and not at_once and not (self.closed() and (yield from self.settle())):
            if held := _ENDED.get(method):
                self.remember("delete", held(arguments[0]))
            yield from self._have_it_paid()
            return AWAY
        granted = _GRANTED.get(method)
        try:
            if granted is None:
                step = Deliver if method in _HEARD else Ask
                answer = yield step(self.store, method, arguments, named)
            else:
                lost = partial(self.owe, "delete", granted(arguments[0]))
                answer = yield Take(self.store, method, arguments, named, lost)
        except Unavailable as error:
            self.failed(error)
            held = granted or _ENDED.get(method)
            if held and self.away:
                yield from self.owe("delete", held(arguments[0]))
            return AWAY
        if self.away:
            self.answered()
        return answer

    def tell(self, method: str, targets: Sequence[str]) -> Steps[int]:
        """Invalidate keys, tags or prefixes, or (no targets) all; what fails is owed.

        So is what a caller who is stopped may not have said.

        Returns:
            How many there were, as far as the store knows.
        """
        gone, left = 0, calls(method, targets)
        try:
            while left:
                answer = yield from self.ask(method, *left.pop())
                if answer is AWAY:
                    yield from self.owe(method, targets)
                    break
                gone = max(gone, answer or 0)
        except Exception:
            raise
        except BaseException as stop:
            if left or not isinstance(stop, Delivered):
                yield from self.stopped(stop, method, targets)
            raise
        return gone

    def stopped(self, stop: BaseException, method: str, targets: Sequence[str]) -> Steps[None]:
        """Owe what a caller who was stopped may not have said; the store need not be away."""
        self.remember(method, targets, rest=False)
        if not isinstance(stop, GeneratorExit):  # then nothing can be begun any more
            yield from self._have_it_paid()

    def owe(self, method: str, targets: Sequence[str]) -> Steps[None]:
        """Remember an invalidation that failed, and see that it is made up for."""
        self.remember(method, targets)
        yield from self._have_it_paid()

    def settle(self) -> Steps[bool]:
        """Pay what is owed to a store that may have come back; answers whether nothing is left."""
        try:
            for _ in range(_ROUNDS):  # others may owe more meanwhile
                debts = self.debts()
                for method, targets in debts.items():
                    yield from self._pay(method, list(targets))
                    self._answers = True
                    for nearer in self.nearer:  # others may have filled it from here meanwhile
                        yield from nearer.tell(method, [each for each in targets if each])
                    self.paid(method, targets)
                if debts:
                    self.answered()
                if not self.owes:
                    return True
        except Unavailable as error:
            self.failed(error)
        except BaseException:  # who was to try is stopped: the next one may
            self._until = self._now()
            raise
        finally:
            self._answers = False
        return False

    def _pay(self, method: str, targets: Sequence[str]) -> Steps[None]:
        """Tell the store of an invalidation.

        What the store cannot be told at all cannot be there either, and must not keep the others
        from being told: it is counted, and let go.
        """
        try:
            for arguments in calls(method, targets):
                yield Ask(self.store, method, arguments, {})
        except Unavailable:
            raise
        except Exception:
            self.failures += 1
            for each in targets if len(targets) > 1 else ():
                yield from self._pay(method, [each])

    def _have_it_paid(self) -> Steps[None]:
        """Begin to pay, unless somebody does."""
        with self._lock:
            begins = bool(self._owed) and not self._begins and not alive(self._payer)
            self._begins |= begins
        if begins:
            try:
                self._payer = yield BeginResting(self._background, self._keep_paying)
            finally:
                self._begins = False

    def _keep_paying(self, alarm: Alarm) -> Steps[None]:
        """Pay what is owed, whether or not anybody asks the store."""
        while (yield Rest(alarm, self._until - self._now())):
            if self.closed():
                yield from self.settle()
            with self._lock:  # who owes something from here on begins anew
                if not self._owed:
                    self._payer = None
                    return

    def remember(self, method: str, targets: Sequence[str], *, rest: bool = True) -> None:
        """Remember an invalidation that failed: of keys, tags, prefixes, or (no targets) of all.

        Args:
            method: How the store is told.
            targets: What of.
            rest: Whether to leave the store alone for a while, if it is not already.
        """
        with self._lock:
            number = next(self._numbers)
            self._owed.setdefault(method, {}).update(dict.fromkeys(targets or [""], number))
            if self.owes > _MOST_OWED:
                self._owed = {"clear": {"": number}}
            # The store would serve what should be gone, so nobody asks it before it is paid. Where
            # it is left alone already, that is not put off: under many writes it would never end.
            if not self.away:
                self._open()
                if not rest:
                    self._until = self._now()

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

    def answered(self) -> None:
        """The store does what it is asked again; it is asked once nothing is owed."""
        with self._lock:
            self.away = bool(self._owed)

    @property
    def owes(self) -> int:
        """How many invalidations the store has not heard of."""
        return sum(map(len, list(self._owed.values())))

    def forget_parent(self) -> None:
        """Start anew in a forked process: the threads did not come along."""
        super().forget_parent()
        self._answers = self._begins = False
        self._payer = None


def calls(method: str, targets: Sequence[str]) -> list[tuple[Any, ...]]:
    """The arguments of each call of a store's method that an invalidation needs."""
    if method == "clear":
        return [()]
    if method == "delete_prefix":
        return [(target,) for target in targets]
    return [(targets,)] if targets else []
