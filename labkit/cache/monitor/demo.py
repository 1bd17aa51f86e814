"""A small application that reads and writes, so that the page has something to show.

Its articles live in a dictionary that takes a moment to answer. Which article is read follows
Zipf's law, as in a newspaper: a few are read by everybody.
"""

from __future__ import annotations

import bisect
import itertools
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.cache import FunctionSource, MemoryTier, RedisTier
from labkit.cache.curves import Sampler
from labkit.cache.monitor.reporter import Reporter
from labkit.cache.policies import Policy
from labkit.cache.smart import SmartCache

if TYPE_CHECKING:
    from typing import Self

ARTICLES = 5_000
AUTHORS = 40


class Author(msgspec.Struct, frozen=True):
    """Who writes."""

    id: int
    name: str


class Article(msgspec.Struct, frozen=True):
    """What is read."""

    id: int
    author_id: int
    title: str


class Demo:
    """Reads and writes from some threads until it is closed, and reports.

    Args:
        client: What `labkit.connect()` returns.
        name: What it reports under.
        readers: How many threads read.
        seed: Which articles are read, and how long loads take, is drawn by it.
    """

    def __init__(self, client: Any, name: str, *, readers: int = 3, seed: int = 0) -> None:
        self.smart = SmartCache(
            [MemoryTier(maxsize=800), RedisTier(client)],
            namespace=f"demo-{name}",
            policies={
                "Article": Policy(ttl="30s", jitter=0.2, strategy="write-through"),
                "Author": Policy(ttl="2m", jitter=0.2),
            },
            hot_keys=50,
            curves=Sampler(2_048),
        )
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._weights = list(
            itertools.accumulate(1 / (rank + 1) ** 0.9 for rank in range(ARTICLES))
        )
        self._articles = {
            number: Article(number, number % AUTHORS, f"Story {number}")
            for number in range(ARTICLES)
        }
        articles = FunctionSource(self._slow(self._articles.get), save=self._articles.__setitem__)
        authors = FunctionSource(self._slow(lambda number: Author(number, f"Author {number}")))
        self.articles = self.smart.entity(Article, articles)
        self.authors = self.smart.entity(Author, authors)
        self.reporter = Reporter(self.smart, client, name=name, every="1s")
        self._threads = [
            threading.Thread(target=self._read, name="labkit-demo", daemon=True)
            for _ in range(readers)
        ]
        for thread in self._threads:
            thread.start()

    def _slow(self, function: Any) -> Any:
        def load(key: Any) -> Any:
            time.sleep(self._random.lognormvariate(-5.0, 0.6))  # 7 ms, now and then 20
            return function(key)

        return load

    def drawn(self) -> int:
        """The article that somebody reads next."""
        return bisect.bisect(self._weights, self._random.random() * self._weights[-1])

    def step(self) -> None:
        """One reader's visit: an article and its author; now and then the article is edited."""
        article = self.articles.get(self.drawn())
        if article is None:
            return
        self.authors.get(article.author_id)
        if self._random.random() < 0.01:
            self.articles.save(msgspec.structs.replace(article, title=f"{article.title}, edited"))

    def _read(self) -> None:
        while not self._ended.wait(0.005):
            self.step()

    def close(self) -> None:
        """End the traffic, and what it has kept."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.reporter.close()
        self.smart.clear()
        self.smart.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
