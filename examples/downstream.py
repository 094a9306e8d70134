"""A stand-in for what consumers call for each record: a database, an API. It can be slow, and it can have a limit.

    downstream.py --port 7000 --seconds 0.04 --per-second 30

answers a call, one empty line, with an empty line: 40 ms later at the soonest, and 30 calls a second whoever calls. A
line `seconds 0.12` or `per-second 60` changes that while it runs. It ends with 0 after SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from dataclasses import dataclass


@dataclass
class Downstream:
    """Every call takes `seconds`; all calls together are answered at `per_second` at most, 0 for no limit."""

    seconds: float
    per_second: float
    _free_at: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a line in, a line out."""
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                await self._answer(line.decode(errors="replace").split())
                writer.write(b"\n")
        writer.close()

    async def _answer(self, words: list[str]) -> None:
        match words:
            case ["seconds", value]:
                self.seconds = float(value)
            case ["per-second", value]:
                self.per_second = float(value)
            case _:
                await self._work()

    async def _work(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.per_second:
            self._free_at = max(self._free_at, now) + 1 / self.per_second
        await asyncio.sleep(max(self.seconds, self._free_at - now))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Answer calls slowly, and only so many a second.")
    parser.add_argument("--port", type=int, default=7000, help="to listen on (default 7000)")
    parser.add_argument("--seconds", type=float, default=0.0, help="that a call takes (default 0)")
    parser.add_argument("--per-second", type=float, default=0.0, help="calls answered (default 0: no limit)")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    downstream = Downstream(options.seconds, options.per_second)
    server = await asyncio.start_server(downstream.serve, host=None, port=options.port)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(run(arguments()))
