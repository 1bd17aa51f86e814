"""The chat service: a WebSocket for each tab, and one page to chat on. `create_app` makes it."""

from labkit.chat.api.app import create_app

__all__ = ["create_app"]
