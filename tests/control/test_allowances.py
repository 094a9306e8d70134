"""Which producers a namespace may have slowed down: nobody's, unless the administrator listed them."""

from __future__ import annotations

import pytest

from kafka_consumer_scaler.control.allowances import Allowances, BadAllowance
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kafka.entities import Entity

LIST = ('[{"namespaces": ["shop"], "clientIds": ["orders-*", "a.b"], "users": []}, '
        '{"namespaces": ["*"], "users": ["u"]}]')


@pytest.mark.parametrize(("namespace", "entity", "may"), [
    ("shop", Entity(client_id="orders-"), True),
    ("shop", Entity(client_id="orders-\nx"), True),
    ("shop", Entity(client_id="my-orders-1"), False),
    ("shop", Entity(client_id="a.b"), True),
    ("shop", Entity(client_id="aXb"), False),
    ("shops", Entity(client_id="orders-1"), False),
    ("shop", Entity(user="orders-1"), False),
    ("other", Entity(user="u"), True),
    ("other", Entity(client_id="u"), False),
])
def test_only_what_the_list_names_may_be_slowed_down(namespace: str, entity: Entity, may: bool) -> None:
    refusal = Allowances.parse(LIST).refusal(namespace, entity)
    assert (refusal is None) == may
    assert refusal is None or refusal.reason is Reason.QUOTA_NOT_PERMITTED


def test_without_a_list_nobody_may_be() -> None:
    for text in ("", " ", "[]"):
        refusal = Allowances.parse(text).refusal("shop", Entity(client_id="web"))
        assert refusal is not None
        assert "producerQuotas in the chart" in refusal.why


@pytest.mark.parametrize("text", [
    "{", "{}", "[1]", '[{"namespaces": "shop"}]', '[{"namespaces": [""]}]', '[{"clientIds": ["*"]}]',
    '[{"namespaces": ["shop"], "clientIDs": ["*"]}]', '[{"namespaces": [7]}]', "[" * 100_000,
])
def test_a_list_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadAllowance):
        Allowances.parse(text)
