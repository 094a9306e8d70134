"""What the world is built from: the environment's own parts, and two more that only faults need."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.environment import debian, local, recipes
from tests.environment.cache import Part, cache_folder, ensure
from tests.environment.progress import Progress, run

TOXIPROXY = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
PACKAGES = {"iptables": "iptables", "ip": "iproute2", "openssl": "openssl", "java": "default-jre-headless"}


@dataclass(frozen=True)
class Parts:
    """The folders of the built parts."""

    kubernetes: Path
    kafka: Path
    toxiproxy: Path
    faketime: Path


def build(progress: Progress) -> Parts:
    """All of them, from the cache or built now. Raises EnvironmentFailed."""
    local.require_root()
    debian.install(PACKAGES, progress)
    wanted = (recipes.kubernetes(), recipes.kafka(), toxiproxy(), faketime())
    if not all((cache_folder() / part.key).exists() for part in wanted):
        debian.install({"go": "golang-go", "mvn": "maven"}, progress)
    return Parts(*(ensure(part, progress) for part in wanted))


def toxiproxy() -> Part:
    """A TCP proxy that is told over HTTP to delay, drop or reset, from its Go module."""

    def make(draft: Path, log: Path) -> None:
        debian.go_is_new_enough()
        run(["go", "install", "-v", TOXIPROXY], log, env={"GOBIN": str(draft), "CGO_ENABLED": "0"})
        (draft / "server").rename(draft / "toxiproxy")

    return Part("toxiproxy", TOXIPROXY.partition("@")[2], TOXIPROXY, make, " (once; half a minute)")


def faketime() -> Part:
    """The library that gives one process a wall clock of its own, from Debian's package; nothing is installed."""

    def make(draft: Path, log: Path) -> None:
        package = debian.download("libfaketime", draft, log)
        run(["dpkg-deb", "--extract", package, draft / "root"], log)
        library = next((draft / "root").rglob("libfaketime.so.1"))
        library.rename(draft / "libfaketime.so.1")
        shutil.rmtree(draft / "root")
        package.unlink()

    return Part("faketime", "debian", "libfaketime", make, " (once; 30 kB)")
