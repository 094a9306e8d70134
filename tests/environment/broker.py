"""What the broker says about itself through its JMX agent."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter

_REQUESTS = re.compile(r'^kafka_requests\w*\{[^}]*request="(\w+)"[^}]*\} ([0-9.eE+]+)$', re.MULTILINE)


def request_counts(text: str) -> dict[str, int]:
    """Total requests by API name, summed over the APIs' versions, from the agent's text."""
    counts: Counter[str] = Counter()
    for api, count in _REQUESTS.findall(text):
        counts[api] += int(float(count))
    return dict(counts)


def fetch_request_counts(address: str) -> dict[str, int]:
    """The counts of the broker whose agent listens at `host:port`; raises OSError when it does not answer."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return request_counts(answer.read().decode())
