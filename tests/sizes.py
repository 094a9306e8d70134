"""How much of a costly test is played: some of it in every run, and the whole in the nightly one."""

from __future__ import annotations

import os


def full(small: int, whole: int) -> int:
    """The whole with FULL=1 in the environment, which the nightly run sets; else the small part of it."""
    return whole if os.environ.get("FULL") == "1" else small
