"""What the series of a connection are called, so that two credentials of one address have series of their own.

| resources say | name |
|---|---|
| `connectionRef` to a KafkaConnection | `shop/orders-kafka` |
| `connectionRef` to a ClusterKafkaConnection | `orders-kafka` |
| `bootstrapServers` | the first resource that says so, `shop/orders` |

Equal connections share a client, its series and the first of their names. One that is already another's has a number
behind it. No name has anything of a Secret in it, not even a digest: a short one can be guessed from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain, count

from kafka_consumer_scaler.api.reaching import ConnectionKind
from kafka_consumer_scaler.control.registry import Subject, Watched


def name_of(resources: Iterable[tuple[Watched, Subject]], taken: Collection[str]) -> str:
    """The name of the connection that these resources are on, at least one, and that no other one has."""
    names = [name for _, name in sorted({_said(watched, subject) for watched, subject in resources})]
    numbered = (f"{names[0]}#{number}" for number in count(2))
    return next(name for name in chain(names, numbered) if name not in taken)


def _said(watched: Watched, subject: Subject) -> tuple[bool, str]:
    """What one resource calls it; shared connections are first."""
    ref = subject.kafka.connection_ref
    if ref is None:
        return True, f"{watched.namespace}/{watched.name}"
    is_namespaced = ref.kind is ConnectionKind.KAFKA_CONNECTION
    return False, f"{watched.namespace}/{ref.name}" if is_namespaced else ref.name
