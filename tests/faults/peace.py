"""After the faults of an episode: when each group came to the replicas that are right, and stayed there for a while."""

from __future__ import annotations

from dataclasses import dataclass, field

CALM_SECONDS = 6.0
"""What is right must stay for three polls."""


@dataclass
class Peace:
    """Each group counts by itself, and what it does after it has stayed is not judged: it may then try with fewer."""

    began: float
    _since: dict[str, float] = field(default_factory=dict)
    _settled: dict[str, float] = field(default_factory=dict)

    def see(self, name: str, is_right: bool, now: float) -> None:
        """One look at a group."""
        if not is_right:
            self._since.pop(name, None)
            return
        since = self._since.setdefault(name, now)
        if now - since >= CALM_SECONDS:
            self._settled.setdefault(name, since - self.began)

    def seconds(self, name: str) -> float | None:
        """From the begin of the peace until the group was right; None while it has not been for long enough."""
        return self._settled.get(name)
