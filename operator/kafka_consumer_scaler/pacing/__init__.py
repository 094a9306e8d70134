"""For producers and gateways: follow the rate that the operator says a consumer group can sustain.

Standard library alone; PacedProducer, and nothing else, imports confluent-kafka. Nothing here is used by the operator.
"""

from kafka_consumer_scaler.pacing.bucket import TokenBucket
from kafka_consumer_scaler.pacing.producer import PacedProducer, SlowDown, Unit, WhenFull
from kafka_consumer_scaler.pacing.rate import UNLIMITED, Limit, Origin, Rate
from kafka_consumer_scaler.pacing.source import RateSource

__all__ = ["UNLIMITED", "Limit", "Origin", "PacedProducer", "Rate", "RateSource", "SlowDown", "TokenBucket", "Unit",
           "WhenFull"]
