"""The proof: this operator's decisions against other autoscalers, on every family of simulated workloads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.proof_page import Proof, page, text
from benchmarks.proof_runs import Say, measure, run_one
from benchmarks.report import RESULTS
from benchmarks.section import Section
from kafka_consumer_scaler.simulation.compare import KEDA, ORACLE, OURS, policy_for
from kafka_consumer_scaler.simulation.plots import Panel, draw_overview
from kafka_consumer_scaler.simulation.workload import workload

SEEDS: Final = 20
CACHE: Final = RESULTS / "proof-rivals.json"
DOCS: Final = Path(__file__).parents[1] / "docs"
SECTION: Final = Section(DOCS / "benchmarks.md", "proof")
PICTURE: Final = DOCS / "pictures" / "simulation.png"
PICTURED_SEED: Final = 1


@dataclass(frozen=True)
class ProofResult:
    """A proof that was run: to print, to write, and whether every goal is met."""

    proof: Proof

    @property
    def is_good(self) -> bool:
        return all(claim.is_met for claim in self.proof.claims())

    def text(self) -> str:
        return text(self.proof)

    def write(self) -> Path:
        """Write benchmarks/results/proof.json and answer its path."""
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / "proof.json"
        file.write_text(json.dumps(self.proof.as_json(), indent=1) + "\n")
        return file


def run(seeds: int = SEEDS, ours_only: bool = False, say: Say = print) -> ProofResult:
    """Run what must be run; with at least `SEEDS` seeds also the page and the picture are made anew.

    Raises:
        RunsMissing: `ours_only`, and the rivals have not been run yet.
    """
    proof = Proof(measure(seeds, ours_only, CACHE, say))
    if seeds >= SEEDS:
        SECTION.write(page(proof))
        draw(proof)
        say(f"written: {SECTION.page}, {PICTURE}")
    return ProofResult(proof)


def draw(proof: Proof, file: Path = PICTURE) -> None:
    """The overview: ours, KEDA with one threshold, and the oracle on one workload of each family."""
    draw_overview([_panel(name, proof.single) for name in proof.names], file)


def _panel(family: str, threshold: int) -> Panel:
    load = workload(family, PICTURED_SEED)
    policy = policy_for(load)
    labels = {OURS: OURS, f"keda:{threshold}": f"{KEDA} ({threshold})", ORACLE: ORACLE}
    records = {name: run_one(label, load, policy).record for label, name in labels.items()}
    return Panel(family, load.arrival, records, policy.lag_seconds)
