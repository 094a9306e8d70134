"""Groups as people run them: several topics, strangers among the members, long jobs, rare commits, slow pods."""
