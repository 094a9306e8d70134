"""`simulate` through the command line: what it writes, and what it says of bad input."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.simulation.compare import OURS
from tests.cli.html import PageOf
from tests.docs.pages import page

FIGURES = {"lag_seconds_max", "seconds_over_objective", "lag_record_seconds", "replica_seconds", "scale_changes",
           "direction_reversals", "rebalance_seconds", "records_lost"}
SCALER = Path(__file__).parents[2] / "deploy" / "sample.yaml"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "morning.csv"
    file.write_text("seconds,records_per_second\n0,80\n120,350\n300,80\n420,80\n")
    return file


def simulate(folder: Path, *words: object) -> int:
    return main(["simulate", *map(str, words), "--output", str(folder)])


def summary(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())


def test_a_trace_leaves_a_summary_a_picture_and_a_table(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "here"
    assert simulate(out, "--trace", trace) == 0
    assert sorted(file.name for file in out.iterdir()) == ["morning.png", "report.html", "summary.json"]
    policies = summary(out)["policies"]
    assert list(policies) == [OURS, "keda", "keda-default", "flink", "static", "oracle"]
    assert {frozenset(figures) for figures in policies.values()} == {frozenset(FIGURES)}
    shown = capsys.readouterr()
    assert all(f"| {name}" in shown.out for name in policies)
    assert shown.err == ""


def test_the_chosen_threshold_is_told_beside_the_policies(trace: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path / "out", "--trace", trace, "--against", "keda") == 0
    thresholds = summary(tmp_path / "out")["thresholds"]
    assert list(thresholds) == ["keda"]
    assert thresholds["keda"]["lag_threshold"] >= 10


def test_the_same_seed_writes_the_same_bytes(trace: Path, tmp_path: Path) -> None:
    plant = tmp_path / "plant.yaml"
    plant.write_text("pollGapChance: 0.2\npodStartJitter: 20\n")
    words = ("--trace", trace, "--plant", plant, "--against", "keda-default,flink")
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        assert simulate(tmp_path / name, *words, "--seed", seed) == 0
    first, again, other = ((tmp_path / name / "summary.json").read_bytes() for name in "abc")
    assert first == again
    assert first != other
    for name in ("morning.png", "report.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_report_has_the_table_the_pictures_and_what_was_simulated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(tmp_path, "--family", "steady", "--family", "step", "--against", "keda-default") == 0
    report = PageOf((tmp_path / "report.html").read_text())
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()[2:]]
    assert sorted(report.rows) == sorted(cells[1:] for cells in shown)
    pictures = [base64.b64encode((tmp_path / f"{name}.png").read_bytes()).decode() for name in ("steady", "step")]
    assert report.values("img", "src") == [f"data:image/png;base64,{picture}" for picture in pictures]
    scaler, plant = (yaml.safe_load(text) for text in report.texts("pre")[:2])
    assert (scaler["maxReplicas"], plant["partitions"]) == (12, 12)
    assert report.remote() == []


def test_the_scaler_of_a_manifest_is_used(trace: Path, tmp_path: Path) -> None:
    manifest = yaml.safe_load(SCALER.read_text())
    manifest["spec"] |= {"minReplicas": 3, "maxReplicas": 3}
    (tmp_path / "scaler.yaml").write_text(yaml.safe_dump(manifest))
    assert simulate(tmp_path, "--trace", trace, "--scaler", SCALER, "--against", "static") == 0
    default = summary(tmp_path)
    assert simulate(tmp_path, "--trace", trace, "--against", "static") == 0
    assert summary(tmp_path) == default, "the default scaler is the sample manifest"
    assert simulate(tmp_path, "--trace", trace, "--scaler", tmp_path / "scaler.yaml", "--against", "static") == 0
    assert summary(tmp_path)["thresholds"] == {"static": {"replicas": 3}}


def test_families_leave_a_picture_each_and_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--family", "steady", "--family", "step", "--family", "steady", "--against", "keda-default")
    assert simulate(tmp_path, *words) == 0
    left = ["report.html", "steady.png", "step.png", "summary.json", "table.md"]
    assert sorted(file.name for file in tmp_path.iterdir()) == left
    families = summary(tmp_path)["families"]
    assert list(families) == ["steady", "step"]
    assert set(families["step"]["policies"]) == {OURS, "keda-default"}
    assert (tmp_path / "table.md").read_text() == capsys.readouterr().out


def test_the_trace_the_plant_and_the_commands_of_the_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (trace,), (plant,) = (page("docs/simulation.md").blocks(language) for language in ("csv", "yaml"))
    Path("trace.csv").write_text(trace)
    Path("plant.yaml").write_text(plant)
    first, second = (block.split() for block in page("docs/simulation.md").blocks("sh"))
    assert main([*first[1:], "--plant", "plant.yaml", "--against", "static"]) == 0
    assert sorted(file.name for file in Path("out").iterdir()) == ["report.html", "summary.json", "trace.png"]
    assert main([*second[1:], "--against", ""]) == 0
    assert Path("out", "hot-partition.png").is_file()


def test_ours_may_run_alone(trace: Path, tmp_path: Path) -> None:
    assert simulate(tmp_path / "out", "--trace", trace, "--against", "") == 0
    assert list(summary(tmp_path / "out")["policies"]) == [OURS]


@pytest.mark.parametrize("words", [[], ["--trace", "x", "--family", "step"], ["--trace", "x", "--seed", "one"],
                                   ["--trace", "x", "--seed", "-1"]])
def test_bad_usage_ends_with_2(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        simulate(tmp_path, *words)
    assert ended.value.code == 2


BAD: list[tuple[dict[str, str], list[str], str]] = [
    ({}, ["--trace", "none.csv"], "none.csv"),
    ({"t.csv": "seconds,records_per_second\n0,many\n"}, ["--trace", "t.csv"], "t.csv"),
    ({"t.csv": "seconds,records_per_second\n"}, ["--trace", "t.csv"], "t.csv"),
    ({"t.csv": "seconds,records_per_second\n0,1\n60,1\n", "p.yaml": "partitons: 3"},
     ["--trace", "t.csv", "--plant", "p.yaml"], "partitons"),
    ({"t.csv": "seconds,records_per_second\n0,1\n60,1\n", "p.yaml": "partitions: ["},
     ["--trace", "t.csv", "--plant", "p.yaml"], "p.yaml"),
    ({"s.yaml": "kind: Deployment"}, ["--trace", "t.csv", "--scaler", "s.yaml"], "no KafkaConsumerScaler"),
    ({"s.yaml": "apiVersion: kafka-consumer-scaler.dev/v1alpha1\nkind: KafkaConsumerScaler\nspec: {consumerGroup: 3}"},
     ["--trace", "t.csv", "--scaler", "s.yaml"], "spec."),
    ({"s.yaml": "a: b: c"}, ["--trace", "t.csv", "--scaler", "s.yaml"], "s.yaml"),
    ({}, ["--trace", "t.csv", "--scaler", "none.yaml"], "none.yaml"),
    ({}, ["--family", "no-such"], "no-such"),
    ({"p.yaml": ""}, ["--family", "step", "--plant", "p.yaml"], "--plant"),
    ({}, ["--family", "step", "--against", "keda,vpa"], "vpa"),
]


@pytest.mark.parametrize(("files", "words", "named"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_ends_with_2_and_one_line_that_names_it(
    files: Mapping[str, str], words: Sequence[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert simulate(tmp_path / "out", *words) == 2
    shown = capsys.readouterr().err
    assert named in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_ends_with_1(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(trace, "--trace", trace, "--against", "") == 1
    shown = capsys.readouterr().err
    assert str(trace) in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("missing", ["numpy", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(missing: str, trace: Path, tmp_path: Path) -> None:
    program = f"import sys; sys.modules['{missing}'] = None; from kafka_consumer_scaler.__main__ import main; " \
              "sys.exit(main(sys.argv[1:]))"
    words = ("simulate", "--trace", str(trace), "--against", "", "--output", str(tmp_path / "out"))
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.returncode == 1
    install = "pip install 'kafka-consumer-scaler[plots]'"
    assert done.stderr == f"kafka-consumer-scaler simulate: needs {missing}: {install}\n"
