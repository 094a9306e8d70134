"""How large the heavy tests are: small sizes that show the same law in `make test`, full sizes in `make nightly`."""

from __future__ import annotations

import os


def full(small: int, whole: int) -> int:
    """`whole` when FULL=1 is set, else `small`."""
    return whole if os.environ.get("FULL") == "1" else small
