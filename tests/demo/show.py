"""What one sees while it runs: a live table on a terminal, else a line every ten seconds."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests.demo.timeline import Row

LINE_EVERY_SECONDS = 10.0


class Display(Protocol):
    """Something that shows rows; a context manager, as a terminal must be left as it was."""

    def __enter__(self) -> Display: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, row: Row) -> None: ...


def display(total_seconds: float) -> Display:
    """The display that fits where standard output goes."""
    console = Console(highlight=False)
    return Terminal(console, total_seconds) if console.is_terminal else Lines(total_seconds)


class Terminal:
    """A table that changes in place; each decision to scale stays above it."""

    def __init__(self, console: Console, total_seconds: float) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._total = total_seconds
        self._decision = ""

    def __enter__(self) -> Terminal:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, row: Row) -> None:
        if row.decision.startswith("Scaled"):
            self._live.console.print(f"{clock(row.seconds)}  {row.decision}", markup=False)
        self._decision = row.decision or self._decision
        self._live.update(self._table(row), refresh=True)

    def _table(self, row: Row) -> Table:
        table = Table(caption=f"last decision: {self._decision or 'none yet'}", caption_justify="left")
        for heading, _ in cells(row, self._total):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_row(*(text for _, text in cells(row, self._total)))
        return table


class Lines:
    """Plain lines for a file or a pipe; each new decision to scale is said at once."""

    def __init__(self, total_seconds: float) -> None:
        self._total = total_seconds
        self._next = 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, row: Row) -> None:
        if row.decision.startswith("Scaled"):
            print(f"{clock(row.seconds)}  {row.decision}", flush=True)
        if row.seconds >= self._next:
            self._next = row.seconds + LINE_EVERY_SECONDS
            print("  ".join(f"{heading} {text}" for heading, text in cells(row, self._total)), flush=True)


def cells(row: Row, total_seconds: float) -> tuple[tuple[str, str], ...]:
    """Headings and values of a row.

    >>> row = Row(61.2, 350.4, 190.6, 14742, 29.4, 6, 4, "")
    >>> "; ".join(f"{heading} {text}" for heading, text in cells(row, 345))
    'elapsed 01:01 of 05:45; arrival/s 350; drain/s 191; lag 14,742; lag seconds 29; replicas 6; ready 4'
    """
    return (
        ("elapsed", f"{clock(row.seconds)} of {clock(total_seconds)}"),
        ("arrival/s", f"{row.arrival:.0f}"),
        ("drain/s", f"{row.drain:.0f}"),
        ("lag", f"{row.lag:,}"),
        ("lag seconds", f"{row.lag_seconds:.0f}"),
        ("replicas", str(row.replicas_spec)),
        ("ready", str(row.replicas_ready)),
    )


def clock(seconds: float) -> str:
    """61.2 is "01:01"."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
