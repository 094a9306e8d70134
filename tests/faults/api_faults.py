"""Faults of the API server and etcd, of the connections to it, and of what it answers."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from tests.faults import proxies, shop
from tests.faults.api import Refused, compact_etcd, patiently
from tests.faults.fault import Fault, Lane
from tests.faults.layout import API_PROXY_PORT, OPERATOR_GROUP
from tests.faults.programs import WorldFailed, await_that

CONNECTION_SECONDS = 20.0
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"


class _OfProgram(Fault):
    lane = Lane.API
    program: ClassVar[str]

    def inject(self) -> str:
        self.world.cluster[self.program].kill()
        return self.program

    def heal(self) -> None:
        self.world.cluster[self.program].start()
        self.world.await_api()


class ApiServerKilled(_OfProgram):
    """The API server dies and comes back, with an empty watch cache."""

    kind, program = "api-server-killed", "kube-apiserver"


class EtcdKilled(_OfProgram):
    """etcd dies: the API server can neither read nor write."""

    kind, program = "etcd-killed", "etcd"


class ApiServerPaused(_OfProgram):
    """The API server stands still, with its connections open."""

    kind, program = "api-server-paused", "kube-apiserver"

    def inject(self) -> str:
        self.world.cluster[self.program].pause()
        return self.program

    def heal(self) -> None:
        self.world.cluster[self.program].resume()
        self.world.await_api()


class EtcdPaused(ApiServerPaused):
    """etcd stands still: requests hang."""

    kind, program = "etcd-paused", "etcd"


class ApiBlackHoled(Fault):
    """Requests and watches go silent."""

    kind, lane = "api-black-holed", Lane.API
    seconds = (3.0, 10.0)

    def inject(self) -> str:
        proxies.black_hole(proxies.API)
        return "both directions"

    def heal(self) -> None:
        proxies.heal(proxies.API)


class ApiSlow(ApiBlackHoled):
    """Every answer is late."""

    kind = "api-slow"

    def inject(self) -> str:
        milliseconds = self.random.randrange(300, 3000)
        proxies.slow_down(proxies.API, milliseconds)
        return f"{milliseconds} ms"


class ApiReset(ApiBlackHoled):
    """Every connection is reset, again and again: answers get lost after the deed is done."""

    kind = "api-reset"
    seconds = (2.0, 5.0)

    def inject(self) -> str:
        proxies.reset(proxies.API)
        return "reset"


class AnswersLost(Fault):
    """Answers are late, and every other second what is on its way gets lost: after the deed is done."""

    kind, lane = "answers-lost", Lane.API
    seconds = (5.0, 10.0)

    def inject(self) -> str:
        milliseconds = self.random.randrange(500, 1500)
        proxies.slow_down(proxies.API, milliseconds)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._lose, daemon=True)
        self._thread.start()
        return f"{milliseconds} ms late"

    def _lose(self) -> None:
        while not self._stopping.wait(self.random.uniform(1.0, 3.0)):
            proxies.cut(proxies.API, is_cut=True)
            proxies.cut(proxies.API, is_cut=False)

    def heal(self) -> None:
        self._stopping.set()
        self._thread.join(20)
        proxies.heal(proxies.API)


class WatchStalled(Fault):
    """All connections that are open now go silent for good, new ones work; meanwhile a scaler is changed."""

    kind, lane = "watch-stalled", Lane.API

    def inject(self) -> str:
        with suppress(WorldFailed):  # an operator that was killed a moment ago may not be back
            await_that(lambda: len(_client_ports()) > 1, "connections to stall", CONNECTION_SECONDS)
        self.rules = [_rule(side, port) for port in _client_ports() for side in ("--dport", "--sport")]
        for rule in self.rules:
            _iptables("-I", *rule)
        name = self.random.choice(shop.GROUPS).name
        change = {"spec": {"recoverySeconds": self.random.randrange(50, 70)}}
        patiently(lambda: self.world.api.patch(f"{shop.SCALERS}/{name}", change), "a change of a scaler")
        return f"{len(self.rules) // 2} connections, {name} changed"

    def heal(self) -> None:
        """The rules stay until the connections are long dead: nothing of them is ever heard again."""
        timer = threading.Timer(90, self._forget)
        timer.daemon = True
        timer.start()

    def _forget(self) -> None:
        for rule in self.rules:
            _iptables("-D", *rule)


def _client_ports() -> list[int]:
    """Ports of those who are connected to the API server's proxy."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(int(row[1].rpartition(":")[2], 16), int(row[2].rpartition(":")[2], 16), row[3]) for row in rows]
    return [own for own, other, state in ends if other == API_PROXY_PORT and state == "01"]


