"""`kafka-consumer-scaler run`: the operator."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys

from kafka_consumer_scaler.control import logs
from kafka_consumer_scaler.control.settings import BadSettings, Settings

YOUNG_OBJECTS = 50_000
"""So many new objects, more than are gone, start a collection of the young ones; every 121st of these is a full one."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb and its flags; each flag has an environment variable of the same meaning."""
    parser = subparsers.add_parser("run", help="run the operator", description=__doc__)
    parser.add_argument("--namespace", action="append", dest="namespaces", metavar="NAME",
                        help="watch this namespace only; repeatable (KCS_NAMESPACES: comma list; default: all)")
    parser.add_argument("--http-port", type=int, default=os.environ.get("KCS_HTTP_PORT", "8080"), metavar="PORT",
                        help="port of /healthz, /readyz, /metrics and /v1/safe-rate (KCS_HTTP_PORT; default: 8080)")
    parser.add_argument("--kubeconfig", default=None, metavar="PATH",
                        help="kubeconfig to use (default: the pod's service account, else KUBECONFIG)")
    parser.add_argument("--log-format", choices=("json", "text"), default=os.environ.get("KCS_LOG_FORMAT", "json"),
                        help="(KCS_LOG_FORMAT; default: json)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"),
                        default=os.environ.get("KCS_LOG_LEVEL", "info"), help="(KCS_LOG_LEVEL; default: info)")
    parser.add_argument("--record-snapshots", type=int, default=os.environ.get("KCS_RECORD_SNAPSHOTS", "0"),
                        metavar="N", help="keep the last N looks at each resource for the verb replay, 0 to 10000 "
                                          "(KCS_RECORD_SNAPSHOTS; default: 0, none)")
    parser.add_argument("--metrics-per-partition", action="store_const", const="true",
                        default=os.environ.get("KCS_METRICS_PER_PARTITION", "false"),
                        help="show lag for each partition at /metrics, instead of each topic: up to 2000 series for a "
                             "resource (KCS_METRICS_PER_PARTITION: true or false; default: false)")
    parser.add_argument("--lease", default=os.environ.get("KCS_LEASE", ""), metavar="NAME",
                        help="elect a leader by this Lease in the operator's own namespace, which POD_NAMESPACE names "
                             "(KCS_LEASE; default: none, this is the only operator)")
    parser.add_argument("--allowed-broker", action="append", dest="allowed_brokers", metavar="PATTERN",
                        help="resources may name only these brokers: host, host:port, *.suffix or a network such as "
                             "10.0.0.0/8; repeatable (KCS_ALLOWED_BROKERS: comma list; default: any)")
    parser.add_argument("--allowed-identity-provider", action="append", dest="allowed_identity_providers",
                        metavar="PATTERN",
                        help="resources may ask only these hosts for tokens; patterns as for brokers; repeatable "
                             "(KCS_ALLOWED_IDENTITY_PROVIDERS: comma list; default: any)")
    parser.add_argument("--connections-per-namespace", type=int, metavar="N",
                        default=os.environ.get("KCS_CONNECTIONS_PER_NAMESPACE", "20"),
                        help="different Kafka connections that one namespace may use "
                             "(KCS_CONNECTIONS_PER_NAMESPACE; default: 20)")
    parser.add_argument("--allow-aws-iam", action="store_const", const="true",
                        default=os.environ.get("KCS_ALLOW_AWS_IAM", "false"),
                        help="let resources use the operator's own AWS identity for brokers of Amazon MSK "
                             "(KCS_ALLOW_AWS_IAM: true or false; default: false)")
    parser.add_argument("--producer-quotas", default=os.environ.get("KCS_PRODUCER_QUOTAS", ""), metavar="JSON",
                        help='let resources slow down producers by quotas at the brokers: [{"namespaces": ["shop"], '
                             '"clientIds": ["orders-*"], "users": []}] (KCS_PRODUCER_QUOTAS; default: nobody)')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM; 1 when the operator cannot start, 2 for settings that make no sense."""
    from kafka_consumer_scaler.control import wiring
    from kafka_consumer_scaler.kube.client import ClusterConfigError

    logs.set_up(arguments.log_format, arguments.log_level)
    try:
        settings = _settings(arguments)
        _collect_seldom()
        asyncio.run(wiring.run(settings))
    except BadSettings as error:
        print(f"kafka-consumer-scaler run: {error}", file=sys.stderr)
        return 2
    except (ClusterConfigError, OSError, wiring.OperatorEnded) as error:
        print(f"kafka-consumer-scaler run: {error}", file=sys.stderr)
        return 1
    return 0


def _collect_seldom() -> None:
    """Full collections of garbage leave out what was imported, which stays for good, and come less often.

    One goes through every object that is kept, in the middle of a decision: the modules take it 17 ms, and the readings
    of a group of 5,000 partitions 20 ms. A decision over these leaves up to 30,000 objects, and no garbage; at Python's
    threshold of 700 one in a few met a full collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        namespaces=_several(arguments.namespaces, "KCS_NAMESPACES"),
        http_port=arguments.http_port,
        kubeconfig=arguments.kubeconfig,
        instance=os.environ.get("POD_NAME", "kafka-consumer-scaler"),
        record_snapshots=arguments.record_snapshots,
        metrics_per_partition=_truth("KCS_METRICS_PER_PARTITION", arguments.metrics_per_partition),
        own_namespace=os.environ.get("POD_NAMESPACE", ""),
        lease_name=arguments.lease,
        allowed_brokers=_several(arguments.allowed_brokers, "KCS_ALLOWED_BROKERS"),
        allowed_identity_providers=_several(arguments.allowed_identity_providers, "KCS_ALLOWED_IDENTITY_PROVIDERS"),
        connections_per_namespace=arguments.connections_per_namespace,
        allow_aws_iam=_truth("KCS_ALLOW_AWS_IAM", arguments.allow_aws_iam),
        producer_quotas=arguments.producer_quotas,
    )


def _several(given: list[str] | None, variable: str) -> tuple[str, ...]:
    listed = os.environ.get(variable, "").split(",")
    return tuple(given or [each.strip() for each in listed if each.strip()])


def _truth(variable: str, word: str) -> bool:
    if word.lower() not in {"true", "false"}:
        raise BadSettings(f"{variable} is {word!r}: it must be true or false")
    return word.lower() == "true"
