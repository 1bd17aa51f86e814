"""What the caches of an application do, in all its processes: on a page, and in numbers.

Each process of the application says every two seconds what its caches have counted:

    Reporter(cache, client, name="news")

`labkit serve cache-monitor --name news` serves a page that shows them together, live, and
`gather(client, "news")` is what it is made of. `labkit.cache.monitor.app` has the application of
the page, for those who serve it themselves.

A process that ends, or dies, is gone from there by itself. A hit costs nothing more than before,
and nothing that goes wrong here reaches the application.
"""

from __future__ import annotations

from labkit.cache.monitor.gathering import Gathered, Merged, gather
from labkit.cache.monitor.reporter import AsyncReporter, Reporter

__all__ = ["AsyncReporter", "Gathered", "Merged", "Reporter", "gather"]
