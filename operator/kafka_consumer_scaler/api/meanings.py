"""What each reason means and what to do about it: docs/reference/reasons.md is made of it.

Each is a line of a table, so it has no full stop; names in backquotes are those of the resource or of Kafka.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kafka_consumer_scaler.core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says, and what a person can do; empty where nothing is to be done."""

    meaning: str
    remedy: str = ""


Group = tuple[str, Mapping[Reason, Meaning]]

GROUPS: Final[tuple[Group, ...]] = (
    ("What was done", {
        Reason.SCALED_UP: Meaning("the replicas were changed; the sentence says why"),
        Reason.SCALED_DOWN: Meaning("the replicas were changed; the sentence says why"),
        Reason.FALLBACK: Meaning(
            "the lag was unknown for `fallback.failureThreshold` polls in a row, and the fallback's replicas are "
            "held; the change itself is told as `ScaledUp` or `ScaledDown`",
            "mend what `MetricsAvailable` names"),
    }),
    ("Why nothing was done, though all was known", {
        Reason.WITHIN_OBJECTIVE: Meaning("as many replicas as wanted"),
        Reason.STABILIZING: Meaning(
            "another number is wanted, not yet for the whole window; or complete samples do not yet cover it: "
            "after a start, three bad samples in a row, or more than three polls (30 s at least) "
            "without a look; or a bad sample was no more than two polls ago",
            "wait, or shorten `stabilizationWindowSeconds`"),
        Reason.COOLING_DOWN: Meaning("the last change was less than `cooldownSeconds` ago", "wait"),
        Reason.STEP_LIMIT: Meaning(
            "the `policies` of `behavior` allow no more for now, or as many changes as `maxChangesPerHour` or "
            "`maxChangesPerDay` allows were made within the last hour or day",
            "wait, or widen the policies or the limit"),
        Reason.STILL_BEHIND: Meaning(
            "fewer replicas are wanted, and the group is not caught up, or its age is not known yet",
            "wait"),
        Reason.REBALANCING: Meaning(
            "the group is rebalancing: no scale-down",
            "if it lasts, look at the consumers"),
        Reason.ROLLING_OUT: Meaning("pods come or go: no scale-down", "wait for the rollout"),
        Reason.REPLICAS_PENDING: Meaning(
            "replicas asked for do not exist, or, for up to 600 s after a scale-up or a loss of members, are not "
            "all members of the group, or none is: no further climb",
            "quota, unschedulable pods, crashing consumers, a wrong `group.id`, wrong `consumerThreads`"),
        Reason.PAUSED: Meaning("`paused: true`"),
        Reason.ADVISORY: Meaning("`mode: Advisory`"),
        Reason.SCALED_TO_ZERO_BY_OTHERS: Meaning(
            "0 replicas, set by someone else, while `minReplicas` is not 0",
            "scale to 1 to go on"),
    }),
    ("What bounds the replicas", {
        Reason.SCALING_LIMITED: Meaning("more is wanted than allowed, and would help", "see the two below"),
        Reason.AT_MAX_REPLICAS: Meaning("`maxReplicas` binds", "raise it, if the partitions allow"),
        Reason.AT_PARTITION_LIMIT: Meaning(
            "more consumers than partitions would be idle",
            "add partitions, or make the consumers faster"),
        Reason.AT_MIN_REPLICAS: Meaning("`minReplicas` binds; only in the trail"),
        Reason.NOT_LIMITED: Meaning("no limit binds"),
    }),
    ("What was found", {
        Reason.RECORDS_LOST: Meaning(
            "retention deleted records before the group processed them; the message has how many at least",
            "raise the topic's `retention.ms` (or `retention.bytes`); get the records from their source, if it can "
            "send them again"),
        Reason.RETENTION_RISK: Meaning(
            "retention deletes records before the group reaches them, now or within 15 minutes; all useful "
            "replicas are asked for at once, unless the partition is stuck or hot",
            "raise the topic's `retention.ms` (or `retention.bytes`) until the group has caught up"),
        Reason.TOPIC_RECREATED: Meaning(
            "the end of a topic's log fell: the topic was deleted and made anew, or lost records; rates, capacity "
            "and windows begin anew",
            "restart consumers that do not go on; if nobody recreated it, look for an unclean leader election"),
        Reason.OFFSETS_EXPIRING: Meaning(
            "nobody is in the group, and the brokers will soon delete its committed offsets",
            "start a consumer, or raise the brokers' `offsets.retention.minutes`"),
        Reason.NO_MEMBERS: Meaning(
            "replicas are asked for, and nobody is in the group",
            "look at the pods, and whether their `group.id` and `bootstrap.servers` are those of the resource"),
        Reason.REPLICAS_NOT_JOINING: Meaning(
            "replicas that were asked for are not members of the group, for four times the usual time, 120 s at "
            "least; or members come and go while pods crash, and then for as long as they do",
            "`kubectl get pods`: pending, crashing, or not reaching the brokers; a wrong `group.id`, wrong "
            "`consumerThreads`"),
        Reason.REBALANCE_STORM: Meaning(
            "members come and go, or the group never settles, though nothing is the matter with the pods",
            "raise `max.poll.interval.ms` above the longest batch, or lower `max.poll.records`; use "
            "`group.instance.id`"),
        Reason.REPLICAS_CHANGED_BY_OTHERS: Meaning(
            "somebody else sets the target's replicas again and again; the message names who wrote it last and counts "
            "the changes of the last hour",
            "leave `replicas` out of the manifest that is applied (Argo CD: `ignoreDifferences` for `/spec/replicas`)"),
        Reason.HUNG_TRANSACTION: Meaning(
            "a transaction that nobody ends holds records back from consumers that read committed ones only; until "
            "it ends they are no lag",
            "find it with `kafka-transactions.sh find-hanging`; abort it, or restart its producer"),
        Reason.INEFFECTIVE_SCALING: Meaning(
            "more replicas do much less than one did before; what does not help was withdrawn, and the climb is tried "
            "again after 10 minutes, later 20, 40, 60",
            "look for what they share downstream: a database, a quota of an API or of the broker, a lock"),
        Reason.HOT_PARTITION: Meaning(
            "more arrives on a partition than one consumer can process; no replicas are asked for to keep up with "
            "it, only as many as leave it most of a consumer",
            "spread the keys over more partitions, or make the consumer faster"),
        Reason.STUCK_PARTITION: Meaning(
            "a partition has lag and a living consumer, and its committed offset does not move; it is left out of "
            "the sizing",
            "look at the first uncommitted record (a record that cannot be processed?) and at the consumer that "
            "has it"),
        Reason.COMMIT_BEYOND_END: Meaning(
            "for a minute, an offset was committed beyond an end of its log that was read later: offsets of another "
            "cluster, or a log that lost its end; the lag is unknown and nothing is scaled",
            "see that `bootstrapServers` and `consumerGroup` are those of the consumers; reset the group's offsets"),
        Reason.UNREAD_PARTITIONS: Meaning(
            "no member was assigned a partition for a minute, while other partitions were assigned; it is left out of "
            "lag, age, scale to zero and useful replicas",
            "let the consumers read its topic, or delete the group's offsets of it; or name the topics that count in "
            "`topics`"),
        Reason.SLOW_CONSUMERS: Meaning(
            "the group is behind, and a busy consumer does much less than usual",
            "look at what consumers wait for (a database, remote calls, garbage collection) and at their CPU limit"),
        Reason.PRODUCER_SPIKE: Meaning(
            "the group is behind, and much more arrives than usual",
            "nothing, if it passes and the replicas suffice; else slow the producers down where records enter"),
        Reason.BROKERS_SLOW: Meaning(
            "the brokers take over half of the polling interval to answer; they are asked two, four or eight times "
            "less often until they are quicker",
            "look at the brokers' load, and at quotas on the operator's user or client id; or raise "
            "`pollingIntervalSeconds`"),
    }),
    ("What is done about producers", {
        Reason.THROTTLING_PRODUCERS: Meaning(
            "the group cannot keep up even at its useful maximum, so the producers of `backpressure.quotas` are held "
            "to a rate that it sustains; under `mode: Advisory` they would be",
            "lift what binds the group: the message names it; or let the producers send less"),
        Reason.AT_QUOTA_FLOOR: Meaning(
            "producers are held to `minBytesPerSecond`, and even that is more than the group sustains",
            "lower `minBytesPerSecond`, or lift what binds the group"),
        Reason.THROTTLE_RELEASED: Meaning("producers are no longer held to a rate; the message says why"),
        Reason.QUOTA_NOT_PERMITTED: Meaning(
            "`spec.backpressure.quotas` names what the administrator did not allow this namespace to slow down; "
            "scaling goes on, and no producer is held back",
            "`producerQuotas` in the chart's values, or leave `quotas` out"),
        Reason.QUOTA_REFUSED: Meaning(
            "a broker refuses to tell or to set a quota, or none could be reached while a quota is set",
            "the message has the command that grants the right; it is tried again by itself"),
        Reason.QUOTA_WITHOUT_EFFECT: Meaning(
            "the quota was not set: another one, which the message names, holds for these producers in spite of it, or "
            "another resource holds them back already",
            "name the `user` instead of the `clientId`, or take the other quota away"),
        Reason.QUOTA_CHANGED: Meaning(
            "somebody else changed a quota that the operator had set; it was left as it is, and none is set until the "
            "resource is changed",
            "see that the quota is what you want; to have it held back again, change the resource's spec"),
    }),
    ("What could not be known", {
        Reason.METRICS_UNAVAILABLE: Meaning(
            "the event: the lag is unknown, nothing is changed. As a reason: an error that none of the words "
            "below names",
            "its message has Kafka's own words"),
        Reason.METRICS_RECOVERED: Meaning("every partition's lag is known again"),
        Reason.METRICS_PARTIAL: Meaning(
            "some partitions, or the group's state, could not be read",
            "a leader that is down, usually"),
        Reason.MEMBERS_UNSEEN: Meaning(
            "the group has no member and its offsets are committed: its consumers assign partitions themselves; the "
            "replicas are scaled by age all the same"),
        Reason.BROKERS_UNREACHABLE: Meaning(
            "no broker, or not a partition's leader, answered in time",
            "address and port, listeners that pods reach, NetworkPolicy; a listener that asks for TLS when "
            "`spec.kafka.tls` is not set closes the connection"),
        Reason.COORDINATOR_UNAVAILABLE: Meaning(
            "the group's coordinator is silent, moving or loading",
            "wait; it is asked again at every poll"),
        Reason.AUTHENTICATION_FAILED: Meaning(
            "the brokers, or the identity provider, refuse the credentials; they are tried again ever more seldom",
            "correct the Secret; a changed one is tried at once"),
        Reason.TLS_FAILED: Meaning(
            "no TLS connection: a certificate that is not trusted, a host name that it does not have, a client "
            "certificate that the broker refuses",
            "`spec.kafka.tls`; a name in `bootstrapServers` and in the brokers' listeners that the certificate has"),
        Reason.IDENTITY_PROVIDER_UNREACHABLE: Meaning(
            "the identity provider gave no token",
            "`spec.kafka.sasl.oauth.tokenEndpoint`, NetworkPolicy, the provider itself"),
        Reason.NOT_AUTHORIZED: Meaning(
            "Kafka refuses the group or the topic; its name is told. In the operator's log also: the API server "
            "refuses a request",
            "ACLs: Describe on the group and its topics"),
        Reason.TOPIC_NOT_FOUND: Meaning(
            "a topic of `topics` does not exist, or none matches `topicPattern`",
            "correct the name"),
        Reason.NO_COMMITTED_OFFSETS: Meaning(
            "the group has no offsets that would name its topics; or its members have lag and commit nothing; or "
            "a partition is uncommitted under `offsetReset: none`",
            "name `topics`; commit offsets; set the consumers' own `offsetReset`"),
        Reason.GROUP_TYPE_NOT_SUPPORTED: Meaning(
            "the group is a share group (KIP-932) or a streams group (KIP-1071); such groups are not served yet, so "
            "their lag is unknown and nothing is changed",
            "scale it by other means; a Kafka Streams application is served under `group.protocol=classic`"),
        Reason.POLLING_PROCESS_DIED: Meaning(
            "the process that asks Kafka died or hung; it is started again",
            "if it repeats, the lines `polling process:` in the log"),
        Reason.WAITING_FOR_FIRST_SAMPLE: Meaning("nothing was read yet", "wait for one polling interval"),
    }),
    ("What the target says", {
        Reason.TARGET_NOT_FOUND: Meaning(
            "there is no such object in the resource's namespace",
            "`scaleTargetRef.name` and `kind`"),
        Reason.TARGET_FOUND: Meaning("the target can be scaled again"),
        Reason.TARGET_NOT_SCALABLE: Meaning(
            "the kind is not known, or has no scale subresource, or the object names no replicas",
            "`scaleTargetRef.apiVersion` and `kind`; for a custom kind, its `spec.replicas`"),
        Reason.TARGET_FORBIDDEN: Meaning(
            "the operator's role lacks the verb that the message names",
            "the chart's `scaleTargets` and `watchNamespaces`"),
        Reason.TARGET_CONFLICT: Meaning(
            "a HorizontalPodAutoscaler (KEDA makes one), or an older KafkaConsumerScaler, scales the same target; "
            "then nothing is decided, except in Advisory mode",
            "delete one of the two"),
        Reason.API_SERVER_UNREACHABLE: Meaning(
            "no answer, or an error of the API server's own",
            "wait; if it lasts, look at the API server, and at NetworkPolicies on the way to it"),
        Reason.SCALE_FAILED: Meaning(
            "the API server refused the change (a webhook, a quota), or someone else scaled at the same moment",
            "the message has its words; it is tried again at the next poll"),
        Reason.NOT_LEADER: Meaning(
            "the operator's lease may have passed, so it changes nothing",
            "nothing, if another operator leads; else look at the API server"),
    }),
    ("What stands between the resource and its Kafka cluster", {
        Reason.SECRET_NOT_FOUND: Meaning(
            "a Secret, or its key, is missing, or the operator may not read it",
            "make the Secret in the resource's namespace; grant it with the chart's `secretAccess`"),
        Reason.SECRET_INVALID: Meaning(
            "what a Secret holds is not text, or not PEM where a certificate or key is needed",
            "correct the Secret"),
        Reason.CONNECTION_NOT_FOUND: Meaning(
            "`connectionRef` names a KafkaConnection or ClusterKafkaConnection that is not there or cannot be used",
            "make it, or correct the name"),
        Reason.NOT_PERMITTED: Meaning(
            "the operator's administrator does not allow it: the broker's or identity provider's address, AWS IAM, "
            "one connection more in this namespace, or this namespace for a ClusterKafkaConnection",
            "ask the administrator; the message says which rule it is"),
    }),
    ("What the resource says", {
        Reason.INVALID_SPEC: Meaning("the stored spec cannot be used; the message names the field", "correct it"),
        Reason.AS_EXPECTED: Meaning("nothing to say"),
    }),
)
"""By what the reason speaks of; every Reason is in one of them."""
MEANINGS: Final[Mapping[Reason, Meaning]] = {reason: words for _, group in GROUPS for reason, words in group.items()}
