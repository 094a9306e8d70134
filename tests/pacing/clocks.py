"""A clock that is set by hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds, when called."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
