"""The simulation can fail: every planted fault is found, by its consequence, within the first seeds."""

from __future__ import annotations

import pytest

from .mutants import MUTANTS
from .world import play

SEEDS = 250


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_fault_is_found(name: str) -> None:
    mutant = MUTANTS[name]
    others = set()
    for seed in range(SEEDS):
        violation = play(seed, mutant.parts).violation
        if violation is not None and any(text in violation for text in mutant.found_as):
            return
        others.add(violation)
    pytest.fail(f"{name}: {SEEDS} seeds, and nobody noticed; found instead: {sorted(filter(None, others))[:5]}")


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_what_is_planted_is_in_the_parts(name: str) -> None:
    """A mutant that is no other than production would be found by nothing, or by everything."""
    healthy = MUTANTS[name].parts.__class__()
    assert MUTANTS[name].parts != healthy
