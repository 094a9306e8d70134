"""Command line of the demo: python -m tests.demo --help."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import environment
from tests.demo import picture, report, scene
from tests.demo.broker import Broker
from tests.demo.failure import DemoFailed
from tests.demo.load import Load
from tests.demo.shop import Shop
from tests.demo.show import display
from tests.demo.timeline import Row
from tests.demo.watch import Onlooker, watch
from tests.environment import WHOLE, Environment, EnvironmentFailed, Unsupported
from tests.environment.cache import locked
from tests.environment.progress import Progress
from tests.environment.tools import Tools, complain

FIRST_COMMIT_SECONDS = 60.0
DESCRIPTION = """\
A real operator scales real consumers of a real Kafka topic, up and down again, in nine to ten minutes.
It uses the environment of `python -m tests.environment` and starts one if none is running. On a cluster of your own
(KUBECONFIG and KAFKA_BOOTSTRAP_SERVERS), say which images it can pull: OPERATOR_IMAGE and CONSUMER_IMAGE.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the demo; answers the exit code: 0 shown, 1 failed, 2 bad usage, 130 interrupted."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    began = time.monotonic()
    try:
        with _environment(options.keep) as (running, is_borrowed):
            _Run(running, options.output, keeps=options.keep, cleans=is_borrowed and not options.keep).play()
    except KeyboardInterrupt:
        print("demo: interrupted; what was built is kept: the same command goes on from there", file=sys.stderr)
        return 130
    except (EnvironmentFailed, Unsupported) as failure:
        complain("demo", failure)
        return 1
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    print(f"done in {minutes} min {seconds} s: {options.output}/demo.png, demo.csv, events.txt, explain.html")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="DIR", help="of the results (default demo-output)"
    )
    return parser


@contextmanager
def _environment(keep: bool) -> Iterator[tuple[Environment, bool]]:
    """The running environment, or one that lasts as long as the demo; and whether it was running before."""
    running = environment.running()
    if running is not None:
        running.ensure(*WHOLE)
        yield running, True
        return
    try:
        yield environment.up(print), False
    finally:
        if not keep:
            with _uninterrupted():
                environment.down(print)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Cleaning up goes on when somebody presses ^C again."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Run:
    """One run in one environment."""

    environment: Environment
    output: Path
    keeps: bool
    cleans: bool

    def __post_init__(self) -> None:
        self.tools = Tools(self.environment)
        self.shop = Shop(self.tools)
        self.broker = Broker(self.environment.kafka_bootstrap_servers)
        self.progress = Progress(print)

    def play(self) -> None:
        """The whole demo. Two at once would meet in the same namespace: the second waits."""
        self.output.mkdir(parents=True, exist_ok=True)
        with locked(f"demo-{self.environment.state.identity}", self.progress):
            self._clear_leftover()
            try:
                self._act()
            except EnvironmentFailed:
                self._print_log()
                raise
            finally:
                self._clean_up()

    def _clear_leftover(self) -> None:
        if self.shop.has_leftover():
            with self.progress.step("removing what an earlier demo left"):
                self._remove()
        elif taken := self.broker.names_taken():
            raise DemoFailed(f"the broker has a {' and a '.join(taken)} that the demo did not make: delete it first")

    def _act(self) -> None:
        operator, consumer = self._images()
        with self.progress.step(f"namespaces {scene.OPERATOR_NAMESPACE} and {scene.NAMESPACE}"):
            self.shop.make_namespaces()
        with self.progress.step("helm install charts/kafka-consumer-scaler"):
            self.shop.install(operator)
        with self.progress.step(f"topic {scene.TOPIC} with {scene.PARTITIONS} partitions"):
            self.broker.make_topic()
        with self.progress.step(f"consumer Deployment {scene.DEPLOYMENT} (10 ms of work for each record)"):
            self.shop.start_consumers(consumer, self.environment.kafka_bootstrap_servers_in_cluster)
        self._tell(self._under_load())

    def _images(self) -> tuple[str, str]:
        operator = self._image("operator", "kafka-consumer-scaler:demo", scene.ROOT)
        return operator, self._image("consumer", "kafka-example:demo", scene.EXAMPLES)

    def _image(self, what: str, tag: str, context: Path) -> str:
        with self.progress.step(f"{what}'s image", self.environment.state.log("image")):
            return self.environment.load_image(tag, context, context / "Dockerfile")

    def _under_load(self) -> list[Row]:
        """The load and the one manifest; the operator is told of the group once it has committed something."""
        load = Load(self.environment.kafka_bootstrap_servers)
        try:
            with self.progress.step(f"producer ({scene.STEPS}: records/s for seconds), first commit"):
                self.broker.await_commit(FIRST_COMMIT_SECONDS)
            manifest = scene.scaler(self.environment.kafka_bootstrap_servers_in_cluster)
            print(f"\n$ kubectl apply -f - <<EOF\n{manifest}EOF")
            print(self.tools.kubectl("apply", "-f", "-", stdin=manifest))
            with display(scene.seconds_of(scene.STEPS)) as shown:
                return watch(Onlooker(self.environment, self.broker), load, shown.show)
        finally:
            load.stop()

    def _tell(self, rows: list[Row]) -> None:
        """Everything that is left of the run, also of one that did not show what it should."""
        if len(rows) < 2:
            raise DemoFailed("there are no samples: the producer ended at once")
        report.write_csv(rows, self.output / "demo.csv")
        picture.draw(rows, self.output / "demo.png", scene.title())
        self._as_a_user("get", "kcs", "--namespace", scene.NAMESPACE)
        events = self._as_a_user("events", "--for", "kafkaconsumerscaler/orders", "--namespace", scene.NAMESPACE)
        (self.output / "events.txt").write_text(events)
        self._as_a_user("kcs", "explain", f"{scene.NAMESPACE}/orders", "--html", str(self.output / "explain.html"))
        print("\n".join(report.figures(rows)), end="\n\n")
        report.require_story(rows)

    def _as_a_user(self, *words: str) -> str:
        text = self.tools.kubectl(*words)
        print(f"\n$ kubectl {' '.join(words)}\n{text}")
        return text

    def _print_log(self) -> None:
        lines = self.shop.last_log_lines().splitlines()
        if lines:
            print("the operator's last log lines:", *lines, sep="\n  ", file=sys.stderr)

    def _clean_up(self) -> None:
        if self.keeps:
            print(f"kept: namespaces {scene.OPERATOR_NAMESPACE} and {scene.NAMESPACE}, topic {scene.TOPIC};"
                  f" KUBECONFIG={self.environment.kubeconfig}; the next demo removes them")  # fmt: skip
        if self.cleans:
            with _uninterrupted(), self.progress.step("cleaning up"):
                self._remove()

    def _remove(self) -> None:
        """The namespaces go last: they mark that the rest is ours. See scene.MARK."""
        self.shop.uninstall()
        self.broker.remove()
        self.shop.remove_namespaces()


if __name__ == "__main__":
    sys.exit(main())
