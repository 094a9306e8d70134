"""The main job on real parts, watched: `python -m tests.demo --help`."""
