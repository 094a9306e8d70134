"""Where a decision is made: a small one at once, a large one in a thread, so that the lease and other groups go on.

A decision only computes, on values that nobody changes, so a thread needs no lock. Which one is large is told by the
readings that it goes through, not by time: what a machine does depends on its load.

    partitions    samples    readings    made
          200         96      19,200     on the loop
        4,800         96     460,800     in the thread

There is one thread. Large decisions wait for each other there, as they did on the loop; who waits for one holds its own
resource's lock, so each resource's decisions stay in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.verdict import Verdict

READINGS_ON_LOOP = 20_000
"""A decision over more readings than this is made in the thread."""
THREAD = "decisions"


def _one_thread() -> Executor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix=THREAD)


@dataclass(frozen=True, slots=True)
class Deciding:
    """The place. Its thread begins with the first large decision."""

    executor: Executor = field(default_factory=_one_thread)

    async def made(self, history: History, decide: Callable[[], Verdict]) -> Verdict:
        """The verdict that `decide` returns, or what it raises.

        Who is cancelled meanwhile gets no verdict; the thread ends its computation, and nobody sees what came of it.
        """
        if readings(history) <= READINGS_ON_LOOP:
            return decide()
        return await asyncio.get_running_loop().run_in_executor(self.executor, decide)


def readings(history: History) -> int:
    """How many readings a decision goes through: those of all samples."""
    return sum(len(sample.readings) for sample in history.samples)
