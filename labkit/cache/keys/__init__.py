"""The keys of cached calls: the same for equal calls everywhere, never the same for two others.

A key is printable ASCII, apart from what a template says literally. Nothing in it depends on the
process, the hash seed or the version of Python.

Where things are: `calls` makes the key of a call, `templates` fills in those that are written out,
and shortens long ones. `values` writes any value as text, with `scalars` for those that hold no
others. `signatures` and `names` say what functions take and are called, `refusals` what is raised.
"""

from __future__ import annotations

from labkit.cache.keys.calls import CallKey
from labkit.cache.keys.refusals import Unkeyable
from labkit.cache.keys.templates import LONGEST, Template
from labkit.cache.keys.values import encode

__all__ = ["LONGEST", "CallKey", "Template", "Unkeyable", "encode"]
