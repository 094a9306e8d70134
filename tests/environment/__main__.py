"""Command line of the environment: python3 -m tests.environment --help."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import (
    DEFAULT_STATE,
    EnvironmentFailed,
    Unsupported,
    choice,
    down,
    down_all,
    host,
    interruption,
    local,
    running,
    up,
)
from .model import Environment, State
from .progress import Progress

DESCRIPTION = """\
A real Kubernetes cluster and a real Kafka broker. `up` uses, in this order: the cluster and broker that KUBECONFIG and
KAFKA_BOOTSTRAP_SERVERS name; Docker with kind, when a Docker daemon answers; parts that are built once and started
here, without Docker and without an image registry (root on Linux; the first build takes minutes, and `up` says how
many on this machine). ^C stops a build; the same command goes on where it stopped.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; answers the exit code: 0 done, 1 failed, 130 interrupted."""
    options = _parser().parse_args(arguments)
    interruption.terminate_like_interrupt()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return _run(options)
    except (EnvironmentFailed, Unsupported) as failure:
        print(f"error: {failure}", file=sys.stderr)
        for line in getattr(failure, "log", ()):
            print(f"  {line}", file=sys.stderr)
    except OSError as failure:
        print(f"error: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        again = "; run the same command again to go on" if options.verb in ("up", "build") else ""
        print(f"error: interrupted{again}", file=sys.stderr)
        return interruption.STATUS
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.environment", description=DESCRIPTION)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="folder of the environment (%(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in (
        ("up", "start the environment, or find the running one, and write STATE/env"),
        ("down", "stop and remove all that was started"),
        ("status", "say what runs"),
        ("build", "build the local parts into the cache, start nothing"),
    ):
        verbs.add_parser(verb, help=text)
    for verb, text in (
        ("logs", "print a component's log"),
        ("stop", "kill a component and hold it down"),
        ("start", "let a stopped component run again"),
        ("restart", "kill a component and start it again"),
    ):
        verbs.add_parser(verb, help=text).add_argument("component", metavar="NAME", help="kafka, kube-apiserver, ...")
    inside = verbs.add_parser("exec", help="run a command inside the local machine's namespaces")
    inside.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="for example: -- iptables -L")
    return parser


def _run(options: argparse.Namespace) -> int:
    folder, state = options.state, State(options.state.resolve())
    if options.verb == "up":
        _describe(up(folder=folder))
    elif options.verb == "down":
        down_all() if folder == DEFAULT_STATE else down(folder=folder)
    elif options.verb == "build":
        local.build(Progress())
    elif options.verb == "status":
        return _status(state)
    elif options.verb == "logs":
        print(_log_of(state, options.component), end="")
    elif options.verb == "exec":
        return _exec(state, options.command)
    else:
        getattr(_needed(folder), options.verb)(options.component)
    return 0


def _describe(environment: Environment) -> None:
    print(f"cluster: {environment.kubeconfig} ({environment.kind})")
    for_pods = environment.kafka_bootstrap_servers_in_cluster
    print(f"broker:  {environment.kafka_bootstrap_servers} (for pods: {for_pods})")
    print(f"source {environment.state.env_file} to use them")


def _status(state: State) -> int:
    environment = running(state.folder)
    if environment is None:
        print(f"no environment is running; `up` would use: {choice.choose(state)}")
        return 1
    _describe(environment)
    for name, condition in local.component_states(state).items():
        print(f"{name:<24} {condition}")
    return 0


def _log_of(state: State, component: str) -> str:
    known = (*local.component_names(state), "machine", "image")
    if component not in known or not state.log(component).exists():
        raise EnvironmentFailed(f"there is no log of {component}; components: {', '.join(known)}")
    return state.log(component).read_text(errors="replace")


def _exec(state: State, command: list[str]) -> int:
    words = command[1:] if command[:1] == ["--"] else command
    if not words:
        raise EnvironmentFailed("exec needs a command: exec -- COMMAND")
    call = host.inside(state, words)
    os.execvp(call[0], call)


def _needed(folder: Path) -> Environment:
    environment = running(folder)
    if environment is None:
        raise EnvironmentFailed("no environment is running: start it with `up`")
    return environment


if __name__ == "__main__":
    sys.exit(main())
