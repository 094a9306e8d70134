"""Words for decisions: the sentence of every reason that a decision may carry, and what would have to change."""

from __future__ import annotations

from collections.abc import Mapping

from kafka_consumer_scaler.core.reasons import Reason

BECAUSE: Mapping[Reason, str] = {
    Reason.SCALED_UP: "more replicas are needed",
    Reason.SCALED_DOWN: "fewer replicas are enough",
    Reason.FALLBACK: "nothing usable was read for too long, so the fallback of the spec holds",
    Reason.WITHIN_OBJECTIVE: "as many as are wanted",
    Reason.STABILIZING: "another number was not yet wanted, or not yet watched, for the whole stabilization window",
    Reason.COOLING_DOWN: "the last change is too fresh for another one",
    Reason.STEP_LIMIT: "the limits of spec.behavior allow no such change for now",
    Reason.STILL_BEHIND: "a group that is behind is not made smaller",
    Reason.REBALANCING: "partitions are changing hands, so nobody can tell yet how many consumers are enough",
    Reason.ROLLING_OUT: "pods are coming or going, and the change before is not done",
    Reason.REPLICAS_PENDING: "replicas that were asked for do not work yet, so more of them would not either",
    Reason.PAUSED: "the resource is paused",
    Reason.ADVISORY: "it only advises",
    Reason.SCALED_TO_ZERO_BY_OTHERS: "someone scaled the target to 0, and minReplicas is not 0",
    Reason.METRICS_UNAVAILABLE: "the lag is not known",
    Reason.METRICS_PARTIAL: "a part of what must be known is not",
    Reason.BROKERS_UNREACHABLE: "no broker answers",
    Reason.COORDINATOR_UNAVAILABLE: "the group's coordinator does not answer",
    Reason.AUTHENTICATION_FAILED: "the credentials are refused",
    Reason.TLS_FAILED: "no TLS connection to the brokers comes about",
    Reason.IDENTITY_PROVIDER_UNREACHABLE: "the identity provider gives no token",
    Reason.NOT_AUTHORIZED: "the brokers refuse the operator's user",
    Reason.TOPIC_NOT_FOUND: "a topic of the group does not exist",
    Reason.NO_COMMITTED_OFFSETS: "the group has not committed an offset that would tell its lag",
    Reason.COMMIT_BEYOND_END: "an offset was committed beyond the end of its log",
    Reason.MEMBERS_UNSEEN: "the group has no member that can be seen, and commits go on",
    Reason.GROUP_TYPE_NOT_SUPPORTED: "the group is of a type that is not served yet",
    Reason.POLLING_PROCESS_DIED: "the process that asks the brokers ended and is being started again",
    Reason.WAITING_FOR_FIRST_SAMPLE: "the group was not looked at yet",
    Reason.TARGET_NOT_FOUND: "the target does not exist",
    Reason.TARGET_NOT_SCALABLE: "the target has no scale subresource that can be used",
    Reason.TARGET_FORBIDDEN: "the operator may not read or scale the target",
    Reason.TARGET_CONFLICT: "someone else scales the target",
    Reason.API_SERVER_UNREACHABLE: "the API server does not answer",
    Reason.SCALE_FAILED: "the API server refused the change",
    Reason.NOT_LEADER: "this operator's lease may have passed",
    Reason.SECRET_NOT_FOUND: "a Secret that the connection needs cannot be read",
    Reason.SECRET_INVALID: "a Secret that the connection needs is of no use",
    Reason.CONNECTION_NOT_FOUND: "the connection that it names cannot be used",
    Reason.NOT_PERMITTED: "the operator's administrator does not allow the connection",
    Reason.INVALID_SPEC: "the spec cannot be used",
}
"""Why, for every reason of a decision."""

