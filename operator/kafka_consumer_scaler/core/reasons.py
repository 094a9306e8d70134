"""Every reason, spelled once: it is the event's reason, the condition's reason and the metric's label."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was decided, refused or could not be known. The value is what users read."""

    # what was done
    SCALED_UP = "ScaledUp"
    SCALED_DOWN = "ScaledDown"
    FALLBACK = "Fallback"

    # why nothing was done, though all was known
    WITHIN_OBJECTIVE = "WithinObjective"
    STABILIZING = "Stabilizing"
    COOLING_DOWN = "CoolingDown"
    STEP_LIMIT = "StepLimit"
    STILL_BEHIND = "StillBehind"
    REBALANCING = "Rebalancing"
    ROLLING_OUT = "RollingOut"
    REPLICAS_PENDING = "ReplicasPending"
    PAUSED = "Paused"
    SCALED_TO_ZERO_BY_OTHERS = "ScaledToZeroByOthers"

    # what bounds the replicas
    SCALING_LIMITED = "ScalingLimited"
    AT_MAX_REPLICAS = "AtMaxReplicas"
    AT_MIN_REPLICAS = "AtMinReplicas"
    AT_PARTITION_LIMIT = "AtPartitionLimit"
    NOT_LIMITED = "NotLimited"

    # what was found
    PRODUCER_SPIKE = "ProducerSpike"
    SLOW_CONSUMERS = "SlowConsumers"
    NO_MEMBERS = "NoMembers"
    REBALANCE_STORM = "RebalanceStorm"
    HUNG_TRANSACTION = "HungTransaction"
    OFFSETS_EXPIRING = "OffsetsExpiring"
    HOT_PARTITION = "HotPartition"
    STUCK_PARTITION = "StuckPartition"
    UNREAD_PARTITIONS = "UnreadPartitions"
    INEFFECTIVE_SCALING = "IneffectiveScaling"
    COMMIT_BEYOND_END = "CommitBeyondEnd"
    RECORDS_LOST = "RecordsLost"
    RETENTION_RISK = "RetentionRisk"
    TOPIC_RECREATED = "TopicRecreated"
    BROKERS_SLOW = "BrokersSlow"
    REPLICAS_NOT_JOINING = "ReplicasNotJoining"
    REPLICAS_CHANGED_BY_OTHERS = "ReplicasChangedByOthers"

    # what is done about producers
    THROTTLING_PRODUCERS = "ThrottlingProducers"
    AT_QUOTA_FLOOR = "AtQuotaFloor"
    THROTTLE_RELEASED = "ThrottleReleased"

    # what could not be known
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    METRICS_RECOVERED = "MetricsRecovered"
    METRICS_PARTIAL = "MetricsPartial"
    BROKERS_UNREACHABLE = "BrokersUnreachable"
    COORDINATOR_UNAVAILABLE = "CoordinatorUnavailable"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    TLS_FAILED = "TlsFailed"
    IDENTITY_PROVIDER_UNREACHABLE = "IdentityProviderUnreachable"
    NOT_AUTHORIZED = "NotAuthorized"
    TOPIC_NOT_FOUND = "TopicNotFound"
    NO_COMMITTED_OFFSETS = "NoCommittedOffsets"
    MEMBERS_UNSEEN = "MembersUnseen"
    GROUP_TYPE_NOT_SUPPORTED = "GroupTypeNotSupported"
    POLLING_PROCESS_DIED = "PollingProcessDied"
    WAITING_FOR_FIRST_SAMPLE = "WaitingForFirstSample"

    # what the target says
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_FOUND = "TargetFound"
    TARGET_NOT_SCALABLE = "TargetNotScalable"
    TARGET_FORBIDDEN = "TargetForbidden"
    TARGET_CONFLICT = "Conflict"
    API_SERVER_UNREACHABLE = "ApiServerUnreachable"
    SCALE_FAILED = "ScaleFailed"
    NOT_LEADER = "NotLeader"

    # what stands between a throttle and the brokers that are to enforce it
    QUOTA_NOT_PERMITTED = "QuotaNotPermitted"
    QUOTA_REFUSED = "QuotaRefused"
    QUOTA_WITHOUT_EFFECT = "QuotaWithoutEffect"
    QUOTA_CHANGED = "QuotaChanged"

    # what stands between the resource and its Kafka cluster
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_INVALID = "SecretInvalid"
    CONNECTION_NOT_FOUND = "ConnectionNotFound"
    NOT_PERMITTED = "NotPermitted"

    # what the resource says
    INVALID_SPEC = "InvalidSpec"
    AS_EXPECTED = "AsExpected"
    ADVISORY = "Advisory"
