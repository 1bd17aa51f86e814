"""A source that a dictionary stands behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Article(msgspec.Struct, frozen=True):
    id: int
    title: str
    tags: tuple[str, ...] = ()


class Table:
    """A source that counts what it is asked."""

    def __init__(self, rows: dict[int, Any] | None = None) -> None:
        self.rows = rows if rows is not None else {n: Article(n, f"Story {n}") for n in range(10)}
        self.asked: list[Any] = []
        self.failing = False

    def load(self, key: int) -> Any:
        self.asked.append(key)
        if self.failing:
            raise ConnectionError("the database is down")
        return self.rows.get(key)

    def load_many(self, keys: Sequence[int]) -> dict[int, Any]:
        self.asked.append(list(keys))
        return {key: self.rows[key] for key in keys if key in self.rows}

    def save(self, key: int, value: Any) -> None:
        self.rows[key] = value
        if self.failing:
            raise ConnectionError("the line broke after the write")

    def delete(self, key: int) -> None:
        self.rows.pop(key, None)

    def versions(self, keys: Sequence[int]) -> dict[int, str]:
        return {key: repr(self.rows[key]) for key in keys if key in self.rows}


class AsyncTable(Table):
    """The same, awaited."""

    async def load(self, key: int) -> Any:
        await asyncio.sleep(0)
        return super().load(key)

    async def load_many(self, keys: Sequence[int]) -> dict[int, Any]:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().load_many(keys)

    async def save(self, key: int, value: Any) -> None:  # type: ignore[override]
        super().save(key, value)

    async def delete(self, key: int) -> None:  # type: ignore[override]
        super().delete(key)

    async def versions(self, keys: Sequence[int]) -> dict[int, str]:  # type: ignore[override]
        return super().versions(keys)
