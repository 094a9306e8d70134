"""The resources, version v1alpha1: what the API server stored, read into models and the core's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kafka_consumer_scaler.api.parts import Part
from kafka_consumer_scaler.api.reaching import ClusterKafkaConnectionSpec, ConnectionKind, KafkaConnectionSpec
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.spec import Spec
from kafka_consumer_scaler.core.policy import Policy

GROUP: Final = "kafka-consumer-scaler.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "KafkaConsumerScaler"
PLURAL: Final = "kafkaconsumerscalers"
FINALIZER: Final = f"{GROUP}/quota-lease"
"""On a resource while quotas are to be put back before it goes."""
API_VERSION: Final = f"{GROUP}/{VERSION}"
CONNECTIONS: Final[Mapping[ConnectionKind, str]] = {
    ConnectionKind.KAFKA_CONNECTION: "kafkaconnections",
    ConnectionKind.CLUSTER_KAFKA_CONNECTION: "clusterkafkaconnections",
}
"""The plurals of the kinds that hold a connection."""

Model = TypeVar("Model", bound=Part)


class InvalidSpec(ValueError):
    """The spec cannot be used; the message is one line that begins with the field's path."""


@dataclass(frozen=True, slots=True)
class KafkaConsumerScaler:
    """One resource, parsed. `created_at` is in seconds since the epoch; 0 or an empty text is what was not set."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: float
    spec: Spec

    @classmethod
    def parse(cls, body: Mapping[str, Any], *, strict: bool = False) -> KafkaConsumerScaler:
        """Read an object as the API server stored it, or with `strict` a manifest as a user wrote it.

        An object stored under a newer CRD may have fields that are not known here. They are ignored, so that an older
        operator goes on with what it knows; except under `spec.kafka`, where an ignored field could mean to speak to
        a broker in another way than was asked for. `strict` refuses every field that is not known.

        Raises:
            InvalidSpec: a value is missing, of the wrong type, or against a rule.
        """
        metadata = _mapping(body.get("metadata"))
        return cls(
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata.get("name") or ""),
            uid=str(metadata.get("uid") or ""),
            generation=_whole(metadata.get("generation")),
            created_at=_seconds(metadata.get("creationTimestamp")),
            spec=_read(Spec, body.get("spec"), strict),
        )

    def policy(self) -> Policy:
        """What the user wants, for the core."""
        return self.spec.as_policy()


def parse_connection(kind: ConnectionKind, body: Mapping[str, Any]) -> KafkaConnectionSpec:
    """What a KafkaConnection or ClusterKafkaConnection says; the latter is a ClusterKafkaConnectionSpec.

    No field is ignored: one that is not known could mean to speak to a broker in another way than was asked for.

    Raises:
        InvalidSpec: a value is missing, not known, of the wrong type, or against a rule.
    """
    clusterwide = kind is ConnectionKind.CLUSTER_KAFKA_CONNECTION
    return _read(ClusterKafkaConnectionSpec if clusterwide else KafkaConnectionSpec, body.get("spec"), strict=True)


def _read(model: type[Model], stored: Any, strict: bool) -> Model:
    if not isinstance(stored, Mapping):
        raise InvalidSpec("spec: Field required")
    try:
        values = _plain(stored)
    except RecursionError:
        raise InvalidSpec("spec: nested too deeply") from None
    try:
        return model.model_validate(values)
    except ValidationError as error:
        serious = [each for each in error.errors(include_url=False) if strict or not _may_be_ignored(each)]
        if serious:
            raise InvalidSpec(_sentence(serious)) from None
    return _lenient(model, values)


def _lenient(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values, extra="ignore")
    except ValidationError as error:  # rules between fields are only checked once every field is in order
        raise InvalidSpec(_sentence(error.errors(include_url=False))) from None


def _may_be_ignored(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden" and error["loc"][0] != "kafka"


def _sentence(errors: list[ErrorDetails]) -> str:
    first = errors[0]
    text = first["msg"] if first["type"] != "extra_forbidden" else "unknown field"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return one_line(f"{_path(first['loc'])}: {text}") + more


def _path(location: tuple[int | str, ...]) -> str:
    return "spec" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)


def _plain(value: Any) -> Any:
    """Mappings and sequences of any kind as dicts and lists, which is what pydantic expects."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _seconds(timestamp: Any) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
