"""Debian packages by name, and the mirror that this machine's apt already uses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .cache import cache_folder
from .interruption import held_back
from .model import EnvironmentFailed
from .progress import Progress, run

SUITE = "bookworm"

# What must be on the machine (a command, or a file when it starts with "/"), and the package that brings it.
NODE_PACKAGES = {
    "containerd": "containerd", "runc": "runc", "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables", "conntrack": "conntrack", "ip": "iproute2", "openssl": "openssl",
    "java": "default-jre-headless", "nsenter": "util-linux", "mount": "mount", "buildah": "buildah",
}  # fmt: skip
BUILD_PACKAGES = {"go": "golang-go", "mvn": "maven", "debootstrap": "debootstrap", "tar": "tar"}


def install(packages: Mapping[str, str], progress: Progress) -> None:
    """Install the packages whose command or file is missing. Raises EnvironmentFailed when that is not possible.

    Only the download can be interrupted: a dpkg that was killed leaves apt unusable.
    """
    wanted = sorted(set(missing(packages)))
    if not wanted:
        return
    names = " ".join(wanted)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EnvironmentFailed(f"packages are missing and can't be installed here (not root, or no apt): {names}")
    log, env = cache_folder() / "logs" / "apt.log", {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends"]
    with progress.step(f"installing Debian packages: {names}", log):
        run(["apt-get", "update"], log, env=env)
        run([*command, "--download-only", *wanted], log, env=env)
        with held_back(progress.say, "the Debian packages are installed"):
            run([*command, *wanted], log, env=env)


def download(package: str, folder: Path, log: Path) -> Path:
    """The package's file, fetched into the folder and not installed. Raises EnvironmentFailed when that fails."""
    if shutil.which("apt-get") is None:
        raise EnvironmentFailed(f"{package} can't be fetched here: there is no apt")
    try:
        run(["apt-get", "download", package], log, cwd=folder)
    except EnvironmentFailed:
        if os.geteuid() != 0:
            raise
        run(["apt-get", "update"], log)
        run(["apt-get", "download", package], log, cwd=folder)
    return next(folder.glob(f"{package}_*.deb"))


def missing(packages: Mapping[str, str]) -> list[str]:
    """The packages whose command or file this machine lacks."""
    return [package for thing, package in packages.items() if not _present(thing)]


def _present(thing: str) -> bool:
    return Path(thing).exists() if thing.startswith("/") else shutil.which(thing, path=search_path()) is not None


def search_path() -> str:
    """PATH with the system folders that a user's PATH may lack."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def mirror(sources: Iterable[Path] | None = None) -> str | None:
    """The Debian mirror of this machine's apt sources for our suite, or None: then debootstrap uses its own default."""
    for file in _source_files() if sources is None else sources:
        if not file.is_file():
            continue
        parse = deb822_sources if file.suffix == ".sources" else one_line_sources
        for address, suite, components in parse(file.read_text()):
            if suite == SUITE and "main" in components:
                return address
    return None


def _source_files() -> list[Path]:
    parts = Path("/etc/apt/sources.list.d")
    return [Path("/etc/apt/sources.list"), *sorted(parts.glob("*.list")), *sorted(parts.glob("*.sources"))]


def one_line_sources(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """(address, suite, components) of each `deb [options] address suite component...` line."""
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", "", line.partition("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            yield words[1], words[2], words[3:]


def deb822_sources(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """(address, suite, components) of each enabled deb stanza, one for each address and suite."""
    uncommented = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", uncommented):
        fields = {
            key.lower(): value.split()
            for key, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        for address in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield address, suite, fields.get("components", [])


def go_is_new_enough() -> None:
    """Raise EnvironmentFailed unless this Go can fetch the toolchain that our module asks for (since 1.21)."""
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, cwd="/").stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < (1, 21):
        found_version = said or "none"
        raise EnvironmentFailed(f"Go 1.21 or newer is needed on PATH to build Kubernetes, found {found_version}")
