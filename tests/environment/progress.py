"""Long work made visible: elapsed time, the last line of the running tool, and its log's end when it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .model import EnvironmentFailed

LINE_EVERY_SECONDS = 15.0
TAIL_LINES = 20


class Progress:
    """Says what is being done: one updating line on a terminal, else a line every 15 seconds."""

    def __init__(self, report: Callable[[str], None] = print) -> None:
        self.say = report
        self._live = report is print and sys.stdout.isatty()

    @contextmanager
    def step(self, what: str, log: Path | None = None) -> Iterator[None]:
        """Report `what` with the elapsed time, and the last line of `log`, until the block ends."""
        began, done = time.monotonic(), threading.Event()
        ticker = threading.Thread(target=self._tick, args=(what, log, began, done), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
        self._line(f"{what}: {clock(time.monotonic() - began)}")

    def _tick(self, what: str, log: Path | None, began: float, done: threading.Event) -> None:
        if not self._live:
            self.say(f"{what} ...")
        while not done.wait(0.5 if self._live else LINE_EVERY_SECONDS):
            self._update(f"{what} ... {clock(time.monotonic() - began)}{_last(log)}")

    def _update(self, text: str) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print("\r\x1b[K" + text[:width], end="", flush=True)
        else:
            self.say(text)

    def _line(self, text: str) -> None:
        self.say("\r\x1b[K" + text if self._live else text)


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


def run(argv: Sequence[str | Path], log: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a tool to its end with its output in `log`; it dies with us, whatever kills us.

    Raises EnvironmentFailed with the log's last lines when the tool fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        result = subprocess.run(
            contained(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if result.returncode != 0:
        raise EnvironmentFailed(f"{Path(argv[0]).name} failed with status {result.returncode} (log: {log})", tail(log))


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
