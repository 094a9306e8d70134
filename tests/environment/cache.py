"""The cache of built parts: one folder for each, named by version and recipe, complete or absent."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .forecast import Effort
from .progress import Progress


def cache_folder() -> Path:
    """`$KAFKA_CONSUMER_SCALER_CACHE`, else `kafka-consumer-scaler` in the user's cache folder."""
    chosen = os.environ.get("KAFKA_CONSUMER_SCALER_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kafka-consumer-scaler"


@dataclass(frozen=True)
class Part:
    """Something built once. `make` fills an empty folder and writes its tool's output to a log file.

    `effort` is what that takes, where it was measured; `takes` says it in words, where it was not.
    """

    name: str
    version: str
    recipe: str
    make: Callable[[Path, Path], None]
    takes: str = ""
    effort: Effort | None = None

    @property
    def key(self) -> str:
        """Name, version and recipe: a changed recipe is another part, so nothing stale is ever used."""
        return f"{self.name}-{self.version}-{hashlib.sha256(self.recipe.encode()).hexdigest()[:8]}"


def ensure(part: Part, progress: Progress) -> Path:
    """The part's folder, built now if it is not in the cache.

    It is made in a temporary folder and renamed when complete: a failed or interrupted build leaves no half part.
    """
    folder = cache_folder() / part.key
    with locked(part.name, progress):
        if not folder.exists():
            _build(part, folder, progress)
    return folder


@contextmanager
def locked(name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of this name among all processes of this user; it is freed even if its holder is killed."""
    file = cache_folder() / "locks" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another process that works on {name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(part: Part, folder: Path, progress: Progress) -> None:
    draft, log = cache_folder() / "drafts" / part.name, cache_folder() / "logs" / f"{part.name}.log"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    log.unlink(missing_ok=True)
    try:
        with progress.step(f"building {part.name} {part.version}{part.takes}", log, part.effort):
            part.make(draft, log)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(folder)
