"""Faults injected into a real world while load runs; invariants are checked over the record of all that was done."""
