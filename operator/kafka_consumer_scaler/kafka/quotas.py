"""Quotas of producers: which one holds for whom, and setting one.

librdkafka has no messages for client quotas, so kafka-python asks, as in `brokers.py`: ask in a thread on which nothing
else waits. Of all quotas that fit a producer, one holds, and `producer_byte_rate` is looked up by itself. Kafka's
order, the first one that is there:

    1  user U, client-id C      4  any user, client-id C        7  client-id C
    2  user U, any client-id    5  any user, any client-id      8  any client-id
    3  user U                   6  any user

An own quota of a client-id (7) has no effect where 4, 5 or 6 is there, and none for the users of 1, 2 and 3. Whose
user's quota is whose is not known, so 1, which names this very client-id, counts as one that overrides, and 2 and 3 do
not. An own quota of a user (3) has no effect where 2 is there, and 1 counts likewise.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.brokers import connected
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas, Standing
from kafka_consumer_scaler.kafka.security import NoToken

RATE = "producer_byte_rate"
NOT_AUTHORIZED = 31
"""Kafka's CLUSTER_AUTHORIZATION_FAILED."""
FINAL = frozenset({NOT_AUTHORIZED, 35, 42, 44})
"""Errors that do not pass by themselves: also UNSUPPORTED_VERSION, INVALID_REQUEST and POLICY_VIOLATION."""
EXACT, ANY = 0, 1
"""Kafka's ways to match a name; ANY is the entity for all that have none of their own."""
TRIAL = 2**40
"""A rate, in bytes/s, that is offered and not set, to learn whether we may set one."""

T = TypeVar("T")
Key = frozenset[tuple[str, str | None]]
"""A quota's entity: `("user", name)` and `("client-id", name)`, or one of them; None stands for any."""
Rates = Mapping[Key, int]


