"""Plants from YAML: what is read and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafka_consumer_scaler.simulation.plant import PlantSpec, load_plant, plant_spec


def test_keys_come_in_camel_case_and_in_snake_case() -> None:
    values = {"podStartSeconds": 30, "pod_start_jitter": 5, "capacityChanges": [[60, 0.5]], "downstreamLimit": None}
    assert plant_spec(values) == PlantSpec(pod_start_seconds=30, pod_start_jitter=5, capacity_changes=((60, 0.5),))


@pytest.mark.parametrize(("values", "complaint"), [
    ({"podstart": 1}, "podstart is not a field of the plant; there are partitions"),
    ({"partitions": 0}, "partitions is 0, at least 1"),
    ({"partitions": "many"}, "partitions: "),
    ({"capacity": float("nan")}, "capacity is nan"),
    ({"weights": [1, 2]}, "weights has 2 values for 12"),
    ({"partitions": 2, "weights": [1, 0]}, "weights holds a value that is not above 0"),
    ({"assignor": "fair"}, "assignor is 'fair', not one of cooperative-sticky"),
    ({"protocol": "new"}, "protocol is 'new'"),
    ({"pollGapChance": 1}, "poll_gap_chance is 1.0, at most 0.99"),
    ({"topics": 13}, "topics is 13, more than the 12"),
    ({"crashes": [[10]]}, "crashes.0"),
    ({"crashes": [[10, -1]]}, "crashes holds a negative"),
])
def test_a_bad_plant_is_refused_by_one_line_that_names_the_field(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        plant_spec(values)
    assert "\n" not in str(refused.value)


def test_a_file_is_read_and_an_empty_one_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text("partitions: 6\nassignor: range\noutages: [[10, 5]]\n")
    assert load_plant(path) == PlantSpec(partitions=6, assignor="range", outages=((10, 5),))
    path.write_text("")
    assert load_plant(path) == PlantSpec()


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", "partitions: -1\n"])
def test_a_bad_file_is_refused_by_one_line_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plant.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"plant\.yaml: ") as refused:
        load_plant(path)
    assert "\n" not in str(refused.value)
