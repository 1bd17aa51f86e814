"""What a load made or a store held, in the forms in which it is handed out, kept and stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache import envelope
from labkit.cache.copies import copier_of, shareable
from labkit.cache.freshness import Freshness
from labkit.cache.options import Options
from labkit.cache.proof import prove
from labkit.cache.serializers import MessagePack, Undecodable, Unserializable

if TYPE_CHECKING:
    from labkit.cache.backends.base import Found
    from labkit.cache.eviction import Entry

_PLAIN = MessagePack()  # of errors, whose arguments no annotation names


class Product(msgspec.Struct, eq=False):
    """A value, or the error that a call raised.

    Attributes:
        value: The value, or the error.
        ttl: Seconds that it has to live, None for ever; 0 or less: it is not kept.
        raised: Whether it is an error.
        load: How many seconds the load took.
        tags: The tags that it carries in the store where it was found; None: it was just made.
        freshness: How old it is; None: its age means nothing more than that it is there.
        alone: Whether it is for the caller who made it, and not for those who joined them: it may
            be from before a write that ended before they came. They ask again.
    """

    value: Any
    _options: Options
    ttl: float | None
    raised: bool = False
    load: float = 0.0
    tags: tuple[str, ...] | None = None
    freshness: Freshness | None = None
    _body: bytes | None = None
    _payload: bytes | None = None
    _form: tuple[Any, Callable[[Any], Any] | None] | None = None
    alone: bool = False

    def given(self) -> Any:
        """The value for the caller who loaded it.

        Raises:
            Exception: What the call raised.
        """
        if self.raised:
            raise self.value
        return self.value

    def shared(self) -> Any:
        """The value for another caller, who may change it without changing anyone else's.

        Raises:
            Exception: What the call raised, the same object for all.
        """
        if self.raised:
            raise self.value
        kept, opened = self.form
        return kept if opened is None else opened(kept)

    def protect(self, *, serialized: bool) -> None:
        """Settle the form that others get, before the first caller can change the value.

        Args:
            serialized: Whether what can change is kept as bytes; else it is copied.
        """
        if self._form is not None:
            return
        if self.raised:
            # Not the error itself: its traceback keeps alive what the function had.
            self._form = _again(type(self.value), self.value.args) or self.value, _raise_anew
        elif not self._options.copy or shareable(self.value):
            self._form = self.value, None
        elif serialized:
            self._form = self.body, self._options.serializer.loads
        else:
            copier = copier_of(self.value)
            self._form = copier(self.value), copier

    @property
    def form(self) -> tuple[Any, Callable[[Any], Any] | None]:
        """What is kept in memory, and the function that makes a caller's value of it."""
        assert self._form is not None, "protect() comes first"
        return self._form

    @property
    def body(self) -> bytes:
        """The serialized value; it was read back once, and was equal.

        Raises:
            Unserializable: The serializer cannot store it faithfully.
        """
        if self._body is None:
            if self.raised:
                self._body = _error_body(self.value)
            elif self.value is None:
                self._body = b""
            else:
                self._body = prove(self._options.serializer, self.value)
        return self._body

    @property
    def payload(self) -> bytes:
        """What stores get.

        Raises:
            Unserializable: The serializer cannot store the value faithfully.
        """
        if self._payload is None:
            flags = envelope.RAISED if self.raised else 0
            if not self.raised and self.value is None:
                flags = envelope.NONE
            age = self.freshness
            self._payload = envelope.seal(
                self.body,
                flags=flags,
                written=time.time() if age is None else age.written,
                load=self.load,
                ages=None if age is None else (age.lifetime, age.window),
                compress_over=self._options.compress_over,
            )
        return self._payload


def made(
    value: Any,
    options: Options,
    now: float,
    *,
    key: str = "",
    raised: bool = False,
    load: float = 0.0,
) -> Product:
    """The product of a value that is new, or of an error that a load raised.

    Args:
        value: The value or the error.
        options: How it is kept.
        now: The cache's clock.
        key: Its key.
        raised: Whether it is an error.
        load: How many seconds the load took.
    """
    ttl = options.error_lifetime(value) if raised else options.lifetime(value, key)
    freshness = None
    if options.aging and not raised and ttl is not None and ttl > 0:
        # A time for None that was named is meant: nothing that is missing is missing for longer.
        named = value is None and options.negative_ttl != "same"
        window = 0.0 if named else options.window
        freshness = Freshness(now + ttl, ttl, window, load, time.time())
        ttl += window
    return Product(value, options, ttl, raised, load, freshness=freshness)


def in_memory(entry: Entry, options: Options) -> Product:
    """The product of an entry in memory; what it holds was protected when it was put there."""
    value = entry.value if entry.open is None else entry.open(entry.value)
    form = entry.value, entry.open
    return Product(value, options, None, freshness=entry.freshness, _form=form)


def opened(found: Found, options: Options, now: float) -> Product | None:
    """The product that a store held, or None where it cannot be read; `now` is the cache's."""
    unsealed = envelope.unseal(found.payload)
    if unsealed is None:
        return None
    flags, written, load, body, ages = unsealed
    raised = flags == envelope.RAISED
    value: Any = None
    if flags == 0:
        try:
            value = options.serializer.loads(body)
        except Undecodable:
            return None
    elif raised:
        value = _error_of(body, options)
        if value is None:
            return None
    elif flags != envelope.NONE:
        return None
    freshness = None
    if ages is not None:
        lifetime, window = ages
        # What the store says is left needs no clock that goes as that of the writer.
        left = written + lifetime - time.time() if found.ttl is None else found.ttl - window
        freshness = Freshness(now + left, lifetime, window, load, written)
    return Product(
        value, options, found.ttl, raised, load, found.tags, freshness, body, found.payload
    )


def _raise_anew(error: BaseException) -> Any:
    # One object raised by many callers would collect all their tracebacks.
    raise _again(type(error), error.args) or error


def _error_body(error: BaseException) -> bytes:
    try:
        return prove(_PLAIN, (_name(type(error)), error.args))
    except Unserializable as why:
        raise Unserializable(
            f"{type(error).__name__} is remembered by errors=, and its arguments cannot be stored: "
            f"{why}"
        ) from error


def _error_of(body: bytes, options: Options) -> BaseException | None:
    """The error again: only of the classes that the owner named, never one that the bytes name."""
    try:
        name, arguments = _PLAIN.loads(body)
    except (Undecodable, TypeError, ValueError):
        return None
    if not isinstance(arguments, tuple):
        return None
    for kind in options.errors:
        for known in (kind, *_descendants(kind)):
            if _name(known) == name:
                return _again(known, arguments)
    return None


def _again(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException | None:
    try:
        return kind(*arguments)
    except Exception:
        return None


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _descendants(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return below + [each for child in below for each in _descendants(child)]
