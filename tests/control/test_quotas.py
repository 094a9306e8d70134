"""The keeper of quotas: what is asked, written, set and said, and that it may end at any step."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from kafka_consumer_scaler.api.upstream import leases_from_status
from kafka_consumer_scaler.api.v1alpha1 import FINALIZER
from kafka_consumer_scaler.control.allowances import Allowances
from kafka_consumer_scaler.control.quotas import QuotaKeeper, with_trouble
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.throttle import Quota, Throttle
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas
from tests.control.fakes import Brokers, Outside, resource
from tests.waiting import until

VIRTUAL_TIME = True
T = TypeVar("T")
WEB, SHOP = Entity(client_id="web"), Entity(user="shop")
KAFKA = Connection("kafka:9092")
ALLOWED = json.dumps([{"namespaces": ["shop"], "clientIds": ["web"], "users": ["shop"]}])
ONE = {"quotas": [{"clientId": "web", "minBytesPerSecond": 10}]}
TWO = {"quotas": [*ONE["quotas"], {"user": "shop", "minBytesPerSecond": 10}]}


class Ends(BaseException):
    """The operator ends here."""


@dataclass
class World:
    """What outlives an operator: the resource as the API server has it, and the brokers' quotas.

    Each change of it is counted; at the one numbered `ends_at` the operator ends, before or after it.
    """

    brokers: Brokers = field(default_factory=Brokers)
    body: dict[str, Any] = field(default_factory=lambda: resource(backpressure=ONE))
    outside: Outside = field(default_factory=Outside)
    refuses: Unknown | None = None
    ends_at: int = 0
    is_after: bool = False
    changes: int = 0
    messages: list[str] = field(default_factory=list)

    async def _changed(self, change: Callable[[], Awaitable[T]]) -> T:
        self.changes += 1
        if self.changes == self.ends_at and not self.is_after:
            raise Ends
        done = await change()
        if self.changes == self.ends_at:
            raise Ends
        return done

    async def write(self, resource: Mapping[str, Any], status: Mapping[str, Any]) -> Unknown | None:
        async def change() -> Unknown | None:
            self.body = self.body if self.refuses else {**self.body, "status": status}
            return self.refuses
        return await self._changed(change)

    async def hold(self, resource: Mapping[str, Any]) -> Unknown | None:
        return await self._changed(lambda: self._listed([FINALIZER]))

    async def let_go(self, resource: Mapping[str, Any]) -> Unknown | None:
        return await self._changed(lambda: self._listed([]))

    async def _listed(self, finalizers: list[str]) -> None:
        self.body = {**self.body, "metadata": {**self.body["metadata"], "finalizers": finalizers}}

    async def quotas(self, connection: Connection, entities: Sequence[Entity], deadline: float) -> Quotas | Unknown:
        return await self.brokers.quotas(connection, entities, deadline)

    async def change_quotas(
        self, connection: Connection, changes: Sequence[Change], deadline: float
    ) -> dict[Entity, Before]:
        return await self._changed(lambda: self.brokers.change_quotas(connection, changes, deadline))

    async def post(self, regarding: Mapping[str, Any], event: Any, related: object) -> None:
        self.messages.append(event.message)
        await self.outside.post(regarding, event, None)

    @property
    def status(self) -> Mapping[str, Any]:
        return self.body.get("status") or {}

    @property
    def finalizers(self) -> list[str]:
        return list(self.body["metadata"].get("finalizers") or ())

    def delete(self) -> None:
        stamp = {"deletionTimestamp": "2026-01-02T00:00:00Z", "generation": self.body["metadata"]["generation"] + 1}
        self.body = {**self.body, "metadata": {**self.body["metadata"], **stamp}}


class Operator:
    """One that knows of the world what the API server tells."""

    def __init__(self, world: World, allowed: str = ALLOWED) -> None:
        self.world, self.registry = world, Registry(world.outside)
        self.registry.put(world.body)
        self.keeper = QuotaKeeper(self.registry, world, world, world, world, Allowances.parse(allowed), world.outside)
        for watched in self.registry.all():
            self.registry.connect(watched, KAFKA)
            self.watched = watched

    def see(self) -> None:
        """The watch tells of the resource as it is."""
        self.registry.put(self.world.body)

    async def hold(self, rates: Mapping[Entity, int], steps: int = 3) -> None:
        """Producers are to be held to that, and so many steps are taken."""
        quotas = tuple(Quota(one.client_id, one.user, rate) for one, rate in rates.items())
        subject = self.watched.subject
        assert subject is not None
        throttle = Throttle(sum(rates.values()), quotas, is_at_floor=False, because="") if rates else None
        self.watched.upstream.wanted = None
        self.keeper.want(self.watched, subject, throttle)
        await self.steps(steps)

    async def steps(self, number: int = 3) -> None:
        await self.keeper.stop()
        for _ in range(number):
            await self.keeper.step(self.watched)


def is_clean(world: World) -> bool:
    return not leases_from_status(world.status) and world.finalizers == []


async def test_a_lease_is_written_down_set_seen_and_put_back() -> None:
    world = World(Brokers({WEB: 1000}))
    operator = Operator(world)
    await operator.hold({WEB: 500})
    assert world.brokers.rates == {WEB: 500}
    assert world.finalizers == [FINALIZER]
    [told] = world.status["quotaLeases"]
    assert (told["clientId"], told["previousBytesPerSecond"], told["bytesPerSecond"], told["isSeen"]) == (
        "web", 1000, 500, True)
    await operator.hold({WEB: 300})
    assert world.brokers.rates == {WEB: 300}
    await operator.hold({})
    assert world.brokers.rates == {WEB: 1000}
    assert is_clean(world)
    assert world.outside.posted == []


@pytest.mark.parametrize("before", [{}, {WEB: 1000, SHOP: 900}], ids=["none before", "some before"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("becomes", ["goes on", "is deleted", "is paused", "asks for none"])
async def test_wherever_an_operator_ends_the_next_one_puts_back_what_was_before(
    before: dict[Entity, int], is_after: bool, becomes: str
) -> None:
    """Every change of the status, the finalizer and the brokers, of a lease's whole life, is the last one once."""
    ends_at, is_over = 0, False
    while not is_over:
        ends_at += 1
        world = World(Brokers(dict(before)), resource(backpressure=TWO), ends_at=ends_at, is_after=is_after)
        is_over = not await _ended(world)
        await _taken_over(world, becomes)
        assert world.brokers.rates == before, ends_at
        assert is_clean(world), ends_at
        assert Reason.QUOTA_CHANGED not in world.outside.posted, ends_at
    assert ends_at > 10


