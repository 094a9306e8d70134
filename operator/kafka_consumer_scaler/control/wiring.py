"""Builds the adapters, joins them to the loop, and ends everything in order. The only module that knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import kopf
from kubernetes.aio.client.api_client import ApiClient

from kafka_consumer_scaler.api.v1alpha1 import FINALIZER
from kafka_consumer_scaler.control.clock import SteadyClock
from kafka_consumer_scaler.control.connections import Resolver
from kafka_consumer_scaler.control.election import (
    Alone,
    Elector,
    LeadershipLost,
    LedFinalizers,
    LedQuotas,
    LedScale,
    LedStatus,
)
from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.handlers import handlers_of, settings_of
from kafka_consumer_scaler.control.health import Health
from kafka_consumer_scaler.control.leadership import Election, Timing
from kafka_consumer_scaler.control.lookups import LookUps
from kafka_consumer_scaler.control.ports import FinalizerAccess, QuotaAccess, ScaleAccess, StatusAccess
from kafka_consumer_scaler.control.quotas import QuotaKeeper
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.control.safe_rate import SafeRates
from kafka_consumer_scaler.control.settings import Settings
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kube.client import connect
from kafka_consumer_scaler.kube.connections import Connections
from kafka_consumer_scaler.kube.events import EventRecorder
from kafka_consumer_scaler.kube.finalizers import Finalizers
from kafka_consumer_scaler.kube.lease import LeaseClient
from kafka_consumer_scaler.kube.pods import Pods
from kafka_consumer_scaler.kube.resources import list_scalers, scaler_named, uid_of
from kafka_consumer_scaler.kube.rivals import Rivals
from kafka_consumer_scaler.kube.scale import ScaleClient
from kafka_consumer_scaler.kube.secrets import Secrets
from kafka_consumer_scaler.kube.status import StatusWriter
from kafka_consumer_scaler.telemetry.metrics import Metrics

STOP_SECONDS = 10.0
"""How long what is under way may take to end after SIGTERM; the pod has 30 s."""
FIRST_LIST_PAUSE_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of the watched namespaces."""

    api: ApiClient
    namespaces: tuple[str, ...]

    async def listed(self) -> list[dict[str, Any]] | Unknown:
        """All of them, or why one namespace could not be listed."""
        found: list[dict[str, Any]] = []
        for namespace in self.namespaces or (None,):
            listed = await list_scalers(self.api, namespace)
            if isinstance(listed, Unknown):
                return listed
            found += listed
        return found

    async def body(self, namespace: str, name: str) -> dict[str, Any] | Unknown | None:
        """The one that has this name now, if it is in a watched namespace."""
        is_watched = not self.namespaces or namespace in self.namespaces
        return await scaler_named(self.api, namespace, name) if is_watched else None

    async def uid(self, namespace: str, name: str) -> str | Unknown | None:
        """The uid of the one that has this name now."""
        return await uid_of(self.api, namespace, name)


class OperatorEnded(Exception):
    """The lease was lost, or a part ended by itself; the message is one line."""


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ClusterConfigError: there is no usable configuration of an API server.
        OSError: the HTTP port is taken, or the polling process cannot be started.
        OperatorEnded: another operator may lead, or a part that must not end has ended; the pod is to be restarted.
    """
    _cancel_on_signal(asyncio.current_task())
    with contextlib.suppress(asyncio.CancelledError):
        async with _running(settings) as parts:
            ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            raise OperatorEnded(_why(ended))
    logger.info("stopped")


def _cancel_on_signal(task: asyncio.Task[None] | None) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        logger.info("stopping")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: None)
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


@contextlib.asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Everything started in order of need and ended in reverse: the watch and the loop first, the connections last."""
    clock, recorder = SteadyClock(), Recorder(settings.record_snapshots)
    metrics = Metrics(per_partition=settings.metrics_per_partition)
    registry = Registry(clock, on_forget=lambda gone: _forget(gone, metrics, recorder))
    async with contextlib.AsyncExitStack() as stack:
        api = await connect(settings.kubeconfig)
        stack.push_async_callback(api.close)
        elector = _elector(settings, api)
        leadership = elector or Alone()
        election = [await stack.enter_async_context(_electing(elector))] if elector else []
        events = EventRecorder(api, settings.instance, may_post=leadership.may_write)
        stack.push_async_callback(events.close)
        source = PollingProcess()
        await source.start()
        stack.push_async_callback(source.stop)
        resources = Resources(api, settings.namespaces)
        scale, status = _writers(api, elector)
        quotas = QuotaKeeper(registry, *_upstream(api, source, status, elector), events, settings.allowances(), clock)
        reconciler = Reconciler(
            registry, clock, scale, Rivals(api), Pods(api), resources, status, events, metrics, recorder, quotas
        )
        resolver = Resolver(
            registry, Secrets(api), Connections(api), settings.permissions(), settings.own_namespace, clock
        )
        fleet = Fleet(registry, source, reconciler, resources, metrics, clock, resolver)
        health = Health(
            registry, fleet, clock, lambda: _exposition(metrics, source, registry, events, leadership), recorder,
            lambda: elector.silent_seconds() if elector and elector.is_standby else None,
            SafeRates(registry, LookUps(resources, clock), clock).routes(),
        )
        runner = await health.serve(settings.http_port)
        stack.push_async_callback(runner.cleanup)
        if elector:
            await _leading(elector, *election)
        await _first_list(registry, resources)
        loop = await stack.enter_async_context(_looping(fleet))
        watch = await stack.enter_async_context(_watching(registry, settings, api))
        logger.info("watching", extra={"resources": len(registry), "namespaces": settings.namespaces or "all"})
        yield [loop, watch, *election]


