"""A run as a text table: one line per change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.verdict import Abstain, Verdict
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.wild.play import Played
from kafka_consumer_scaler.simulation.wild.world import Topic, World

MESSAGE = 110


def table(played: Played, verbose: bool = False) -> str:
    """Time, true age and lag, replicas, decision and findings: for each change, or for every poll if `verbose`."""
    return "\n".join([f"{'time':>6} {'age':>6} {'lag':>9} {'repl':>4} {'ready':>5}  decision", *_lines(played, verbose),
                      _summary(played)])


def _lines(played: Played, verbose: bool) -> Iterator[str]:
    before: tuple[object, ...] | None = None
    for at, verdict in played.verdicts:
        second = int(at) - 1
        found = ",".join(str(each.reason) for each in verdict.findings)
        now = (int(played.replicas[second]), str(verdict.decision.reason), found)
        if verbose or now != before:
            message = verdict.message if verbose else verdict.message[:MESSAGE]
            yield (f"{at:6.0f} {played.age[second]:6.0f} {played.lag[second]:9.0f} {now[0]:4d} "
                   f"{played.ready[second]:5d}  {_decision(verdict)}  [{found}]  {message}")
        before = now


def _decision(verdict: Verdict) -> str:
    decision = verdict.decision
    if isinstance(decision, Abstain):
        return f"Abstain {decision.reason}"
    return f"{type(decision).__name__} {decision.replicas} {decision.reason}"


def _summary(played: Played) -> str:
    by_others = len(played.changes) - len(played.ours)
    return (f"{played.world.name} seed {played.world.seed}: {len(played.ours)} changes"
            f"{f', {by_others} by others' if by_others else ''}, {played.seconds_over} s over "
            f"{played.world.policy.lag_seconds:.0f} s, oldest {played.age.max():.0f} s, mean replicas "
            f"{played.replicas.mean():.2f}, last {played.replicas[-1]}, lost {played.records_lost:.0f}; "
            f"findings {', '.join(sorted(played.findings())) or 'none'}")


def described(world: World) -> str:
    """The world in a few lines: everything that differs from the defaults."""
    topics = [f"{topic.name}: {topic.partitions} partitions, {max(topic.arrival[1:]):.3g} records/s at most, mean "
              f"{sum(topic.arrival) / len(topic.arrival):.3g}, read by {topic.reader or 'nobody'}"
              f"{_more(topic, ('delay_seconds', 'trailing', 'offsets'))}" for topic in world.topics]
    more = _more(world, ("outside_members", "reported_states", "stuck", "extra_pods", "resets", "pending",
                         "record_seconds", "assignor"))
    plant = {each.name: getattr(world.plant, each.name) for each in fields(PlantSpec)
             if getattr(world.plant, each.name) != each.default}
    policy = {each.name: getattr(world.policy, each.name) for each in fields(Policy)
              if getattr(world.policy, each.name) != each.default}
    return "\n".join([*topics, f"plant {plant}", f"policy {policy}", f"world of {world.seconds} s{more}"])


def _more(of: World | Topic, names: tuple[str, ...]) -> str:
    return "".join(f", {name} {str(getattr(of, name))[:200]}" for name in names if getattr(of, name))
