"""The API server of the local cluster, asked directly: the few questions that a start has to ask."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from .model import State


def api_get(state: State, path: str) -> Any | None:
    """The decoded answer (text when it is not JSON), or None when there is none or it is an error."""
    folder = state.folder / "pki"
    try:
        server = json.loads(state.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        with urllib.request.urlopen(server + path, context=context, timeout=5) as answer:
            body = answer.read().decode()
    except (OSError, ValueError):
        return None
    return json.loads(body) if body.startswith("{") else body
