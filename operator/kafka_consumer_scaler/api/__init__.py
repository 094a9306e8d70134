"""The KafkaConsumerScaler resource: spec into Policy, Verdict into status, models into the CRD and its reference."""
