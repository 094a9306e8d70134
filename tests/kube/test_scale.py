"""Who wrote a target's replicas last, by the field managers that the API server keeps."""

from __future__ import annotations

from typing import Any

from kafka_consumer_scaler.kube.client import FIELD_MANAGER
from kafka_consumer_scaler.kube.scale import writer_of_replicas


def entry(manager: str, time: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {field: {} for field in fields}}, **more}


def test_the_newest_owner_of_the_replicas_is_named_but_for_ourselves() -> None:
    managed = [
        entry("kubectl-client-side-apply", "2026-11-30T10:00:00Z", "f:replicas", "f:template"),
        entry("argocd-controller", "2026-11-30T10:03:00Z", "f:replicas", subresource="scale"),
        entry(FIELD_MANAGER, "2026-11-30T10:04:00Z", "f:replicas", subresource="scale"),
        entry("kube-controller-manager", "2026-11-30T10:05:00Z", "f:template"),
        {"manager": "odd", "time": "2026-11-30T10:06:00Z"},
    ]
    assert writer_of_replicas(managed) == "argocd-controller"


def test_nobody_is_named_where_nobody_owns_the_replicas() -> None:
    assert writer_of_replicas([entry("kubectl", "2026-11-30T10:00:00Z", "f:template")]) == ""
    assert writer_of_replicas([]) == ""
