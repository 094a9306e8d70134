"""Kopf's side: it watches KafkaConsumerScalers and feeds the registry. It writes nothing and sets no finalizers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf
from kubernetes.aio.client.configuration import Configuration

from kafka_consumer_scaler.api.v1alpha1 import GROUP, PLURAL, VERSION
from kafka_consumer_scaler.control.registry import Registry

DELETED = "DELETED"
WATCH_SILENT_SECONDS = 70.0
"""The API server sends a bookmark once a minute, so a watch that says nothing for longer is dead."""
LOGIN_LIFETIME = timedelta(minutes=10)


def handlers_of(
    registry: Registry, loop: asyncio.AbstractEventLoop, configuration: Configuration
) -> kopf.OperatorRegistry:
    """A kopf registry whose only handlers log in and pass on what is seen, to the loop that owns `registry`."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(configuration)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)
    def seen(event: Mapping[str, Any], **_: Any) -> None:
        body = event["object"]
        if event.get("type") == DELETED:
            loop.call_soon_threadsafe(registry.drop, str(body["metadata"]["uid"]))
        else:
            loop.call_soon_threadsafe(registry.put, _plain(body))

    return handlers


def settings_of() -> kopf.OperatorSettings:
    """Watches that are renewed every five minutes, or once silent, requests that end, and nothing that writes."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.inactivity_timeout = WATCH_SILENT_SECONDS
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    return settings


async def _connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The same server and credentials as all other requests; a rotated token is picked up at every renewal.

    Kopf's own service-account login asks for `kubernetes.default.svc`, which needs a cluster DNS that answers.
    """
    if configuration.refresh_api_key_hook is not None:
        renewing = configuration.refresh_api_key_hook(configuration)
        if inspect.isawaitable(renewing):
            await renewing
    token = configuration.api_key.get("BearerToken", "").removeprefix("Bearer ").removeprefix("bearer ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
        expiration=datetime.now(UTC) + LOGIN_LIFETIME,
    )


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """The object itself, without the fields that are large and never asked for."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return {**body, "metadata": metadata}
