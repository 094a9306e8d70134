"""The loop's outside in which everything said is kept, and what must hold of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafka_consumer_scaler.control.logs import JsonLines, Text
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Event
from kafka_consumer_scaler.kube import events
from kafka_consumer_scaler.kube.target import Target
from kafka_consumer_scaler.telemetry.metrics import Metrics
from tests.control.fakes import Outside, reconciler
from tests.fuzz.schemas import STATUS, complaints
from tests.fuzz.values import is_plain

OUR_LOGGER = "kafka_consumer_scaler"
THREE = Replicas(3, 3)


@dataclass
class Told(Outside):
    """An Outside that keeps the events' words too."""

    notes: list[str] = field(default_factory=list)

    async def post(self, regarding: Mapping[str, Any], event: Event, related: Target | None) -> None:
        await super().post(regarding, event, related)
        self.notes.append(events._note(event.message))


class Lines(logging.Handler):
    """Every record of ours, as both formatters write it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [JsonLines().format(record), Text().format(record)]

    def __enter__(self) -> Lines:
        logger = logging.getLogger(OUR_LOGGER)
        self._level = logger.level
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger(OUR_LOGGER).removeHandler(self)
        logging.getLogger(OUR_LOGGER).setLevel(self._level)


@dataclass
class World:
    """One resource, the loop around it, and all that they said."""

    outside: Told
    registry: Registry
    loop: Reconciler
    metrics: Metrics

    @classmethod
    def of(cls, body: Mapping[str, Any], replicas: Replicas | Unknown = THREE) -> World:
        metadata = body["metadata"]
        outside = Told(replicas=replicas, uids={str(metadata["name"]): str(metadata["uid"])})
        registry, metrics = Registry(outside), Metrics(per_partition=True)
        registry.put(body)
        return cls(outside, registry, replace(reconciler(outside, registry), metrics=metrics), metrics)

    def scrape(self) -> str:
        """What /metrics would answer."""
        return self.metrics.exposition().decode()


def unfit_statuses(statuses: list[Mapping[str, Any]]) -> list[str]:
    """What the API server would refuse of the statuses, and texts in them that are more than one plain line."""
    refused = [words for status in statuses for words in complaints(STATUS, status)]
    return refused + [text for status in statuses for text in _texts(without(status, "memory")) if not is_plain(text)]


def unfit_texts(texts: list[str]) -> list[str]:
    """Events and log lines that are more than one plain line."""
    return [text for text in texts if not is_plain(text)]


def without(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key != name}


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []
