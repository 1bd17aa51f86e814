"""Work on many keys at once: delete, expire, persist, rename and copy them, and take it back.

A plan is made first, which changes nothing and says what would be done. It runs in batches; what
puts a batch back is in a journal on the disk before the batch is changed. After a crash, however it
came, `resume` goes on, and `undo` puts back what was.

| What happens meanwhile | What comes of it |
| --- | --- |
| A key comes that the pattern fits | it is not in the plan, and is left alone |
| A key of the plan goes | it counts as gone |
| A value changes before its key is deleted, renamed or copied | it is read again, 3 times at most |
| A key comes where one is to be renamed, copied or put back to | it stays: skipped |
| The process ends, or its connection | `resume` finds out what the last batch came to; goes on |

Example:
    >>> plan = bulk.delete(client, "session:*")
    >>> print(plan)
    Delete 2 keys: "session:1", "session:2"
    >>> print(plan.run(undo="sessions.journal"))
    2 changed, 0 skipped, 0 gone
    >>> print(bulk.undo(client, "sessions.journal"))
    2 changed, 0 skipped, 0 gone
"""

from labkit.inspect.bulk.outcome import LARGEST, Done
from labkit.inspect.bulk.plan import BATCH, Plan, resume, undo
from labkit.inspect.bulk.planning import copy, delete, expire, persist, rename

__all__ = [
    "BATCH",
    "LARGEST",
    "Done",
    "Plan",
    "copy",
    "delete",
    "expire",
    "persist",
    "rename",
    "resume",
    "undo",
]
