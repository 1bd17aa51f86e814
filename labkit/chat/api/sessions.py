"""Sessions: who may say something under which name.

A name belongs to who takes it first, for as long as they come back to it within a day. They get a
token that is signed with a secret which stands in Redis, so that every process of the service knows
it; a token names a session, and a name is reserved for one session at a time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from labkit.calls import text
from labkit.chat.settings import check_member

if TYPE_CHECKING:
    from labkit.clock import Clock

DAY = 86_400
"""Seconds for which a name stays reserved after it was used last."""

_LONGEST = 1000  # characters of a token


class NameTaken(Exception):
    """Somebody else has this name."""


class NoSession(Exception):
    """The token is none, was not signed here, or is not valid any more."""


class Session(NamedTuple):
    """Who somebody is.

    Attributes:
        name: The name that they say things under.
        id: Which session; nobody can guess it.
    """

    name: str
    id: str


class Sessions:
    """The sessions of a service.

    Args:
        client: A client of `redis.asyncio`.
        prefix: What keys begin with.
        clock: Tells the time in seconds.
    """

    def __init__(self, client: Any, prefix: str, clock: Clock) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._key: bytes | None = None

    async def take(self, name: Any) -> tuple[Session, str]:
        """Take a name; answers the session and its token.

        Raises:
            TypeError: It is no text.
            ValueError: It is no name.
            NameTaken: It belongs to somebody else.
        """
        check_member(name)
        session = Session(unicodedata.normalize("NFC", name), secrets.token_urlsafe(16))
        reserved = await self._client.set(self._name(session.name), session.id, nx=True, ex=DAY)
        if not reserved:
            raise NameTaken(f"The name {name!r} is taken. Choose another one.")
        return session, await self._signed(session)

    async def find(self, token: Any) -> Session:
        """The session of a token; see `keep`.

        Raises:
            NoSession: It has none.
        """
        session = await self._opened(token)
        await self.keep(session)
        return session

    async def keep(self, session: Session) -> None:
        """Keep a name reserved for another day.

        Raises:
            NoSession: It belongs to somebody else by now.
        """
        key = self._name(session.name)
        found = await self._client.getex(key, ex=DAY)
        if found is None:  # it was given back, a day has passed, or Redis was lost
            await self._client.set(key, session.id, nx=True, ex=DAY)
            found = await self._client.get(key)
        if found is None or not hmac.compare_digest(text(found), session.id):
            raise NoSession(f"The name {session.name!r} belongs to somebody else by now.")

    async def end(self, token: Any) -> None:
        """Give a name back.

        Raises:
            NoSession: The token has none.
        """
        session = await self.find(token)
        await self._client.delete(self._name(session.name))

    def _name(self, name: str) -> str:
        # What looks alike is one name: "Ada", "ada" and a full-width one.
        return f"{self._prefix}name:{unicodedata.normalize('NFKC', name).casefold()}"

    async def _signed(self, session: Session) -> str:
        payload = msgspec.json.encode([session.name, session.id, int(self._clock())])
        return f"{_b64(payload)}.{_b64(await self._signature(payload))}"

    async def _opened(self, token: Any) -> Session:
        if isinstance(token, str) and len(token) <= _LONGEST:
            try:
                payload, signature = map(_from_b64, token.split("."))
            except ValueError:
                payload = signature = b""
            if payload and hmac.compare_digest(signature, await self._signature(payload)):
                name, id_, _ = msgspec.json.decode(payload, type=tuple[str, str, int])
                return Session(name, id_)
        raise NoSession("This token is not valid here. Take a name again.")

    async def _signature(self, payload: bytes) -> bytes:
        if self._key is None:
            place = f"{self._prefix}secret"
            await self._client.set(place, secrets.token_hex(32), nx=True)
            self._key = text(await self._client.get(place)).encode()
        return hmac.digest(self._key, payload, hashlib.sha256)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_b64(written: str) -> bytes:
    return base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
