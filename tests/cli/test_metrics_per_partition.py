"""The setting that shows lag by partition: flag, variable, and a word that is neither true nor false."""

from __future__ import annotations

import argparse

import pytest

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.cli import run
from kafka_consumer_scaler.control.settings import Settings

VARIABLE = "KCS_METRICS_PER_PARTITION"


def settings(*words: str) -> Settings:
    parser = argparse.ArgumentParser()
    run.add_parser(parser.add_subparsers())
    return run._settings(parser.parse_args(["run", *words]))


@pytest.mark.parametrize(("variable", "words", "shown"), [
    (None, [], False),
    (None, ["--metrics-per-partition"], True),
    ("true", [], True),
    ("False", [], False),
    ("false", ["--metrics-per-partition"], True),
])
def test_lag_is_shown_by_partition_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, words: list[str], shown: bool
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    assert settings(*words).metrics_per_partition is shown


def test_another_word_ends_with_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "maybe\n")
    assert main(["run"]) == 2
    shown = capsys.readouterr().err
    assert VARIABLE in shown
    assert shown.count("\n") == 1
