"""What the world is built from: the environment's own parts, and two more that only faults need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.environment import debian, local, recipes
from tests.environment.cache import Part, cache_folder, ensure
from tests.environment.progress import Progress, run

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
WALL_CLOCK = Path(__file__).parent / "wall_clock.c"
BUILD_PACKAGES = {"go": "golang-go", "mvn": "maven", "gcc": "gcc", "/usr/include/stdlib.h": "libc6-dev"}
PACKAGES = {"iptables": "iptables", "ip": "iproute2", "openssl": "openssl", "java": "default-jre-headless"}


@dataclass(frozen=True)
class Parts:
    """The folders of the built parts."""

    kubernetes: Path
    kafka: Path
    toxiproxy: Path
    wall_clock: Path


def build(progress: Progress) -> Parts:
    """All of them, from the cache or built now. Raises EnvironmentFailed."""
    local.require_root()
    debian.install(PACKAGES, progress)
    wanted = (recipes.kubernetes(), recipes.kafka(), toxiproxy(), wall_clock())
    if not all((cache_folder() / part.key).exists() for part in wanted):
        debian.install(BUILD_PACKAGES, progress)
    return Parts(*(ensure(part, progress) for part in wanted))


def toxiproxy() -> Part:
    """A TCP proxy that is told over HTTP to delay, drop or reset, from its Go module."""

    def make(draft: Path, log: Path) -> None:
        debian.go_is_new_enough()
        run(["go", "install", "-v", TOXIPROXY], log, env={"GOBIN": str(draft), "CGO_ENABLED": "0"})
        (draft / "server").rename(draft / "toxiproxy")

    return Part("toxiproxy", TOXIPROXY.partition("@")[2], TOXIPROXY, make, " (once; half a minute)")


def wall_clock() -> Part:
    """The library that gives one process a wall clock of its own, compiled from wall_clock.c."""

    def make(draft: Path, log: Path) -> None:
        options = ("-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-ldl")
        run(["gcc", *options, "-o", draft / "wall_clock.so", WALL_CLOCK], log)

    return Part("wall-clock", "1", WALL_CLOCK.read_text(), make, " (once; a second)")
