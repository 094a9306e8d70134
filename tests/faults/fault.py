"""What a fault is: it goes in, it stays for a while, it is taken out and what it hurt is well again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from random import Random
from typing import ClassVar

from tests.faults.world import World


class Lane(StrEnum):
    """Faults of one lane never overlap, those of different lanes do."""

    KAFKA = "kafka"
    API = "api"
    OPERATOR = "operator"


class Fault(ABC):
    """One kind.

    `seconds` bounds how long it stays in; `is_blind`: while it is in, no operator can read any lag.
    """

    kind: ClassVar[str]
    lane: ClassVar[Lane]
    seconds: ClassVar[tuple[float, float]] = (2.0, 6.0)
    is_blind: ClassVar[bool] = False
    operators: ClassVar[int] = 1

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random = world, random

    @abstractmethod
    def inject(self) -> str:
        """Put it in; answers what exactly was done, in a few words."""

    @abstractmethod
    def heal(self) -> None:
        """Take it out, and return once what it hurt is well. Raises WorldFailed when it does not get well."""
