"""The caller's own cluster and broker: used, never changed, never stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import recipes
from .cache import cache_folder, ensure
from .choice import SERVERS, SERVERS_IN_CLUSTER
from .first_build import announce
from .model import Environment, EnvironmentFailed, State, Unsupported, write_env
from .progress import Progress

IMAGE_VARIABLES = {"kafka-consumer-scaler": "OPERATOR_IMAGE", "kafka-example": "CONSUMER_IMAGE"}


@dataclass(frozen=True)
class CallerEnvironment(Environment):
    """A cluster and broker that somebody else runs."""

    def load_image(self, tag: str, context: Path, dockerfile: Path, build_args: Mapping[str, str] | None = None) -> str:
        """See Environment. Nothing is built: the caller has pushed the image, and names it in a variable."""
        name = tag.partition(":")[0]
        variable = IMAGE_VARIABLES.get(name, "")
        if not os.environ.get(variable):
            hint = f": name it in {variable}" if variable else ""
            raise Unsupported(f"the caller's cluster must be able to pull the image {name}{hint}")
        return os.environ[variable]


def up(state: State, progress: Progress, env: Mapping[str, str] = os.environ) -> Environment:
    """The environment that the variables name. Raises EnvironmentFailed when the kubeconfig is not there."""
    kubeconfig, servers = Path(env["KUBECONFIG"]).absolute(), env[SERVERS]
    if not kubeconfig.is_file():
        raise EnvironmentFailed(f"KUBECONFIG names {kubeconfig}, which is not a file")
    tools = client_tools(progress)
    in_cluster = env.get(SERVERS_IN_CLUSTER) or servers
    environment = CallerEnvironment("caller", kubeconfig, servers, in_cluster, tools["kubectl"], tools["helm"], state)
    write_env(environment)
    return environment


def client_tools(progress: Progress) -> dict[str, Path]:
    """kubectl and helm from PATH, else those built with the cluster's programs, else built alone."""
    found = {name: shutil.which(name) for name in ("kubectl", "helm")}
    if all(found.values()):
        return {name: Path(path) for name, path in found.items() if path}
    folder = cache_folder() / recipes.kubernetes().key
    if not folder.exists():
        announce([recipes.clients()], progress)
        folder = ensure(recipes.clients(), progress)
    return {name: Path(path) if path else folder / name for name, path in found.items()}
