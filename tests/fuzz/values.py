"""Values that nobody means: odd texts, odd numbers, and JSON of any shape."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

INT64 = 2**63 - 1

T = TypeVar("T")


def mostly(often: st.SearchStrategy[T], *seldom: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The first three times of four, else one of the others; `a | a | b` would draw each half of the time."""
    return st.sampled_from([True, True, True, False]).flatmap(lambda is_often: often if is_often else st.one_of(seldom))


odd_texts = st.sampled_from([
    "", " ", "\n", "a\nb", "a\r\nb", "\x00", "\x1b[31mred\x1b[0m", "\x7f", "\x9b", "\u2028", "\u202e", "\ufeff",
    "\U0010ffff", "%s%d{}", "NaN", "nan", "Infinity", "-0", "1e400", "null", "true", "~", "0x1f", "../..", "a" * 254,
    "ß" * 1025, "{{.}}", "ſK", "{\"a\": 1}", "\U0001f602" * 400, "x\n" * 700,
])
texts = odd_texts | st.text(max_size=12)

odd_numbers: st.SearchStrategy[int | float] = st.sampled_from([
    0, -1, 1, -0.0, 0.5, 1e-320, 1e15, 1e15 + 2, 1e16, 1e300, -1e300, 2**31, -(2**31) - 1, 2**53 + 1,
    INT64, INT64 + 1, -(2**63), 10**19, 10**30,
])

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | odd_numbers | st.integers(-(2**63), INT64) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
"""What JSON can say, but for numbers that Go's decoder refuses as well."""


def is_plain(text: str) -> bool:
    """Whether a person's terminal shows the text on one line and does nothing else with it."""
    return text.isprintable()
