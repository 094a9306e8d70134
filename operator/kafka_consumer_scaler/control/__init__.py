"""The control loop: observe, decide, act, report, for every KafkaConsumerScaler."""
