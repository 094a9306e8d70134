"""Whether certificates and keys can be used, asked of OpenSSL. What is wrong is said without a word of the content."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

PEM_BYTES_MAX = 256 * 1024
"""The certificates of all public authorities are 220 KiB; more travels to the polling process with every poll."""


def in_ascii(pem: str) -> str:
    """The certificates with a question mark for each foreign letter: comments beside them have some, ssl takes none."""
    return pem.encode("ascii", "replace").decode()


def problem_of_certificates(pem: str) -> str:
    """What is wrong with trusted certificates; empty when nothing is."""
    if len(pem) > PEM_BYTES_MAX:
        return f"is larger than {PEM_BYTES_MAX // 1024} KiB"
    if "-----BEGIN CERTIFICATE-----" not in pem:
        return "holds no PEM certificate"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return "holds a certificate that cannot be read"
    return ""


def problem_of_key(pem: str) -> str:
    """What is wrong with a private key by itself; empty when nothing is."""
    if len(pem) > PEM_BYTES_MAX:
        return f"is larger than {PEM_BYTES_MAX // 1024} KiB"
    if "PRIVATE KEY-----" not in pem:
        return "holds no PEM private key"
    return "holds an encrypted private key" if "ENCRYPTED" in pem else ""


def belong_together(certificate: str, key: str) -> bool:
    """Whether the key can be read and is that of the first certificate. They stay in memory: no file has them."""
    try:
        with _in_memory(f"{certificate}\n{key}") as path:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, password=lambda: "")
    except (ssl.SSLError, ValueError):
        return False
    return True


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path to the text, which OpenSSL's chains are read from."""
    file = os.memfd_create("pem")
    try:
        os.write(file, text.encode())
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)