def _rule(side: str, port: int) -> tuple[str, ...]:
    return ("INPUT", "-p", "tcp", side, str(port), "-j", "DROP")


def _iptables(*words: str) -> None:
    subprocess.run(["iptables", "-w", *words], check=False, capture_output=True)


class Forbidden(Fault):
    """The operators' role is unbound, and bound again."""

    kind, lane = "forbidden", Lane.API
    seconds = (3.0, 10.0)

    def inject(self) -> str:
        self.world.api.delete(shop.BINDING)
        return "role unbound"

    def heal(self) -> None:
        shop.bind(self.world.api)


class Conflict(Fault):
    """Somebody else writes the targets and the scalers all the time."""

    kind, lane = "conflict", Lane.API

    def inject(self) -> str:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        return "a writer of annotations"

    def _write(self) -> None:
        paths = [f"{kind}/{group.name}" for group in shop.GROUPS for kind in (shop.DEPLOYMENTS, shop.SCALERS)]
        number = 0
        while not self._stopping.wait(0.02):
            number += 1
            with suppress(OSError, Refused):
                annotations = {"metadata": {"annotations": {"harness/number": str(number)}}}
                self.world.api.patch(paths[number % len(paths)], annotations)

    def heal(self) -> None:
        self._stopping.set()
        self._thread.join(20)


class WatchExpired(Fault):
    """While nobody can watch, a scaler is deleted and the past is forgotten: the watch begins with a 410."""

    kind, lane = "watch-expired", Lane.API
    seconds = (0.5, 2.0)

    def inject(self) -> str:
        group = shop.GROUPS[1]
        self.world.make(shop.GHOST, group, group.least)
        time.sleep(self.random.uniform(1.0, 4.0))
        proxies.cut(proxies.API, is_cut=True)
        self.world.remove(shop.GHOST)
        self._touch_all()
        revision = patiently(compact_etcd, "compaction")
        self.world.cluster["kube-apiserver"].kill()
        self.world.cluster["kube-apiserver"].start()
        return f"{shop.GHOST} deleted, compacted at {revision}"

    def _touch_all(self) -> None:
        for group in shop.GROUPS:
            change = {"metadata": {"annotations": {"harness/touched": str(time.time())}}}
            path = f"{shop.SCALERS}/{group.name}"
            patiently(partial(self.world.api.patch, path, change), path)

    def heal(self) -> None:
        self.world.await_api()
        proxies.cut(proxies.API, is_cut=False)


class ScalerDeleted(Fault):
    """A scaler that may be about to scale its target is deleted."""

    kind, lane = "scaler-deleted", Lane.API
    seconds = (1.0, 3.0)

    def inject(self) -> str:
        group = shop.GROUPS[1]
        self.world.make(shop.GHOST, group, group.least)
        time.sleep(self.random.uniform(0.0, 4.0))
        self.world.remove(shop.GHOST)
        return shop.GHOST

    def heal(self) -> None:
        """There is nothing to heal."""


class TooManyRequests(Fault):
    """The API server's priority and fairness has no seat for the operators: 429 with Retry-After."""

    kind, lane = "too-many-requests", Lane.API
    seconds = (3.0, 8.0)

    def inject(self) -> str:
        for path, manifest in _jail().items():
            self.world.api.ensure(path, manifest)
        return "no seats"

    def heal(self) -> None:
        for path in _jail():
            self.world.api.delete(path)


def _jail() -> dict[str, dict[str, Any]]:
    """A priority level without a seat, and the flow schema that sends all that the operators ask there."""
    version, metadata = "flowcontrol.apiserver.k8s.io/v1", {"name": "no-seats"}
    limited = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
               "limitResponse": {"type": "Reject"}}
    anything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    subject = {"kind": "Group", "group": {"name": OPERATOR_GROUP}}
    level = {"apiVersion": version, "kind": "PriorityLevelConfiguration", "metadata": metadata,
             "spec": {"type": "Limited", "limited": limited}}
    flow = {"apiVersion": version, "kind": "FlowSchema", "metadata": metadata,
            "spec": {"matchingPrecedence": 2, "priorityLevelConfiguration": {"name": "no-seats"},
                     "rules": [{"subjects": [subject], "resourceRules": [anything]}]}}
    return {f"{FLOW}/prioritylevelconfigurations/no-seats": level, f"{FLOW}/flowschemas/no-seats": flow}


API_FAULTS: tuple[type[Fault], ...] = (
    ApiServerKilled, EtcdKilled, ApiServerPaused, EtcdPaused, ApiBlackHoled, ApiSlow, ApiReset, AnswersLost,
    WatchStalled, Forbidden, Conflict, WatchExpired, ScalerDeleted, TooManyRequests,
)
