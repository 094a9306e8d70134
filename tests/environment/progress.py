"""Long work made visible: a bar, the time left, the last line of the running tool; and its log's end when it fails."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .forecast import Effort, Gauge, bar, roughly
from .model import EnvironmentFailed

LINE_EVERY_SECONDS = 15.0
TAIL_LINES = 20
GONE_SECONDS = 10.0


class Progress:
    """Says what is being done: one updating line on a terminal, else a line every 15 seconds."""

    def __init__(self, report: Callable[[str], None] = print) -> None:
        self.say = report
        self._live = report is print and sys.stdout.isatty()

    @contextmanager
    def step(self, what: str, log: Path | None = None, effort: Effort | None = None) -> Iterator[None]:
        """Report `what` with the elapsed time, and the last line of `log`, until the block ends.

        With the effort there is a bar too, and an estimate of the time left.
        """
        began, done = time.monotonic(), threading.Event()
        ticker = threading.Thread(target=self._tick, args=(_Running(what, log, effort), began, done), daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            _end(ticker, done)
            self._clear()
            raise
        _end(ticker, done)
        self._line(f"{what}: {clock(time.monotonic() - began)}")

    def _tick(self, running: _Running, began: float, done: threading.Event) -> None:
        if not self._live:
            self.say(f"{running.what} ...")
        while not done.wait(0.5 if self._live else LINE_EVERY_SECONDS):
            self._update(running.line(time.monotonic() - began, self._live))

    def _clear(self) -> None:
        if self._live:
            print("\r\x1b[K", end="", flush=True)

    def _update(self, text: str) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print("\r\x1b[K" + text[:width], end="", flush=True)
        else:
            self.say(text)

    def _line(self, text: str) -> None:
        self.say("\r\x1b[K" + text if self._live else text)


class _Running:
    """A step that goes on, as one line."""

    def __init__(self, what: str, log: Path | None, effort: Effort | None) -> None:
        self.what, self._log = what, log
        self._gauge = Gauge(effort, log) if effort and log else None

    def line(self, elapsed: float, live: bool) -> str:
        """The line, `elapsed` seconds after the step began; with a bar for a live one."""
        if self._gauge is None:
            return f"{self.what} ... {clock(elapsed)}{_last(self._log)}"
        share, seconds = self._gauge.read(elapsed)
        figures = f"{share:.0%}, {clock(elapsed)}, {roughly(seconds)} left{_last(self._log)}"
        return f"{self.what} {bar(share)} {figures}" if live else f"{self.what} ... {figures}"


def _end(ticker: threading.Thread, done: threading.Event) -> None:
    done.set()
    ticker.join()


def clock(seconds: float) -> str:
    """Elapsed time as minutes and seconds: 105.2 is "01:45"."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def tail(log: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log file; none when it does not exist."""
    if not log.exists():
        return ()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400 * lines))
        return tuple(file.read().decode(errors="replace").splitlines()[-lines:])


def run(
    argv: Sequence[str | Path],
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    heading: str = "",
) -> None:
    """Run a tool to its end with its output in `log`, after the heading; it dies with us, whatever kills us.

    Raises EnvironmentFailed with the log's last lines when the tool fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        output.write(heading.encode())
        output.flush()
        status = _to_its_end(contained(argv), output, cwd, {**os.environ, **(env or {})})
    if status != 0:
        raise EnvironmentFailed(f"{Path(argv[0]).name} failed with status {status} (log: {log})", tail(log))


def _to_its_end(words: Sequence[str], output: IO[bytes], cwd: Path | None, env: Mapping[str, str]) -> int:
    """The tool's status. It has a process group of its own: ^C on a terminal reaches us alone, and we end the tool."""
    alive, held = os.pipe()
    with open(alive, "rb") as last_word:
        try:
            tool = subprocess.Popen(
                words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                process_group=0, pass_fds=(held,),
            )  # fmt: skip
        finally:
            os.close(held)
        try:
            return tool.wait()
        except BaseException:
            _end_group(tool, last_word)
            raise


def _end_group(tool: subprocess.Popen[bytes], last_word: IO[bytes]) -> None:
    """Kill the tool and what it started; return when all have closed their end of the pipe, or after some seconds."""
    with suppress(ProcessLookupError):
        os.killpg(tool.pid, signal.SIGKILL)
    select.select([last_word], [], [], GONE_SECONDS)
    tool.wait()


def contained(argv: Sequence[str | Path]) -> list[str]:
    """The command in process and mount namespaces of its own that end with this process.

    Thus an interrupted build leaves no process, no mount and no mounted /proc in a half-made root behind.
    """
    words = [str(word) for word in argv]
    if os.geteuid() != 0:
        return words
    spaces = ("--fork", "--kill-child", "--pid", "--mount-proc")
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "--", *words]


def _last(log: Path | None) -> str:
    lines = [line for line in tail(log, 5) if line.strip()] if log else []
    return f" (last: {lines[-1].strip()[:100]})" if lines else ""
