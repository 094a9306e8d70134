"""What `explain` makes of a resource, in whatever condition: text, JSON, YAML and HTML."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from kafka_consumer_scaler.__main__ import main
from kafka_consumer_scaler.api.conditions import timestamp
from kafka_consumer_scaler.cli.explain_output import Output
from kafka_consumer_scaler.cli.explain_text import standing_parts
from kafka_consumer_scaler.cli.foreign import runbook_of
from kafka_consumer_scaler.cli.hints import NEXT_STEPS
from kafka_consumer_scaler.cli.html import explain_page, scale_of
from kafka_consumer_scaler.cli.rendering import duration, print_explanation, print_findings, print_parts, rate, records
from kafka_consumer_scaler.cli.standing import standing_of
from kafka_consumer_scaler.core.findings import RULES
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.spoken import UNTIL
from tests.cli.html import PageOf
from tests.cli.standings import EVENTS, EXPLANATION, HELD, HOT, NOW, STATUS, condition, resource

FOREIGN = "[red]x[/red] \x1b[31m<b onclick='x'>\u202e\n\x00 注文 &amp;"
SHOWN = "[red]x[/red] \\x1b[31m<b onclick='x'>\\u202e\\n\\x00 注文 &amp;"


FOUR = Replicas(4, 4)


def standing(status: Any = STATUS, replicas: Replicas | Unknown = FOUR, events: Any = EVENTS,
             **spec: Any) -> dict[str, Any]:
    return standing_of(resource(status, **spec), replicas, events, NOW)


def shown(found: dict[str, Any], form: str = "text") -> str:
    file = io.StringIO()
    Output(form, None, file).show(found)
    return file.getvalue()


def test_the_first_line_tells_the_state_the_lag_its_age_and_the_replicas() -> None:
    first = shown(standing()).splitlines()[0]
    assert first == ("shop/orders: Behind - lag 12,400 records, growing; oldest 95 s of 60 s allowed; "
                     "replicas 4 -> 6 (1 to 12)")


@pytest.mark.parametrize(("replicas", "told"), [
    (Replicas(6, 5), "replicas 6 (1 to 12; 5 exist)"),
    (Replicas(4, 6), "replicas 4 -> 6 (1 to 12; 6 exist)"),
    (Unknown("no answer"), "replicas 4 -> 6 (1 to 12)"),
])
def test_the_replicas_are_those_of_the_target_now_or_else_those_the_operator_saw(
    replicas: Replicas | Unknown, told: str
) -> None:
    assert shown(standing(replicas=replicas)).splitlines()[0].endswith(told)


def test_a_lag_per_replica_is_told_as_the_objective() -> None:
    first = shown(standing(target={"lagPerReplica": 500})).splitlines()[0]
    assert "oldest 95 s, 500 records a replica allowed" in first


def test_every_sentence_partition_finding_advice_and_event_is_shown_in_order() -> None:
    text = shown(standing())
    advice = EXPLANATION["advice"][0]
    evidence, _, remedy = HOT.partition("; ")
    wanted = [STATUS["lastDecision"], *EXPLANATION["why"], *EXPLANATION["limits"], *EXPLANATION["otherwise"],
              f"HotPartition: {evidence}", f"do: {remedy}", "runbook: docs/runbooks/hot-partition.md",
              *(f"\n  {one['partition']} " for one in EXPLANATION["partitions"]),
              f"{advice['about']}: {advice['evidence']}", advice["remedy"], advice["gain"], "Last events"]
    places = [text.find(words, 1) for words in wanted]
    assert -1 not in places
    assert places == sorted(places)
    assert [line.split()[0:2] for line in text.split("Last events\n")[1].splitlines()[1:]] == [
        ["15", "s"], ["6", "min"], ["33", "min"]]


def test_a_finding_is_not_told_among_the_reasons_again_but_json_has_it_all() -> None:
    told = [f"HotPartition: {HOT}", "HotPartitions are rare"]
    found = standing(STATUS | {"explanation": {"why": told}})
    assert shown(found).count(HOT.partition("; ")[0]) == 2, "the finding and the event"
    assert "HotPartitions are rare" in shown(found)
    assert found["explanation"]["why"] == told


def test_the_partitions_are_a_table_and_what_is_unknown_is_a_question_mark() -> None:
    lines = shown(standing()).split("Partitions with most lag\n")[1].splitlines()
    assert lines[0].split() == ["partition", "lag", "oldest", "arrival"]
    assert lines[1].split() == ["orders/3", "8,200", "95", "s", "180/s", "hot"]
    assert lines[5].split() == ["orders/5", "450", "?", "?"]


def test_nothing_is_cut_wrapped_or_coloured_where_there_is_no_terminal() -> None:
    long = "partition " * 400
    text = shown(standing(STATUS | {"explanation": {"why": [long.strip()]}}))
    assert f"  - {long.strip()[:2000]}" in text
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_on_a_terminal_it_fits_the_width_and_has_colours() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=60, markup=False, highlight=False)
    print_parts(console, standing_parts(standing(), NOW))
    assert "\x1b[1;33mBehind" in file.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert max(len(line) for line in plain.splitlines()) <= 60
    assert "".join(EXPLANATION["why"][0].split()) in "".join(plain.split()).replace("-", "")


def full_of(words: str) -> dict[str, Any]:
    """A status whose every text is these words."""
    return {
        "backlog": words, "lastDecision": words, "lag": {"records": 1, "trend": words},
        "conditions": [{"type": words, "status": "True", "reason": words, "message": f"{words}; {words}"},
                       {"type": "Ready", "status": "False", "reason": words, "message": words}],
        "explanation": {
            "why": [words], "limits": [words], "otherwise": [words],
            "partitions": [{"partition": words, "note": words}],
            "advice": [{"about": words, "evidence": words, "remedy": words, "gain": words}],
        },
    }


def foreign() -> dict[str, Any]:
    event = {"eventTime": timestamp(NOW.timestamp()), "type": FOREIGN, "reason": FOREIGN, "message": FOREIGN}
    return standing(full_of(FOREIGN), events=[event])


def test_foreign_words_are_shown_as_they_are_and_reach_no_terminal_as_commands() -> None:
    text = shown(foreign())
    assert text.count(SHOWN) == 21
    assert [char for char in text if not char.isprintable() and char != "\n"] == []


def test_foreign_words_in_rich_markup_stay_words_on_any_console() -> None:
    file = io.StringIO()
    console = Console(file=file, width=400)
    print_explanation(console, full_of(FOREIGN)["explanation"])
    print_findings(console, [{"name": FOREIGN, "evidence": FOREIGN, "remedy": FOREIGN}])
    assert file.getvalue().count(SHOWN) == 12


def test_foreign_words_become_no_elements_of_the_page() -> None:
    page = PageOf(explain_page(foreign(), NOW))
    assert page.text.count(SHOWN) == 21
    assert [tag for tag, _ in page.elements if tag == "b"] == []
    assert page.remote() == []


JUNK: list[Any] = [
    None, {}, [], "x", 7,
    dict.fromkeys(HELD, "x"), dict.fromkeys(HELD, 7), {name: [] for name in HELD},
    {name: [7, None, "x", {}, []] for name in HELD}, {name: {"records": "x", "why": 7} for name in HELD},
    {"explanation": {name: [7, None, "x", {}, {"partition": 3}] for name in EXPLANATION}},
    {"explanation": {"partitions": [{"partition": "a/0", "lag": "x", "seconds": [], "arrival": True}]}},
    {"lag": {"records": -5, "seconds": 1e300}, "currentReplicas": 10**30, "desiredReplicas": -1},
    {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]},
    {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "yesterday"}], "lastScaleTime": "x"},
]


@pytest.mark.parametrize("status", JUNK, ids=lambda status: str(status)[:50])
def test_junk_is_left_out(status: Any) -> None:
    found = standing(status, events=[7, {}, {"message": 3}, {"eventTime": "x", "message": "y"}])
    assert shown(found).startswith("shop/orders: ")
    assert json.loads(shown(found, "json")) == found
    assert PageOf(explain_page(found, NOW)).remote() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([*HELD, *EXPLANATION, "partition", "about", "type", "status", "message", "records"]), inner),
    max_leaves=20)


@settings(max_examples=150)
@given(status=JSON, metadata=JSON, events=JSON)
def test_whatever_the_api_server_has_is_shown(status: Any, metadata: Any, events: Any) -> None:
    body = resource(status) | {"metadata": metadata}
    found = standing_of(body, Unknown("x"), events if isinstance(events, list) else [], NOW)
    assert shown(found)
    assert json.loads(shown(found, "json")) == found
    assert PageOf(explain_page(found, NOW)).remote() == []


def test_a_resource_that_nobody_looked_at_says_so() -> None:
    text = shown(standing(None, events=[]))
    assert text.splitlines()[0] == "shop/orders: Unknown - lag unknown; replicas 4 (1 to 12)"
    assert "! No operator has looked at it yet" in text


def test_a_spec_that_cannot_be_used_is_told_with_its_field() -> None:
    found = standing(maxReplicas=0)
    assert [hint for hint in found["hints"] if hint.startswith("The spec cannot be used: spec.maxReplicas")]
    assert found["group"] == "orders"


def test_a_spec_that_was_changed_since_is_told() -> None:
    hints = standing(STATUS | {"observedGeneration": 2})["hints"]
    assert hints == ["The spec was changed since: generation 3 is not judged yet, the last judged is 2."]


def test_what_could_not_be_read_is_told_and_the_rest_is_shown() -> None:
    text = shown(standing(replicas=Unknown("you may not"), events=Unknown("events is forbidden\n")))
    assert "! Could not read its target's replicas: you may not." in text
    assert "! Could not read its events: events is forbidden\\n." in text
    assert EXPLANATION["why"][0] in text


READY_ALL_THE_SAME = {
    Reason.FALLBACK, Reason.REBALANCING, Reason.ROLLING_OUT, Reason.REPLICAS_PENDING, Reason.PAUSED, Reason.ADVISORY,
    Reason.SCALED_TO_ZERO_BY_OTHERS, Reason.WAITING_FOR_FIRST_SAMPLE, Reason.NOT_LEADER,
    Reason.MEMBERS_UNSEEN,
}
"""They hold, or begin, and leave the resource Ready; or it is another operator that writes its status."""


def test_every_reason_to_be_not_ready_has_its_next_step() -> None:
    assert set(NEXT_STEPS) == set(UNTIL) - READY_ALL_THE_SAME


@pytest.mark.parametrize("reason", NEXT_STEPS)
def test_who_is_not_ready_is_told_what_to_do(reason: str) -> None:
    (hint,) = standing(STATUS | {"conditions": [condition("Ready", "False", reason, "so it is")]})["hints"]
    assert hint.startswith(f"Not Ready ({reason}: so it is). To do: ")
    assert "{" not in hint


def test_a_ready_resource_that_was_looked_at_of_late_has_no_hints() -> None:
    assert "hints" not in standing()


@pytest.mark.parametrize(("status", "minutes", "is_told"), [
    (STATUS, 4, False), (STATUS, 6, True),
    (STATUS | {"backlog": "CaughtUp", "rates": {"arrival": 0}}, 600, False),
    (STATUS | {"backlog": "CaughtUp"}, 6, True),
])
def test_an_old_status_is_remarked_upon_only_while_records_flow(status: Any, minutes: int, is_told: bool) -> None:
    found = standing_of(resource(status), Replicas(4, 4), [], NOW + timedelta(minutes=minutes))
    assert ["This may be chance" in hint for hint in found.get("hints", [])] == [True] * is_told


@pytest.mark.parametrize(("kind", "status", "is_odd"), [
    ("Ready", "True", False), ("Ready", "Unknown", True), ("AbleToScale", "False", True),
    ("ScalingLimited", "True", True), ("ScalingLimited", "False", False),
])
def test_a_condition_that_is_not_as_it_should_be_is_shown(kind: str, status: str, is_odd: bool) -> None:
    text = shown(standing(STATUS | {"conditions": [condition(kind, status, "AtMaxReplicas", "14 are wanted")]}))
    assert (f"- {kind} is {status}: AtMaxReplicas: 14 are wanted (since 6 min)" in text) == is_odd


def test_a_bound_is_a_finding_with_its_remedy_and_runbook() -> None:
    message = "15 replicas are wanted and 12 allowed, maxReplicas 12: 40 records are behind; raise maxReplicas, or more"
    found = standing(STATUS | {"conditions": [
        condition("ScalingLimited", "True", "AtMaxReplicas", message),
        condition("AtMaxReplicas", "True", "AtMaxReplicas", message),
        condition("AtPartitionLimit", "True", "AtPartitionLimit", "18 are wanted; add partitions")]})["findings"]
    assert [each["name"] for each in found] == ["AtMaxReplicas", "AtPartitionLimit"]
    assert found[0]["remedy"] == "raise maxReplicas, or more"
    assert [each["runbook"] for each in found] == [
        "docs/runbooks/at-max-replicas.md", "docs/runbooks/at-partition-limit.md"]


@pytest.mark.parametrize(("spec", "word"), [
    ({"paused": True}, "paused"), ({"mode": "Advisory"}, "advisory"), ({}, "(1 to 12)"),
])
def test_who_changes_nothing_says_so_in_the_first_line(spec: dict[str, Any], word: str) -> None:
    assert shown(standing(**spec)).splitlines()[0].endswith(word)


def test_json_and_yaml_are_the_same_object() -> None:
    found = foreign()
    assert json.loads(shown(found, "json")) == yaml.safe_load(shown(found, "yaml")) == found


def test_two_looks_at_the_same_state_differ_in_the_time_alone() -> None:
    later = standing_of(resource(STATUS), Replicas(4, 4), EVENTS, NOW + timedelta(seconds=7))
    assert later | {"asked": ""} == standing() | {"asked": ""}


def test_the_page_tells_what_the_text_tells_and_draws_lag_and_replicas() -> None:
    page = PageOf(explain_page(standing(), NOW))
    assert page.remote() == []
    for words in (STATUS["lastDecision"], *EXPLANATION["why"], *EXPLANATION["otherwise"], "orders/11", "12,400",
                  "docs/runbooks/hot-partition.md", "up to 3 times"):
        assert words in page.text
    bars = [style for style in page.values("div", "style") if style.startswith("width")]
    assert bars == ["width: 100.0%", "width: 23.17%", "width: 14.76%", "width: 7.8%", "width: 5.49%"]
    assert page.values("svg", "aria-label")[1:] == ["4 replicas, 6 decided, 1 to 12 allowed"]


@pytest.mark.parametrize(("replicas", "places"), [
    ({"current": 3, "desired": 6, "minimum": 0, "maximum": 12}, (25.0, 50.0, 0.0, 100.0)),
    ({"current": 16, "minimum": 2, "maximum": 4}, (100.0, 100.0, 12.5, 25.0)),
    ({"current": 6, "existing": 3, "minimum": 0, "maximum": 12}, (25.0, 50.0, 0.0, 100.0)),
    ({"current": 0, "desired": 1, "minimum": 0, "maximum": 1}, (0.0, 100.0, 0.0, 100.0)),
])
def test_the_replicas_stand_where_they_are_between_their_bounds(
    replicas: dict[str, int], places: tuple[float, ...]
) -> None:
    scale = scale_of(replicas)
    assert tuple(scale[f"{name}_at"] for name in ("current", "desired", "minimum", "maximum")) == places


@pytest.mark.parametrize("replicas", [{}, {"current": 3}, {"current": 3, "maximum": 0}, {"maximum": 3}])
def test_replicas_that_are_not_known_are_not_drawn(replicas: dict[str, int]) -> None:
    assert scale_of(replicas) == {}


def test_a_report_is_written_beside_what_is_printed(tmp_path: Path) -> None:
    file = io.StringIO()
    Output("json", tmp_path / "r.html", file).show(standing())
    assert json.loads(file.getvalue())["name"] == "orders"
    assert (tmp_path / "r.html").read_text() == explain_page(standing(), NOW)


def found_reasons() -> list[Reason]:
    """The Reason of each rule, which bears its name."""
    return [Reason[rule.__name__.upper()] for rule in RULES]


@pytest.mark.parametrize("reason", found_reasons())
def test_every_finding_has_a_runbook(reason: Reason) -> None:
    name = runbook_of(reason)
    assert name == f"docs/runbooks/{reason.name.lower().replace('_', '-')}.md"
    assert (Path(__file__).parents[2] / name).is_file()


def test_a_word_that_is_no_reason_has_no_runbook() -> None:
    assert runbook_of("../../etc/passwd") == ""


@pytest.mark.parametrize(("seconds", "told"), [
    (0.04, "0.04 s"), (9.96, "10 s"), (95.2, "95 s"), (119, "119 s"), (120, "2 min"), (725, "12 min 5 s"),
    (3600, "1 h"), (10920, "3 h 2 min"), (86400 * 4 + 3600, "4 d 1 h"),
])
def test_durations_are_told_in_two_units_at_most(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_numbers_are_told_with_as_many_digits_as_matter() -> None:
    assert [rate(0.412), rate(80), rate(12345.6)] == ["0.412/s", "80/s", "12,346/s"]
    assert records(12400) == "12,400"


# the command


@pytest.mark.parametrize(("words", "named"), [
    (["shop/or/ders"], "'shop/or'"), (["Orders"], "'Orders'"), (["shop/"], "''"), (["/orders"], "''"),
    (["orders", "-n", "../x"], "'../x'"), (["shop/orders", "-n", "other"], "other"),
])
def test_what_is_no_name_ends_with_2_and_one_line(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("kafka-consumer-scaler explain: ")
    assert named in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["orders", "--watch", "0"], ["orders", "--watch", "x"], ["orders", "-o", "xml"]])
def test_bad_usage_ends_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *words])
    assert ended.value.code == 2


def test_a_kubeconfig_that_is_not_there_ends_with_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "shop/orders", "--kubeconfig", "/does/not/exist"]) == 1
    said = capsys.readouterr().err
    assert "/does/not/exist" in said
    assert said.count("\n") == 1


def test_an_api_server_that_does_not_run_ends_with_1_and_one_line(
    tmp_path: Path, refusing_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here", "users": [{"name": "me", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{refusing_port}"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "me"}}],
    }))
    for words in ([], ["--watch"]):
        assert main(["explain", "shop/orders", "--kubeconfig", str(file), *words]) == 1
        said = capsys.readouterr().err
        assert said == (f"kafka-consumer-scaler explain: the API server cannot be reached: "
                        f"127.0.0.1:{refusing_port}: connection refused\n")
    assert main(["explain", "shop/orders", "--kubeconfig", str(file), "--context", "nowhere"]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_under_kubectl_it_goes_by_the_name_that_was_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/kubectl-kcs", "explain", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("usage: kubectl kcs explain ")


def test_what_asks_and_draws_is_loaded_only_when_it_is_needed() -> None:
    heavy = ("kubernetes", "aiohttp", "rich", "jinja2")
    program = f"import sys; from kafka_consumer_scaler.cli import explain; print({heavy} & sys.modules.keys())"
    program = program.replace("print((", "print(set((").replace(") & ", ")) & ")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
