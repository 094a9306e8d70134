"""Certificates of the world: python -m tests.faults.certificates FOLDER INSTANCE...

It runs under a wall clock that is days behind, so that the certificates are valid for an operator whose clock is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.environment import pki
from tests.faults.layout import API_PORT, API_PROXY_PORT, HOST, OPERATOR_GROUP


def make(folder: Path, instances: list[str]) -> None:
    """An authority, the API server's certificate, and a kubeconfig for the admin and for each operator."""
    pki.make_authority(folder)
    pki.issue(folder, "kube-apiserver", "/O=system:masters/CN=kube-apiserver", (f"IP:{HOST}", "DNS:localhost"))
    pki.issue(folder, "admin", "/O=system:masters/CN=admin")
    (folder / "admin.kubeconfig").write_text(pki.kubeconfig(folder, "admin", f"https://{HOST}:{API_PORT}"))
    for name in instances:
        pki.issue(folder, name, f"/O={OPERATOR_GROUP}/CN={name}")
        (folder / f"{name}.kubeconfig").write_text(pki.kubeconfig(folder, name, f"https://{HOST}:{API_PROXY_PORT}"))


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2:])
