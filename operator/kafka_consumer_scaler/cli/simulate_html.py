"""The report of a simulation in HTML: its figures, its pictures, and what was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from kafka_consumer_scaler.cli.html import page
from kafka_consumer_scaler.simulation.compare import OURS, Comparison, total
from kafka_consumer_scaler.simulation.report import ALL, HEAD, cells


def simulate_page(compared: Sequence[Comparison], folder: Path) -> str:
    """The page of all workloads; their pictures are read from `folder`. The same runs give the same text."""
    return page("simulate.html.j2", {
        "title": ", ".join(each.workload.name for each in compared),
        "seed": compared[0].workload.seed,
        "head": HEAD,
        "totals": _totals(compared) if len(compared) > 1 else [],
        "all": ALL,
        "workloads": [_workload(each, folder) for each in compared],
    })


def _workload(comparison: Comparison, folder: Path) -> dict[str, Any]:
    workload = comparison.workload
    return {
        "name": workload.name,
        "objective": comparison.policy.lag_seconds,
        "rows": [_row(comparison.label(name), name, score) for name, score in comparison.scores.items()],
        "png": (folder / f"{workload.name}.png").read_bytes(),
        "scaler": _as_yaml(asdict(comparison.policy)),
        "plant": _as_yaml(asdict(workload.plant)),
    }


def _totals(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    return [_row(name, name, total(each.scores[name] for each in compared)) for name in compared[0].scores]


def _row(label: str, name: str, score: Any) -> dict[str, Any]:
    return {"label": label, "is_ours": name == OURS, "cells": cells(score)}


def _as_yaml(values: Any) -> str:
    return str(yaml.safe_dump(_plain(values), sort_keys=False, allow_unicode=True))


def _plain(value: Any) -> Any:
    """What YAML knows, with the keys as manifests spell them."""
    if isinstance(value, dict):
        return {to_camel(str(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, Enum):
        return value.value
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
