"""The one cgroup of an environment, in every hierarchy of version 1 or in the one of version 2."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from .model import State

CGROUPS = Path("/sys/fs/cgroup")


def path(state: State) -> str:
    """The cgroup below which kubelet puts its pods."""
    return f"/kcs-{state.identity}"


def make(state: State) -> None:
    """The cgroup in each hierarchy of version 1, or in the one of version 2. New cpusets begin empty, so fill them."""
    for root in roots():
        folder = root / path(state)[1:]
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if root != CGROUPS and (root / name).exists():
                (folder / name).write_text((root / name).read_text())


def roots() -> list[Path]:
    """The mounted cgroup hierarchies."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [entry for entry in CGROUPS.iterdir() if entry.is_dir() and not entry.is_symlink()]


def remove(state: State) -> None:
    """Remove the cgroup with all below it; its processes are dead, but the kernel may need a moment to let go."""
    for root in roots():
        top = root / path(state)[1:]
        for _ in range(50):
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
            if not top.exists():
                break
            time.sleep(0.1)
