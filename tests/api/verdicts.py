"""A verdict with every number known, to start from."""

from __future__ import annotations

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.memory import Memory, Recommended, Scaled
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.verdict import Condition, ConditionType, Measurements, ScaleTo, Verdict

NOW = 1_795_417_200.0  # 2026-11-23T07:00:00Z
MEMORY = Memory(
    scales=(Scaled(NOW - 60.123456, 2, 5),),
    highs=(Recommended(NOW - 30, 5),),
    lows=(Recommended(NOW - 15.5, 4),),
    capacity=Capacity(101.5, learned=True),
    assignor="range",
    said=frozenset({Reason.SCALING_LIMITED}),
)
VERDICT = Verdict(
    decision=ScaleTo(6, Reason.SCALED_UP),
    memory=MEMORY,
    conditions=(
        Condition(ConditionType.READY, True, Reason.AS_EXPECTED, "lag is watched and the target follows it"),
        Condition(ConditionType.METRICS_AVAILABLE, True, Reason.AS_EXPECTED, "every partition's lag is known"),
        Condition(ConditionType.ABLE_TO_SCALE, True, Reason.AS_EXPECTED, "the scale subresource is readable"),
        Condition(ConditionType.SCALING_LIMITED, None, Reason.METRICS_UNAVAILABLE, "nothing was recommended"),
    ),
    events=(),
    announcement=None,
    backlog=Backlog.BEHIND,
    measurements=Measurements(
        lag_records=14742,
        lag_seconds=61.2345,
        arrival=1200.4,
        drain=0.0312,
        capacity_per_consumer=101.52,
        partitions=12,
        useful_replicas=12,
        replicas_current=5,
        replicas_wanted=9,
        replicas_allowed=6,
    ),
    trail=(),
    message="Scaled from 5 to 6: 14742 records behind",
)
