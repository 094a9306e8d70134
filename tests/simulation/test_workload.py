"""Each family keeps its promise for many seeds, and traces are read or refused."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kafka_consumer_scaler.simulation.plant import PlantSpec
from kafka_consumer_scaler.simulation.workload import FAMILIES, Workload, trace, workload

SEEDS = range(16)
NOISE = 1.031
"""Noise of 3% on both sides."""


def smooth(load: Workload) -> NDArray[np.float64]:
    return np.array(load.arrival)


def stretches(mask: NDArray[np.bool_]) -> list[tuple[bool, int]]:
    """Row of (value, seconds)."""
    return [(key, len(list(same))) for key, same in groupby(mask.tolist())]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_workload_follows_from_family_and_seed(family: str) -> None:
    assert workload(family, 3) == workload(family, 3)
    assert workload(family, 3).arrival != workload(family, 4).arrival
    assert (workload(family, 3).name, workload(family, 3).seed) == (family, 3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", SEEDS)
def test_twelve_consumers_can_hold_the_load(family: str, seed: int) -> None:
    load = workload(family, seed)
    assert len(load.arrival) == (7200 if family == "idle-to-zero" else 3600)
    assert min(load.arrival) >= 0
    assert max(load.arrival) <= (1400 * NOISE if family == "flash-sale" else 1200)
    assert load.plant.partitions == 12
    assert load.min_replicas == (0 if family == "idle-to-zero" else 1)
    assert 1 <= load.plant.initial_replicas <= 12


@pytest.mark.parametrize("seed", SEEDS)
def test_steady_stays_within_five_per_cent(seed: int) -> None:
    levels = smooth(workload("steady", seed))
    assert levels.max() / levels.min() <= 1.05 / 0.95 + 1e-4
    assert levels.max() > levels.min()


@pytest.mark.parametrize("seed", SEEDS)
def test_step_goes_up_three_to_eight_times_and_down_again(seed: int) -> None:
    levels = smooth(workload("step", seed))
    base, top = np.median(levels[:600]), levels.max()
    assert 3 / NOISE**2 <= top / base <= 8 * NOISE**2
    (_, before), (_, high), (_, after) = stretches(levels > (base + top) / 2)
    assert 600 <= before < 1200
    assert 900 <= high < 1500
    assert after > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_ramp_takes_ten_minutes_or_more_each_way(seed: int) -> None:
    levels = smooth(workload("ramp", seed))
    assert levels[-1] < 210
    assert levels[0] < 210
    assert levels.max() > 580
    above = np.flatnonzero(levels > 220)
    assert above[-1] - above[0] > 1000
    assert np.abs(np.diff(levels)).max() < 30


@pytest.mark.parametrize("seed", SEEDS)
def test_spikes_last_one_to_four_minutes_every_five_to_fifteen(seed: int) -> None:
    spiking = stretches(smooth(workload("spike-train", seed)) > 300)
    spikes = [seconds for is_spike, seconds in spiking[1:-1] if is_spike]
    assert len(spikes) + 1 >= 3
    assert all(60 <= seconds < 240 for seconds in spikes)
    assert all(60 <= seconds < 900 for is_spike, seconds in spiking[1:-1] if not is_spike)


@pytest.mark.parametrize("seed", SEEDS)
def test_diurnal_has_one_high_and_one_low(seed: int) -> None:
    levels = smooth(workload("diurnal", seed))
    wave = np.abs(np.fft.rfft(levels - levels.mean()))
    assert wave.argmax() == 1
    assert levels.max() / levels.min() > 2.5
    day = np.convolve(np.concatenate([levels, levels]), np.ones(600) / 600, "valid")[:3600]
    noise = (levels / np.roll(day, 300))[:3300] - 1
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] > 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_slow_consumers_lose_a_third_to_two_thirds_and_recover(seed: int) -> None:
    load = workload("slow-consumers", seed)
    (start, factor), (back, healed) = load.plant.capacity_changes
    assert (0.4 <= factor <= 0.7, healed, 900 <= start < back <= 3000) == (True, 1.0, True)
    assert max(load.arrival) <= 12 * 100 * factor
    assert max(load.arrival) <= 440 * NOISE


def test_hot_partitions_are_now_too_much_for_one_consumer_and_now_barely_not() -> None:
    used = []
    for seed in SEEDS:
        load = workload("hot-partition", seed)
        weights = sorted(load.plant.weights)
        assert weights[:11] == [1.0] * 11
        assert 3 <= weights[11] <= 6
        used.append(float(np.percentile(load.arrival, 99)) * weights[11] / (weights[11] + 11) / 100)
    assert all(0.8 < share < 1.3 for share in used)
    assert 2 < sum(share > 1.0 for share in used) < 14


@pytest.mark.parametrize("seed", SEEDS)
def test_the_downstream_is_passed_by_the_peak_and_drains_after_it(seed: int) -> None:
    load = workload("downstream-limit", seed)
    limit = load.plant.downstream_limit
    assert limit is not None
    assert 480 <= sum(level > limit for level in load.arrival) < 900
    assert np.median(load.arrival[:600]) < limit
    assert load.arrival[-1] < limit


def test_outages_are_of_both_kinds_and_nothing_that_was_kept_back_is_gone() -> None:
    kinds = set()
    for seed in SEEDS:
        load = workload("outage-burst", seed)
        kinds.add(bool(load.plant.outages))
        levels = smooth(load)
        if load.plant.outages:
            assert all(120 <= seconds < 300 for _, seconds in load.plant.outages)
            assert levels.max() / levels.min() < NOISE**2 / 0.93
        else:
            assert 120 <= np.count_nonzero(levels == 0) < 300
            assert levels.sum() == pytest.approx(3600 * np.median(levels), rel=0.06)
    assert kinds == {True, False}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flash_sale_is_twenty_times_the_load_in_ten_seconds(seed: int) -> None:
    levels = smooth(workload("flash-sale", seed))
    base, top = np.median(levels[:600]), int(levels.argmax())
    assert levels[top] / base == pytest.approx(20, rel=0.08)
    start = int(np.flatnonzero(levels > 1.5 * base)[0])
    assert levels[start + 10] > 15 * base
    assert levels[start + 900] < 4 * base


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_starts_with_hundreds_of_thousands_of_records(seed: int) -> None:
    assert 100_000 <= workload("replay-earliest", seed).plant.initial_lag < 400_000


@pytest.mark.parametrize("seed", SEEDS)
def test_idle_to_zero_stops_twice_for_ten_minutes_or_more_and_returns(seed: int) -> None:
    idle = stretches(smooth(workload("idle-to-zero", seed)) == 0)
    assert [is_idle for is_idle, _ in idle] == [False, True, False, True, False]
    assert all(600 <= seconds < 1800 for is_idle, seconds in idle if is_idle)


def test_an_unknown_family_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="no workload 'gusts'; there are steady, step"):
        workload("gusts", 1)


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_trace_is_piecewise_constant_and_ends_a_step_after_the_last_row(tmp_path: Path) -> None:
    path = written(tmp_path, "seconds,records_per_second\n0,200\n3,900.5\n5,0\n")
    assert trace(path) == (200, 200, 200, 900.5, 900.5, 0)


def test_a_trace_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffseconds, records_per_second\r\n0, 10\r\n\r\n1.5, 20\r\n3, 30\r\n")
    assert trace(path) == (10, 10, 20, 30)


@pytest.mark.parametrize(("text", "complaint"), [
    ("", "first line has to be seconds,records_per_second"),
    ("time,rate\n0,1\n", "first line has to be seconds,records_per_second"),
    ("seconds,records_per_second\n", "first row has to be at 0 seconds"),
    ("seconds,records_per_second\n5,1\n", "first row has to be at 0 seconds"),
    ("seconds,records_per_second\n0,1\n2,many\n", "row 3 is not two numbers: 2,many"),
    ("seconds,records_per_second\n0,1,2\n", "row 2 is not two numbers"),
    ("seconds,records_per_second\n0,1\n2,-1\n", "row 3: seconds must be"),
    ("seconds,records_per_second\n0,nan\n", "row 2: seconds must be"),
    ("seconds,records_per_second\n0,1\n1e12,1\n", "row 3: seconds must be"),
    ("seconds,records_per_second\n0,1\n5,1\n5,2\n", "row 4: 5 seconds do not come after 5"),
])
def test_a_bad_trace_is_refused_with_file_and_row(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        trace(written(tmp_path, text))
    assert str(refused.value).startswith(str(tmp_path / "trace.csv"))
    assert "\n" not in str(refused.value)


def test_a_trace_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv"):
        trace(tmp_path / "none.csv")


def test_the_default_plant_is_that_of_the_simulate_command() -> None:
    spec = PlantSpec()
    assert (spec.partitions, spec.capacity, spec.pod_start_seconds, spec.rebalance_seconds) == (12, 100, 15, 5)
    assert (spec.commit_seconds, spec.retention_seconds, spec.initial_replicas) == (5, 86400, 1)
