"""Worlds: groups as people run them, drawn by a seed, played to the end and judged by laws."""
