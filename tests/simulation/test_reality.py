"""A run that is told as a real one would be: what is measured of it, and that the comparison finds what differs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import reality, reality_page, reality_scene
from benchmarks.cluster import BenchmarkFailed
from benchmarks.reality_figures import Comparison, compare
from benchmarks.reality_plant import Line, Watching, changes, decided_otherwise, lines_of, measured
from benchmarks.reality_run import RealRun, Told, load
from benchmarks.reality_stage import serves_all
from kafka_consumer_scaler.api.snapshots import Carried, Look, look_to_json
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.verdict import ScaleTo
from kafka_consumer_scaler.simulation.ours import DECIDED_LATER_SECONDS, KafkaConsumerScaler
from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.run import run
from kafka_consumer_scaler.simulation.scaler import Observation

BEGAN_AT = 1_790_000_000.0
PLANT = PlantSpec(capacity=49.0, pod_start_seconds=3.0, pod_start_jitter=1.0, rebalance_seconds=4.0)
LOOKS_AT = tuple(range(13, 600, 15))


class Recording(KafkaConsumerScaler):
    """The operator with its recording on."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.lines: list[str] = []

    def look(self, observation: Observation) -> int | None:
        wanted = super().look(observation)
        at = BEGAN_AT + observation.at
        decided_at = at + DECIDED_LATER_SECONDS
        is_carried = isinstance(self.verdicts[-1][1].decision, ScaleTo) and wanted is not None
        scaled = Carried(decided_at, wanted) if is_carried and wanted is not None else None
        look = Look(replace(observation.snapshot, at=at), observation.replicas, decided_at, scaled=scaled)
        self.lines.append(look_to_json(look))
        return wanted


