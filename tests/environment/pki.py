"""Certificates and kubeconfigs of one local cluster, made with the openssl command."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from .model import EnvironmentFailed

_CONFIG = "[req]\ndistinguished_name = subject\n[subject]\n"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def make_authority(folder: Path) -> None:
    """A certificate authority (ca.crt, ca.key) and the service accounts' key pair (sa.key, sa.pub) in a new folder."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / "openssl.cnf").write_text(_CONFIG)
    usage = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash")
    _request(folder, "ca", "/CN=kafka-consumer-scaler-environment", usage)
    make_signing_key(folder, "sa")


def make_signing_key(folder: Path, name: str) -> None:
    """A key pair NAME.key and NAME.pub with which tokens are signed."""
    _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(folder / f"{name}.key"))
    _openssl("pkey", "-in", str(folder / f"{name}.key"), "-pubout", "-out", str(folder / f"{name}.pub"))


def issue(folder: Path, name: str, subject: str, names: tuple[str, ...] = ()) -> None:
    """A certificate NAME.crt with NAME.key for clients, and for servers when it has names ("DNS:x", "IP:1.2.3.4")."""
    extensions = (
        "basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=clientAuth,serverAuth", "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid",
        *([f"subjectAltName={','.join(names)}"] if names else []),
    )  # fmt: skip
    _request(folder, name, subject, extensions, "-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"))


def kubeconfig(folder: Path, name: str, server: str) -> str:
    """The text of a kubeconfig (JSON is YAML) for the client certificate of this name, with everything inside."""
    authority, certificate, key = (
        base64.b64encode((folder / file).read_bytes()).decode() for file in ("ca.crt", f"{name}.crt", f"{name}.key")
    )
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "environment",
        "clusters": [{"name": "environment", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": name, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": "environment", "context": {"cluster": "environment", "user": name}}],
    }  # fmt: skip
    return json.dumps(document, indent=2)


def _request(folder: Path, name: str, subject: str, extensions: tuple[str, ...], *signer: str) -> None:
    added = [word for extension in extensions for word in ("-addext", extension)]
    files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    config = ("-config", str(folder / "openssl.cnf"))
    _openssl("req", "-x509", *config, *_NEW_KEY, "-days", "365", "-subj", subject, *files, *added, *signer)


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise EnvironmentFailed(f"openssl {words[0]} failed", tuple(done.stderr.splitlines()[-5:]))
