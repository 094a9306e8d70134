"""A consumer that awaits its work: many records at a time, those of one key in their order. At least once.

Environment:
    KAFKA_BOOTSTRAP_SERVERS, TOPIC, GROUP: where to read from (required).
    WORK_SECONDS: what the call downstream takes for a record, done by sleeping (default 0.01).
    CONCURRENCY: calls at once; 32 of 0.01 s are up to 3200 records/s (default 32).
    IN_FLIGHT: records taken and not yet fit to commit: memory, and what is done again after a crash (default 500).
    COMMIT_INTERVAL: seconds between commits (default 5).
    OUTPUT: a file that gets a line `partition offset key value` for each record done (default none).
    ASSIGNOR, OFFSET_RESET: as in consumer.py.

It ends with 0 after SIGTERM or SIGINT, 1 after a failure, 2 for a bad environment. After a signal, and before it gives
partitions away, it finishes what is in work, for 5 s at most; what is then unfinished is abandoned, uncommitted.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import common
from confluent_kafka import Consumer

ROOM_SECONDS, FINISH_SECONDS, CLOSE_SECONDS = 0.5, 5, 5
Task = asyncio.Task[None]


@dataclass
class Partition:
    """The records that were taken, oldest first, the last one of each key, and the offset to commit."""

    taken: deque[tuple[int, bytes | None, Task]] = field(default_factory=deque)
    last: dict[bytes | None, Task] = field(default_factory=dict)
    position: int | None = None

    def advance(self) -> None:
        """With 7 and 9 done and 8 in work the offset to commit is 8, so that a crash does not lose the record at 8.

        Raises what the work on the oldest record has raised.
        """
        while self.taken and self.taken[0][2].done():
            offset, key, task = self.taken[0]
            task.result()
            self.position = offset + 1
            self.taken.popleft()
            if self.last.get(key) is task:
                del self.last[key]


class Worker:
    """Works in the event loop; polls in a thread of its own, in which Kafka also tells of rebalances."""

    def __init__(self, env: common.Environment) -> None:
        self.work_seconds = common.number(env, "WORK_SECONDS", 0.01)
        self.commit_interval = common.number(env, "COMMIT_INTERVAL", 5)
        self.in_flight = common.whole(env, "IN_FLIGHT", 500)
        self.calls = asyncio.Semaphore(common.whole(env, "CONCURRENCY", 32))
        self.topic, self.output = common.required(env, "TOPIC"), common.Output(env.get("OUTPUT", ""))
        self.partitions: dict[int, Partition] = {}
        self.ended, self.stopping, self.paused = asyncio.Event(), False, False
        self.consumer = Consumer(common.consumer_settings(env))

    async def process(self, record: Any) -> None:
        """Put your own call here. When it raises, the consumer ends and the record is not committed."""
        await asyncio.sleep(self.work_seconds)
        self.output.write([record])

    async def run(self) -> None:
        """Work until `stop`; then finish what is in work, commit and leave the group."""
        self.loop, thread, commit_at = asyncio.get_running_loop(), ThreadPoolExecutor(1), time.monotonic()
        for each in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(each, self.stop)
        revoked, lost = partial(self._give_away, FINISH_SECONDS), partial(self._give_away, 0)
        self.consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=revoked, on_lost=lost)
        try:
            while not self.stopping:
                for record in await self.loop.run_in_executor(thread, self._poll, await self._room()):
                    if common.usable(record):
                        self._take(record)
                if time.monotonic() >= commit_at:
                    commit_at = time.monotonic() + self.commit_interval
                    self._commit(asynchronous=True)
        finally:
            await self.loop.run_in_executor(thread, self.consumer.close)

    def stop(self) -> None:
        self.stopping = True
        signal.alarm(FINISH_SECONDS + CLOSE_SECONDS)  # without a broker, leaving would take a session timeout

    async def _room(self) -> int:
        """Records that may be taken; 0 when that stays so for a while, since Kafka must hear of us all the same."""
        until = time.monotonic() + ROOM_SECONDS
        while not (free := self._free()) and time.monotonic() < until:
            self.ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), ROOM_SECONDS)
        return free

    def _free(self) -> int:
        for partition in self.partitions.values():
            partition.advance()
        return max(0, self.in_flight - sum(len(each.taken) for each in self.partitions.values()))

    def _poll(self, free: int) -> list[Any]:
        """Without room all is paused, and the poll is for rebalances alone."""
        if self.paused or not free:
            (self.consumer.resume if free else self.consumer.pause)(self.consumer.assignment())
        self.paused = not free
        return list(self.consumer.consume(max(1, free), timeout=0.1 if free else 0))

    def _take(self, record: Any) -> None:
        if (partition := self.partitions.get(record.partition())) is None:
            return  # given away meanwhile: its new owner reads the record
        task = asyncio.create_task(self._work(record, partition.last.get(record.key())))
        task.add_done_callback(self._ended)
        partition.taken.append((record.offset(), record.key(), task))
        if record.key() is not None:
            partition.last[record.key()] = task

    async def _work(self, record: Any, before: Task | None) -> None:
        if before:
            await before
        async with self.calls:
            await self.process(record)

    def _ended(self, task: Task) -> None:
        self.ended.set()
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not print it: `advance` raises it in its turn

    def _assigned(self, _: Any, partitions: list[Any]) -> None:
        self.partitions.update({each.partition: Partition() for each in partitions})
        common.say_partitions("assigned", partitions)

    def _give_away(self, seconds: float, _: Any, partitions: list[Any]) -> None:
        """Finish or abandon, then commit: Kafka gives them to others when this returns. Lost ones are others' now."""
        numbers = [each.partition for each in partitions if each.partition in self.partitions]
        tasks = [task for each in numbers for _, _, task in self.partitions[each].taken]
        asyncio.run_coroutine_threadsafe(_finish(tasks, seconds), self.loop).result()
        if seconds:
            self._commit(asynchronous=False)
        for each in numbers:
            del self.partitions[each]
        common.say_partitions("gave away", partitions)

    def _commit(self, *, asynchronous: bool) -> None:
        for each in self.partitions.values():
            with suppress(Exception, asyncio.CancelledError):  # what has failed is raised by `_free`
                each.advance()
        done = {number: each.position for number, each in self.partitions.items() if each.position is not None}
        common.store(self.consumer, self.topic, done)
        common.commit(self.consumer, asynchronous=asynchronous)


async def _finish(tasks: list[Task], seconds: float) -> None:
    late = (await asyncio.wait(tasks, timeout=seconds))[1] if tasks else ()
    for task in late:
        task.cancel()


def make(env: common.Environment) -> Callable[[], None]:
    """The consumer as the environment wants it. Raises ValueError, OSError or KafkaException for what it cannot be."""
    worker = Worker(env)
    return lambda: asyncio.run(worker.run())


if __name__ == "__main__":
    raise SystemExit(common.main("async_consumer", make))