async def _ended(world: World) -> bool:
    """Whether the operator ended in the life of a lease: begun, lowered, raised, over."""
    operator = Operator(world)
    try:
        for rate in (500, 300, 400):
            await operator.hold({WEB: rate, SHOP: rate})
        await operator.hold({})
    except Ends:
        return True
    return False


async def _taken_over(world: World, becomes: str) -> None:
    world.ends_at = 0
    if becomes == "is deleted":
        if FINALIZER not in world.finalizers:
            assert not leases_from_status(world.status), "it would be gone, with its lease"
            return
        world.delete()
    if becomes in ("is paused", "asks for none"):
        change = {"paused": True} if becomes == "is paused" else {"backpressure": None}
        metadata = {**world.body["metadata"], "generation": 2}
        world.body = {**world.body, "spec": {**world.body["spec"], **change}, "metadata": metadata}
    operator = Operator(world)
    await operator.steps(2)
    if becomes == "goes on":
        await operator.hold({WEB: 300, SHOP: 300})
        assert world.brokers.rates == {WEB: 300, SHOP: 300}
        await operator.hold({})
    await operator.steps()


async def test_the_next_operator_holds_what_stands_until_it_has_looked_at_the_group() -> None:
    world = World()
    await Operator(world).hold({WEB: 500})
    successor = Operator(world)
    assert successor.watched.upstream.is_usable, "the core goes on with the quotas that it remembers"
    await successor.steps()
    assert world.brokers.rates == {WEB: 500}


@pytest.mark.parametrize("found", [700, None])
async def test_what_somebody_else_changed_is_left_alone_until_the_resource_is_changed(found: int | None) -> None:
    world = World(Brokers({WEB: 1000}))
    operator = Operator(world)
    await operator.hold({WEB: 500})
    world.brokers.rates = {} if found is None else {WEB: found}
    await operator.steps()
    await operator.hold({WEB: 400})
    assert world.brokers.rates == ({} if found is None else {WEB: found})
    assert is_clean(world)
    assert world.outside.posted == [Reason.QUOTA_CHANGED]
    assert "before the operator set it, it was 1,000 bytes/s" in world.messages[0].lower()
    subject = operator.watched.subject
    assert subject is not None
    assert operator.keeper.policy_of(operator.watched, subject).quotas == ()
    world.body = {**world.body, "metadata": {**world.body["metadata"], "generation": 2}}
    operator.see()
    await operator.hold({WEB: 400})
    assert world.brokers.rates == {WEB: 400}


