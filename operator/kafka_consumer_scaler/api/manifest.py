"""The KafkaConsumerScaler in a YAML file, which may have other objects beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.v1alpha1 import API_VERSION, KIND, InvalidSpec, KafkaConsumerScaler


def scaler_in(text: str | bytes) -> KafkaConsumerScaler:
    """The only KafkaConsumerScaler among the documents, read strictly: a user's manifest, or what `kubectl get` shows.

    Raises:
        InvalidSpec: it is no YAML, or holds none or several of them, or one that cannot be used; one line.
    """
    found = [each for each in _documents(text) if isinstance(each, Mapping) and each.get("kind") == KIND]
    if len(found) != 1:
        raise InvalidSpec(f"one {KIND} is needed, and there are {len(found)}" if found else f"there is no {KIND} in it")
    version = found[0].get("apiVersion")
    if version != API_VERSION:
        raise InvalidSpec(one_line(f"apiVersion: {version} is not {API_VERSION}"))
    return KafkaConsumerScaler.parse(found[0], strict=True)


def _documents(text: str | bytes) -> list[Any]:
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise InvalidSpec(one_line(f"not YAML: {' '.join(str(error).split())}")) from None
    except (ValueError, RecursionError) as error:  # a date that does not exist, a list in a list in a list ...
        raise InvalidSpec(one_line(f"not YAML: {error}")) from None
