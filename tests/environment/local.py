"""The environment made of parts built here: a machine of namespaces with a cluster and a broker in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import broker, buildah, cgroups, debian, host, network, recipes, security
from .api import api_get
from .cache import Part, cache_folder, ensure, locked
from .components import CONTAINERD, KAFKA_METRICS_PORT, KAFKA_PORT, KAFKA_PORT_FOR_PODS, NODE, Layout, make_plan
from .first_build import IMAGE_SECONDS, PACKAGE_SECONDS, absent, announce
from .model import (
    REPOSITORY,
    WHOLE,
    BrokerSecurity,
    Environment,
    EnvironmentFailed,
    Service,
    State,
    qualified,
    read_env,
    write_env,
)
from .plan import is_ready, read_plan, write_plan
from .progress import Progress, tail

START_SECONDS = 180.0
HEAL_SECONDS = 60.0
CRASHES_THAT_FAIL_A_START = 4


@dataclass(frozen=True)
class Parts:
    """The folders of the built parts."""

    kubernetes: Path
    kafka: Path


@dataclass(frozen=True)
class LocalEnvironment(Environment):
    """A cluster and broker in a machine of our own on this host."""

    def load_image(self, tag: str, context: Path, dockerfile: Path, build_args: Mapping[str, str] | None = None) -> str:
        """See Environment. The Dockerfile's BASE_IMAGE is the Debian made here unless the caller names another."""
        buildah.require_context(context, dockerfile)
        self.ensure(*WHOLE)
        name, log, progress = qualified(tag), self.state.log("image"), Progress(lambda _: None)
        with locked("buildah", progress):
            arguments = {"BASE_IMAGE": buildah.ensure_base(progress), **(build_args or {})}
            image = buildah.build(name, context, dockerfile, arguments, log)
            self._import(name, image, log)
        return name

    def _import(self, name: str, image: str, log: Path) -> None:
        record = self.state.folder / "images.json"
        loaded = json.loads(record.read_text()) if record.exists() else {}
        if loaded.get(name) == image:
            return
        archive = self.state.folder / "image.tar"
        archive.unlink(missing_ok=True)
        buildah.export(name, archive, log)
        import_archive(self.state, archive)
        archive.unlink()
        record.write_text(json.dumps({**loaded, name: image}))

    def ensure(self, *services: Service) -> None:
        """See Environment."""
        with locked(f"services-{self.state.identity}", Progress(lambda _: None)):
            _release(self.state, self.kubectl.parent, services, START_SECONDS)

    def stop(self, component: str) -> None:
        """See Environment. Returns when its process is gone."""
        self._must_know(component)
        (self.state.folder / "hold" / component).touch()
        pid_file = self.state.folder / "pids" / component
        _await(lambda: not pid_file.exists(), component, self.state, HEAL_SECONDS, "stop")

    def start(self, component: str) -> None:
        """See Environment."""
        self._must_know(component)
        (self.state.folder / "hold" / component).unlink(missing_ok=True)
        for name, check in _checks(self.state):
            if name == component:
                _await(check, component, self.state, HEAL_SECONDS)

    def broker_request_counts(self) -> dict[str, int]:
        """See Environment."""
        return broker.fetch_request_counts(f"{_address(self.state)}:{KAFKA_METRICS_PORT}")

    def security(self) -> BrokerSecurity:
        """See Environment."""
        return security.described(self.state.folder / "pki", _address(self.state))

    def _must_know(self, component: str) -> None:
        known = component_names(self.state)
        if component not in known:
            raise EnvironmentFailed(f"there is no component {component}; there are {', '.join(known)}")


def build(progress: Progress) -> Parts:
    """Everything that a start needs, from the cache or built now."""
    require_root()
    parts = (recipes.kubernetes(), recipes.kafka(), recipes.debian_base())
    announce(parts, progress, _steps_beside(parts))
    debian.install(debian.NODE_PACKAGES, progress)
    if absent(parts):
        debian.install(debian.BUILD_PACKAGES, progress)
    kubernetes, kafka = ensure(recipes.kubernetes(), progress), ensure(recipes.kafka(), progress)
    pause = cache_folder() / buildah.pause(kubernetes).key
    if not pause.exists():
        with locked("buildah", progress):
            buildah.ensure_base(progress)
            ensure(buildah.pause(kubernetes), progress)
    return Parts(kubernetes, kafka)


def _steps_beside(parts: Sequence[Part]) -> dict[str, float]:
    """What a first build does beside its parts, with seconds."""
    packages = len({*debian.missing(debian.NODE_PACKAGES), *debian.missing(debian.BUILD_PACKAGES)})
    steps = {"Debian packages": packages * PACKAGE_SECONDS} if packages else {}
    base_is_absent = any(part.name == "debian" for part in absent(parts))
    return {**steps, "Debian image": IMAGE_SECONDS} if base_is_absent else steps


def require_root() -> None:
    """Raise EnvironmentFailed for other users, with what they can do instead."""
    if os.geteuid() != 0:
        raise EnvironmentFailed("the local environment makes namespaces and mounts: run as root, start Docker,"
                                " or set KUBECONFIG and KAFKA_BOOTSTRAP_SERVERS")  # fmt: skip


def up(state: State, progress: Progress, wanted: tuple[Service, ...] = WHOLE) -> Environment:
    """The running environment, healed or replaced when it is broken, started when there is none."""
    require_root()
    if host.machine_pid(state) is not None:
        try:
            return _heal(state, progress, wanted)
        except EnvironmentFailed as failure:
            progress.say(f"replacing a broken environment: {failure}")
    parts = build(progress)
    host.destroy(state)
    try:
        with progress.step("starting the local environment"):
            environment = _start(state, parts, wanted)
    except BaseException:
        _keep_logs(state)
        host.destroy(state)
        raise
    write_env(environment)
    return environment


