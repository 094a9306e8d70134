"""Consumer groups as they run in production: several topics, outside members, long jobs, rare commits, slow pods."""
