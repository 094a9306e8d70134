"""What the audit log and the operator's recording say becomes writes and looks."""

from __future__ import annotations

import json
from typing import Any

from tests.faults.record import look_of, was_known, writes_of

AT = "2026-01-01T00:00:00.000000Z"
EPOCH = 1767225600.0


def line(resource: str, subresource: str = "", **more: Any) -> str:
    reference = {"resource": resource, "subresource": subresource, "name": "orders", "namespace": "shop"}
    said = {"requestReceivedTimestamp": AT, "stageTimestamp": "2026-01-01T00:00:00.250000Z", "verb": "patch",
            "user": {"username": "operator-a"}, "objectRef": reference, "responseStatus": {"code": 200}, **more}
    return json.dumps(said)


def look(**more: Any) -> dict[str, Any]:
    line = {"at": EPOCH, "decidedAt": EPOCH + 3.0, "partitions": {"orders/0": {"start": 0, "end": 5, "committed": 2}},
            "group": {"state": "Stable", "assignor": "range", "members": []}, "replicas": {"spec": 3, "ready": 3},
            "scaled": None, **more}
    return {"offset": 3600.0, "scaler": "orders", "instance": "operator-a", "look": line}


def test_a_scale_that_was_written_has_its_replicas() -> None:
    (write,) = writes_of([line("deployments", "scale", responseObject={"kind": "Scale", "spec": {"replicas": 4}})])
    assert (write.at, write.end, write.user, write.replicas) == (EPOCH, EPOCH + 0.25, "operator-a", 4)
    assert (write.resource, write.name, write.is_done) == ("deployments/scale", "orders", True)


def test_a_scale_of_zero_leaves_its_replicas_out() -> None:
    (write,) = writes_of([line("deployments", "scale", responseObject={"kind": "Scale", "spec": {}})])
    assert write.replicas == 0


def test_a_refused_scale_has_none() -> None:
    answer = {"responseStatus": {"code": 409}, "responseObject": {"kind": "Status", "code": 409}}
    (write,) = writes_of([line("deployments", "scale", **answer)])
    assert (write.is_done, write.replicas) == (False, None)


def test_an_event_has_its_reason_and_the_uid_of_the_scaler() -> None:
    about = {"reason": "MetricsRecovered", "regarding": {"uid": "u1"}}
    created, counted = writes_of([line("events", requestObject=about),
                                  line("events", requestObject={"series": {"count": 2}}, responseObject=about)])
    assert (created.reason, created.uid) == (counted.reason, counted.uid) == ("MetricsRecovered", "u1")


def test_a_status_has_the_uid_of_its_scaler_and_its_patch_is_a_list() -> None:
    answer = {"requestObject": [{"op": "test"}], "responseObject": {"metadata": {"uid": "u1"}}}
    (write,) = writes_of([line("kafkaconsumerscalers", "status", **answer)])
    assert (write.uid, write.reason, write.replicas) == ("u1", "", None)


def test_a_lease_has_its_holder() -> None:
    (write,) = writes_of([line("leases", responseObject={"spec": {"holderIdentity": "operator-b"}})])
    assert write.holder == "operator-b"


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert len(list(writes_of([line("leases"), line("leases")[:50]]))) == 1


def test_a_look_at_all_partitions_has_no_doubt() -> None:
    seen = look_of(look())
    assert (seen.doubt, seen.replicas, seen.scaled_to) == ("", 3, None)


def test_one_partition_or_the_group_in_doubt_is_a_doubt() -> None:
    one = {"orders/0": {"start": 0, "end": 5, "committed": 2}, "orders/1": {"unknown": "no leader", "reason": "x"}}
    assert (look_of(look(partitions=one)).doubt, look_of(look(partitions=one)).is_metric_doubt) == ("no leader", True)
    whole = look_of(look(partitions={"unknown": "timed out", "reason": "x"}))
    assert (whole.doubt, whole.is_metric_doubt) == ("timed out", True)
    group = look_of(look(group={"unknown": "loading", "reason": "x"}))
    assert (group.doubt, group.is_metric_doubt) == ("loading", False)


def test_a_look_that_led_to_a_change_tells_to_how_many() -> None:
    assert look_of(look(scaled={"at": EPOCH, "to": 6})).scaled_to == 6
    assert look_of(look(replicas={"unknown": "403", "reason": "x"})).replicas is None


def test_a_look_is_as_old_as_its_sample_by_a_right_clock() -> None:
    assert look_of(look()).at == EPOCH - 3600.0, "the operator's clock is an hour ahead, and it decided 3 s later"


def test_a_lag_is_known_since_a_moment_by_a_whole_sample_of_that_scaler_after_it() -> None:
    then = EPOCH - 3600.0
    assert was_known([look_of(look())], "orders", since=then)
    assert not was_known([look_of(look())], "orders", since=then + 1.0)
    assert not was_known([look_of(look())], "payments", since=then)
    assert not was_known([look_of(look(group={"unknown": "loading", "reason": "x"}))], "orders", since=then)
