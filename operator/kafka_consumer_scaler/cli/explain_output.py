"""Where an answer goes: to a terminal, as plain text, JSON or YAML to whoever reads on, and into a report."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

import yaml
from rich.console import Group
from rich.live import Live
from rich.text import Text

from kafka_consumer_scaler.cli.asking import Desk, Silent
from kafka_consumer_scaler.cli.explain_text import standing_parts
from kafka_consumer_scaler.cli.foreign import moment
from kafka_consumer_scaler.cli.rendering import console_on, print_parts

NOT_YET: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Output:
    """How an answer is shown: its form, the report beside it, and where it is printed."""

    form: str
    report: Path | None
    file: TextIO

    @property
    def is_live(self) -> bool:
        """Whether the answer can be shown in place of the one before."""
        return self.form == "text" and self.file.isatty()

    def show(self, standing: Mapping[str, Any]) -> None:
        """Print it, and write the report. Raises OSError."""
        if self.form == "text":
            print_parts(console_on(self.file), standing_parts(standing, asked_at(standing)))
        elif self.form == "json":
            print(json.dumps(standing, indent=2, ensure_ascii=False, allow_nan=False), file=self.file)
        else:
            yaml.safe_dump(standing, self.file, explicit_start=True, sort_keys=False, allow_unicode=True, width=1000)
        self.file.flush()
        self.write_report(standing)

    def write_report(self, standing: Mapping[str, Any]) -> None:
        """Write the report if one is wanted. Raises OSError."""
        if self.report is not None:
            from kafka_consumer_scaler.cli.html import explain_page

            self.report.write_text(explain_page(standing, asked_at(standing)), encoding="utf-8")


async def watch(desk: Desk, output: Output, pause_seconds: float) -> None:
    """Ask again and again, until cancelled: a view that renews itself, or where there is no terminal each change.

    Raises CouldNot when there is no first answer, and when there will be none any more.
    """
    standing = await desk.ask()
    if output.is_live:
        await _watch_live(desk, output, pause_seconds, standing)
    else:
        await _watch_changes(desk, output, pause_seconds, standing)


async def _watch_live(desk: Desk, output: Output, pause_seconds: float, standing: Mapping[str, Any]) -> None:
    console, problem = console_on(output.file), ""
    try:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(_view(standing, problem, pause_seconds), refresh=True)
                output.write_report(standing)
                await asyncio.sleep(pause_seconds)
                standing, problem = await _asked_again(desk, standing)
    finally:
        print_parts(console, standing_parts(standing, asked_at(standing)))


async def _watch_changes(desk: Desk, output: Output, pause_seconds: float, standing: Mapping[str, Any]) -> None:
    shown, told = NOT_YET, ""
    while True:
        if _without_clock(standing) != _without_clock(shown):
            output.show(standing)
            shown = standing
        await asyncio.sleep(pause_seconds)
        standing, problem = await _asked_again(desk, standing)
        if problem and problem != told:
            print(problem, file=sys.stderr)
        told = problem


async def _asked_again(desk: Desk, standing: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The new answer; or the one before, and why there is none now."""
    try:
        return await desk.ask(), ""
    except Silent as error:
        return standing, str(error)


def _view(standing: Mapping[str, Any], problem: str, pause_seconds: float) -> Group:
    now = datetime.now(UTC)
    asked = f"every {pause_seconds:g} s; Ctrl-C ends; asked {standing['asked']}"
    state = [Text(f"! {problem}", "bold red")] if problem else []
    return Group(Text(asked, "dim"), *state, *standing_parts(standing, now))


def _without_clock(standing: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in standing.items() if name != "asked"}


def asked_at(standing: Mapping[str, Any]) -> datetime:
    """When the answer was given."""
    return moment(standing.get("asked")) or datetime.now(UTC)
