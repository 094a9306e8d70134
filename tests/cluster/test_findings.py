"""What is found of five groups side by side, each with a trouble of its own, and how soon it is named.

Rates are records/s. A consumer that works 50 ms on a record does just under 20. What is usual is known after two
minutes of being caught up, so the troubles that are told by it begin after 140 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.stories import Downstream, Plot, Story, Watch, keep, played, start_downstream
from tests.cluster.workload import Client, Workload
from tests.environment import Environment

pytestmark = pytest.mark.cluster

RATES: dict[str, tuple[float, ...]] = {
    "spike": (10 / 12,) * 12,
    "slower": (12 / 6,) * 6,
    "nobody": (6 / 6,) * 6,
    "stuck": (6 / 6,) * 6,
    "few": (60 / 2,) * 2,
}
LEFT_AT, TROUBLE_AT, END_AT = 20, 140, 205
POLL_SECONDS = 5
THREE_POLLS = 3 * POLL_SECONDS
LOOKS = 10
"""Two looks of the test itself, and as much again for a machine with more to do than cores."""
MEMBERLESS_SECONDS, STUCK_SECONDS, LEARNED_SECONDS = 30, 60, 60
"""How long the core asks for that evidence; see docs/how-it-decides.md."""


def deploy(made: dict[str, Workload]) -> Downstream:
    """The consumers of each story; answers the service that will slow down."""
    service = start_downstream(made["slower"], "--seconds", "0.02")
    made["spike"].deploy(1, work_seconds=0.05)
    made["slower"].deploy(1, work_seconds=0.01, downstream=service.address)
    made["nobody"].deploy(1, work_seconds=0.05)
    made["stuck"].deploy(1, work_seconds=0.05, stuck_partition="3")
    made["few"].deploy(1, work_seconds=0.05)
    return service


def scale(made: dict[str, Workload]) -> None:
    """The default manifest at short polls."""
    for workload in made.values():
        workload.plain_scaler(pollingIntervalSeconds=POLL_SECONDS)


def play(watch: Watch, stories: dict[str, Story], service: Downstream, kubectl: Client) -> None:
    """What happens when, to whom."""
    watch.until(LEFT_AT)
    other = ("deployment/orders-consumer", "-n", stories["nobody"].workload.namespace)
    kubectl("set", "env", *other, f"GROUP={stories['nobody'].workload.namespace}-other")
    kubectl("rollout", "status", *other, "--timeout=90s")
    stories["nobody"].began_at = watch.seconds()
    watch.until(TROUBLE_AT)
    stories["spike"].flow.rates = tuple(6 * rate for rate in stories["spike"].flow.rates)
    service.change("seconds 0.2")
    watch.until(END_AT)


@pytest.fixture(scope="module")
def stories(
    environment: Environment, operator: str, recording: Callable[[str], str], kubectl: Client, example_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Story]]:
    """All five at once, played to the end."""
    with played(Plot(RATES, deploy, scale, play), environment, kubectl, example_image) as told:
        keep(told, recording, tmp_path_factory.mktemp("findings"))
        yield told


def found(story: Story) -> set[str]:
    """The findings that were ever conditions, and the bound that was named."""
    own = {"Ready", "MetricsAvailable", "AbleToScale", "ScalingLimited"}
    kinds = {each["type"] for look in story.looks for each in look.status.get("conditions", ())} - own
    return kinds | {reason for status, reason in story.conditions("ScalingLimited") if status == "True"}


def behind_at(story: Story) -> float:
    """When the group was first shown not to be caught up after the trouble began."""
    return next(look.seconds for look in story.looks
                if look.seconds >= TROUBLE_AT and look.status["backlog"] not in ("CaughtUp", "Unknown"))


def test_a_spike_is_named_within_three_polls_of_the_backlog(stories: dict[str, Story]) -> None:
    """10 arrive, and 60 from second 140 on."""
    spike = stories["spike"]
    assert found(spike) == {"ProducerSpike"}, spike.told()
    assert spike.named_at("ProducerSpike") - behind_at(spike) <= THREE_POLLS + LOOKS, spike.told()


def test_slow_consumers_are_named_within_three_polls_of_the_backlog(stories: dict[str, Story]) -> None:
    """12 arrive; one consumer could do 30, and less than 5 from second 140 on."""
    slower = stories["slower"]
    assert found(slower) == {"SlowConsumers"}, slower.told()
    assert slower.named_at("SlowConsumers") - behind_at(slower) <= THREE_POLLS + LOOKS, slower.told()


def test_an_empty_group_is_named_within_three_polls_of_half_a_minute(stories: dict[str, Story]) -> None:
    """The consumers join another group from second 20 on."""
    nobody = stories["nobody"]
    assert found(nobody) == {"NoMembers"}, nobody.told()
    assert nobody.named_at("NoMembers") - nobody.began_at <= MEMBERLESS_SECONDS + THREE_POLLS + LOOKS, nobody.told()
    assert nobody.replicas == [1], nobody.told()


def test_a_stuck_partition_is_named_within_three_polls_of_a_minute(stories: dict[str, Story]) -> None:
    """One record a second arrives on each of six partitions, and those of one are never done.

    Until that is known, after a minute, its records are as old as any: one step up may come before, and none after.
    """
    stuck = stories["stuck"]
    assert found(stuck) == {"StuckPartition"}, stuck.told()
    assert stuck.named_at("StuckPartition") <= STUCK_SECONDS + THREE_POLLS + LOOKS, stuck.told()
    assert stuck.replicas in ([1], [1, 2]), stuck.told()


def test_the_partition_limit_is_named_within_three_polls_of_a_busy_minute_and_not_exceeded(
    stories: dict[str, Story],
) -> None:
    """60 arrive on two partitions, and a consumer does 20, which is known once both were busy for a minute."""
    few = stories["few"]
    assert found(few) == {"AtPartitionLimit"}, few.told()
    both_at = next(look.seconds for look in few.looks if look.replicas == 2)
    assert few.bound_at("AtPartitionLimit") - both_at <= LEARNED_SECONDS + THREE_POLLS + LOOKS, few.told()
    assert max(few.replicas) == 2, few.told()