def stamped(seconds: float, text: str) -> str:
    """A line as Kubernetes shows it."""
    at = datetime.fromtimestamp(BEGAN_AT + seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z {at:%H:%M:%S} {text}\n"


def logs_of(scaled_at: float) -> dict[str, str]:
    """One consumer, behind from 60 s on, that gives six partitions to two others."""
    old = [stamped(at, f"{rate} records/s, 9 in all, 12 partitions") for at, rate in
           ((-4.0, 0.0), (58.0, 40.0), (64.0, 44.0), (69.0, 48.8), (74.0, 49.2))]
    old.append(stamped(scaled_at + 6.0, "revoked 6 partitions: 6,7,8,9,10,11"))
    return {
        "orders-consumer-a": stamped(-5.0, "assigned 12 partitions: 0,1,2,3,4,5,6,7,8,9,10,11") + "".join(old),
        "orders-consumer-b": stamped(scaled_at + 3.0, "0.0 records/s, 0 in all, 0 partitions")
        + stamped(scaled_at + 3.5, "assigned 0 partitions: none")
        + stamped(scaled_at + 7.0, "assigned 3 partitions: 6,7,8"),
        "orders-consumer-c": stamped(scaled_at + 4.0, "0.0 records/s, 0 in all, 0 partitions")
        + stamped(scaled_at + 8.0, "assigned 3 partitions: 9,10,11"),
    }


def told_as_real(plant: PlantSpec = PLANT, seed: int = 3) -> RealRun:
    """A simulated run, told as a real one."""
    recording = Recording(reality_scene.policy())
    watching = Watching(recording, frozenset(LOOKS_AT))
    record = run(plant, reality_scene.arrival(), watching, seed)
    return RealRun(
        began_at=BEGAN_AT,
        samples=tuple(watching.samples[5:]),
        told=(Told(20.0, None), Told(40.0, 1.5)),
        logs=logs_of(scaled_at=record.scales[0][0] + DECIDED_LATER_SECONDS),
        recorded="\n".join(recording.lines) + "\n",
        machine="2 cores",
    )


@pytest.fixture(scope="module")
def real() -> RealRun:
    return told_as_real()


@pytest.fixture(scope="module")
def compared(real: RealRun) -> Comparison:
    return compare(real)


def test_the_scene_plays_the_default_manifest_and_a_fivefold_step() -> None:
    assert reality_scene.policy() == Policy(max_replicas=12)
    low, high, middle, end = (rate for rate, _ in reality_scene.TRACE)
    assert (high, end) == (5 * low, low)
    assert low < middle < high
    assert reality_scene.steps() == "40:60,200:90,100:120,40:330"
    assert sum(reality_scene.arrival()) == 40 * 60 + 200 * 90 + 100 * 120 + 40 * 330


def test_a_line_tells_its_time_its_rate_and_its_partitions() -> None:
    report, given = lines_of({"a": stamped(3.25, "49.8 records/s, 250 in all, 12 partitions")
                              + stamped(4.0, "assigned 2 partitions: 3,11")}, BEGAN_AT)  # fmt: skip
    assert report.at == pytest.approx(3.25)
    assert (report.rate, report.partitions("assigned")) == (49.8, frozenset())
    assert (given.rate, given.partitions("assigned")) == (None, frozenset({3, 11}))
    assert not given.partitions("revoked")
    assert not Line(0.0, "a", "12:00:00 assigned 0 partitions: none").partitions("assigned")


def test_changes_are_those_that_were_carried_out_at_the_time_of_their_writing(real: RealRun) -> None:
    first = changes(real)[0]
    assert first.before == 1
    assert first.at % 1 == pytest.approx(DECIDED_LATER_SECONDS)
    assert 60 < first.at < 91


def test_the_capacity_is_that_of_the_only_consumer_while_it_is_behind(real: RealRun) -> None:
    """The report at 64 s still holds a part of the time before the step."""
    assert measured(real).capacity == pytest.approx((48.8 + 49.2) / 2)


def test_starts_joins_and_standstills_are_measured_by_the_new_consumers_lines(real: RealRun) -> None:
    found = measured(real)
    assert found.pod_starts == pytest.approx((3.0, 4.0))
    assert found.joins == pytest.approx((4.0, 4.0))
    assert sorted(found.stills) == pytest.approx([1.0] * 3 + [2.0] * 3)
    assert found.looks_at == pytest.approx(LOOKS_AT)


def test_the_plant_is_made_of_what_was_measured_and_what_the_scene_fixes(real: RealRun) -> None:
    assert measured(real).plant() == replace(PLANT, assignor="cooperative-sticky", commit_seconds=5.0)


def test_a_run_without_a_scale_up_has_nothing_to_measure_by(real: RealRun) -> None:
    calm = "".join(f"{line}\n" for line in real.recorded.splitlines() if '"scaled": null' in line)
    idle = tuple(replace(sample, replicas_spec=1) for sample in real.samples)
    with pytest.raises(BenchmarkFailed, match="no scale-up"):
        reality.result(replace(real, recorded=calm, samples=idle), is_fresh=True)


def test_the_operator_that_does_what_it_decides_is_found_to(real: RealRun) -> None:
    assert decided_otherwise(real) == []


def test_a_change_that_decide_does_not_make_is_told_with_its_time(real: RealRun) -> None:
    carried = changes(real)[0]
    forged = real.recorded.replace(f'"to": {carried.after}', f'"to": {carried.after + 1}', 1)
    first = decided_otherwise(replace(real, recorded=forged))[0]
    assert first.startswith(f"at {carried.at:.0f} s: {carried.after + 1} was carried out, Scaled up from 1 to")


def test_consumers_that_somebody_else_scaled_too_are_no_comparison(real: RealRun) -> None:
    meddled = (*real.samples[:-1], replace(real.samples[-1], replicas_spec=11))
    with pytest.raises(ValueError, match=r"somebody else scaled the consumers: the replicas were \[1, 6, .*, 11\]"):
        compare(replace(real, samples=meddled))


def test_a_plant_is_like_itself(compared: Comparison) -> None:
    assert abs(compared.off_percent) < 1
    assert compared.alike == len(compared.simulated)
    assert all(goal.is_met for goal in compared.goals())


def test_a_real_run_of_slower_consumers_than_measured_is_found_out() -> None:
    found = compare(told_as_real(replace(PLANT, capacity=25.0)))
    assert found.off_percent < -20
    assert not reality.RealityResult(found, is_fresh=True).is_good


def test_simulated_runs_are_watched_from_the_same_second_on_as_the_real_one(compared: Comparison) -> None:
    assert {rows[0].seconds for rows in compared.simulated_rows} == {compared.rows[0].seconds} == {6.0}


def test_the_page_and_the_terminal_tell_the_same_figures(compared: Comparison) -> None:
    page, text = reality_page.page(compared), reality_page.text(compared)
    figures = [line for line in page.splitlines() if line.startswith("| replica")]
    assert len(figures) >= 2
    assert all(line in text for line in figures)
    assert f"{compared.figures.replica_seconds:,.0f}" in figures[0]
    assert "goal met: simulated replica-seconds" in text


def test_the_times_of_the_changes_are_told_side_by_side(compared: Comparison) -> None:
    rows = [cells for cells in reality_page.figure_rows(compared) if cells[0].endswith("replicas at")]
    assert len(rows) == len(compared.figures.counts) - 1
    assert {cells[3].lstrip("+-") for cells in rows} == {"0 s"}


def test_a_run_that_was_kept_is_the_same_run(real: RealRun, tmp_path: Path) -> None:
    real.save(tmp_path / "run.json")
    assert load(tmp_path / "run.json") == real


def test_a_run_that_was_kept_leaves_the_docs_as_they_are(
    compared: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reality, "RESULTS", tmp_path)
    before = reality.SECTION.page.read_bytes()
    file = reality.RealityResult(compared, is_fresh=False).write()
    assert json.loads(file.read_text())["real"]["replica_seconds"] == compared.figures.replica_seconds
    assert reality.SECTION.page.read_bytes() == before


def test_the_picture_is_drawn_alike_from_the_same_runs(compared: Comparison, tmp_path: Path) -> None:
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    reality_page.draw(compared, one)
    reality_page.draw(compared, two)
    assert one.read_bytes() == two.read_bytes()
    assert len(one.read_bytes()) > 20_000


@pytest.mark.parametrize(("arguments", "replicas", "is_served"), [
    (["run", "--http-port=8080"], 1, True),
    (["run", "--namespace=shop"], 1, False),
    (["run"], 0, False),
])  # fmt: skip
def test_an_operator_without_namespaces_serves_all(arguments: list[str], replicas: int, is_served: bool) -> None:
    pod = {"spec": {"containers": [{"args": arguments}]}}
    assert serves_all({"spec": {"replicas": replicas, "template": pod}}) is is_served

