"""What all models of the resources are made of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kafka_consumer_scaler.api.rules import TextRule, schema_of


class Part(BaseModel):
    """What all parts of a resource share: camelCase names, frozen, and no field that is not declared."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def text(longest: int, rule: TextRule) -> Any:
    """The metadata of a text with a rule of its own."""
    return Field(min_length=1, max_length=longest, json_schema_extra=schema_of(rule))
