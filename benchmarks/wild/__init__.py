"""Worlds: generated consumer groups as they run in production, simulated to the end and checked against laws."""
