"""Places where a test may kill the process, to prove that nothing acknowledged is lost.

``OUTLAST_FAILPOINT=name`` or ``name:N`` makes the N-th arrival at that place SIGKILL the process, as a power cut
would: no handler, no flush. Without the variable a failpoint is one comparison.
"""

from __future__ import annotations

import os
import signal

_name, _, _count = os.environ.get("OUTLAST_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def failpoint(name: str) -> None:
    """Die here if the environment names this place."""
    global _left  # noqa: PLW0603 - a countdown for the whole process
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
