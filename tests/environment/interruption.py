"""^C and SIGTERM: both end the work in the same way, except where an end half-way would leave a machine broken."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STATUS = 130
"""The exit code of an interrupted command, as a shell gives it."""


def terminate_like_interrupt() -> None:
    """Let SIGTERM raise KeyboardInterrupt, as ^C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def held_back(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Finish the block even when a signal comes, say so, and raise KeyboardInterrupt after it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)
        say(f"interrupted: ends when {what}")

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if came:
        raise KeyboardInterrupt
