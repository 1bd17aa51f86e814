"""Processes that are killed at any step of what a strategy does, and what must hold afterwards."""
