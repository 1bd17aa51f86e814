"""What children did to one server and one source, and what must hold when they are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.cache import MISSING
from labkit.clock import fast_forward
from tests.cache.crash.children import LEASE, TTL, Op, Victim, strategy_of
from tests.cache.crowd import until
from tests.cache.ledger import Ledger, PlainLedger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import redis

    from labkit.server import LocalServer
    from tests.cache.crash.children import Driver, Outcome


class Written(NamedTuple):
    """A write that was begun: its value, None for a deletion, and whether it was acknowledged."""

    value: int | None
    acknowledged: bool


class World:
    """A server and a source, with a strategy of this process to look at them, all emptied.

    Args:
        kind: Which strategy; one of KINDS or PLANTED.
        client: A client of the server.
        path: The file of the source.
        driver: Runs children.
        server: The server, if it is what dies, and is then started again.

    Attributes:
        written: The writes of each key that were begun, in their order.
        stale: How many old values were read after a crash, where the strategy allows that.
    """

    def __init__(
        self,
        kind: str,
        client: redis.Redis,
        path: str,
        driver: Driver,
        server: LocalServer | None = None,
    ) -> None:
        client.flushall()
        self.kind = kind
        self.written: dict[int, list[Written]] = {}
        self.stale = 0
        self._client = client
        self._driver = driver
        self._server = server
        self._source: Any = (Ledger if kind == "behind" else PlainLedger)(path)
        with self._source._open() as db:
            db.execute("DELETE FROM rows")
            db.execute("DELETE FROM log")
        self._strategy = strategy_of(kind, client, self._source)

    def run(self, script: Sequence[Op], at: int = 0) -> Outcome:
        """Let a child carry out a script, and take the leases of the dead from them."""
        outcome = self._driver.run(self.kind, script, at, self._victim())
        if self._server is not None:
            self._server.start()
        for number, op in enumerate(script[: outcome.begun]):
            ended = number < len(outcome.answers)
            if op.what in ("save", "delete"):
                self.written.setdefault(op.key, []).append(Written(op.value, ended))
            elif op.what == "get" and ended and self.kind != "around":
                assert outcome.answers[number] in self._readable(op.key)
        # What was sent before the kill is carried out before the connection counts as closed.
        until(self._all_gone, "the end of the child's connections")
        for match in ("*:l:*", "*:owner"):
            fast_forward(self._client, 2 * LEASE, match=match)
        return outcome

    def check(self) -> None:
        """Recover, and see whether everything holds that the strategy promises."""
        {"behind": self._drain, "behind plain": self._drain}.get(self.kind, self._age)()
        rows, log = self._source.rows(), self._source.log()
        for key, written in self.written.items():
            assert rows.get(key) in self._possible(key), "a write is lost, or came back"
            self._in_order([value for _, value, _ in log.get(key, [])], written)
            kept = self._kept(key)
            assert kept is MISSING or kept == rows.get(key), "cache and source differ"
            assert self._strategy.get(key) == rows.get(key)
            assert self._strategy.refresh(key) == rows.get(key)
        assert set(rows) <= set(self.written)

    def close(self) -> None:
        """Close the cache."""
        self._strategy.cache.close()

    def _victim(self) -> Victim | None:
        if self._server is None:
            return None
        assert self._server.port is not None
        return Victim(self._server.pid, self._server.port)

    def _drain(self) -> None:
        """Nothing acknowledged is lost: it is read at once, and applied in the end."""
        read = {key: self._strategy.get(key) for key in self.written}
        for key, value in read.items():
            assert value in self._possible(key), "an acknowledged write is not read"
        assert self._strategy.drain(10)
        assert not self._strategy.aside()
        assert self._source.rows() == {k: v for k, v in read.items() if v is not None}

    def _age(self) -> None:
        """Read before the times of values are over, and then let them be over."""
        rows = self._source.rows()
        for key, written in self.written.items():
            value = self._strategy.get(key)
            if value != rows.get(key):
                self.stale += 1
                assert "through" not in self.kind, "cache and source differ"
                assert value in [None, *(write.value for write in written)], "a value from nowhere"
                assert self.kind == "around" or not written[-1].acknowledged, "it was invalidated"
        if "through" not in self.kind:
            fast_forward(self._client, TTL)

    def _in_order(self, log: list[int | None], written: list[Written]) -> None:
        """Each entry of a key's log is a write, in the order of the writes; all that must be."""
        if self.kind == "behind plain":  # one that was killed has not told what it had applied
            _is_subsequence(_without_repeats(log), _without_repeats([w.value for w in written]))
            return
        _is_subsequence(log, [write.value for write in written])
        if self.kind != "behind":  # which applies the latest of several
            _is_subsequence([write.value for write in written if write.acknowledged], log)

    def _possible(self, key: int) -> list[int | None]:
        """The last acknowledged value, and what came later without an answer."""
        values: list[int | None] = [None]
        for write in self.written.get(key, []):
            values = [write.value] if write.acknowledged else [*values, write.value]
        return values

    def _readable(self, key: int) -> list[int | None]:
        """What a child may read; also an older one where an invalidation may be missing."""
        written = self.written.get(key, [])
        if self.kind in ("read", "aside") and written and not written[-1].acknowledged:
            return [None, *(write.value for write in written)]
        return self._possible(key)

    def _kept(self, key: int) -> Any:
        return self._strategy.cache.get(self._strategy.key(key))

    def _all_gone(self) -> bool:
        return all(each["name"] != "doomed" for each in self._client.client_list())


def _without_repeats(values: list[int | None]) -> list[int | None]:
    return [value for value, before in zip(values, [0, *values], strict=False) if value != before]


def _is_subsequence(some: Sequence[Any], values: Sequence[Any]) -> None:
    rest: Iterator[Any] = iter(values)
    assert all(value in rest for value in some), f"{some} is out of the order of {values}"
