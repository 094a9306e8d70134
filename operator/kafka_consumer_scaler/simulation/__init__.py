"""A simulated consumer group, policies that scale it, and their scores. It drives the same decide() as the operator."""
