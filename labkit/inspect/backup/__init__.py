"""Backup and restore: keys of all types with their expiries, in one file with checksums.

What is read of a key is of one moment: value, type and expiry. Different keys are read at different
moments, as SCAN comes to them; a key that comes or goes meanwhile may be in the backup or not.

| What happens | What comes of it |
| --- | --- |
| `save` is cut off | `<path>.part` stays; called again, it goes on where it was |
| ... and the server was started again since | it begins anew: cursors of SCAN mean nothing then |
| `restore` is cut off | `<path>.restoring` stays; called again, it goes on where it was |
| The file is damaged | nothing is written |
| A key expires after it was saved | it is counted, and not written |
| SCAN gives a key twice | the later record counts |

How long a key was idle and how often it was used are not kept. fakeredis dumps values in a form of
its own, which contains pickled objects: restore into it only files that you trust.

Example:
    >>> backup.save(client, "game.backup").keys
    2
    >>> client.flushdb()
    True
    >>> backup.restore(client, "game.backup")
    Restored(restored=2, replaced=0, skipped=0, expired=0)
"""

from labkit.inspect.backup.blocks import BATCH, ENOUGH
from labkit.inspect.backup.comparing import Difference, compare
from labkit.inspect.backup.layout import Damaged, Summary
from labkit.inspect.backup.notes import Restored
from labkit.inspect.backup.restoring import Conflict, NotAccepted, restore, verify
from labkit.inspect.backup.saving import save

__all__ = [
    "BATCH",
    "ENOUGH",
    "Conflict",
    "Damaged",
    "Difference",
    "NotAccepted",
    "Restored",
    "Summary",
    "compare",
    "restore",
    "save",
    "verify",
]