def running(state: State) -> Environment | None:
    """The environment of this state folder if its machine runs and its start was completed."""
    values = read_env(state)
    if host.machine_pid(state) is None or values.get("ENVIRONMENT_KIND") != "local":
        return None
    return _described(state, Path(values["KUBECTL"]).parent)


def component_names(state: State) -> tuple[str, ...]:
    """The components of the machine of this state folder."""
    plan = read_plan(state.folder)
    return tuple(component.name for component in plan.components) if plan else ()


def component_states(state: State) -> dict[str, str]:
    """For each component: ready, starting, held or down."""
    signs = (("ready", "ready"), ("pids", "starting"), ("hold", "held"))
    return {
        name: next((word for folder, word in signs if (state.folder / folder / name).exists()), "down")
        for name in component_names(state)
    }


def import_archive(state: State, archive: Path) -> None:
    """Hand an image to the kubelet's containerd."""
    command: list[str | Path] = ["ctr", "--address", CONTAINERD, "--namespace", "k8s.io", "images", "import", archive]
    done = subprocess.run(host.inside(state, command), capture_output=True, text=True)
    if done.returncode != 0:
        raise EnvironmentFailed("containerd did not take the image", tuple(done.stderr.splitlines()[-20:]))


def _start(state: State, parts: Parts, wanted: tuple[Service, ...]) -> Environment:
    (state.folder / "hold").mkdir(parents=True, exist_ok=True)
    for name in (name for service in Service for name in service.value):
        (state.folder / "hold" / name).touch()
    cgroups.make(state)
    pid = host.start_machine(state)
    layout = Layout(state, network.connect(state, pid), parts.kubernetes, parts.kafka)
    kept = (state.folder, cache_folder(), REPOSITORY, Path(sys.prefix), Path(sys.base_prefix))
    write_plan(make_plan(layout, kept), state.folder)
    _release(state, parts.kubernetes, wanted, START_SECONDS)
    return _described(state, parts.kubernetes)


def _heal(state: State, progress: Progress, wanted: tuple[Service, ...]) -> Environment:
    """Release what is held and wait a little for what restarts; a start that was cut off is not healed."""
    known = running(state)
    if known is None:
        raise EnvironmentFailed("its start was cut off")
    _release(state, known.kubectl.parent, wanted, HEAL_SECONDS)
    progress.say("the local environment is running")
    return known


def _release(state: State, kubernetes: Path, wanted: tuple[Service, ...], seconds: float) -> None:
    """Let the services' components run, and return when they answer and the node has the image that pods need first."""
    names = {name for service in wanted for name in service.value}
    for name in names:
        (state.folder / "hold" / name).unlink(missing_ok=True)
    has_image = state.folder / "has-pause-image"
    if Service.NODE in wanted and not has_image.exists():
        _await((state.folder / "ready" / "containerd").exists, "containerd", state, seconds)
        import_archive(state, cache_folder() / buildah.pause(kubernetes).key / buildah.PAUSE_ARCHIVE)
        has_image.touch()
    for component, check in _checks(state):
        if component in names:
            _await(check, component, state, seconds)


def _checks(state: State) -> tuple[tuple[str, Callable[[], bool]], ...]:
    """What must hold in a healthy environment, and the component whose log tells why it does not."""
    broker_address = f"tcp:{_address(state)}:{KAFKA_PORT}"
    first_account = "/api/v1/namespaces/default/serviceaccounts/default"
    return (
        *((name, (state.folder / "ready" / name).exists) for name in component_names(state)),
        ("kube-apiserver", lambda: api_get(state, "/readyz") is not None),
        ("kubelet", lambda: _node_is_ready(state)),
        ("kube-controller-manager", lambda: api_get(state, first_account) is not None),
        ("kafka", lambda: is_ready(broker_address)),
    )


def _node_is_ready(state: State) -> bool:
    node = api_get(state, f"/api/v1/nodes/{NODE}") or {}
    conditions = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True"


def _await(check: Callable[[], bool], component: str, state: State, seconds: float, verb: str = "become ready") -> None:
    """Wait until the check holds; raise EnvironmentFailed with the component's log when it does not come to hold."""
    deadline, exits = time.monotonic() + seconds, state.folder / "exits" / component
    crashes = len(tail(exits))
    while not check():
        if host.machine_pid(state) is None:
            raise EnvironmentFailed("the machine has ended", tail(state.log("machine")))
        if len(tail(exits)) - crashes >= CRASHES_THAT_FAIL_A_START:
            raise EnvironmentFailed(f"{component} ends again and again", tail(state.log(component)))
        if time.monotonic() > deadline:
            raise EnvironmentFailed(f"{component} did not {verb} within {seconds:.0f} s", tail(state.log(component)))
        time.sleep(0.1)


def _keep_logs(state: State) -> None:
    kept = cache_folder() / "logs" / "failed-start"
    shutil.rmtree(kept, ignore_errors=True)
    with suppress(OSError):
        shutil.copytree(state.folder / "logs", kept)


def _address(state: State) -> str:
    plan = read_plan(state.folder)
    if plan is None:
        raise EnvironmentFailed("the local environment is not running")
    return plan.address


def _described(state: State, kubernetes: Path) -> Environment:
    address = _address(state)
    return LocalEnvironment(
        "local", state.kubeconfig, f"{address}:{KAFKA_PORT}", f"{address}:{KAFKA_PORT_FOR_PODS}",
        kubernetes / "kubectl", kubernetes / "helm", state,
    )  # fmt: skip
