"""`make audit`: known vulnerabilities of what the locks pin, by pip-audit; silence is never taken for health.

pip-audit ends with 0 also when it learned nothing: a package that the index does not tell of is "skipped", and one line
says that no known vulnerabilities were found. Here the ends are 0: all packages were judged and none is known to be
vulnerable; 1: some are; 3: nothing is known of some.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SOUND, VULNERABLE, NOT_LEARNED = 0, 1, 3
SHOWN = 5
TIMEOUT_SECONDS = 600
Report = Mapping[str, Any] | None
Outcome = tuple[int, list[str]]


def outcome_of(lock: str, report: Report) -> Outcome:
    """The exit code and the lines to print; a report of None is one that could not be made."""
    if report is None:
        return NOT_LEARNED, [f"{lock}: NOT AUDITED, the vulnerability data could not be had"]
    judged = report["dependencies"]
    found = [f"{lock}: {each['name']} {each['version']}: {_named(flaw)}"
             for each in judged for flaw in each.get("vulns", ())]
    skipped = sorted(each["name"] for each in judged if "skip_reason" in each)
    if skipped or not judged:
        some = ", ".join(skipped[:SHOWN]) + (" ..." if len(skipped) > SHOWN else "")
        found.append(f"{lock}: NOT AUDITED, no data could be had of {len(skipped)} of {len(judged)} packages: {some}")
    if any(each.get("vulns") for each in judged):
        return VULNERABLE, found
    return (NOT_LEARNED, found) if found else (SOUND, [f"{lock}: {len(judged)} packages, no known vulnerability"])


def report_of(lock: str) -> Report:
    """What pip-audit says of a lock, from the index's own data about each release."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--require-hashes", "--disable-pip",
               "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return report if isinstance(report, dict) else None


def worst(codes: Sequence[int]) -> int:
    """Of several locks: vulnerable beats not learned, which beats sound."""
    return next((code for code in (VULNERABLE, NOT_LEARNED) if code in codes), SOUND)


def _named(flaw: Mapping[str, Any]) -> str:
    fixed = ", ".join(flaw.get("fix_versions") or ()) or "no version"
    return f"{flaw['id']}, fixed in {fixed}"


def main(locks: Sequence[str]) -> int:
    """Print what is known of each lock."""
    outcomes = [outcome_of(lock, report_of(lock)) for lock in locks]
    print("\n".join(line for _, lines in outcomes for line in lines))
    return worst([code for code, _ in outcomes])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