def _elector(settings: Settings, api: ApiClient) -> Elector | None:
    """None where no lease is named: this is the only operator. The identity is no other process's, ever."""
    if not settings.lease_name:
        return None
    timing = Timing()
    lease = LeaseClient(api, settings.own_namespace, settings.lease_name, timing.write_seconds)
    return Elector(lease, Election(f"{settings.instance}_{uuid.uuid4().hex[:8]}", timing))


def _writers(api: ApiClient, elector: Elector | None) -> tuple[ScaleAccess, StatusAccess]:
    scale, status = ScaleClient(api), StatusWriter(api)
    return (LedScale(scale, elector), LedStatus(status, elector)) if elector else (scale, status)


def _upstream(
    api: ApiClient, source: PollingProcess, status: StatusAccess, elector: Elector | None
) -> tuple[QuotaAccess, StatusAccess, FinalizerAccess]:
    finalizers = Finalizers(api, FINALIZER)
    if elector is None:
        return source, status, finalizers
    return LedQuotas(source, elector), status, LedFinalizers(finalizers, elector)


@contextlib.asynccontextmanager
async def _electing(elector: Elector) -> AsyncIterator[asyncio.Task[None]]:
    """The election goes on until all that writes has ended; then the lease is let go."""
    election = asyncio.create_task(elector.run(), name="election")
    try:
        yield election
    finally:
        election.cancel()
        await asyncio.wait([election])
        await elector.release()


async def _leading(elector: Elector, election: asyncio.Task[None]) -> None:
    """Wait as a standby, without asking Kafka anything. Raises OperatorEnded when the election ended."""
    led = asyncio.create_task(elector.led(), name="led")
    try:
        await asyncio.wait([led, election], return_when=asyncio.FIRST_COMPLETED)
    finally:
        led.cancel()
    if election.done():
        raise OperatorEnded(_why({election}))


def _why(ended: set[asyncio.Task[None]]) -> str:
    """A lost lease says so itself; any other part should not have ended."""
    lost = [problem for part in ended if isinstance(problem := part.exception(), LeadershipLost)]
    return str(lost[0]) if lost else f"the {', '.join(sorted(part.get_name() for part in ended))} ended by itself"


async def _first_list(registry: Registry, resources: Resources) -> None:
    """The loop begins with all that there is, so that the oldest of two resources on one target is known as such."""
    while isinstance(bodies := await resources.listed(), Unknown):
        logger.warning("resources not listed", extra={"problem": bodies.why})
        await asyncio.sleep(FIRST_LIST_PAUSE_SECONDS)
    registry.replace(bodies)


@contextlib.asynccontextmanager
async def _watching(registry: Registry, settings: Settings, api: ApiClient) -> AsyncIterator[asyncio.Task[None]]:
    """Kopf in a thread of its own: at its end it cancels every task of its event loop, and it takes the signals."""
    stop = threading.Event()
    arguments: dict[str, Any] = {
        "registry": handlers_of(registry, asyncio.get_running_loop(), api.configuration),
        "settings": settings_of(),
        "standalone": True,
        "clusterwide": not settings.namespaces,
        "namespaces": settings.namespaces,
        "stop_flag": stop,
    }
    watch = asyncio.create_task(asyncio.to_thread(kopf.run, **arguments), name="watch")
    try:
        yield watch
    finally:
        stop.set()
        await _ended(watch)


@contextlib.asynccontextmanager
async def _looping(fleet: Fleet) -> AsyncIterator[asyncio.Task[None]]:
    loop = asyncio.create_task(fleet.run(), name="loop")
    try:
        yield loop
    finally:
        loop.cancel()
        await _ended(loop)


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a task to end, not forever, and tell of an end that was not asked for."""
    done, _ = await asyncio.wait([task], timeout=STOP_SECONDS)
    if not done:
        task.cancel()
    elif not task.cancelled() and (problem := task.exception()):
        logger.error("%s ended: %s", task.get_name(), problem)


def _forget(gone: Watched, metrics: Metrics, recorder: Recorder) -> None:
    metrics.forget(gone.namespace, gone.name)
    recorder.forget(gone.uid)


def _exposition(
    metrics: Metrics, source: PollingProcess, registry: Registry, events: EventRecorder, leadership: Elector | Alone
) -> bytes:
    metrics.set_leadership(leadership.may_write(), leadership.transitions)
    metrics.set_events_waiting(events.kept)
    metrics.set_polling_process(source.restarts, source.recycles)
    metrics.set_resources(len(registry))
    return metrics.exposition()
