"""What is decided about six groups side by side, each with a trouble of its own; the default manifest at short polls.

Rates are records/s. A consumer that works 50 ms on a record does just under 20.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from kafka_consumer_scaler.api.snapshots import Carried
from kafka_consumer_scaler.core.snapshot import Replicas
from kafka_consumer_scaler.core.verdict import ScaleTo
from tests.cluster.decided import commits, first, polls_until
from tests.cluster.stories import Downstream, Plot, Polls, Story, Watch, keep, played, start_downstream
from tests.cluster.traffic import Flow
from tests.cluster.workload import Client, Workload
from tests.environment import Environment
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.cluster

RATES: dict[str, tuple[float, ...]] = {
    "step": (10 / 12,) * 12,
    "hot": (26.0, 2.0, 2.0, 2.0, 2.0, 2.0),
    "bound": (45 / 6,) * 6,
    "slowed": (24 / 6,) * 6,
    "restarted": (36 / 6,) * 6,
    "lazy": (10 / 6,) * 6,
}
POLL_SECONDS, STEP_AT, SLOWED_AT = 5, 20, 30
WINDOW_SECONDS = 60
"""What a consumer can do is known by a window in which it was behind; and what a scale-up brought, once all joined."""
BEHIND_SECONDS = 20
"""A consumer that gets too much is behind by then."""
NAMED_POLLS = 5
"""Three that a law asks for, and two for samples that a machine with much else to do took late."""


def fivefold(flow: Flow) -> None:
    flow.rates = tuple(5 * rate for rate in flow.rates)


def back_to_a_fifth(flow: Flow) -> None:
    flow.rates = tuple(rate / 5 for rate in flow.rates)


def deploy(made: dict[str, Workload]) -> Downstream:
    """The consumers of each story; answers the service that will slow down."""
    limited = start_downstream(made["bound"], "--per-second", "30")
    slowed = start_downstream(made["slowed"], "--seconds", "0.02")
    made["step"].deploy(1, work_seconds=0.05)
    made["hot"].deploy(2, work_seconds=0.05)
    made["bound"].deploy(2, work_seconds=0.01, downstream=limited.address)
    made["slowed"].deploy(2, work_seconds=0.01, downstream=slowed.address)
    made["restarted"].deploy(3, work_seconds=0.05)
    made["lazy"].deploy(1, work_seconds=0.05, commit_interval=60)
    return slowed


def scale(made: dict[str, Workload]) -> None:
    """The default manifest, but for two: to see the step come and go, and a restart that could be mistaken, in minutes.

    The default scale-down window of 300 s is longer than all of the play: nothing could be taken away in it.
    """
    down = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "cooldownSeconds": 30}}}
    odd: dict[str, dict[str, Any]] = {"step": {"target": {"lagSeconds": 40}, **down}, "restarted": down}
    for name, workload in made.items():
        workload.plain_scaler(pollingIntervalSeconds=POLL_SECONDS, **odd.get(name, {}))


def play(watch: Watch, stories: dict[str, Story], slowed: Downstream, polls: Polls) -> None:
    """What happens to whom. It ends when all that must come has come."""
    step, bound, restarted, lazy = (stories[name] for name in ("step", "bound", "restarted", "lazy"))
    eventually(lambda: step.backlog == restarted.backlog == "CaughtUp", what="calm")
    calm_at = watch.seconds()
    watch.until(STEP_AT)
    step.began_at = time.time()
    fivefold(step.flow)
    watch.until(SLOWED_AT)
    slowed.change("seconds 0.16")
    watch.until(calm_at + WINDOW_SECONDS)
    rolled(restarted)
    watch.until(STEP_AT + WINDOW_SECONDS)
    eventually(lambda: step.replicas[-1] >= 3 and step.backlog == "CaughtUp", what="the step is climbed and drained")
    back_to_a_fifth(step.flow)
    eventually(lambda: step.replicas[-1] < max(step.replicas) and step.backlog == "CaughtUp", what="the step is left")
    eventually(lambda: bound.shows("IneffectiveScaling") and bound.replicas[-1] == 2, what="a scale-up is withdrawn")
    eventually(lambda: len(stories["slowed"].replicas) > 1 and stories["slowed"].replicas[-1] >= 4, what="help")
    eventually(lambda: stories["hot"].shows("HotPartition"), what="a hot partition")
    eventually(lambda: len(commits(polls(lazy))) >= 3, what="a whole interval between commits that were seen")
    eventually(lambda: polls(restarted)[-1].at > restarted.began_at + WINDOW_SECONDS, what="a window of calm")
    watch.until(watch.seconds() + 3 * POLL_SECONDS)


def rolled(story: Story) -> None:
    """All consumers are replaced, one after the other."""
    deployment = ("deployment/orders-consumer", "-n", story.workload.namespace)
    story.workload.kubectl("rollout", "restart", *deployment)
    story.workload.kubectl("rollout", "status", *deployment, PATIENCE)
    story.began_at = time.time()


@pytest.fixture(scope="module")
def stories(
    environment: Environment, operator: str, recording: Callable[[str], str], kubectl: Client, example_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Story]]:
    """All six at once, played to the end."""
    with played(Plot(RATES, deploy, scale, play), environment, kubectl, example_image, recording) as told:
        keep(told, recording, tmp_path_factory.mktemp("decisions"))
        yield told


def ups(replicas: list[int]) -> int:
    return sum(after > before for before, after in pairwise(replicas))


def test_a_fivefold_step_is_climbed_in_at_most_two_moves_drained_and_left_again_without_a_flap(
    stories: dict[str, Story]
) -> None:
    """50 records/s need 3 consumers of 20; 6 is the next step but one of 12 partitions."""
    step = stories["step"]
    assert {poll.look.replicas.spec for poll in step.polls
            if poll.at < step.began_at and isinstance(poll.look.replicas, Replicas)} == {1}, step.told()
    assert 3 <= max(step.replicas) <= 6, step.told()
    peak = step.replicas.index(max(step.replicas))
    assert ups(step.replicas[: peak + 1]) == peak <= 2, step.told()
    assert ups(step.replicas[peak:]) == 0, step.told()
    assert step.replicas[-1] < max(step.replicas), step.told()
    assert step.looks[-1].status["backlog"] == "CaughtUp", step.told()


def test_a_hot_partition_is_named_and_brings_no_replicas(stories: dict[str, Story]) -> None:
    """One partition gets 26 where a consumer does 20; the other five get 10 together."""
    hot = stories["hot"]
    assert ("True", "HotPartition") in hot.conditions("HotPartition"), hot.told()
    assert "HotPartition" in hot.reasons, hot.told()
    known_at = hot.polls[0].at + BEHIND_SECONDS + WINDOW_SECONDS
    assert polls_until(hot.polls, known_at, lambda poll: poll.names("HotPartition")) <= NAMED_POLLS, hot.told()
    assert hot.replicas == [2], hot.told()


def test_a_scale_up_that_a_downstream_limit_defeats_is_withdrawn_and_not_tried_again(stories: dict[str, Story]) -> None:
    """45 arrive, and what the consumers call answers 30 whoever asks."""
    bound = stories["bound"]
    assert bound.replicas[0] == bound.replicas[-1] == 2, bound.told()
    assert len(bound.replicas) == 3, bound.told()
    assert "IneffectiveScaling" in bound.reasons, bound.told()
    assert ("True", "IneffectiveScaling") in bound.conditions("IneffectiveScaling"), bound.told()
    joined_at = first(bound.polls, lambda poll: poll.members == max(bound.replicas)).at
    named = polls_until(bound.polls, joined_at + WINDOW_SECONDS, lambda poll: poll.names("IneffectiveScaling"))
    assert named <= NAMED_POLLS, bound.told()


def test_consumers_that_slow_down_are_learned_anew_and_get_help(stories: dict[str, Story]) -> None:
    """24 arrive; two consumers could do 30 each, and later about 6: four keep up, six catch up."""
    slowed = stories["slowed"]
    assert slowed.capacities()[-1] < 8, slowed.told()
    assert max(slowed.capacities()) > 1.25 * slowed.capacities()[-1], slowed.told()
    assert slowed.replicas[0] == 2, slowed.told()
    assert slowed.replicas == sorted(slowed.replicas), slowed.told()
    assert slowed.replicas[-1] >= 4, slowed.told()


def test_a_rolling_restart_moves_nothing(stories: dict[str, Story]) -> None:
    """36 arrive, and three consumers of 20 keep up; two do not. Before and after, a whole window passes in calm."""
    restarted = stories["restarted"]
    assert restarted.replicas == [3], restarted.told()
    assert {"ScaledUp", "ScaledDown"}.isdisjoint(restarted.reasons), restarted.told()


def test_a_group_that_commits_once_a_minute_is_neither_stalled_nor_scaled(stories: dict[str, Story]) -> None:
    """10 arrive and one consumer does 20: the lag that grows for a minute is only not yet committed.

    How often it commits can be known from its second commit on.
    """
    lazy = stories["lazy"]
    assert lazy.replicas == [1], lazy.told()
    assert "Stalled" not in lazy.backlogs(), lazy.told()
    known = commits(lazy.polls)[1] + 3
    assert {str(poll.verdict.backlog) for poll in lazy.polls[known:]} == {"CaughtUp"}, lazy.told()
    assert "StuckPartition" not in lazy.reasons, lazy.told()


def test_what_the_operator_recorded_is_decided_again_word_for_word(stories: dict[str, Story]) -> None:
    """Each poll of a story is a recorded sample and what `replay` decides on it.

    The recording may end between the newest decision and its write.
    """
    for story in stories.values():
        carried = [poll.look.scaled.replicas for poll in story.polls if isinstance(poll.look.scaled, Carried)]
        decided = [poll.verdict.decision for poll in story.polls]
        if not isinstance(story.polls[-1].look.scaled, Carried):
            decided.pop()
        assert [each.replicas for each in decided if isinstance(each, ScaleTo)] == carried, story.told()
        assert set(story.changes) <= {poll.verdict.message for poll in story.polls}, story.told()
    assert len(stories["step"].changes) >= 2
