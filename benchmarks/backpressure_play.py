"""The three runs, one after the other, in one world of its own: python -m benchmarks.backpressure_play FILE."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks import backpressure_scene as scene
from benchmarks.backpressure_figures import Course
from benchmarks.backpressure_senders import sender
from benchmarks.backpressure_watch import Onlooker, stored
from tests.environment import EnvironmentFailed
from tests.environment.progress import Progress
from tests.faults import parts, shop
from tests.faults.layout import HOST, NAMESPACE, Layout
from tests.faults.programs import WorldFailed, await_that
from tests.faults.shop import DEPLOYMENTS, SCALERS
from tests.faults.spaces import bring_up_loopback
from tests.faults.world import World

READY_SECONDS = 60.0
LOGS = "backpressure-logs"


def main(argv: list[str]) -> int:
    """Play the runs and write the file; answers 0, and 1 when the world failed."""
    file, names = Path(argv[0]), argv[1:] or list(scene.RUNS)
    bring_up_loopback()
    folder = Path(tempfile.mkdtemp(prefix="backpressure-"))
    try:
        _play(folder, names, file)
    except (EnvironmentFailed, WorldFailed) as failure:
        print(f"backpressure: the world failed: {failure}", file=sys.stderr)
        return 1
    finally:
        shutil.copytree(folder / "logs", file.parent / LOGS, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _play(folder: Path, names: list[str], file: Path) -> None:
    """The file has all runs that are over, whatever becomes of the others."""
    groups = tuple(scene.group(name) for name in names)
    world = World(Layout(folder, parts.build(Progress())), ("operator-a",), groups, scene.allowance())
    with Progress().step("starting the world"):
        world.up()
        shop.let_lease(world.api)
    courses: list[Course] = []
    for name in names:
        courses.append(_run(world, name))
        file.write_text(json.dumps([asdict(course) for course in courses]) + "\n")
    _keep_looks(world)
    world.down()


def _run(world: World, name: str) -> Course:
    """A fresh scaler and its consumers, the load, and all taken away again."""
    print(f"{name}: {scene.ASKED:g} records/s for {scene.seconds(name):.0f} s")
    operator = world.operators[0]
    await_that(operator.is_ready, "the operator ready", READY_SECONDS)
    world.api.ensure(f"{DEPLOYMENTS}/{name}", shop.deployment(name, scene.START_REPLICAS))
    world.api.ensure(f"{SCALERS}/{name}", scene.scaler(name))
    await_that(lambda: world.workload.replicas(name) is not None, "consumers", READY_SECONDS)
    url = f"http://{HOST}:{operator.port}/v1/safe-rate/{NAMESPACE}/{name}"
    onlooker, sending = Onlooker(name, world.api, world.workload, url), sender(name, url, world.layout)
    sending.start()
    onlooker.watch(sending, scene.seconds(name), print)
    sending.stop()
    world.remove(name)
    world.api.ensure(f"{DEPLOYMENTS}/{name}", shop.deployment(name, 0))
    found = stored(name)
    lost, twice = len(sending.promised - found.keys()), sum(found.values()) - len(found)
    print(f"{name}: {len(found)} records stored, {twice} of them twice, {lost} promised ones lost")
    return Course(name, tuple(onlooker.moments), lost, twice)


def _keep_looks(world: World) -> None:
    """Each decision's look, for `replay`."""
    for operator in world.operators:
        lines = (json.dumps(each) for each in operator.looks)
        world.layout.log(f"{operator.instance}-looks").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
