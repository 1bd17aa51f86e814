"""API keys: who may read, write and administer."""

from starlette.requests import HTTPConnection

from labkit.apikeys import KEYS_VARIABLE, ApiKey, Keyring, Scope
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
        refusal = keyring.refusal(connection, self.scope, "leaderboard")
        if refusal is not None:
            raise Problem(*refusal)
