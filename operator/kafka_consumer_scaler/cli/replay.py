"""`kafka-consumer-scaler replay`: what the operator would have decided on looks that were recorded, or made up."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kafka_consumer_scaler.api.manifest import scaler_in
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.snapshots import BadLook, Look, looks_of
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Abstain, ScaleTo, Verdict


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its flags."""
    parser = subparsers.add_parser("replay", help="decide again on recorded looks at a group", description=(
        "Reads one look at a consumer group a line and prints one verdict a line, both as JSON."))
    parser.add_argument("--scaler", type=Path, required=True, metavar="YAML",
                        help="the manifest of the KafkaConsumerScaler to decide for")
    parser.add_argument("snapshots", metavar="JSONL", help="the looks; - reads them from standard input")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a verdict for each look; 2 for a manifest or line that cannot be used, 1 when reading or writing fails."""
    try:
        policy = _policy(arguments.scaler)
        lines = _opened(arguments.snapshots)
    except (OSError, InvalidSpec) as error:
        return _complain(error, 2)
    try:
        with lines as file:
            for look, verdict in verdicts(policy, looks_of(file)):
                print(json.dumps(verdict_line(look, verdict), allow_nan=False), flush=True)
    except BadLook as error:
        return _complain(f"{arguments.snapshots}: {error}", 2)
    except BrokenPipeError:  # the reader has seen enough; what is still buffered must not fail at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _complain(error, 1)
    return 0


def verdicts(policy: Policy, looks: Iterable[Look]) -> Iterator[tuple[Look, Verdict]]:
    """Each look with its verdict. History and memory grow from look to look, from the first look's memory on.

    A ScaleTo is remembered as done, at its time, if the file shows that it was carried out.
    """
    history, before = History(), None
    for look in looks:
        memory = (look.memory or Memory()) if before is None else _memory_after(*before, look)
        history = history.append(look.snapshot)
        verdict = decide(policy, history, look.replicas, memory, look.decided_at)
        yield look, verdict
        before = look, verdict


def verdict_line(look: Look, verdict: Verdict) -> dict[str, Any]:
    """The verdict as `replay` prints it; what is unknown is None."""
    decision, numbers = verdict.decision, verdict.measurements
    return {
        "at": look.snapshot.at,
        "decision": type(decision).__name__,
        "replicas": _number(numbers.replicas_current if isinstance(decision, Abstain) else decision.replicas),
        "reason": str(decision.reason),
        "backlog": str(verdict.backlog),
        "lag": _number(numbers.lag_records),
        "lagSeconds": _number(numbers.lag_seconds),
        "arrival": _number(numbers.arrival),
        "drain": _number(numbers.drain),
        "capacityPerConsumer": _number(numbers.capacity_per_consumer),
        "findings": [str(finding.reason) for finding in verdict.findings],
        "trail": [f"{limit.replicas} ({limit.why})" for limit in verdict.trail],
        "message": verdict.message,
    }


def _number(value: float | Unknown) -> float | None:
    return None if isinstance(value, Unknown) or not math.isfinite(value) else value


def _memory_after(look: Look, verdict: Verdict, following: Look) -> Memory:
    """What is remembered after a verdict, at the look that follows.

    A recorded line tells whether its change was carried out; else the replicas of the following line show it.
    """
    decision = verdict.decision
    if not isinstance(decision, ScaleTo) or isinstance(look.replicas, Unknown):
        return verdict.memory
    if isinstance(look.scaled, Unknown):
        seen, at = following.replicas, look.decided_at
        is_done = isinstance(seen, Replicas) and seen.spec == decision.replicas
    else:
        at = look.scaled.at if look.scaled else look.decided_at
        is_done = look.scaled is not None and look.scaled.replicas == decision.replicas
    return verdict.memory_after_scaling(look.replicas.spec, at) if is_done else verdict.memory


def _policy(path: Path) -> Policy:
    try:
        return scaler_in(path.read_bytes()).policy()
    except InvalidSpec as error:
        raise InvalidSpec(f"{path}: {error}") from None


def _opened(name: str) -> contextlib.AbstractContextManager[BinaryIO]:
    return contextlib.nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb")


def _complain(problem: object, code: int) -> int:
    print(f"kafka-consumer-scaler replay: {one_line(str(problem))}", file=sys.stderr)
    return code
