"""The pure decision core: Kafka's and Kubernetes' readings in, a Verdict out. No I/O, no clock, no logging."""
