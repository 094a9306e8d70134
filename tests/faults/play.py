"""A run: its episodes are played one after the other, and everything that was done becomes its record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from tests.faults import shop
from tests.faults.api import Refused
from tests.faults.fault import Fault
from tests.faults.invariants import SETTLE_SECONDS, bounds_of
from tests.faults.peace import CALM_SECONDS, Peace
from tests.faults.plan import KINDS, Episode, Planned
from tests.faults.programs import WorldFailed
from tests.faults.record import Injected, Record, Settled, look_of, was_known, writes_of
from tests.faults.shop import GHOST, GROUPS, Group
from tests.faults.world import World

PACE = (float(shop.UP_COOLDOWN_SECONDS), float(shop.DOWN_COOLDOWN_SECONDS), float(shop.DOWN_WINDOW_SECONDS),
        float(shop.POLLING_SECONDS))


class Run:
    """What was played in one world."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self.world, self._say = world, say
        self.faults: list[Injected] = []
        self.settled: list[Settled] = []
        self._broken: list[BaseException] = []

    def play(self, episode: Episode) -> None:
        """Faults in their lanes under load, then peace until what is right is there. Raises WorldFailed."""
        self._begin(episode)
        lanes = [threading.Thread(target=self._lane, args=(episode.number, lane)) for lane in episode.lanes.values()]
        turns = [threading.Timer(at, self._load, (episode, which)) for which, at in enumerate(episode.turns, start=1)]
        for thread in (*turns, *lanes):
            thread.start()
        for thread in (*lanes, *turns):
            thread.join()
        if self._broken:
            raise WorldFailed(f"episode {episode.number}: {self._broken[0]}") from self._broken[0]
        self._settle(episode)

    def record(self) -> Record:
        """Everything up to now."""
        world = self.world
        bounds = {group.name: bounds_of(group.least, group.most, group.partitions, PACE) for group in GROUPS}
        with world.layout.audit_log.open() as lines:
            writes = tuple(writes_of(lines))
        looks = [look_of(one) for operator in world.operators for one in operator.looks]
        return Record(
            users=tuple(operator.instance for operator in world.operators),
            bounds={**bounds, GHOST: bounds[GROUPS[1].name]}, faults=tuple(self.faults),
            lifetimes=tuple(world.lifetimes), writes=writes, looks=tuple(sorted(looks, key=lambda look: look.at)),
            seen=tuple(world.workload.seen()), settled=tuple(self.settled),
            starts={operator.instance: tuple(operator.starts) for operator in world.operators},
            kills={operator.instance: (*operator.kills, *operator.ends) for operator in world.operators},
        )  # fmt: skip

    def _begin(self, episode: Episode) -> None:
        """Fresh scalers, and replicas that are right for the load: what was learned before is forgotten."""
        for group in GROUPS:
            self.world.make(group.name, group, group.levels[episode.levels[group.name][0]][1])
        self._load(episode, 0)

    def _load(self, episode: Episode, which: int) -> None:
        for group in GROUPS:
            self.world.load.set(group.name, group.levels[episode.levels[group.name][which]][0])

    def _lane(self, episode: int, lane: tuple[Planned, ...]) -> None:
        try:
            for planned in lane:
                time.sleep(planned.pause)
                self._inject(episode, planned)
        except BaseException as error:
            self._broken.append(error)

    def _inject(self, episode: int, planned: Planned) -> None:
        fault: Fault = KINDS[planned.kind](self.world, Random(planned.seed))
        since = time.time()
        words = fault.inject()
        is_in = time.time()
        time.sleep(planned.seconds)
        until = time.time()
        fault.heal()
        self.faults.append(Injected(planned.kind, episode, is_in if fault.is_blind else since, until, time.time(),
                                    words, fault.is_blind))
        self._say(f"  {planned.kind}: {words}, {time.time() - since:.1f} s")

    def _settle(self, episode: Episode) -> None:
        """Wait until every group has had the replicas that are right for its last level, and they stayed."""
        peace = Peace(time.time())
        right = {group.name: group.levels[episode.levels[group.name][-1]][1] for group in GROUPS}
        until = peace.began + SETTLE_SECONDS + CALM_SECONDS
        while time.time() < until and any(peace.seconds(name) is None for name in right):
            time.sleep(0.5)
            for name, wanted in right.items():
                peace.see(name, self._is_right(name, wanted, peace.began), time.time())
        for group in GROUPS:
            self._note(episode, group, right[group.name], peace.seconds(group.name))

    def _is_right(self, name: str, wanted: int, since: float) -> bool:
        """The replicas are right, the lag was wholly known since, and the status is of the newest generation."""
        looks = (look_of(one) for operator in self.world.operators for one in reversed(operator.looks))
        if self.world.workload.replicas(name) != wanted or not was_known(looks, name, since):
            return False
        with suppress(OSError, Refused):
            found = shop.look(self.world.api)[name]
            return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])
        return False

    def _note(self, episode: Episode, group: Group, right: int, seconds: float | None) -> None:
        words = ""
        if seconds is None:
            with suppress(OSError, Refused, KeyError):
                found = shop.look(self.world.api)[group.name]
                status = found.get("status", {})
                words = (f"there are {self.world.workload.replicas(group.name)}; generation "
                         f"{status.get('observedGeneration')} of {found['metadata']['generation']}; "
                         f"{status.get('lastDecision')}")
        self.settled.append(Settled(episode.number, group.name, time.time(), right, seconds, words))
        after = "never" if seconds is None else f"after {seconds:.0f} s"
        self._say(f"  {group.name}: {right} {after}{words and f' ({words})'}")
