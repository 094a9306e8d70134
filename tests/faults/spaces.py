"""Namespaces of its own for a program and all that it starts: they end with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence


def enter(module: str, argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run `python -m MODULE ARGV` in process, mount and network namespaces of its own; answers its exit code."""
    spaces = ("--fork", "--kill-child", "--pid", "--mount-proc", "--net")
    words = ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "--", sys.executable, "-m", module, *argv]
    return subprocess.run(words, env={**os.environ, **env}).returncode


def bring_up_loopback() -> None:
    """A fresh network namespace has its loopback down."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
