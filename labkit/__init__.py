"""A leaderboard and a smart cache on Redis, and the tools of the course that explains them."""

__version__ = "0.1.0"
