"""What else whoever asks should know: why a resource is not Ready, and what the answer does not rest on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kafka_consumer_scaler.cli.foreign import line, mapping, moment, whole
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown

SILENT_SECONDS: Final = 300.0
"""A status whose numbers move is written once a minute."""

NEXT_STEPS: Final[Mapping[str, str]] = {
    Reason.BROKERS_UNREACHABLE: "check spec.kafka.bootstrapServers, the listeners that pods reach, NetworkPolicies",
    Reason.COORDINATOR_UNAVAILABLE: "wait: the group's coordinator is asked again at every poll",
    Reason.AUTHENTICATION_FAILED: "correct the Secret that spec.kafka.sasl or its connection names",
    Reason.TLS_FAILED: "correct spec.kafka.tls: the message tells which certificate is not trusted",
    Reason.IDENTITY_PROVIDER_UNREACHABLE: "check spec.kafka.sasl.oauth.tokenEndpoint and the way there",
    Reason.NOT_AUTHORIZED: "the operator's Kafka user needs Describe on the group and on its topics",
    Reason.TOPIC_NOT_FOUND: "correct spec.topics or spec.topicPattern",
    Reason.NO_COMMITTED_OFFSETS: "name spec.topics, and see that the consumers commit",
    Reason.GROUP_TYPE_NOT_SUPPORTED: "share and streams groups are not served yet: scale this one by other means",
    Reason.COMMIT_BEYOND_END: "reset the group's offsets that the message names: they are not of this cluster",
    Reason.METRICS_UNAVAILABLE: "look at the brokers, and at the operator's log",
    Reason.METRICS_PARTIAL: "look for a partition without a leader",
    Reason.SECRET_NOT_FOUND: "make the Secret that the message names, or grant it with the chart's secretAccess",
    Reason.SECRET_INVALID: "correct the key of the Secret that the message names",
    Reason.CONNECTION_NOT_FOUND: "make the connection, or correct spec.kafka.connectionRef",
    Reason.NOT_PERMITTED: "ask the operator's administrator; the message says which rule it is",
    Reason.TARGET_NOT_FOUND: "kubectl get {kind} {name} -n {namespace}; correct spec.scaleTargetRef",
    Reason.TARGET_NOT_SCALABLE: "correct apiVersion and kind of spec.scaleTargetRef",
    Reason.TARGET_FORBIDDEN: "the chart's values scaleTargets and watchNamespaces give the operator its rights",
    Reason.TARGET_CONFLICT: "remove the other autoscaler of this target, or set spec.mode: Advisory",
    Reason.API_SERVER_UNREACHABLE: "wait, or look at the API server and at the way from the operator's pod to it",
    Reason.SCALE_FAILED: "a webhook or quota may refuse the change; it is tried again at the next poll",
    Reason.INVALID_SPEC: "correct the field that the message names",
    Reason.POLLING_PROCESS_DIED: "look for the lines `polling process:` in the operator's log",
}


def hints_of(body: Mapping[str, Any], found: Mapping[str, Any], problem: str, replicas: object, events: object,
             asked: datetime) -> list[str]:
    """One sentence each; none for a resource that is Ready and was looked at of late.

    Args:
        body: the resource.
        found: how it stands, apart from the hints.
        problem: what is wrong with the spec; empty when it can be used.
        replicas: Unknown when its target's could not be read.
        events: Unknown when they could not be read.
        asked: when all this was read.
    """
    metadata, status = mapping(body.get("metadata")), mapping(body.get("status"))
    given = (_deleted(metadata), _unseen(status), _invalid(problem), _outdated(metadata, status),
             _not_ready(found), _silent(found, asked), _unread("its target's replicas", replicas),
             _unread("its events", events))
    return [hint for hint in given if hint]


def _deleted(metadata: Mapping[str, Any]) -> str:
    return "The resource is being deleted." if metadata.get("deletionTimestamp") else ""


def _unseen(status: Mapping[str, Any]) -> str:
    if status:
        return ""
    return "No operator has looked at it yet: is one running, and does it watch this namespace?"


def _invalid(problem: str) -> str:
    return f"The spec cannot be used: {problem}." if problem else ""


def _outdated(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    now, judged = whole(metadata.get("generation")), whole(status.get("observedGeneration"))
    if now is None or judged is None or judged >= now:
        return ""
    return f"The spec was changed since: generation {now} is not judged yet, the last judged is {judged}."


def _not_ready(found: Mapping[str, Any]) -> str:
    ready = next((each for each in found["conditions"] if each["type"] == "Ready"), None)
    if ready is None or ready["status"] == "True":
        return ""
    reason = ready.get("reason", "no reason was told")
    said = ": ".join(word for word in (reason, ready.get("message", "")) if word)
    step = _next_step(reason, found)
    return f"Not Ready ({said})." + (f" To do: {step}." if step else "")


def _next_step(reason: str, found: Mapping[str, Any]) -> str:
    kind, _, name = str(found.get("target", "workload/NAME")).partition("/")
    return NEXT_STEPS.get(reason, "").format(kind=kind.lower(), name=name, namespace=found["namespace"])


def _silent(found: Mapping[str, Any], asked: datetime) -> str:
    """An old status proves nothing, since one that did not change is not written; but numbers of a flow do change."""
    written = moment(found["written"])
    is_flowing = bool(found["rates"].get("arrival")) or found["backlog"] not in ("", Backlog.CAUGHT_UP.value)
    if written is None or not is_flowing or (asked - written).total_seconds() < SILENT_SECONDS:
        return ""
    return ("No number of the status has changed for some minutes though records flow. This may be chance: only "
            "changes are written, at most once a minute; see whether the operator's pod is running.")


def _unread(what: str, seen: object) -> str:
    return f"Could not read {what}: {line(seen.why)}." if isinstance(seen, Unknown) else ""
