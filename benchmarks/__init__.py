"""What the operator costs, measured on the real cluster and broker: python -m benchmarks --help."""
