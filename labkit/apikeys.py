"""API keys: who may read, write and administer one of labkit's services."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Self, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import HTTPConnection

KEYS_VARIABLE = "LABKIT_API_KEYS"
"""The environment variable with the keys, where `create_app` gets none."""

SHORTEST_SECRET = 16

Scope = Literal["read", "write", "admin"]
_SCOPES: tuple[str, ...] = get_args(Scope)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_EXPECTED = (
    "expected name:scope:secret, with a scope of read, write or admin, and a secret of at least "
    f"{SHORTEST_SECRET} characters without spaces and commas"
)


@dataclass(frozen=True)
class ApiKey:
    """A key of a service.

    Attributes:
        name: Whose it is; a rate limit counts by it.
        scope: What it allows: `"write"` includes `"read"`, and `"admin"` both.
        secret: What a request shows.
    """

    name: str
    scope: Scope
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.scope not in _SCOPES:
            raise ValueError(f"the API key {self.name!r} has scope {self.scope!r}; {_EXPECTED}")
        if len(self.secret) < SHORTEST_SECRET or re.search(r"[\s,]", self.secret):
            raise ValueError(f"the secret of the API key {self.name!r} will not do; {_EXPECTED}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name:scope:secret`.

        Raises:
            ValueError: The text is none. The message does not quote it.
        """
        parts = text.split(":", 2)
        if len(parts) != 3:
            raise ValueError(f"an API key cannot be read; {_EXPECTED}")
        return cls(parts[0], cast("Scope", parts[1]), parts[2])

    def allows(self, scope: Scope) -> bool:
        """Whether the key's scope includes another."""
        return _SCOPES.index(scope) <= _SCOPES.index(self.scope)


class Keyring:
    """The keys of a service, kept as digests.

    Args:
        keys: The keys, as `ApiKey` or `name:scope:secret`; None takes those of LABKIT_API_KEYS,
            which stand apart by commas or spaces.

    Raises:
        ValueError: A key cannot be read, or two have one name.
    """

    def __init__(self, keys: Iterable[ApiKey | str] | None = None) -> None:
        if keys is None:
            keys = re.split(r"[\s,]+", os.environ.get(KEYS_VARIABLE, "").strip(" ,\n\t"))
            keys = [key for key in keys if key]
        read = [ApiKey.parse(key) if isinstance(key, str) else key for key in keys]
        if len({key.name for key in read}) < len(read):
            raise ValueError("two API keys have the same name; give each a name of its own")
        self._keys = [(_digest(key.secret), key) for key in read]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, secret: str) -> ApiKey | None:
        """The key with that secret. It takes the same time whichever it is, and where none is."""
        shown = _digest(secret)
        found = None
        for digest, key in self._keys:
            if hmac.compare_digest(digest, shown):
                found = key
        return found

    def shown(self, connection: HTTPConnection) -> ApiKey | None:
        """The valid key that a request shows, or None."""
        secret = _shown(connection)
        return None if secret is None else self.find(secret)

    def refusal(self, connection: HTTPConnection, scope: Scope, realm: str) -> Refusal | None:
        """Why a request may not do what needs a scope; None: it may, or there are no keys.

        Args:
            connection: The request.
            scope: The scope.
            realm: What the service is called.
        """
        if not self:
            return None
        key, challenge = self.shown(connection), f'Bearer realm="{realm}"'
        if key is None:
            why = "The request shows no API key."
            if _shown(connection) is not None:
                why = "The API key is not known."
                challenge += ', error="invalid_token"'
            detail = f"{why} Send one as `Authorization: Bearer SECRET` or `X-API-Key: SECRET`."
            return Refusal(401, "unauthorized", detail, {"WWW-Authenticate": challenge})
        if key.allows(scope):
            return None
        detail = f"The API key {key.name!r} has the scope {key.scope}; this needs {scope}."
        challenge += f', error="insufficient_scope", scope="{scope}"'
        return Refusal(403, "forbidden", detail, {"WWW-Authenticate": challenge})


class Refusal(NamedTuple):
    """Why a request is refused: the arguments of a `labkit.problems.Problem`."""

    status: int
    kind: str
    detail: str
    headers: dict[str, str]


def _shown(connection: HTTPConnection) -> str | None:
    """The secret that a request shows, as `Authorization: Bearer SECRET` or `X-API-Key: SECRET`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return connection.headers.get("x-api-key")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
