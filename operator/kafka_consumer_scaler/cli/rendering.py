"""What explanations and findings look like on a terminal, and as plain text where there is none.

The parts are plain data in the shape of `status.explanation`, from whoever; every word of it is shown as it is, on one
line, with control characters escaped: no text is taken for markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kafka_consumer_scaler.cli.foreign import explanation_of, known, line, runbook_of

PLAIN_WIDTH: Final = 100_000
"""Columns of what is no terminal: nothing is wrapped, nothing is cut."""
SENTENCES: Final = {"why": "Why", "limits": "Limits", "upstream": "Producers", "otherwise": "What would change it"}
NOTE_STYLES: Final = {"hot": "yellow", "stuck": "red"}


def console_on(file: TextIO) -> Console:
    """A console that takes no word for markup; colours and wrapping on a terminal only."""
    width = None if file.isatty() else PLAIN_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def print_explanation(console: Console, explanation: Mapping[str, Any]) -> None:
    """Print an explanation in the shape of `status.explanation`; what is missing or junk is left out."""
    print_parts(console, explanation_parts(explanation))


def print_findings(console: Console, findings: Sequence[Mapping[str, str]]) -> None:
    """Print findings with the keys `name`, `evidence` and `remedy`, each with the name of its runbook."""
    print_parts(console, findings_parts(findings))


def print_parts(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print one part below the other; as plain text without the blanks that fill up columns."""
    for part in parts:
        if console.is_terminal:
            console.print(part)
            continue
        with console.capture() as captured:
            console.print(part)
        for each in captured.get().splitlines():
            console.print(Text(each.rstrip()), soft_wrap=True)


def explanation_parts(explanation: Mapping[str, Any]) -> list[RenderableType]:
    """The sections of an explanation that have something to say."""
    return [*sentences_parts(explanation), *tables_parts(explanation)]


def sentences_parts(explanation: Mapping[str, Any]) -> list[RenderableType]:
    """The sections of sentences: why, what bound, what would change it."""
    given = explanation_of(explanation)
    parts: list[RenderableType] = []
    for name, title in SENTENCES.items():
        if name in given:
            parts += [heading(title), *(bullet(each) for each in given[name])]
    return parts


def tables_parts(explanation: Mapping[str, Any]) -> list[RenderableType]:
    """The partitions with most lag, and the advice."""
    given = explanation_of(explanation)
    parts: list[RenderableType] = []
    if "partitions" in given:
        parts += [heading("Partitions with most lag"), indented(_partitions(given["partitions"]))]
    for number, advice in enumerate(given.get("advice", ())):
        parts += [*([] if number else [heading("Advice")]), *_advice(advice)]
    return parts


def findings_parts(findings: Sequence[Mapping[str, str]]) -> list[RenderableType]:
    """The section of the findings; none without one."""
    parts: list[RenderableType] = []
    for finding in findings:
        given = known({name: line(finding.get(name)) for name in ("name", "evidence", "remedy")})
        parts += [bullet(given.get("evidence", "no evidence was told"), given.get("name", ""), "bold yellow"),
                  *_detail("do", given.get("remedy", "")), *_detail("runbook", runbook_of(given.get("name", "")))]
    return [heading("Findings"), *parts] if parts else []


def heading(title: str) -> Text:
    """The title of a section, below an empty line."""
    return Text.assemble("\n", (title, "bold underline"))


def bullet(text: str, name: str = "", style: str = "bold") -> RenderableType:
    """A sentence of a list, that hangs where a line is wrapped; `name` stands before it."""
    named = Text.assemble((name, style), ": ", text) if name else Text(text)
    return indented(_hanging("-", named))


def indented(part: RenderableType, by: int = 2) -> Padding:
    """The part, so many columns to the right."""
    return Padding(part, (0, 0, 0, by), expand=False)


def columns(*names: str, right: Iterable[str] = ()) -> Table:
    """An empty table without lines; the columns in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in names:
        is_right = name in right
        table.add_column(name, justify="right" if is_right else "left", no_wrap=is_right, overflow="fold")
    return table


def records(count: float) -> str:
    """`12,400`."""
    return f"{count:,.0f}"


def rate(per_second: float) -> str:
    """`80/s`, `0.4/s`; large rates without decimals."""
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.3g}/s"


def duration(seconds: float) -> str:
    """`0.4 s`, `95 s`, `12 min 5 s`, `3 h 2 min`, `4 d 1 h`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    for size, name, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= (size if size > 60 else 120):
            rest = whole % size // smaller_size
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def _partitions(rows: Sequence[Mapping[str, Any]]) -> Table:
    notes = [row.get("note", "") for row in rows]
    table = columns("partition", "lag", "oldest", "arrival", *[""] * any(notes), right=("lag", "oldest", "arrival"))
    for row, note in zip(rows, notes, strict=True):
        table.add_row(Text(row["partition"]), _shown(row, "lag", records), _shown(row, "seconds", duration),
                      _shown(row, "arrival", rate), *[Text(note, NOTE_STYLES.get(note, ""))] * any(notes))
    return table


def _shown(row: Mapping[str, Any], name: str, form: Any) -> str:
    return form(row[name]) if name in row else "?"


def _advice(advice: Mapping[str, str]) -> list[RenderableType]:
    first = bullet(advice.get("evidence", ""), advice["about"], "bold cyan")
    return [first, *_detail("do", advice.get("remedy", "")), *_detail("gain", advice.get("gain", ""))]


def _detail(name: str, text: str) -> list[RenderableType]:
    return [indented(_hanging(f"{name}:", Text(text)), 4)] if text else []


def _hanging(mark: str, text: Text) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row(mark, text)
    return table
