"""What is found of five groups side by side, each with a trouble of its own, and after how many polls it is named.

Rates are records/s. A consumer that works 50 ms on a record does just under 20. What is usual is known after two
minutes of being caught up, so the troubles that rest on it begin then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.findings import USUAL_SECONDS_AT_LEAST
from tests.cluster.decided import Poll, first, polls_until
from tests.cluster.stories import Downstream, Plot, Polls, Story, Watch, keep, played, start_downstream
from tests.cluster.workload import Client, Workload
from tests.environment import Environment
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

RATES: dict[str, tuple[float, ...]] = {
    "spike": (10 / 12,) * 12,
    "slower": (12 / 6,) * 6,
    "nobody": (6 / 6,) * 6,
    "stuck": (6 / 6,) * 6,
    "few": (60 / 2,) * 2,
}
TROUBLES = {"spike": "ProducerSpike", "slower": "SlowConsumers", "nobody": "NoMembers", "stuck": "StuckPartition",
            "few": "AtPartitionLimit"}
POLL_SECONDS, CALM_SECONDS = 5, 20
NAMED_POLLS = 5
"""Three, as docs promise, and two for samples that a machine with much else to do took late. A window of a minute alone
would be twelve."""
MEMBERLESS_SECONDS, STUCK_SECONDS, LEARNED_SECONDS = 60, 60, 60
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


def play(watch: Watch, stories: dict[str, Story], service: Downstream, polls: Polls) -> None:
    """What happens to whom. It ends three polls after the last trouble is named."""
    nobody, spike, slower = (stories[name] for name in ("nobody", "spike", "slower"))
    eventually(lambda: all(story.backlog == "CaughtUp" for story in (nobody, spike, slower)), what="calm")
    watch.until(watch.seconds() + CALM_SECONDS)
    other = ("deployment/orders-consumer", "-n", nobody.workload.namespace)
    nobody.workload.kubectl("set", "env", *other, f"GROUP={nobody.workload.namespace}-other")
    watch.until(watch.seconds() + USUAL_SECONDS_AT_LEAST - CALM_SECONDS)
    eventually(lambda: polls(spike)[-1].usual_seconds >= USUAL_SECONDS_AT_LEAST, what="it is known what usually comes")
    eventually(lambda: polls(slower)[-1].usually_does is not None, what="it is known what a consumer usually does")
    spike.began_at = slower.began_at = time.time()
    spike.flow.rates = tuple(6 * rate for rate in spike.flow.rates)
    service.change("seconds 0.2")
    for name, trouble in TROUBLES.items():
        eventually(lambda name=name, trouble=trouble: stories[name].shows(trouble),  # type: ignore[misc]
                   what=f"{trouble} of {name}")
    watch.until(watch.seconds() + 3 * POLL_SECONDS)


@pytest.fixture(scope="module")
def stories(
    environment: Environment, operator: str, recording: Callable[[str], str], kubectl: Client, example_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Story]]:
    """All five at once, played to the end."""
    with played(Plot(RATES, deploy, scale, play), environment, kubectl, example_image, recording) as told:
        keep(told, recording, tmp_path_factory.mktemp("findings"))
        yield told


def found(story: Story) -> set[str]:
    """The findings that were ever conditions, and the bound that was named."""
    own = {"Ready", "MetricsAvailable", "AbleToScale", "ScalingLimited"}
    kinds = {each["type"] for look in story.looks for each in look.status.get("conditions", ())} - own
    return kinds | {reason for status, reason in story.conditions("ScalingLimited") if status == "True"}


def behind(story: Story) -> Poll:
    """The first poll after the trouble began at which the group was not caught up."""
    return first(story.polls, lambda poll: poll.at > story.began_at
                 and poll.verdict.backlog not in (Backlog.CAUGHT_UP, Backlog.UNKNOWN))


def polls_to_name(story: Story, trouble: str, since: float) -> float:
    """How many polls after a time it was named."""
    return polls_until(story.polls, since, lambda poll: poll.names(trouble))


def test_a_spike_is_named_within_three_polls_of_the_backlog(stories: dict[str, Story]) -> None:
    """10 arrive, and then 60."""
    spike = stories["spike"]
    assert found(spike) == {"ProducerSpike"}, spike.told()
    assert polls_to_name(spike, "ProducerSpike", spike.began_at) > 0, spike.told()
    assert polls_to_name(spike, "ProducerSpike", behind(spike).at) <= NAMED_POLLS, spike.told()


def test_slow_consumers_are_named_within_three_polls_of_the_backlog(stories: dict[str, Story]) -> None:
    """12 arrive; one consumer could do 30, and then less than 5."""
    slower = stories["slower"]
    assert found(slower) == {"SlowConsumers"}, slower.told()
    assert polls_to_name(slower, "SlowConsumers", slower.began_at) > 0, slower.told()
    assert polls_to_name(slower, "SlowConsumers", behind(slower).at) <= NAMED_POLLS, slower.told()


def test_an_empty_group_is_named_within_three_polls_of_the_objective(stories: dict[str, Story]) -> None:
    """The consumers join another group after half a minute of calm."""
    nobody = stories["nobody"]
    assert found(nobody) == {"NoMembers"}, nobody.told()
    left_at = first(nobody.polls, lambda poll: poll.members == 0).at
    assert polls_to_name(nobody, "NoMembers", left_at + MEMBERLESS_SECONDS) <= NAMED_POLLS, nobody.told()
    assert nobody.replicas == [1], nobody.told()


def test_a_stuck_partition_is_named_within_three_polls_of_a_minute(stories: dict[str, Story]) -> None:
    """One record a second arrives on each of six partitions, and those of one are never done.

    Until that is known, after a minute, its records are as old as any: one step up may come before, and none after.
    """
    stuck = stories["stuck"]
    assert found(stuck) == {"StuckPartition"}, stuck.told()
    known_at = stuck.polls[0].at + STUCK_SECONDS
    assert polls_to_name(stuck, "StuckPartition", known_at) <= NAMED_POLLS, stuck.told()
    assert stuck.replicas in ([1], [1, 2]), stuck.told()


def test_the_partition_limit_is_named_within_three_polls_of_a_busy_minute_and_not_exceeded(
    stories: dict[str, Story],
) -> None:
    """60 arrive on two partitions, and a consumer does 20, which is known once both were busy for a minute."""
    few = stories["few"]
    assert found(few) == {"AtPartitionLimit"}, few.told()
    both_at = first(few.polls, lambda poll: poll.members == 2).at
    assert polls_to_name(few, "AtPartitionLimit", both_at + LEARNED_SECONDS) <= NAMED_POLLS, few.told()
    assert max(few.replicas) == 2, few.told()
