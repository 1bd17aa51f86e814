"""Where values come from: the contract, a source made of functions, and what spares a database."""

from labkit.cache.sources.base import (
    Applies,
    Source,
    Write,
    applies,
    asynchronous,
    blocking,
)
from labkit.cache.sources.coalesced import Coalesced
from labkit.cache.sources.functions import FunctionSource
from labkit.cache.sources.limited import Limited, Overloaded, TimedOut

__all__ = [
    "Applies",
    "Coalesced",
    "FunctionSource",
    "Limited",
    "Overloaded",
    "Source",
    "TimedOut",
    "Write",
    "applies",
    "asynchronous",
    "blocking",
]