async def test_one_look_at_a_broker_that_lags_behind_gives_nothing_up() -> None:
    world = World()
    operator = Operator(world)
    await operator.hold({WEB: 500})
    world.brokers.rates = {}
    await operator.steps(1)
    world.brokers.rates = {WEB: 500}
    await operator.steps(1)
    assert leases_from_status(world.status)
    assert world.outside.posted == []


async def test_a_lease_given_up_stays_given_up_for_the_next_operator() -> None:
    world = World()
    operator = Operator(world)
    await operator.hold({WEB: 500})
    world.brokers.rates = {WEB: 700}
    await operator.steps()
    subject = operator.watched.subject
    assert subject is not None
    verdict = decide(subject.policy, operator.watched.history, Replicas(1, 1), Memory(), world.outside.now())
    (condition,) = (each for each in with_trouble(verdict, operator.watched).conditions
                    if each.type is Reason.QUOTA_CHANGED)
    told = {"type": "QuotaChanged", "status": "True", "message": condition.message, "observedGeneration": 1}
    world.body = {**world.body, "status": {"conditions": [told]}}
    successor = Operator(world)
    await successor.hold({WEB: 400})
    assert world.brokers.rates == {WEB: 700}
    assert world.outside.posted == [Reason.QUOTA_CHANGED]


class TestWhatIsInTheWay:
    """Scaling goes on, nothing is set, and it is said once."""

    @pytest.mark.parametrize(("allowed", "words"), [("", "are off"), ("[]", "may not slow down client-id web")])
    async def test_what_the_administrator_did_not_allow_is_not_even_asked_about(self, allowed: str, words: str) -> None:
        world = World()
        operator = Operator(world, allowed)
        await operator.hold({WEB: 500})
        assert world.brokers.asked == 0
        assert world.changes == 0
        assert world.outside.posted == [Reason.QUOTA_NOT_PERMITTED]
        assert words in world.messages[0]

    async def test_a_quota_that_would_have_no_effect_is_reported_and_not_set(self) -> None:
        world = World(Brokers(overridden_by="the quota of any user"))
        operator = Operator(world)
        await operator.hold({WEB: 500})
        assert world.brokers.told == []
        assert world.outside.posted == [Reason.QUOTA_WITHOUT_EFFECT]
        assert not operator.watched.upstream.is_usable
        world.brokers.overridden_by = ""
        await operator.hold({WEB: 500})
        assert world.brokers.rates == {WEB: 500}

    async def test_one_entry_that_cannot_be_held_back_keeps_all_from_it(self) -> None:
        world = World(body=resource(backpressure=TWO))
        allowed = json.dumps([{"namespaces": ["shop"], "clientIds": ["web"]}])
        await Operator(world, allowed).hold({WEB: 500, SHOP: 500})
        assert world.brokers.rates == {}

    async def test_a_missing_right_is_a_condition_before_it_is_needed(self) -> None:
        world = World(Brokers(refusal=Unknown("kafka-acls.sh --add", Reason.QUOTA_REFUSED)))
        operator = Operator(world)
        await operator.steps(1)
        assert world.outside.posted == [Reason.QUOTA_REFUSED]
        subject = operator.watched.subject
        assert subject is not None
        verdict = decide(subject.policy, operator.watched.history, Replicas(1, 1), Memory(), world.outside.now())
        last = with_trouble(verdict, operator.watched).conditions[-1]
        assert (last.type, last.status, last.message) == (Reason.QUOTA_REFUSED, True, "kafka-acls.sh --add")

    async def test_brokers_out_of_reach_are_told_of_only_while_a_lease_stands_and_tried_again(self) -> None:
        world = World()
        operator, silence = Operator(world), Unknown("nobody answers", Reason.BROKERS_UNREACHABLE)
        world.brokers.refusal = silence
        await operator.steps(2)
        assert world.outside.posted == []
        world.brokers.refusal = None
        await operator.hold({WEB: 500})
        world.brokers.refusal = silence
        world.delete()
        operator.see()
        await operator.steps(3)
        assert world.outside.posted == [Reason.QUOTA_REFUSED]
        assert "the quota of client-id web stays until this is over" in world.messages[0]
        assert world.finalizers == [FINALIZER]
        world.brokers.refusal = None
        await operator.steps(2)
        assert (world.brokers.rates, is_clean(world)) == ({}, True)

    async def test_without_a_lease_in_the_status_no_broker_is_told_anything(self) -> None:
        world = World(refuses=Unknown("out of reach", Reason.API_SERVER_UNREACHABLE))
        await Operator(world).hold({WEB: 500})
        assert world.brokers.told == []

    async def test_a_lease_written_by_hand_of_what_is_not_allowed_is_not_acted_upon(self) -> None:
        world = World(Brokers({Entity(client_id="victim"): 500}))
        forged = {"clientId": "victim", "bytesPerSecond": 500, "isSeen": True, "clusterId": "cluster-1",
                  "since": "2026-01-01T00:00:00Z"}
        world.body = {**world.body, "status": {"quotaLeases": [forged]}}
        await Operator(world).steps()
        assert world.brokers.told == []
        assert is_clean(world)
        assert world.outside.posted == [Reason.QUOTA_NOT_PERMITTED]

    async def test_a_lease_of_another_cluster_is_not_looked_for_at_this_one(self) -> None:
        world = World()
        await Operator(world).hold({WEB: 500})
        world.brokers.cluster = "cluster-2"
        await Operator(world).steps()
        assert world.outside.posted == [Reason.QUOTA_CHANGED]
        assert "cluster-1" in world.messages[0]


