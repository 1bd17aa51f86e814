"""What stands behind `WriteBehind`: who carries waiting writes to the source, and what they tell.

`records` says what is told, `inbox` how callers ask the queue, `partition` how the writes of one
partition are applied, `crew` how those of all are, once or until the end, and `worker` lets that
happen in the background.
"""

from labkit.cache.behind.backoff import Backoff
from labkit.cache.behind.crew import Crew
from labkit.cache.behind.inbox import Inbox
from labkit.cache.behind.partition import Applying
from labkit.cache.behind.records import Applied, Aside, Measure, QueueFull, Waiting
from labkit.cache.behind.worker import Worker

__all__ = [
    "Applied",
    "Applying",
    "Aside",
    "Backoff",
    "Crew",
    "Inbox",
    "Measure",
    "QueueFull",
    "Waiting",
    "Worker",
]
