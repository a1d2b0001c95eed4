"""Every benchmark of the catalogue runs with little effort, gives its figures, and refuses unequal contestants."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks import catalogue
from benchmarks.codec import measure as measure_codec
from benchmarks.harness import BenchmarkError, Effort
from benchmarks.ledger import growth, member, observe, processor, world
from benchmarks.ledger.measure import check_same_work
from benchmarks.ledger.pgbench import _without_password, read_output
from benchmarks.messages_1987 import messages
from busbar.commands.bench import command

QUICK = Effort(quick=True)


class Quiet:
    def __init__(self) -> None:
        self.expected = 0
        self.done = 0

    def expect(self, turns: int) -> None:
        self.expected = turns

    def did(self, what: str) -> None:
        self.done += 1


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize("name", catalogue.CATALOGUE)
def test_every_benchmark_gives_its_figures(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUSBAR_DATABASE_DSN", raising=False)
    watch = Quiet()
    result = catalogue.run(name, QUICK, watch)
    assert tuple(figure.name for figure in result.figures) == catalogue.CATALOGUE[name].figures
    assert all(figure.name.startswith(f"{name}.") and figure.value > 0 for figure in result.figures)
    assert all(one.spread.low <= one.spread.median <= one.spread.high for one in (*result.figures, *result.facts))
    assert result.limit
    assert watch.done == watch.expected  # the progress bar ends at its end


# --- the command


def test_json_has_figures_machine_and_runs(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = bench("codec", "xml", "--quick", "--seed", "7", "--json", str(file))
    assert done.exit_code == 0, done.output
    content = json.loads(file.read_text(encoding="utf-8"))
    assert set(content) == {"figures", "machine", "runs"}
    assert set(content["figures"]) == {"codec.decode_vs_pyiso8583", "codec.encode_vs_pyiso8583", "xml.vs_floor"}
    assert content["machine"]["processors"] >= 1
    assert [(run["benchmark"], run["quick"], run["seed"]) for run in content["runs"]] == [
        ("codec", True, 7),
        ("xml", True, 7),
    ]
    for run in content["runs"]:
        assert run["samples"]
        for samples in run["samples"].values():
            assert all(sample["units"] > 0 and sample["seconds"] > 0 for sample in samples)
    for name in content["figures"]:
        assert name in done.output


def test_the_list_names_every_figure() -> None:
    done = bench("--list")
    assert done.exit_code == 0
    for name, entry in catalogue.CATALOGUE.items():
        assert f"{name} " in done.output
        assert all(figure in done.output for figure in entry.figures)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to measure"),
        (("nothing",), "no benchmark 'nothing'; one of codec"),
        (("codec", "nothing"), "no benchmark 'nothing'"),
        (("codec", "--json", "no-such-folder/f.json"), "no-such-folder is no folder"),
    ],
)
def test_a_wrong_command_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = bench(*arguments)
    assert done.exit_code != 0
    assert words in done.output


def test_all_is_everything_once_in_order() -> None:
    assert catalogue.chosen(("all", "xml")) == tuple(catalogue.CATALOGUE)
    assert catalogue.chosen(("xml", "codec", "xml")) == ("codec", "xml")


def test_what_can_not_run_is_told_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iso8583", None)
    file = tmp_path / "figures.json"
    done = bench("codec", "xml", "--quick", "--json", str(file))
    assert done.exit_code != 0
    assert "codec: pyiso8583 is not installed: run `make setup`" in done.output
    assert list(json.loads(file.read_text(encoding="utf-8"))["figures"]) == ["xml.vs_floor"]


# --- equal contestants, or no figure


def test_a_seed_gives_the_same_messages() -> None:
    assert messages(1, 8) == messages(1, 8)
    assert messages(1, 8) != messages(2, 8)


def test_codecs_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    import iso8583

    monkeypatch.setattr(iso8583, "encode", lambda values, table: (b"0200", {}))
    with pytest.raises(BenchmarkError, match="differently"):
        measure_codec(QUICK, Quiet())


def same_sides() -> dict[str, list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = [("entry DUE_FROM_BANK", 8, 800, 900), ("operation", 8, 800, 4000)]
    return {world.LANE: list(rows), world.PGBENCH: list(rows)}


def test_the_same_work_is_accepted() -> None:
    check_same_work(same_sides(), 8)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("operation", 7, 800, 4000), "did not write the same rows"),
        (("operation", 8, 799, 4000), "did not write the same rows"),
        (("operation", 8, 800, 3000), "operation: 3000 bytes by the lanes, 4000 by pgbench"),
    ],
    ids=["a row less", "a fen less", "thinner rows"],
)
def test_other_work_is_refused(row: tuple[Any, ...], words: str) -> None:
    sides = same_sides()
    sides[world.LANE][1] = row
    with pytest.raises(BenchmarkError, match=words):
        check_same_work(sides, 8)


def test_too_few_rows_on_both_sides_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="8 rows for 9 payments"):
        check_same_work(same_sides(), 9)


GOOD_OUTPUT = """\
number of transactions actually processed: 192/192
number of failed transactions: 0 (0.000%)
latency average = 1.5 ms
tps = 384.000000 (without initial connection time)
"""


def test_what_pgbench_says() -> None:
    sample = read_output(GOOD_OUTPUT, 192)
    assert (sample.units, sample.seconds) == (192, 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("processed: 192", "processed: 191"), "made 191 of 192"),
        (lambda text: text.replace("transactions: 0", "transactions: 2"), "2 failed"),
        (lambda text: text.replace("tps", "speed"), "speaks differently"),
    ],
)
def test_a_failed_payment_of_pgbench_is_an_error(change: Callable[[str], str], words: str) -> None:
    with pytest.raises(BenchmarkError, match=words):
        read_output(change(GOOD_OUTPUT), 192)


def test_no_password_stands_in_the_list_of_processes() -> None:
    dsn = _without_password("postgresql://gate:se%2Fcret@/bench?host=%2Ftmp%2Fx&port=5432")
    assert dsn == "postgresql://gate@/bench?host=%2Ftmp%2Fx&port=5432"


def test_a_ledger_that_somebody_named_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class External:
        external = True

        def __enter__(self) -> External:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(world, "provide", lambda _folder: External())
    with pytest.raises(BenchmarkError, match="unset BUSBAR_DATABASE_DSN"), world.provided({}):
        pass


@pytest.mark.parametrize("number", range(0, 4000, 397))
def test_both_sides_owe_the_same(number: int) -> None:
    operation, evidence = world.payment(number)
    assert operation.amount.minor == world.principal_fen(number) + world.penalty_fen(number)
    theirs = world.request_bytes(world.PGBENCH, number)
    assert len(evidence.request) == len(theirs)
    assert theirs != evidence.request


# --- growth, memory, processor time


@pytest.mark.parametrize("population", [growth.sizes(Effort()).small, growth.sizes(Effort()).large, 3_000, 1_000])
def test_payers_are_spread_and_nobody_pays_twice(population: int, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[list[int]] = []
    monkeypatch.setattr(growth.lane, "pay_numbers", lambda _world, numbers: turns.append(numbers))
    turn = growth._turn(world.World("", "", ""), population, population // 8)
    for _ in range(8):
        turn()
    everybody = [number for numbers in turns for number in numbers]
    assert len(set(everybody)) == len(everybody)
    assert all(max(numbers) - min(numbers) > population // 2 for numbers in turns)


def test_the_file_of_bills_holds_what_the_lanes_pay(tmp_path: Path) -> None:
    growth.write_bills(tmp_path / "bills.csv", 5)
    header, *lines = (tmp_path / "bills.csv").read_text(encoding="utf-8").splitlines()
    assert header.split(",") == list(growth._COLUMNS)
    assert [line.split(",")[5] for line in lines] == [str(world.principal_fen(number)) for number in range(5)]


def test_a_gateway_process_that_ends_early_is_told() -> None:
    nowhere = world.World("", "postgresql://nobody@127.0.0.1:1/nothing", "")
    with pytest.raises(BenchmarkError, match="ended early"):
        member.pay_together(nowhere, processes=2, first=0, payments=4)


def test_memory_is_the_most_there_ever_was() -> None:
    held = bytearray(b"x" * (64 << 20))  # for a moment twice 64 MiB are there
    assert len(held) == 64 << 20
    del held
    assert member.peak_mib() > 128


def test_the_sentence_on_processor_time() -> None:
    text = processor.sentence(processor.Spent(0.00006, 0.00004), processor.Spent(0.00005, 0.00025))
    assert "60 µs in the gateway and 40 in the server, against 50 in pgbench and 250" in text
    assert text.endswith("3.0× ours")


# --- what limits the lanes


@pytest.mark.parametrize(
    ("kind", "event", "state"),
    [
        ("", "", "working"),
        ("Client", "ClientRead", "waiting for the gateway"),
        ("IO", "WalSync", "waiting for the log"),
        ("LWLock", "WALWrite", "waiting for the log"),
        ("IO", "DataFileRead", "waiting for the disk"),
        ("Lock", "tuple", "waiting for a lock"),
    ],
)
def test_what_a_server_process_does(kind: str, event: str, state: str) -> None:
    assert observe.state_of(kind, event) == state


@pytest.mark.parametrize(
    ("gateway", "backend", "states", "culprit"),
    [
        (0.97, 0.4, {}, "Python in the gateway process"),
        (0.5, 0.9, {}, "the server processes of the lanes"),
        (0.1, 0.1, {"waiting for the log": 0.7, "working": 0.3}, "the log on disk (fsync)"),
        (0.1, 0.1, {"waiting for the gateway": 0.6, "working": 0.4}, "nobody alone"),
    ],
)
def test_who_is_the_limit(gateway: float, backend: float, states: dict[str, float], culprit: str) -> None:
    observed = observe.Observed(gateway, backend, states)
    assert observed.culprit().startswith(culprit)
    assert observed.sentence().startswith(culprit)
