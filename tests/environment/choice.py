"""Which environment to use: the caller's, kind on Docker, or the parts built here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .model import State

SERVERS, SERVERS_IN_CLUSTER = "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS_IN_CLUSTER"


def choose(state: State, env: Mapping[str, str] = os.environ) -> str:
    """`caller`, `kind` or `local`. A KUBECONFIG in the state folder is our own, sourced from an earlier start."""
    if is_callers(state, env):
        return "caller"
    return "kind" if docker_answers() else "local"


def is_callers(state: State, env: Mapping[str, str] = os.environ) -> bool:
    """Whether the variables name a cluster and a broker that are not of this state folder."""
    kubeconfig = env.get("KUBECONFIG")
    if not kubeconfig or not env.get(SERVERS):
        return False
    return not Path(kubeconfig).resolve().is_relative_to(state.folder)


def docker_answers() -> bool:
    """Whether a Docker daemon answers, not only whether the program is here."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = ["docker", "info", "--format", "{{.ServerVersion}}"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0 and answer.stdout.strip() != ""
