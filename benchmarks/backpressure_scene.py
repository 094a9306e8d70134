"""The scene: three brokers, six partitions, consumers of 20 records/s, and producers that want twice what they do."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.faults import shop
from tests.faults.layout import BROKERS, NAMESPACE
from tests.faults.shop import Group

QUOTAS, SETTINGS, PACED, ENTRY = "quotas", "settings", "paced", "entry"
RUNS: Final = (QUOTAS, SETTINGS, PACED, ENTRY)
HELD: Final = (QUOTAS, SETTINGS)
"""By quotas at the brokers."""
JUDGED: Final = (SETTINGS, PACED, ENTRY)
"""By the goals; the first is told, to show what batches of 1 MB make of a small quota."""
TITLES: Final = {QUOTAS: "quotas, default settings", SETTINGS: "quotas, settings of the guide",
                 PACED: "paced producer", ENTRY: "HTTP service, 429"}
GUIDED: Final = {"batch.size": 32768, "linger.ms": 50}
"""A batch is what a broker takes in a tenth of a second."""
PARTITIONS, START_REPLICAS, MAX_REPLICAS = 6, 3, 10
SUSTAINABLE: Final = PARTITIONS * shop.CONSUMER_CAPACITY
"""Records/s: a seventh consumer would have no partition."""
ASKED: Final = 2 * SUSTAINABLE
RECORD_BYTES = 10_000
"""A default batch of librdkafka has 1 MB: a hundred of them, which is what one consumer does in 5 s."""
OBJECTIVE_SECONDS: Final = shop.LAG_SECONDS
RECOVERY_SECONDS = 120
RUN_SECONDS, DEFAULTS_SECONDS = 240.0, 300.0
"""The run with default settings is longer: its trouble grows with what waits."""
SETTLED_SECONDS = 150.0
"""From here on the group is to be under its objective: by then a recovery is over that began after half a minute."""
CLIENT_ID = "orders-web"
FLOOR_BYTES = 120_000
LEADING: Final = len(BROKERS)
"""All brokers lead partitions of the topic, so together they allow so many times what one is told."""


def seconds(name: str) -> float:
    """How long a run lasts."""
    return DEFAULTS_SECONDS if name == QUOTAS else RUN_SECONDS


def group(name: str) -> Group:
    """The topic, the consumers and the resource of one run."""
    return Group(name, PARTITIONS, 1, MAX_REPLICAS, ())


def scaler(name: str) -> dict[str, Any]:
    """The manifest."""
    manifest = shop.scaler(name, group(name))
    quotas = [{"clientId": CLIENT_ID, "minBytesPerSecond": FLOOR_BYTES}]
    backpressure = {"quotas": quotas} if name in HELD else {}
    manifest["spec"] |= {"recoverySeconds": RECOVERY_SECONDS, "backpressure": backpressure}
    return manifest


def allowance() -> tuple[str, ...]:
    """What the administrator allows, as words of the operator's command line."""
    return "--producer-quotas", json.dumps([{"namespaces": [NAMESPACE], "clientIds": [CLIENT_ID]}])
