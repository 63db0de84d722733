"""When the interpreter looks for garbage that counting references leaves behind."""

from __future__ import annotations

import gc


def seldom() -> None:
    """Look seldom: what was imported stays, and little of what comes and goes with each capture is a cycle.

    By default a quarter of the frontier's time would go into looking.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
