"""Sentences for `kubectl events`, on events.k8s.io/v1; kept over an outage of the API server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.verdict import Event
from kafka_consumer_scaler.kube.client import MERGE_PATCH, ApiError, call, one_line, path_of
from kafka_consumer_scaler.kube.resources import API_VERSION, KIND
from kafka_consumer_scaler.kube.series import Likeness, Posted, SeriesBook
from kafka_consumer_scaler.kube.target import Target

EVENTS = "events.k8s.io/v1"
CONTROLLER = "kafka-consumer-scaler.dev/operator"
NOTE_BYTES_MAX = 1024
INSTANCE_MAX = 128
KEPT_MAX = 100
FORBIDDEN_SECONDS = 300.0
"""So long an event is kept that the role does not allow to post: after a restart roles are known a moment too late."""
PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses between rounds of posting what was kept; the last one repeats."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """One observation to be told: a new event, or one more of a series. `at` in seconds since the epoch."""

    regarding: Mapping[str, Any]
    event: Event
    related: Target | None
    name: str
    note: str
    at: float

    @property
    def namespace(self) -> str:
        return str(self.regarding["namespace"])

    @property
    def likeness(self) -> Likeness:
        return Likeness(self.regarding["uid"], self.event.warning, self.event.reason, str(self.related))


class _Outcome(Enum):
    """What became of an attempt: posted (or refused for good), forbidden for now, or no API server for any event."""

    SETTLED = auto()
    FORBIDDEN = auto()
    UNREACHABLE = auto()


class EventRecorder:
    """Posts events, counts like ones together, and keeps up to 100 while the API server cannot be reached.

    While `may_post` denies it, they are kept too.
    """

    def __init__(
        self,
        api: ApiClient,
        instance: str,
        clock: Callable[[], float] = time.time,
        may_post: Callable[[], bool] = lambda: True,
    ) -> None:
        self._api = api
        self._instance = instance[:INSTANCE_MAX] or CONTROLLER
        self._clock = clock
        self._may_post = may_post
        self._series = SeriesBook()
        self._kept: deque[Entry] = deque()
        self._posting = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None
        self._last_stamp = 0

    @property
    def kept(self) -> int:
        """Events that wait for the API server."""
        return len(self._kept)

    async def post(self, regarding: Mapping[str, Any], event: Event, related: Target | None) -> None:
        """Tell about the KafkaConsumerScaler `regarding`. Never raises; what cannot be posted now is posted later."""
        try:
            entry = self._entry(regarding, event, related)
            async with self._posting:
                if self._kept or await self._attempt(entry) is not _Outcome.SETTLED:
                    self._keep(entry)
        except Exception:
            logger.exception("the event %s could not be told: %s", event.reason, event.message)
        if self._kept and (self._retrying is None or self._retrying.done()):
            self._retrying = asyncio.create_task(self._retry(), name="events kept over an outage")

    async def close(self) -> None:
        """Try once more to post what was kept; say how many are lost."""
        if self._retrying is not None:
            self._retrying.cancel()
            with suppress(asyncio.CancelledError):
                await self._retrying
        await self._post_kept()
        if self._kept:
            logger.warning("%d events are lost: they could not be posted", len(self._kept))

    def _entry(self, regarding: Mapping[str, Any], event: Event, related: Target | None) -> Entry:
        reference = _reference(regarding)
        self._last_stamp = max(int(self._clock() * 1e9), self._last_stamp + 1)
        name = f"{reference['name'][:230].rstrip('-.')}.{self._last_stamp:x}"
        return Entry(reference, event, related, name, _note(event.message), self._last_stamp / 1e9)

    def _keep(self, entry: Entry) -> None:
        if len(self._kept) >= KEPT_MAX:
            dropped = self._kept.popleft()
            logger.warning("%d events wait for the API server, the oldest is dropped: %s", KEPT_MAX, dropped.note)
        self._kept.append(entry)

    async def _retry(self) -> None:
        for pause_seconds in _pauses():
            await asyncio.sleep(pause_seconds)
            await self._post_kept()
            if not self._kept:
                return

    async def _post_kept(self) -> None:
        """One round, oldest first; it ends at the first that finds no API server."""
        async with self._posting:
            for entry in list(self._kept):
                outcome = await self._attempt(entry)
                if outcome is _Outcome.SETTLED:
                    self._kept.remove(entry)
                elif outcome is _Outcome.UNREACHABLE:
                    return

    async def _attempt(self, entry: Entry) -> _Outcome:
        if not self._may_post():
            return _Outcome.UNREACHABLE
        try:
            await self._tell(entry)
        except ApiError as error:
            if error.is_unreachable:
                return _Outcome.UNREACHABLE
            if error.code in {401, 403} and self._clock() - entry.at < FORBIDDEN_SECONDS:
                return _Outcome.FORBIDDEN
            logger.warning("the API server refuses an event (%s): %s: %s", error, entry.event.reason, entry.note)
        return _Outcome.SETTLED

    async def _tell(self, entry: Entry) -> None:
        counted = self._series.to_count_on(entry.likeness, entry.note, entry.at)
        if counted is None or not await self._is_counted(entry, counted):
            await self._create(entry)

    async def _is_counted(self, entry: Entry, posted: Posted) -> bool:
        """Count up; False where the event has expired or may not be counted on."""
        path = path_of(EVENTS, "namespaces", entry.namespace, "events", posted.name)
        series = {"count": posted.count + 1, "lastObservedTime": _micro_time(entry.at)}
        try:
            await call(self._api, "PATCH", path, body={"series": series}, content_type=MERGE_PATCH)
        except ApiError as error:
            if error.code not in {404, 422}:
                raise
            self._series.lost(entry.likeness, posted)
            return False
        self._series.counted(entry.likeness, posted, entry.at)
        return True

    async def _create(self, entry: Entry) -> None:
        path = path_of(EVENTS, "namespaces", entry.namespace, "events")
        try:
            await call(self._api, "POST", path, body=self._manifest(entry))
        except ApiError as error:
            if error.code != 409:  # 409: an earlier try succeeded and only its answer was lost
                raise
        self._series.posted(entry.likeness, Posted(entry.name, entry.note, entry.at, entry.at))

    def _manifest(self, entry: Entry) -> dict[str, Any]:
        manifest = {
            "apiVersion": EVENTS,
            "kind": "Event",
            "metadata": {"name": entry.name, "namespace": entry.namespace},
            "eventTime": _micro_time(entry.at),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "regarding": entry.regarding,
            "type": "Warning" if entry.event.warning else "Normal",
            "reason": str(entry.event.reason),
            "action": entry.event.action,
            "note": entry.note,
        }
        return manifest if entry.related is None else {**manifest, "related": _related(entry.related)}


def _reference(resource: Mapping[str, Any]) -> dict[str, Any]:
    metadata = resource["metadata"]
    reference = {"apiVersion": resource.get("apiVersion") or API_VERSION, "kind": resource.get("kind") or KIND}
    reference |= {key: str(metadata[key]) for key in ("namespace", "name", "uid")}
    version = metadata.get("resourceVersion")
    return {**reference, "resourceVersion": version} if version else reference


def _related(target: Target) -> dict[str, str]:
    return {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
    }


def _note(message: str) -> str:
    """One line of at most 1024 bytes, cut between characters."""
    note = one_line(message, limit=NOTE_BYTES_MAX)
    if len(note.encode()) <= NOTE_BYTES_MAX:
        return note
    return note.encode()[: NOTE_BYTES_MAX - len("…".encode())].decode(errors="ignore") + "…"


def _micro_time(at: float) -> str:
    """Kubernetes' MicroTime: exactly six digits."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _pauses() -> Iterator[float]:
    yield from PAUSES_SECONDS
    while True:
        yield PAUSES_SECONDS[-1]
