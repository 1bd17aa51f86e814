"""The leaderboard as a service: REST, Server-Sent Events and WebSocket, on FastAPI."""

from labkit.leaderboard.api.app import create_app
from labkit.leaderboard.api.options import Limits, RateLimit
from labkit.leaderboard.api.security import ApiKey
from labkit.leaderboard.api.serving import Serving, serve

__all__ = ["ApiKey", "Limits", "RateLimit", "Serving", "create_app", "serve"]
