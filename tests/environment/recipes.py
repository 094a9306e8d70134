"""How each part of the local environment is built, and from which versions."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from . import debian, go_build
from .cache import Part, cache_folder
from .forecast import Effort, Stage, staged
from .progress import run

HERE = Path(__file__).resolve().parent
GO_MODULE = go_build.MODULE
KAFKA_POM = HERE / "kafka" / "pom.xml"
KIND = "sigs.k8s.io/kind@v0.33.0"
MAVEN_STAGES = (
    Stage(r"\[INFO\] Downloaded from ", 409, 0.95),
    Stage(r"\[INFO\] Copying ", 46, 0.05),
)
DEBIAN_STAGES = (
    Stage("I: Resolving ", 2, 0.08),
    Stage("I: Validating ", 119, 0.45),
    Stage("I: Extracting ", 88, 0.05),
    Stage("I: (Unpacking|Configuring) ", 233, 0.40),
)
CLIENTS = ("k8s.io/kubernetes/cmd/kubectl", "helm.sh/helm/v4/cmd/helm")


def kubernetes_version() -> str:
    """The version of k8s.io/kubernetes that go.mod requires, without its v."""
    return _first(r"k8s\.io/kubernetes v([\d.]+)", GO_MODULE / "go.mod")


def kafka_version() -> str:
    """The version of the broker that pom.xml depends on."""
    return _first(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([\d.]+)<", KAFKA_POM)


def _first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text())
    if found is None:
        raise ValueError(f"{file} names no version that matches {pattern}")
    return found[1]


def _go_build(targets: tuple[str, ...]) -> list[str]:
    major, minor, _ = kubernetes_version().split(".")
    stamp = {
        "gitVersion": f"v{kubernetes_version()}", "gitMajor": major, "gitMinor": minor,
        "gitTreeState": "clean", "gitCommit": "0",
    }  # fmt: skip
    linker = "-s -w " + " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in stamp.items())
    return ["go", "build", "-trimpath", "-v", "-ldflags", linker, *targets]


def _go_recipe(targets: tuple[str, ...]) -> str:
    sources = [GO_MODULE / "go.mod", GO_MODULE / "go.sum", GO_MODULE / "pause" / "main.go"]
    return "".join(file.read_text() for file in sources) + " ".join(_go_build(targets))


def kubernetes() -> Part:
    """etcd, Helm, kubectl, the pause program and Kubernetes' own programs, from their Go modules."""
    targets = ("tool", "./pause")

    def make(draft: Path, log: Path) -> None:
        go_build.compile_into(draft, log, _go_build(targets), targets)
        (draft / "server").rename(draft / "etcd")

    effort = go_build.effort(680, 165, targets)
    return Part("kubernetes", kubernetes_version(), _go_recipe(targets), make, effort=effort)


def clients() -> Part:
    """kubectl and Helm alone, for a cluster that is not built here. Their effort is their packages' share of all."""

    def make(draft: Path, log: Path) -> None:
        go_build.compile_into(draft, log, _go_build(CLIENTS), CLIENTS)

    effort = go_build.effort(220, 100, CLIENTS)
    return Part("clients", kubernetes_version(), _go_recipe(CLIENTS), make, effort=effort)


def kind() -> Part:
    """The kind program, from its Go module."""

    def make(draft: Path, log: Path) -> None:
        debian.go_is_new_enough()
        run(["go", "install", "-v", KIND], log, env={"GOBIN": str(draft), "CGO_ENABLED": "0"})

    return Part("kind", KIND.partition("@")[2], KIND, make, " (once; a few minutes)")


def kafka() -> Part:
    """The broker's jars, a logging binding and the JMX agent, from Maven."""
    recipe = KAFKA_POM.read_text()

    def make(draft: Path, log: Path) -> None:
        shutil.copy(KAFKA_POM, draft)
        goal = ["dependency:copy-dependencies", "-Dmdep.stripVersion=false", f"-DoutputDirectory={draft}/libs"]
        run(["mvn", "--batch-mode", "--file", draft / "pom.xml", *goal], log)
        agent = next((draft / "libs").glob("jmx_prometheus_javaagent-*.jar"))
        agent.rename(draft / "jmx-agent.jar")

    effort = Effort(8, 1, 59, lambda lines: staged(lines, MAVEN_STAGES))
    return Part("kafka", kafka_version(), recipe, make, effort=effort)


def prometheus() -> Part:
    """Prometheus and promtool, from Debian's package; nothing is installed, and only tests that ask for it fetch it."""

    def make(draft: Path, log: Path) -> None:
        package = debian.download("prometheus", draft, log)
        run(["dpkg-deb", "--extract", package, draft / "root"], log)
        for name in ("prometheus", "promtool"):
            (draft / "root/usr/bin" / name).rename(draft / name)
        shutil.rmtree(draft / "root")
        package.unlink()

    return Part("prometheus", "debian", "prometheus promtool", make, " (once; 20 MB)")


def debian_base() -> Part:
    """The root of a small Debian with Python, as a tar file; stands for the public slim image, without a registry.

    Downloaded packages are kept until it is complete: an interrupted run does not have to fetch them again.
    """
    include = "python3,python3-venv,ca-certificates"

    def make(draft: Path, log: Path) -> None:
        root, address, packages = draft / "root", debian.mirror(), cache_folder().absolute() / "downloads" / "debian"
        packages.mkdir(parents=True, exist_ok=True)
        options: list[str | Path] = [
            "--variant=minbase",
            f"--cache-dir={packages}",
            f"--include={include}",
            debian.SUITE,
            root,
            *([address] if address else []),
        ]
        run(["debootstrap", *options], log, env={"PATH": debian.search_path()})
        shutil.rmtree(root / "var/cache/apt/archives")
        run(["tar", "--create", "--file", draft / "base.tar", "--directory", root, "."], log)
        shutil.rmtree(root)
        shutil.rmtree(packages)

    effort = Effort(0, 38, 55, lambda lines: staged(lines, DEBIAN_STAGES))
    return Part("debian", debian.SUITE, include, make, effort=effort)
