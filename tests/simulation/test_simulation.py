"""A thousand worlds; and the proof that a world is the same whoever plays it, and that none of them is empty."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from .world import play

SEEDS, A_RANGE = 1000, 50
ROOT = Path(__file__).resolve().parents[2]
RUN = "tests/simulation/run.py"

# What must have happened in any range of seeds: a simulation in which nothing goes wrong proves nothing.
EVERY_RANGE = (
    *("messages", "messages lost", "messages doubled", "messages delayed", "frames split or joined"),
    *("connections cut", "connections to the database lost", "transactions to be repeated", "database outages"),
    *("crashes", "crashes while something was in the lanes", "stalls", "stalls that outlive their sessions"),
    *("cut-offs", "cut-offs with operations in the lanes", "customers held by somebody else"),
    *("commit unknown, never received", "commit unknown, done", "commit unknown, done later"),
    *("reversals before their payment", "requests without an answer in time", "status enquiries that fence"),
    *("undone: REVERSAL", "undone: NEXT_DAY_REVERSAL", "undone: SAME_DAY_CANCEL"),
    *("answers: PAYMENT success", "answers: PAYMENT final_refusal", "answers: PAYMENT unknown_outcome"),
)


@pytest.mark.parametrize("first", range(0, SEEDS, A_RANGE))
def test_no_money_is_lost_or_doubled(first: int) -> None:
    tally: Counter[str] = Counter()
    for seed in range(first, first + A_RANGE):
        played = play(seed)
        assert played.violation is None, (
            f"seed {seed}: {played.violation}\nreplay it: .venv/bin/python {RUN} --seed {seed} --trace"
        )
        tally += played.tally
    assert [what for what in EVERY_RANGE if not tally[what]] == [], dict(tally)


@pytest.mark.parametrize("seed", [3, 44, 315])
def test_a_replay_is_identical(seed: int) -> None:
    first, second = play(seed), play(seed, with_log=True)
    assert first.digest == second.digest
    assert first.tally == second.tally
    logged = [event for event in second.events if event[1] == "log"]
    assert first.events == [event for event in second.events if event[1] != "log"]
    assert len(first.events) > 20
    assert logged or not first.tally["commit unknown, done"]


def test_different_seeds_are_different_worlds() -> None:
    assert len({play(seed).digest for seed in range(20)}) == 20


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_replays_it_identically(hash_seed: str) -> None:
    """Nothing depends on the order of a set or on the address of an object."""
    command = [sys.executable, RUN, "--seed", "44"]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert play(44).digest in done.stdout


def test_the_command_tells_a_violation_with_its_seed_and_replays_it() -> None:
    planted = ["--mutant", "acknowledge before the commit"]
    command = [sys.executable, RUN, "--seeds", "8", "--workers", "1", *planted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = next(line for line in done.stdout.splitlines() if line.startswith("seed "))
    seed = found.split(":")[0].removeprefix("seed ")
    again = [sys.executable, RUN, "--seed", seed, "--trace", *planted]
    replayed = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False)
    assert replayed.returncode == 1
    assert found.split(": ", 1)[1] in replayed.stdout
