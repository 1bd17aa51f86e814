"""API keys: who may read, write and administer."""

from starlette.requests import HTTPConnection

from labkit.apikeys import KEYS_VARIABLE, ApiKey, Keyring, Scope, shown_secret
from labkit.leaderboard.api.problems import Problem

__all__ = ["KEYS_VARIABLE", "ApiKey", "Keyring", "Requires", "Scope"]


class Requires:
    """A dependency: the request must show a key whose scope includes this one.

    Where the service has no keys, everything is allowed.

    Raises:
        Problem: 401 without a valid key, 403 with one whose scope is too small.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, connection: HTTPConnection) -> None:
        """Let the request pass, or not."""
        keyring: Keyring = connection.app.state.service.keyring
        if not keyring:
            return
        key = keyring.shown(connection)
        challenge = 'Bearer realm="leaderboard"'
        if key is None:
            unknown = shown_secret(connection) is not None
            raise Problem(
                401,
                "unauthorized",
                ("The API key is not known. " if unknown else "The request shows no API key. ")
                + "Send one as `Authorization: Bearer SECRET` or `X-API-Key: SECRET`.",
                {"WWW-Authenticate": challenge + (', error="invalid_token"' if unknown else "")},
            )
        if not key.allows(self.scope):
            raise Problem(
                403,
                "forbidden",
                f"The API key {key.name!r} has the scope {key.scope}; this needs {self.scope}.",
                {
                    "WWW-Authenticate": f'{challenge}, error="insufficient_scope", '
                    f'scope="{self.scope}"'
                },
            )
