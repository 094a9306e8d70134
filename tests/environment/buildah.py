"""Images without a Docker daemon: built by buildah in the cache, and kept there so that unchanged layers are quick."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import debian, recipes
from .cache import Part, cache_folder, ensure
from .components import PAUSE_IMAGE, snapshotter
from .model import EnvironmentFailed
from .progress import Progress, contained, run

BASE_IMAGE = f"localhost/debian-python:{debian.SUITE}"
CERTIFICATES = Path("/etc/ssl/certs")
PAUSE_ARCHIVE = "pause.tar"
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "cert", "proxy", "default-timeout")


def build(tag: str, context: Path, dockerfile: Path, build_args: Mapping[str, str], log: Path) -> str:
    """Build an image; answers its id, which is the same as long as nothing that goes into it has changed."""
    arguments = [word for name, value in sorted(build_args.items()) for word in ("--build-arg", f"{name}={value}")]
    trust = ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--volume", f"{pip_settings()}:/etc/pip.conf:ro"]
    options = ["--isolation", "chroot", "--layers", "--pull-never", *trust, *arguments]
    if _has_containers():
        run([*_buildah(), "rm", "--all"], log)
    run([*_buildah(), "build", *options, "--tag", tag, "--file", dockerfile, context], log, env=_temporary())
    return image_id(tag)


def image_id(tag: str) -> str:
    """The id of an image in the cache, or nothing."""
    command = contained([*_buildah(), "images", "--quiet", "--no-trunc", tag])
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def export(tag: str, archive: Path, log: Path) -> None:
    """Write the image to an archive that containerd can import."""
    run([*_buildah(), "push", tag, f"docker-archive:{archive}:{tag}"], log, env=_temporary())


def ensure_base(progress: Progress) -> str:
    """The Debian with Python on which images are built here; answers its name."""
    folder = ensure(recipes.debian_base(), progress)
    keyed = f"localhost/debian-python:{folder.name}"
    if not image_id(keyed):
        dockerfile, log = cache_folder() / "drafts" / "Dockerfile.base", cache_folder() / "logs" / "debian-image.log"
        dockerfile.write_text("FROM scratch\nADD base.tar /\nENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8\n")
        with progress.step("making the Debian image", log):
            build(keyed, folder, dockerfile, {}, log)
            run([*_buildah(), "tag", keyed, BASE_IMAGE], log)
    return BASE_IMAGE


def pause(kubernetes: Path) -> Part:
    """The archive of the image that holds a pod's namespaces, from the pause program among the built ones."""

    def make(draft: Path, log: Path) -> None:
        shutil.copy(kubernetes / "pause", draft)
        (draft / "Dockerfile").write_text('FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n')
        build(PAUSE_IMAGE, draft, draft / "Dockerfile", {}, log)
        export(PAUSE_IMAGE, draft / PAUSE_ARCHIVE, log)

    return Part("pause", "1", kubernetes.name, make)


def _buildah() -> list[str | Path]:
    """buildah with its own storage. What is mounted dies with each call, so the record of it starts empty too."""
    storage = cache_folder() / "buildah"
    shutil.rmtree(storage / "run", ignore_errors=True)
    storage.mkdir(parents=True, exist_ok=True)
    driver = "overlay" if snapshotter(storage) == "overlayfs" else "vfs"
    return ["buildah", "--root", storage / "root", "--runroot", storage / "run", "--storage-driver", driver]


def _has_containers() -> bool:
    """Whether a build that was stopped has left its container, which may be as large as the image."""
    records = (cache_folder() / "buildah" / "root").glob("*-containers/containers.json")
    return any(record.read_text().strip() not in ("", "[]") for record in records)


def _temporary() -> dict[str, str]:
    """The environment that has buildah put its temporary files into the cache; those of a stopped call are removed."""
    folder = cache_folder() / "buildah" / "temporary"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {"TMPDIR": str(folder)}


def pip_settings() -> Path:
    """A pip.conf of this machine's way to the package index, for builds only: it is mounted, not copied."""
    machine = configparser.ConfigParser(interpolation=None)
    machine.read(["/etc/pip.conf", Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf"])
    found = dict(machine["global"]) if machine.has_section("global") else {}
    for name in PIP_SETTINGS:
        value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            found[name] = value
    file = cache_folder() / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {found[name]}\n" for name in PIP_SETTINGS if name in found))
    return file


def require_context(context: Path, dockerfile: Path) -> None:
    """Raise EnvironmentFailed when there is nothing to build."""
    for path in (context, dockerfile):
        if not path.exists():
            raise EnvironmentFailed(f"cannot build an image: {path} does not exist")
