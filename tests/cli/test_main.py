"""The command line: verbs, exit codes, errors in one line."""

from __future__ import annotations

import gc

import pytest

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.cli.run import YOUNG_OBJECTS
from kafka_consumer_scaler.control import wiring
from kafka_consumer_scaler.control.settings import Settings


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "run" in shown
    assert "crd" in shown


@pytest.mark.parametrize("words", [[], ["no-such-verb"], ["run", "--http-port", "many"], ["run", "--log-level", "x"]])
def test_bad_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "named"), [
    (["run", "--namespace", "Not_A_Name"], "--namespace 'Not_A_Name'"),
    (["run", "--http-port", "70000"], "--http-port 70000"),
])
def test_settings_that_make_no_sense_end_with_2_and_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert named in shown
    assert shown.count("\n") == 1


def test_a_cluster_that_cannot_be_configured_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["run", "--kubeconfig", "/does/not/exist"]) == 1
    assert "/does/not/exist" in capsys.readouterr().err


def test_collections_of_garbage_are_rare_and_leave_out_what_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    async def started(settings: Settings) -> None:
        seen.append((gc.get_freeze_count(), gc.get_threshold()[0]))

    monkeypatch.setattr(wiring, "run", started)
    before = gc.get_threshold()
    try:
        assert main(["run"]) == 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    frozen, young = seen[0]
    assert frozen > 10_000
    assert young == YOUNG_OBJECTS


def test_crd_prints_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crd"]) == 0
    assert "kind: CustomResourceDefinition" in capsys.readouterr().out