class Refused(Exception):
    """A broker answered with an error: its code and words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def describe(connection: Connection, entities: Collection[Entity], by: float) -> Quotas | Unknown:
    """What the cluster holds each of them to, or why that, or setting it, is not possible. `by` is monotonic.

    Never raises.
    """
    return _asked(connection, by, lambda admin: _described(admin, entities, by))


def change(connection: Connection, changes: Sequence[Change], by: float) -> dict[Entity, Before]:
    """Carry out the changes that meet what they expect; none is begun later than `by` (monotonic). Never raises."""
    found = _asked(connection, by, lambda admin: _changed(admin, changes, by))
    return dict.fromkeys((one.entity for one in changes), found) if isinstance(found, Unknown) else found


def _asked(connection: Connection, by: float, ask: Callable[[Any], T]) -> T | Unknown:
    try:
        _seconds_left(by)
        with connected(connection) as admin:
            return ask(admin)
    except Exception as problem:  # whatever it is, it costs a quota and nothing else
        return _unknown(connection, problem)


def _described(admin: Any, entities: Collection[Entity], by: float) -> Quotas:
    cluster = str(admin.describe_cluster()["cluster_id"])
    rates = _rates(admin, entities, by)
    _alter(admin, dict.fromkeys(entities, TRIAL), by, is_trial=True)
    return Quotas(cluster, {entity: standing_of(entity, rates) for entity in entities})


def _changed(admin: Any, changes: Sequence[Change], by: float) -> dict[Entity, Before]:
    rates = _rates(admin, [one.entity for one in changes], by)
    found: dict[Entity, Before] = {one.entity: rates.get(_own(one.entity)) for one in changes}
    met = {one.entity: one.rate for one in changes if found[one.entity] in one.expected}
    if met:
        _alter(admin, met, by, is_trial=False)
    return found


def standing_of(entity: Entity, rates: Rates) -> Standing:
    """Where the entity stands among all quotas that may bear on it."""
    name = entity.client_id if entity.client_id is not None else entity.user
    kind = "client-id" if entity.client_id is not None else "user"
    closer = [key for key in rates if (kind, name) in key and len(key) == 2]
    every_user = [key for key in _EVERY_USER if key in rates]
    overriding = closer + (every_user if kind == "client-id" else [])
    inherited = [key for key in (*(_EVERY_USER if kind == "user" else ()), _EVERY_CLIENT) if key in rates]
    return Standing(
        own=rates.get(_own(entity)),
        inherited=rates[inherited[0]] if inherited else None,
        overridden_by=min(map(_spoken, overriding), default=""),
    )


_EVERY_USER: tuple[Key, ...] = (frozenset({("user", None), ("client-id", None)}), frozenset({("user", None)}))
_EVERY_CLIENT: Key = frozenset({("client-id", None)})


def _own(entity: Entity) -> Key:
    is_client = entity.client_id is not None
    return frozenset({("client-id", entity.client_id) if is_client else ("user", entity.user)})


def _spoken(key: Key) -> str:
    """`the quota of any user with client-id web`."""
    names = dict(key)
    words = [f"{kind} {names[kind]}" if names[kind] is not None else f"any {kind}"
             for kind in ("user", "client-id") if kind in names]
    return f"the quota of {' with '.join(words)}"


def _rates(admin: Any, entities: Collection[Entity], by: float) -> dict[Key, int]:
    """All quotas that may bear on the entities: those that name one of them, any user or any client-id."""
    from kafka.protocol.admin.client_quotas import (  # type: ignore[import-untyped]
        DescribeClientQuotasRequest as Request,
    )

    filters = {pair for entity in entities for pair in _own(entity)} | {("user", None), ("client-id", None)}
    found: dict[Key, int] = {}
    for kind, name in sorted(filters, key=repr):
        match = Request.ComponentData(entity_type=kind, match_type=ANY if name is None else EXACT, match=name)
        answer = _sent(admin, Request(components=[match], strict=False), by)
        _require(answer.error_code, answer.error_message)
        found |= _rates_of(answer.entries or ())
    return found


def _rates_of(entries: Iterable[Any]) -> dict[Key, int]:
    return {
        frozenset((part.entity_type, part.entity_name) for part in entry.entity): round(value.value)
        for entry in entries for value in entry.values if value.key == RATE
    }


def _alter(admin: Any, rates: Mapping[Entity, int | None], by: float, *, is_trial: bool) -> None:
    """One request for all; a broker takes each by itself, and what it refuses of one it refuses of all."""
    from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest as Request

    entries = []
    for entity, rate in rates.items():
        [(kind, name)] = _own(entity)
        operation = Request.EntryData.OpData(key=RATE, value=float(rate or 0), remove=rate is None)
        named = Request.EntryData.EntityData(entity_type=kind, entity_name=name)
        entries.append(Request.EntryData(entity=[named], ops=[operation]))
    for answered in _sent(admin, Request(entries=entries, validate_only=is_trial), by).entries:
        _require(answered.error_code, answered.error_message)


def _sent(admin: Any, request: Any, by: float) -> Any:
    """The answer to a message for which kafka-python has no method. Raises TimeoutError once it is too late."""
    milliseconds = max(1, int(_seconds_left(by) * 1000))
    manager = admin._manager
    return manager.run(lambda: manager.send(request, request_timeout_ms=milliseconds))


def _seconds_left(by: float) -> float:
    left = by - time.monotonic()
    if left <= 0:
        raise TimeoutError("the brokers took all the time there was")
    return left


def _require(code: int, words: str | None) -> None:
    if code:
        raise Refused(code, words or f"error {code}")


def _unknown(connection: Connection, problem: Exception) -> Unknown:
    if isinstance(problem, Refused) and problem.code in FINAL:
        said = missing_right(connection) if problem.code == NOT_AUTHORIZED else f"the broker refused: {problem}"
        return Unknown(connection.without_secrets(said), Reason.QUOTA_REFUSED)
    if isinstance(problem, NoToken):
        return Unknown(str(problem), Reason.IDENTITY_PROVIDER_UNREACHABLE)
    words = connection.without_secrets(f"{type(problem).__name__}: {problem}")
    return Unknown(f"{connection.bootstrap_servers} told nothing of its quotas: {words}", Reason.BROKERS_UNREACHABLE)


def missing_right(connection: Connection) -> str:
    """What to run so that the operator may read and set quotas."""
    name = connection.sasl.username if connection.sasl else ""
    principal = shlex.quote(f"User:{name}") if name else "User:<the operator's>"
    return (
        "the operator may not read or set quotas of producers: "
        f"kafka-acls.sh --bootstrap-server {connection.bootstrap_servers} --add --allow-principal {principal} "
        "--operation DescribeConfigs --operation AlterConfigs --cluster"
    )
