"""Any number of seeds by hand, or one seed told event by event.

    .venv/bin/python tests/simulation/run.py --seeds 100000 --first 0
    .venv/bin/python tests/simulation/run.py --seed 4711 --trace
    .venv/bin/python tests/simulation/run.py --seeds 200 --mutant "skip the fence"

Seeds are shared out over the processors (`--workers`). A violation prints its seed and the command that replays it; the
end prints what had happened in all worlds together. Exit status 1 if anything was violated.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

# As a script this file is on no import path; its own folder must not stand in front of the packages.
sys.path[0] = str(Path(__file__).resolve().parents[2])

from rich.console import Console  # noqa: E402
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: E402
from rich.table import Table  # noqa: E402

from tests.simulation.mutants import MUTANTS  # noqa: E402
from tests.simulation.world import Parts, Played, play  # noqa: E402

COMMAND = ".venv/bin/python tests/simulation/run.py"
_CHUNK = 50


def main() -> int:
    arguments = _arguments()
    console = Console(soft_wrap=True)
    if arguments.seed is not None:
        return _one(console, arguments)
    return _many(console, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a processor)")
    parser.add_argument("--seed", type=int, help="this one only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print every event and log line")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with a fault planted in the production code")
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.workers < 1:
        parser.error("--seeds and --workers: at least 1")
    return arguments


def _parts(mutant: str | None) -> Parts:
    return Parts() if mutant is None else MUTANTS[mutant].parts


def _one(console: Console, arguments: argparse.Namespace) -> int:
    played = play(arguments.seed, _parts(arguments.mutant), with_log=arguments.trace)
    if arguments.trace:
        for moment, *event in played.events:
            console.print(f"{moment:12.6f}  {' '.join(map(str, event))}", markup=False, highlight=False)
    _tell(console, played.tally)
    console.print(f"seed {played.seed}, digest {played.digest}")
    console.print(f"VIOLATION: {played.violation}" if played.violation else "everything held", markup=False)
    return 1 if played.violation else 0


def _many(console: Console, arguments: argparse.Namespace) -> int:
    tally: Counter[str] = Counter()
    violated = 0
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[violated]} violated"), console=console) as progress:
        bar = progress.add_task("worlds", total=arguments.seeds, violated=0)
        for played in _played(arguments):
            tally += played.tally
            if played.violation is not None:
                violated += 1
                planted = "" if arguments.mutant is None else f' --mutant "{arguments.mutant}"'
                console.print(f"seed {played.seed}: {played.violation}", markup=False)
                console.print(f"    {COMMAND} --seed {played.seed} --trace{planted}", markup=False)
            progress.update(bar, advance=1, violated=violated)
    _tell(console, tally)
    console.print(f"{arguments.seeds} worlds from seed {arguments.first} on, {violated} violated")
    return 1 if violated else 0


def _played(arguments: argparse.Namespace) -> Iterator[Played]:
    work = ((seed, arguments.mutant) for seed in range(arguments.first, arguments.first + arguments.seeds))
    if arguments.workers == 1:
        yield from map(_play, work)
        return
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        yield from pool.imap_unordered(_play, work, chunksize=_CHUNK)


def _play(work: tuple[int, str | None]) -> Played:
    seed, mutant = work
    played = play(seed, _parts(mutant))
    return Played(played.seed, played.violation, played.digest, played.tally, [])


def _tell(console: Console, tally: Counter[str]) -> None:
    table = Table("what happened", "how often")
    table.columns[1].justify = "right"
    for name, number in sorted(tally.items()):
        table.add_row(name, f"{number:,}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
