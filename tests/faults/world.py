"""The world: brokers, cluster, proxies, operators, consumers and load, in a network namespace of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

from tests.environment.plan import is_ready
from tests.faults import brokers, cluster, proxies, shop
from tests.faults.api import Api
from tests.faults.invariants import LEASE
from tests.faults.layout import BROKERS, HOST, Layout, direct_port
from tests.faults.load import Load
from tests.faults.operators import Onlooker, Operator
from tests.faults.programs import Program, WorldFailed, await_that
from tests.faults.record import Lifetime
from tests.faults.workload import Workload

START_SECONDS = 180.0
HEAL_SECONDS = 180.0


class World:
    """Everything that faults are injected into. `options` are more words for the operators' command line."""

    def __init__(self, layout: Layout, instances: tuple[str, ...], groups: tuple[shop.Group, ...] = shop.GROUPS,
                 options: tuple[str, ...] = ()) -> None:
        for folder in (layout.folder / "logs", layout.folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.layout = layout
        _make_certificates(layout, instances)
        self.api = Api(layout.pki)
        self.cluster = cluster.programs(layout)
        self.toxiproxy = proxies.program(layout)
        self.brokers = brokers.programs(layout)
        lease = LEASE if len(instances) > 1 else None
        self.operators = tuple(Operator(layout, name, 8081 + number, lease, options)
                               for number, name in enumerate(instances))
        self.groups = groups
        self.load = Load(groups)
        self.workload = Workload(self.api, {group.name: group.name for group in groups})
        self.onlooker = Onlooker(self.operators, (*(group.name for group in groups), shop.GHOST))
        self.lifetimes: list[Lifetime] = []
        self._admin: brokers.Admin | None = None

    @property
    def admin(self) -> brokers.Admin:
        """A client of the brokers; made when it is first asked for, since it connects at once."""
        self._admin = self._admin or brokers.Admin()
        return self._admin

    def up(self) -> None:
        """Start everything; raises WorldFailed."""
        for program in (*self.cluster.values(), self.toxiproxy, *self.brokers.values()):
            program.start()
        await_that(self.api.is_ready, "the API server ready", START_SECONDS)
        shop.make_cluster(self.api)
        proxies.make_all()
        self.await_brokers(START_SECONDS)
        self.admin.make_topics({group.name: group.partitions for group in self.groups})
        self.await_brokers(START_SECONDS)
        self.workload.start()
        self.load.start()
        for operator in self.operators:
            operator.start()
        self.onlooker.start()

    def down(self) -> None:
        """End the operators in peace; the namespace takes the rest with it."""
        self.onlooker.stop()
        for operator in self.operators:
            operator.kill(signal.SIGTERM)
        self.load.stop()
        self.workload.stop()

    def await_brokers(self, seconds: float = HEAL_SECONDS) -> None:
        """Return once every broker listens, and every partition has all of its replicas in sync."""
        for number in BROKERS:
            await_that(partial(is_ready, f"tcp:{HOST}:{direct_port(number)}"), f"broker {number}", seconds)
        await_that(self.admin.is_whole, f"{len(BROKERS)} brokers in sync", seconds)

    def await_api(self) -> None:
        """Return once the API server answers."""
        await_that(self.api.is_ready, "the API server ready", HEAL_SECONDS)

    def make(self, name: str, group: shop.Group, replicas: int) -> None:
        """A fresh scaler; the one of that name is deleted."""
        self.remove(name)
        uid = shop.make(self.api, name, group, replicas)
        self.lifetimes.append(Lifetime(name, uid, time.time(), None))

    def remove(self, name: str) -> None:
        """Delete a scaler."""
        shop.remove(self.api, name)
        now = time.time()
        self.lifetimes = [one.ended(now) if one.scaler == name else one for one in self.lifetimes]

    def programs(self) -> tuple[Program, ...]:
        """All that should run."""
        return (*self.cluster.values(), self.toxiproxy, *self.brokers.values(),
                *(operator.program for operator in self.operators))


def _make_certificates(layout: Layout, instances: tuple[str, ...]) -> None:
    behind = layout.folder / "certificates.clock"
    behind.write_text(f"-{2 * 86400}")
    library = str(layout.parts.wall_clock / "wall_clock.so")
    environment = {**os.environ, "LD_PRELOAD": library, "WALL_CLOCK_FILE": str(behind)}
    words = [sys.executable, "-m", "tests.faults.certificates", str(layout.pki), *instances]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise WorldFailed(f"no certificates: {done.stderr.strip()[-300:]}")
