"""The command line: one file for each verb, each with `add_parser` and `run`."""