async def test_a_resource_that_moves_to_another_cluster_puts_back_what_it_set_at_the_first() -> None:
    world, elsewhere = World(), Connection("other:9092")
    operator = Operator(world)
    await operator.hold({WEB: 500})
    operator.registry.connect(operator.watched, elsewhere)
    await operator.hold({WEB: 500}, steps=1)
    assert world.brokers.rates == {}
    assert is_clean(world)


async def test_two_resources_do_not_hold_back_the_same_producers() -> None:
    world = World()
    operator = Operator(world)
    await operator.hold({WEB: 500})
    operator.keeper.follow()
    operator.registry.put(resource("other", "u2", backpressure=ONE))
    (other,) = (each for each in operator.registry.all() if each.uid == "u2")
    operator.registry.connect(other, KAFKA)
    assert other.subject is not None
    other.upstream.wanted = {WEB: 100}
    await operator.keeper.step(other)
    assert world.brokers.rates == {WEB: 500}
    assert other.upstream.trouble is not None
    assert other.upstream.trouble.why == "client-id web is already held back by KafkaConsumerScaler shop/orders"
    await operator.keeper.stop()


async def test_who_only_advises_asks_no_broker() -> None:
    world = World(body=resource(backpressure=ONE, mode="Advisory"))
    operator = Operator(world)
    await operator.hold({WEB: 500})
    assert world.brokers.asked == 0
    subject = operator.watched.subject
    assert subject is not None
    assert operator.keeper.policy_of(operator.watched, subject).quotas, "what would be set is reported"


async def test_a_task_for_each_resource_with_quotas_which_ends_with_them() -> None:
    world = World()
    operator = Operator(world)
    operator.keeper.follow()
    await until(lambda: operator.watched.upstream.is_usable)
    world.body = {**world.body, "spec": {**world.body["spec"], "backpressure": None},
                  "metadata": {**world.body["metadata"], "generation": 2}}
    operator.see()
    await until(lambda: not operator.keeper._kept)
    operator.keeper.follow()
    assert not operator.keeper._kept


def test_a_deleted_resource_with_a_lease_is_kept_and_is_no_rival_and_in_no_poll() -> None:
    world = World()
    world.body["metadata"]["finalizers"] = [FINALIZER]
    operator = Operator(world)
    world.delete()
    operator.see()
    assert operator.watched in operator.registry
    assert operator.registry.of(KAFKA) == ()
    younger = resource("younger", "u2", created="2026-02-01T00:00:00Z")
    operator.registry.put(younger)
    (second,) = (each for each in operator.registry.all() if each.uid == "u2")
    assert isinstance(second, Watched)
    assert second.subject is not None
    assert operator.registry.older_rival(second, second.subject.target) is None
    world.body["metadata"]["finalizers"] = []
    operator.see()
    assert operator.watched not in operator.registry
