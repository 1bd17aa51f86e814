"""Who may ask: whoever shows a key, or, where there are no keys, whoever sits at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.apikeys import KEYS_VARIABLE, Keyring
from labkit.cache.admin.problems import Problem
from labkit.serving import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import HTTPConnection

    from labkit.apikeys import ApiKey, Scope

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Access:
    """Lets requests pass, or not.

    A service without keys could drop a cache for everybody who reaches it. So it answers only a
    client on this machine, which asks for this machine by name: what a proxy passes on comes from
    elsewhere, and a page in a browser may have had a name of its own point here.

    Args:
        keys: The keys, as `ApiKey` or `name:scope:secret`; None takes those of the environment
            variable LABKIT_API_KEYS.

    Raises:
        ValueError: A key cannot be read, or two have one name.
    """

    def __init__(self, keys: Iterable[ApiKey | str] | None) -> None:
        self.keyring = Keyring(keys)

    def check(self, connection: HTTPConnection, scope: Scope) -> None:
        """Let a request pass that may do what needs this scope.

        Raises:
            Problem: 401 without a valid key, 403 with one whose scope is too small, and 403 from
                elsewhere where there are no keys.
        """
        if not self.keyring:
            _check_local(connection)
            return
        refusal = self.keyring.refusal(connection, scope, "cache")
        if refusal is not None:
            raise Problem(*refusal)


def _check_local(connection: HTTPConnection) -> None:
    headers, client = connection.headers, connection.client
    host = headers.get("host", "")
    origin = headers.get("origin")
    if client is None or not is_loopback(client.host):
        why = "the request comes from another one"
    elif any(name in headers for name in _FORWARDED):
        why = "a proxy has passed the request on"
    elif not is_loopback(_name(host)):
        why = "the request asks for another host"
    elif origin is not None and origin.partition("://")[2] != host:
        why = "the request comes from a page of another origin"
    else:
        return
    raise Problem(
        403,
        "no-keys",
        f"This service has no API keys, and answers this machine alone; {why}. Give it keys, as "
        f"keys=[...] or in the environment variable {KEYS_VARIABLE}.",
    )


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
