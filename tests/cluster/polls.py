"""Time counted in the operator's own polls: a machine that stands still makes none."""

from __future__ import annotations

from collections.abc import Callable

from tests.waiting import eventually

DECISIONS = "kafka_consumer_scaler_decisions_total"


def decisions(exposition: str, namespace: str, name: str = "orders") -> int:
    """Polls after which something was decided about a resource, as the text of /metrics counts them."""
    labels = (f'namespace="{namespace}"', f',name="{name}"')
    lines = [line for line in exposition.splitlines()
             if line.startswith(DECISIONS + "{") and all(each in line.replace("{", ",") for each in labels)]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in lines))


def polls_pass(exposition: Callable[[], str], namespace: str, polls: int, name: str = "orders") -> None:
    """Return once so many polls have begun and ended.

    One more than is asked for is counted: the first may have begun before.
    """
    def counted() -> int:
        return decisions(exposition(), namespace, name)

    first = counted()
    eventually(lambda: counted() > first + polls, what=f"{polls} polls of {namespace}/{name}")
