"""Scales Kafka consumers on Kubernetes by the lag of their group, and says why."""
