"""Objects drawn from the generated CRD itself, right and broken ones; and what a structural schema says to an object.

Whatever field the models get, the CRD has it, and so it is drawn here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from kafka_consumer_scaler.api.crd import custom_resource_definition
from tests.fuzz.values import json_values, odd_numbers, odd_texts, texts

Schema = Mapping[str, Any]
Step = str | int

MUST_MATCH = re.compile(r"self\.matches\(r'\^\(\?:(.*)\)\$'\)", re.DOTALL)
OPTIONAL_AT_MOST = 3
"""Optional fields of one object that are drawn at once: more, and rules between fields refuse nearly everything."""


def schema_of(crd: Schema, *path: str) -> Schema:
    """The structural schema of a part of a CRD's first version."""
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path:
        schema = schema["properties"][name]
    return schema


SPEC = schema_of(custom_resource_definition(), "spec")
STATUS = schema_of(custom_resource_definition(), "status")


def right(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that keep the types, bounds and patterns; rules between fields they may break."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _KINDS[schema["type"]](schema)


@st.composite
def broken(draw: st.DrawFn, schema: Schema) -> Any:
    """A right value in which one to three places were put wrong: another value, no value, or one too many."""
    value = draw(right(schema))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return value
        path = draw(st.sampled_from(places))
        value = _with(value, path, draw(_wrong(_below(schema, path))), draw(st.sampled_from(["set", "drop", "add"])))
    return value


def complaints(schema: Schema, value: Any, at: str = "") -> Iterator[str]:
    """What the API server would say of the value by its schema; CEL and unknown fields, which it prunes, left out."""
    kind = schema.get("type", "object")
    if not _IS[kind](value):
        yield f"{at}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    yield from (f"{at}: {value!r} is not in {bounds}" for bounds in _out_of_bounds(schema, value))
    if kind == "object":
        yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from complaints(inner, value[name], f"{at}.{name}")
    if kind == "array":
        for index, each in enumerate(value):
            yield from complaints(schema["items"], each, f"{at}[{index}]")


def _objects(schema: Schema) -> st.SearchStrategy[Any]:
    properties = schema.get("properties")
    if properties is None:
        return st.dictionaries(texts, json_values, max_size=3)
    every = {name: right(inner) for name, inner in properties.items()}
    needed = {name: every[name] for name in schema.get("required", ())}
    spare = sorted(set(every) - set(needed))
    if not spare:
        return st.fixed_dictionaries(needed)
    chosen = st.lists(st.sampled_from(spare), max_size=OPTIONAL_AT_MOST, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries(needed | {name: every[name] for name in names}))


def _arrays(schema: Schema) -> st.SearchStrategy[Any]:
    most = min(schema.get("maxItems", 4), 4)
    return st.lists(right(schema["items"]), min_size=schema.get("minItems", 0), max_size=most)


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    longest, least = schema.get("maxLength", 4096), schema.get("minLength", 0)
    rules = [rule["rule"] for rule in schema.get("x-kubernetes-validations", ())]
    patterns = [found[1] for rule in rules if (found := MUST_MATCH.fullmatch(rule))]
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))
    drawn = st.from_regex(patterns[0], fullmatch=True) if patterns else texts | st.from_regex("[a-z.*+(|)]{1,12}")
    return drawn.filter(lambda text: least <= len(text) <= longest)


def _integers(schema: Schema) -> st.SearchStrategy[int]:
    least, most = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1)
    return st.sampled_from([int(least), int(most)]) | st.integers(int(least), min(int(most), int(least) + 50))


def _numbers(schema: Schema) -> st.SearchStrategy[float]:
    least, most = schema.get("minimum", -1e9), schema.get("maximum", 1e9)
    return st.floats(least, most, allow_nan=False) | st.sampled_from([least, most])


_KINDS: Mapping[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "object": _objects, "array": _arrays, "string": _strings, "integer": _integers, "number": _numbers,
    "boolean": lambda _: st.booleans(),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


_IS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list | tuple),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
}

_MEASURES: Mapping[str, tuple[Callable[[Any], float], Callable[[float, float], bool]]] = {
    "minimum": (lambda value: value, lambda found, bound: found >= bound),
    "maximum": (lambda value: value, lambda found, bound: found <= bound),
    "minLength": (len, lambda found, bound: found >= bound),
    "maxLength": (len, lambda found, bound: found <= bound),
    "minItems": (len, lambda found, bound: found >= bound),
    "maxItems": (len, lambda found, bound: found <= bound),
}
_FORMATS = {"int32": 2**31, "int64": 2**63}


def _out_of_bounds(schema: Schema, value: Any) -> Iterator[str]:
    for name, (measure, holds) in _MEASURES.items():
        if name in schema and not holds(measure(value), schema[name]):
            yield f"{name} {schema[name]}"
    most = _FORMATS.get(schema.get("format", ""))
    if most is not None and not -most <= value < most:
        yield f"format {schema['format']}"


def _wrong(schema: Schema) -> st.SearchStrategy[Any]:
    """A value that may be wrong in its place: just outside of the bounds, odd, or of another type."""
    edges = [schema[name] + by for name in ("minimum", "maximum") if name in schema for by in (-1, -0.5, 0.5, 1)]
    lengths = ["x" * (schema["maxLength"] + 1)] if "maxLength" in schema else []
    near = st.sampled_from([*edges, *lengths]) if edges or lengths else st.none()
    return near | odd_texts | odd_numbers | json_values


def _places(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    if path:
        yield path
    steps: list[tuple[Step, Any]] = []
    if isinstance(value, dict):
        steps = list(value.items())
    elif isinstance(value, list):
        steps = list(enumerate(value))
    for step, inner in steps:
        yield from _places(inner, (*path, step))


def _below(schema: Schema, path: tuple[Step, ...]) -> Schema:
    for step in path:
        schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
    return schema


def _with(value: Any, path: tuple[Step, ...], new: Any, how: str) -> Any:
    changed = copy.deepcopy(value)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    if how == "drop" and len(changed) > 1:
        del holder[path[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder[f"{path[-1]}X"] = new
    else:
        holder[path[-1]] = new
    return changed
