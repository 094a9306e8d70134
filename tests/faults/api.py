"""The harness's own way to the API server and etcd, past the proxy and as admin."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.layout import API_PORT, ETCD_PORT, HOST
from tests.faults.programs import WorldFailed

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
ANSWER_SECONDS = 5.0
PATIENCE_SECONDS = 120.0


class Refused(Exception):
    """The API server answered, with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:200]}")
        self.code = code


class Api:
    """One request a connection, so that it may be used from every thread."""

    def __init__(self, pki: Path) -> None:
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The object of the answer. Raises Refused, or OSError when there is no answer."""
        connection = http.client.HTTPSConnection(HOST, API_PORT, timeout=ANSWER_SECONDS, context=self._tls)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": content_type})
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no answer: {error!r}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, content.decode(errors="replace"))
        return json.loads(content) if content[:1] == b"{" else content.decode()

    def apply(self, path: str, manifest: dict[str, Any]) -> Any:
        """Server-side apply."""
        return self.call("PATCH", f"{path}?fieldManager=harness&force=true", manifest, APPLY)

    def ensure(self, path: str, manifest: dict[str, Any]) -> Any:
        """Apply it, however long that takes. Raises WorldFailed."""
        return patiently(lambda: self.apply(path, manifest), path)

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """A merge patch that is tried once. Raises OSError or Refused."""
        self.call("PATCH", path, body, MERGE)

    def delete(self, path: str) -> None:
        """What is not there is no error. Raises WorldFailed."""
        patiently(lambda: self._delete(path), f"delete {path}")

    def _delete(self, path: str) -> None:
        try:
            self.call("DELETE", path)
        except Refused as refusal:
            if refusal.code != 404:
                raise

    def is_ready(self) -> bool:
        """Whether the server can reach its etcd and has finished to start."""
        try:
            return bool(self.call("GET", "/readyz") == "ok")
        except (OSError, Refused):
            return False


def patiently(ask: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The answer, asked for again while the server fails. Raises WorldFailed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (OSError, Refused) as error:
            is_final = isinstance(error, Refused) and error.code in {400, 403, 404, 422}
            if is_final or time.monotonic() > deadline:
                raise WorldFailed(f"{what}: {error}") from None
        time.sleep(0.3)


def compact_etcd() -> int:
    """Forget all of etcd's past; answers the revision that is left. Raises OSError."""
    answer = _etcd("range", {"key": "AA==", "limit": "1"})
    revision = int(answer["header"]["revision"])
    _etcd("compaction", {"revision": str(revision), "physical": True})
    return revision


def _etcd(verb: str, body: dict[str, Any]) -> Any:
    connection = http.client.HTTPConnection(HOST, ETCD_PORT, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", f"/v3/kv/{verb}", json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error!r}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"etcd answered {answer.status}: {content!r}")
    return json.loads(content)
