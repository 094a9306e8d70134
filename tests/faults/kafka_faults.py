"""Faults of the brokers, and of the connections to them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import ClassVar

from tests.faults import proxies
from tests.faults.brokers import OFFSETS_TOPIC, Admin
from tests.faults.fault import Fault, Lane
from tests.faults.layout import BROKERS, DIRECT_SERVERS
from tests.faults.programs import WorldFailed
from tests.faults.shop import GROUPS


class _OfOneBroker(Fault):
    lane = Lane.KAFKA

    def choose(self) -> int:
        """Which broker it hits."""
        return self.random.choice(BROKERS)

    def inject(self) -> str:
        self.number = self.choose()
        self.hit()
        return f"broker {self.number}"

    def hit(self) -> None:
        """What is done to the broker."""
        self.world.brokers[self.number].kill()

    def heal(self) -> None:
        self.world.brokers[self.number].start()
        self.world.await_brokers()


class BrokerKilled(_OfOneBroker):
    """One of three dies and stays down for a while."""

    kind = "broker-killed"


class BrokerRestarted(_OfOneBroker):
    """One of three is shut down in peace and started at once."""

    kind = "broker-restarted"
    seconds = (0.0, 1.0)

    def hit(self) -> None:
        self.world.brokers[self.number].kill(signal.SIGTERM)
        self.world.brokers[self.number].start()


class BrokerPaused(_OfOneBroker):
    """One of three stands still, with its connections open."""

    kind = "broker-paused"
    seconds = (3.0, 8.0)

    def hit(self) -> None:
        self.world.brokers[self.number].pause()

    def heal(self) -> None:
        self.world.brokers[self.number].resume()
        self.world.await_brokers()


class CoordinatorKilled(_OfOneBroker):
    """The group's coordinator dies, so another broker loads the group."""

    kind = "coordinator-killed"

    def choose(self) -> int:
        return self.world.admin.coordinator(self.random.choice(GROUPS).name)


class LeadersMoved(Fault):
    """Every partition of a topic gets another leader."""

    kind = "leaders-moved"
    lane = Lane.KAFKA
    seconds = (1.0, 2.0)

    def choose(self) -> str:
        """Which topic's."""
        return self.random.choice(GROUPS).name

    def inject(self) -> str:
        topic, turn = self.choose(), self.random.randrange(1, len(BROKERS))
        move_leaders(self.world.admin, topic, turn, self.world.await_brokers)
        return f"{topic}, by {turn}"

    def heal(self) -> None:
        self.world.await_brokers()


class CoordinatorsMoved(LeadersMoved):
    """Every group gets another coordinator, while the one before goes on."""

    kind = "coordinators-moved"

    def choose(self) -> str:
        return OFFSETS_TOPIC


def move_leaders(admin: Admin, topic: str, turn: int, await_brokers: Callable[[], None]) -> None:
    """Make the next broker, or the one after it, the leader of each partition. Raises WorldFailed."""
    leaders = admin.leaders(topic)
    _move(topic, {number: _turned(leader + turn) for number, leader in leaders.items()}, await_brokers)


def _move(topic: str, replicas: dict[int, list[int]], await_brokers: Callable[[], None]) -> None:
    """The same replicas in another order, and then the first of them as leader."""
    from kafka import TopicPartition  # type: ignore[import-untyped]
    from kafka.admin import KafkaAdminClient  # type: ignore[import-untyped]

    client = KafkaAdminClient(bootstrap_servers=DIRECT_SERVERS, request_timeout_ms=10000)
    try:
        client.alter_partition_reassignments({TopicPartition(topic, n): each for n, each in replicas.items()})
        await_brokers()
        client.elect_leaders(0, {topic: list(replicas)}, raise_errors=False)
    except Exception as error:  # the library has no common class of errors
        raise WorldFailed(f"leaders of {topic} not moved: {error!r}") from error
    finally:
        client.close()


def _turned(first: int) -> list[int]:
    """All brokers, with another one in front: 5 is [2, 3, 1]."""
    return [(first - 1 + number) % len(BROKERS) + 1 for number in range(len(BROKERS))]


class _OfConnections(Fault):
    lane = Lane.KAFKA
    everywhere: ClassVar[bool] = True

    def inject(self) -> str:
        self.numbers = BROKERS if self.everywhere else (self.random.choice(BROKERS),)
        words = [self.hurt(proxies.broker(number)) for number in self.numbers]
        return f"brokers {', '.join(map(str, self.numbers))}: {words[0]}"

    def hurt(self, proxy: str) -> str:
        """What is done to one broker's connections."""
        proxies.black_hole(proxy)
        return "black-holed"

    def heal(self) -> None:
        for number in self.numbers:
            proxies.heal(proxies.broker(number))


class BrokerBlackHoled(_OfConnections):
    """Connections to one broker go silent."""

    kind = "broker-black-holed"
    everywhere = False
    seconds = (3.0, 8.0)


class BrokersBlackHoled(_OfConnections):
    """Connections to all brokers go silent, long enough to be reported."""

    kind = "brokers-black-holed"
    seconds = (12.0, 20.0)
    is_blind = True


class BrokersCut(_OfConnections):
    """No broker can be connected to."""

    kind = "brokers-cut"
    seconds = (4.0, 10.0)
    is_blind = True

    def hurt(self, proxy: str) -> str:
        proxies.cut(proxy, is_cut=True)
        return "cut"

    def heal(self) -> None:
        for number in self.numbers:
            proxies.cut(proxies.broker(number), is_cut=False)


class ConnectionsSlow(_OfConnections):
    """Answers of all brokers are late."""

    kind = "connections-slow"

    def inject(self) -> str:
        self.milliseconds = self.random.randrange(200, 3000)
        return super().inject()

    def hurt(self, proxy: str) -> str:
        proxies.slow_down(proxy, self.milliseconds)
        return f"{self.milliseconds} ms"


class ConnectionsReset(_OfConnections):
    """Every connection to a broker is reset, again and again."""

    kind = "connections-reset"

    def hurt(self, proxy: str) -> str:
        proxies.reset(proxy)
        return "reset"


KAFKA_FAULTS: tuple[type[Fault], ...] = (
    BrokerKilled, BrokerRestarted, BrokerPaused, CoordinatorKilled, LeadersMoved, CoordinatorsMoved, BrokerBlackHoled,
    BrokersBlackHoled, BrokersCut, ConnectionsSlow, ConnectionsReset,
)
