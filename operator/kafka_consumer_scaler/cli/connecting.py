"""The connection of `diagnose --connection FILE`: as `kubectl get` prints it with its Secrets, or as a user wrote it.

The files hold secrets, so no message quotes them: it names the file, and in it a field, a key or a line.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from kafka_consumer_scaler.api.reaching import ConnectionKind, KafkaConnectionSpec
from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.v1alpha1 import API_VERSION, InvalidSpec, parse_connection
from kafka_consumer_scaler.control.credentials import connection_of, secrets_of
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection

KINDS: Final = {kind.value: kind for kind in ConnectionKind}
BYTES_MAX: Final = 16 * 1024 * 1024
"""Of a file: a dozen Secrets of the largest size that Kubernetes takes."""


class NoConnection(ValueError):
    """The files make no connection; one line that names the file and shows no value."""


@dataclass(frozen=True, slots=True)
class FiledSecret:
    """A Secret as it stands in a file: as in Kubernetes, `stringData` wins over `data`."""

    name: str
    file: str
    _plain: Mapping[str, Any] = field(repr=False)
    _encoded: Mapping[str, Any] = field(repr=False)

    def text(self, key: str) -> str | Unknown:
        """The text under the key; Unknown names file, Secret and key."""
        held = self._plain if key in self._plain else self._encoded
        if key not in held:
            return Unknown(f"{self} has no key {key}", Reason.SECRET_NOT_FOUND)
        if not isinstance(held[key], str):
            return Unknown(f"key {key} of {self} is not text", Reason.SECRET_INVALID)
        return held[key] if held is self._plain else self._decoded(key)

    def _decoded(self, key: str) -> str | Unknown:
        try:
            return base64.b64decode("".join(self._encoded[key].split()), validate=True).decode()
        except ValueError:
            return Unknown(f"key {key} of {self} is not text of UTF-8 in Base64", Reason.SECRET_INVALID)

    def __str__(self) -> str:
        return f"Secret {self.name} of {self.file}"


def connection_in(file: str, secrets_file: str | None = None) -> Connection:
    """The only connection in a file, with the Secrets that are beside it or in the file of secrets.

    Raises:
        NoConnection: a file cannot be read or is no YAML, or connection or Secrets are missing or of no use.
    """
    files = {name: _objects(name) for name in (file, secrets_file) if name is not None}
    spec, secrets = _spec(file, files[file]), _secrets(files)
    missing = next((name for name in secrets_of(spec) if name not in secrets), None)
    if missing is not None:
        raise NoConnection(f"{file}: there is no Secret {missing} in it{_nor_in(secrets_file)}")
    found = connection_of(spec, secrets)
    problem = found.why if isinstance(found, Unknown) else found.problem()
    if isinstance(found, Unknown) or problem:
        raise NoConnection(f"{file}: {problem}")
    return found


def _nor_in(secrets_file: str | None) -> str:
    return f", nor in {secrets_file}" if secrets_file is not None else ", and no --secrets is given"


def _spec(file: str, objects: list[Mapping[str, Any]]) -> KafkaConnectionSpec:
    """An object without a kind is a connection's spec alone."""
    found = [each for each in objects if "kind" not in each or str(each["kind"]) in KINDS]
    if len(found) != 1:
        raise NoConnection(f"{file}: one {' or '.join(KINDS)} is needed, and there are {len(found)}")
    try:
        return _parsed(found[0])
    except InvalidSpec as error:
        raise NoConnection(f"{file}: {error}") from None


def _parsed(body: Mapping[str, Any]) -> KafkaConnectionSpec:
    if "kind" not in body:
        clusterwide = "allowedNamespaces" in body
        kind = ConnectionKind.CLUSTER_KAFKA_CONNECTION if clusterwide else ConnectionKind.KAFKA_CONNECTION
        return parse_connection(kind, {"spec": body})
    if body.get("apiVersion") != API_VERSION:
        raise InvalidSpec(f"apiVersion: it is not {API_VERSION}")
    return parse_connection(KINDS[body["kind"]], body)


def _secrets(files: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, FiledSecret]:
    found: dict[str, FiledSecret] = {}
    for secret in (_secret(file, each) for file, objects in files.items() for each in objects if _is_secret(each)):
        if secret.name in found:
            raise NoConnection(f"{secret.file}: there is another Secret {secret.name} in {found[secret.name].file}")
        found[secret.name] = secret
    return found


def _is_secret(body: Mapping[str, Any]) -> bool:
    return bool(body.get("kind") == "Secret" and body.get("apiVersion", "v1") == "v1")


def _secret(file: str, body: Mapping[str, Any]) -> FiledSecret:
    name = _mapping(body.get("metadata")).get("name")
    return FiledSecret(one_line(str(name), 253), file, _mapping(body.get("stringData")), _mapping(body.get("data")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _objects(file: str) -> list[Mapping[str, Any]]:
    """The objects of all documents, and those of a `kind: List`; every scalar is text, so that 0123 stays 0123."""
    read = _read(file)
    try:
        return [each for document in yaml.load_all(read, yaml.BaseLoader) for each in _each(document)]
    except yaml.YAMLError as error:  # its own words quote the file
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise NoConnection(f"{file}: it is not YAML{where}") from None
    except (ValueError, RecursionError):
        raise NoConnection(f"{file}: it is not YAML") from None


def _each(document: Any) -> Iterator[Mapping[str, Any]]:
    body = _mapping(document)
    items = body.get("items") if body.get("kind") == "List" else [body]
    yield from (each for each in items if isinstance(each, Mapping) and each) if isinstance(items, list) else ()


def _read(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            read = opened.read(BYTES_MAX + 1)
    except OSError as error:
        raise NoConnection(f"{file}: {error.strerror or 'it cannot be read'}") from None
    if len(read) > BYTES_MAX:
        raise NoConnection(f"{file}: it has more than {BYTES_MAX} bytes")
    return read
