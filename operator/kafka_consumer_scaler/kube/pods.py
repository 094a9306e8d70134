"""A target's pods: what is the matter with them, and how long they take to start.

In one phrase: `2 of 6 pods in CrashLoopBackOff (exit code 1)`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.client import ApiError, call, one_line, path_of
from kafka_consumer_scaler.kube.discovery import Discovery
from kafka_consumer_scaler.kube.scale import NAME
from kafka_consumer_scaler.kube.target import Target

CACHE_SECONDS = 30.0
PODS_MAX = 500
RESTARTED_SECONDS = 600.0
"""A restart that is older says nothing of now."""
STARTING_SECONDS = 30.0
"""A pod that has not been ready for less than this is starting, and in no trouble."""
START_SECONDS_MAX = 3600.0
"""A pod that became ready later than this after its creation was unready in between."""
PHRASE_MAX = 160
CAUSE_MAX = 80
STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
"""What a container waits for that is in no trouble."""
PLAIN_ENDS = frozenset({"", "Error", "Completed"})
"""Reasons of a container's end that say less than its exit code."""

Pod = Mapping[str, Any]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    at: float
    trouble: str = ""
    start_seconds: float | None = None


class Pods:
    """The pods of each target, asked for at most once in 30 s."""

    def __init__(self, api: ApiClient, timeout_seconds: float = 5, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._discovery = Discovery(api, timeout_seconds)
        self._told: dict[Target, _Told] = {}
        self._forbidden: set[str] = set()

    async def trouble(self, target: Target) -> str:
        """What keeps the target's pods from working; empty when nothing does, or when that cannot be learned."""
        return (await self._of(target)).trouble

    async def start_seconds(self, target: Target) -> float | None:
        """From a pod's creation to its being ready, the shortest; None when none is, or when that cannot be learned."""
        return (await self._of(target)).start_seconds

    async def _of(self, target: Target) -> _Told:
        now = self._clock()
        self._told = {each: told for each, told in self._told.items() if 0 <= now - told.at < CACHE_SECONDS}
        if target not in self._told:
            self._told[target] = await self._ask(target, now)
        return self._told[target]

    async def _ask(self, target: Target, now: float) -> _Told:
        try:
            selector = await self._selector(target)
            return await self._seen(target.namespace, selector, now) if selector else _Told(now)
        except ApiError as error:
            logger.debug("the pods of %s were not told: %s", target, error)
        except Exception:
            logger.exception("what is the matter with the pods of %s could not be learned", target)
        return _Told(now)

    async def _selector(self, target: Target) -> str:
        """The label selector that the scale subresource tells; empty where there is none. Raises ApiError."""
        resource = await self._discovery.resource_of(target.api_version, target.kind)
        if isinstance(resource, Unknown) or not NAME.fullmatch(target.name):
            return ""
        scale = await self._get(resource.scale_path(target.namespace, target.name))
        return str((scale.get("status") or {}).get("selector") or "")

    async def _seen(self, namespace: str, selector: str, now: float) -> _Told:
        path = path_of("v1", "namespaces", namespace, "pods")
        try:
            answer = await self._get(path, [("labelSelector", selector), ("limit", str(PODS_MAX))])
        except ApiError as error:
            if error.code == 403:
                self._forbid(namespace)
            raise
        self._forbidden.discard(namespace)
        pods, is_all = answer.get("items") or [], not (answer.get("metadata") or {}).get("continue")
        return _Told(now, trouble_of(pods, now, is_all=is_all), start_seconds_of(pods))

    async def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        return await call(self._api, "GET", path, query=query, timeout_seconds=self._timeout_seconds)

    def _forbid(self, namespace: str) -> None:
        if namespace not in self._forbidden:
            self._forbidden.add(namespace)
            logger.warning("the operator's role lacks list on pods in namespace %s: what is the matter with them "
                           "is not told", namespace)


def trouble_of(pods: Sequence[Pod], now: float, *, is_all: bool = True) -> str:
    """What is the matter with the pods, the most telling first, in at most 160 characters; empty when nothing is.

    Args:
        pods: as the API server has them.
        now: in seconds since the epoch.
        is_all: whether these are all of the target's pods.
    """
    wanted = [pod for pod in pods if _is_wanted(pod)]
    found = Counter(matter for pod in wanted if (matter := _matter(pod, now)) is not None)
    worst = sorted(found.items(), key=lambda each: (each[0][0], -each[1], each[0][1]))
    of_all = f"of {'' if is_all else 'the first '}{len(wanted)} pod{'' if len(wanted) == 1 else 's'}"
    return _joined([f"{count} {words}" if place else f"{count} {of_all} {words}"
                    for place, ((_, words), count) in enumerate(worst)])


def start_seconds_of(pods: Sequence[Pod]) -> float | None:
    """From a pod's creation to its being ready, seconds: the shortest, since one may have been unready in between.

    None when no pod is ready, or after more than an hour.
    """
    found = [seconds for pod in pods if _is_wanted(pod) and (seconds := _start_seconds(pod)) is not None]
    return min(found, default=None)


def _start_seconds(pod: Pod) -> float | None:
    ready = _condition(pod, "Ready")
    created = _time_of((pod.get("metadata") or {}).get("creationTimestamp"))
    since = _time_of(ready.get("lastTransitionTime"))
    if ready.get("status") != "True" or created is None or since is None:
        return None
    return since - created if 0 <= since - created <= START_SECONDS_MAX else None


def _joined(parts: Sequence[str]) -> str:
    """As many of the parts as there is room for; `; ` parts evidence from remedy, so it is no part of them."""
    text = "".join(parts[:1])
    for part in parts[1:]:
        if len(text) + len(part) + 2 > PHRASE_MAX:
            break
        text += f", {part}"
    return one_line(text.replace("; ", ", "), PHRASE_MAX)


def _is_wanted(pod: Pod) -> bool:
    """One that is being deleted, or has ended for good, has been replaced."""
    is_leaving = bool((pod.get("metadata") or {}).get("deletionTimestamp"))
    return not is_leaving and _status(pod).get("phase") not in {"Succeeded", "Failed"}


def _matter(pod: Pod, now: float) -> tuple[int, str] | None:
    """The most telling thing that is the matter with a pod: its place in `MATTERS`, and the words."""
    told = ((place, matter(pod, now)) for place, matter in enumerate(MATTERS))
    return next(((place, words) for place, words in told if words), None)


def _waiting(pod: Pod, now: float) -> str:
    for container in _containers(pod):
        waiting = _state(container, "state", "waiting")
        reason = str(waiting.get("reason") or "")
        if reason not in STARTING:
            return f"in {one_line(reason, CAUSE_MAX)}{_because(_cause(container, reason, waiting))}"
    return ""


def _cause(container: Mapping[str, Any], reason: str, waiting: Mapping[str, Any]) -> str:
    if reason == "CrashLoopBackOff":
        return _end(_state(container, "lastState", "terminated"))
    return str((container.get("image") if "Image" in reason else waiting.get("message")) or "")


def _unscheduled(pod: Pod, now: float) -> str:
    """The scheduler's first sentence; the ones after it tell of preemption."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return ""
    return f"unschedulable{_because(str(scheduled.get('message') or '').partition('. ')[0])}"


def _ended(pod: Pod, now: float) -> str:
    """One that failed and was not yet started again."""
    for container in _containers(pod):
        terminated = _state(container, "state", "terminated")
        if terminated.get("exitCode") and not container.get("restartCount"):
            return f"with a container that ended{_because(_end(terminated))}"
    return ""


def _restarted(pod: Pod, now: float) -> str:
    """Between two starts the newest end is the container's state; CrashLoopBackOff is told for a part of that only."""
    for container in _containers(pod):
        terminated = _state(container, "state", "terminated")
        if not terminated.get("exitCode"):
            terminated = _state(container, "lastState", "terminated")
        if container.get("restartCount") and _age(terminated.get("finishedAt"), now) <= RESTARTED_SECONDS:
            return f"restarted within {RESTARTED_SECONDS / 60:.0f} min{_because(_end(terminated))}"
    return ""


def _unready(pod: Pod, now: float) -> str:
    ready = _condition(pod, "Ready")
    since = ready.get("lastTransitionTime") or (pod.get("metadata") or {}).get("creationTimestamp")
    is_ready = ready.get("status") == "True"
    return "" if is_ready or _age(since, now) < STARTING_SECONDS else "not ready"


MATTERS: tuple[Callable[[Pod, float], str], ...] = (_waiting, _unscheduled, _ended, _restarted, _unready)
"""From what names the fault itself to what is seen of every fault."""


def _status(pod: Pod) -> Mapping[str, Any]:
    return pod.get("status") or {}


def _containers(pod: Pod) -> Iterator[Mapping[str, Any]]:
    yield from _status(pod).get("initContainerStatuses") or []
    yield from _status(pod).get("containerStatuses") or []


def _state(container: Mapping[str, Any], which: str, kind: str) -> Mapping[str, Any]:
    return (container.get(which) or {}).get(kind) or {}


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    conditions = _status(pod).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def _end(terminated: Mapping[str, Any]) -> str:
    """Why a container ended: `OOMKilled`, `exit code 1`; empty when it is not told."""
    reason = str(terminated.get("reason") or "")
    if reason not in PLAIN_ENDS:
        return reason
    return f"exit code {terminated['exitCode']}" if "exitCode" in terminated else ""


def _because(cause: str) -> str:
    return f" ({one_line(cause, CAUSE_MAX)})" if cause else ""


def _age(at: Any, now: float) -> float:
    """Seconds since a time of the API server; infinite when it is not told."""
    since = _time_of(at)
    return inf if since is None else now - since


def _time_of(at: Any) -> float | None:
    """A time of the API server in seconds since the epoch; None when it is not told."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