UNTIL: Mapping[Reason, str] = {
    Reason.FALLBACK: "Decisions by lag go on with the first poll that reads every partition.",
    Reason.REBALANCING: "Fewer replicas are possible once the group is Stable.",
    Reason.ROLLING_OUT: "Fewer replicas are possible once as many exist as are asked for.",
    Reason.REPLICAS_PENDING:
        "More replicas are possible once those asked for exist and have joined: look at quotas and at the pods.",
    Reason.PAUSED: "Set spec.paused to false to have it done.",
    Reason.ADVISORY: "Set spec.mode to Active to have it done.",
    Reason.SCALED_TO_ZERO_BY_OTHERS: "Scale the target to 1 to go on, or set spec.minReplicas to 0.",
    Reason.METRICS_UNAVAILABLE: "It goes on with the first poll that reads every partition.",
    Reason.METRICS_PARTIAL: "It goes on once every partition has a leader that answers and the group can be described.",
    Reason.BROKERS_UNREACHABLE:
        "It goes on once a broker answers: check spec.kafka.bootstrapServers, the network and the brokers.",
    Reason.COORDINATOR_UNAVAILABLE: "It goes on once the coordinator answers, usually within seconds.",
    Reason.AUTHENTICATION_FAILED: "Correct the Secret with the credentials; a changed one is tried at once.",
    Reason.TLS_FAILED: "Correct spec.kafka.tls or the brokers' certificates: the message names what is not trusted.",
    Reason.IDENTITY_PROVIDER_UNREACHABLE:
        "It goes on once the identity provider answers: check spec.kafka.sasl.oauth and the network.",
    Reason.NOT_AUTHORIZED: "Allow the operator's user to describe the group and its topics.",
    Reason.TOPIC_NOT_FOUND: "Create the topic, or correct spec.topics.",
    Reason.NO_COMMITTED_OFFSETS:
        "It goes on with the group's first commit: check that its consumers commit, and spec.consumerGroup.",
    Reason.COMMIT_BEYOND_END:
        "It goes on once the committed offsets lie within the logs: reset those of another cluster.",
    Reason.MEMBERS_UNSEEN: "Consumers that subscribe instead of assigning partitions themselves are members.",
    Reason.GROUP_TYPE_NOT_SUPPORTED: "Name a consumer group in spec.consumerGroup; scale this one by other means.",
    Reason.POLLING_PROCESS_DIED: "It goes on with the next poll.",
    Reason.WAITING_FOR_FIRST_SAMPLE: "It goes on with the first poll.",
    Reason.TARGET_NOT_FOUND: "Create the target, or correct spec.scaleTargetRef.",
    Reason.TARGET_NOT_SCALABLE: "Name a target in spec.scaleTargetRef that can be scaled.",
    Reason.TARGET_FORBIDDEN: "Allow the operator to get and patch the target's scale subresource.",
    Reason.TARGET_CONFLICT: "Remove the other scaler, or this resource.",
    Reason.API_SERVER_UNREACHABLE: "It goes on once the API server answers.",
    Reason.SCALE_FAILED: "It is tried again at the next poll.",
    Reason.NOT_LEADER: "It goes on with whichever operator leads.",
    Reason.SECRET_NOT_FOUND: "Make the Secret, or let the operator read it; it is looked for every 15 s.",
    Reason.SECRET_INVALID: "Correct the Secret; it is read every 15 s.",
    Reason.CONNECTION_NOT_FOUND: "Make the connection, or correct spec.kafka.connectionRef; it is read every 15 s.",
    Reason.NOT_PERMITTED: "Ask the operator's administrator, or name a connection that is allowed.",
    Reason.INVALID_SPEC: "Correct the field that is named.",
}
"""What would have to change, for reasons that have no numbers to tell."""


def number(value: float) -> str:
    """Whole from 10 on, two digits below: 1,234, 12, 4.2, 0.031."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def count(many: int, what: str) -> str:
    """`1 replica`, `2 replicas`."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def verb(many: int, of_many: str) -> str:
    """The verb for so many: `keep` for 2, `keeps` for 1."""
    return of_many if many != 1 else {"are": "is", "do": "does"}.get(of_many, f"{of_many}s")
