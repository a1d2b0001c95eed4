"""The benchmarks by name: one line each, imported when it is run.

Strategy: a benchmark is a module with `measure(effort, watch) -> Result`. Its figures are listed here so that
`busbar bench --list` needs no import, and are compared with what it really gives.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.harness import BenchmarkError, Effort, Watch
from benchmarks.results import Result


@dataclass(frozen=True, slots=True)
class Entry:
    module: str
    english: str
    chinese: str
    figures: tuple[str, ...]


CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        "codec": Entry(
            "benchmarks.codec",
            "our ISO 8583 codec against pyiso8583, same messages",
            "ISO 8583 编解码与 pyiso8583 对比",
            ("codec.decode_vs_pyiso8583", "codec.encode_vs_pyiso8583"),
        ),
        "xml": Entry(
            "benchmarks.xml_exchange",
            "a signed XML request and reply against bare canonicalisation, digest and RSA",
            "XML 验签、解析、应答、签名与裸算法对比",
            ("xml.vs_floor",),
        ),
        "ledger": Entry(
            "benchmarks.ledger.measure",
            "the ledger's lanes against pgbench with one function call a payment, same durable database",
            "账务入账通道与 pgbench 逐笔入账对比",
            (
                "ledger.vs_pgbench",
                "ledger.p99_ms_half_load",
                "ledger.idle_vs_bare_commit",
                "ledger.growth",
                "ledger.import_bills_per_second",
                "ledger.rss_mib",
            ),
        ),
    }
)
ALL = "all"


def chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    """The benchmarks meant by `names` in the catalogue's order; raises BenchmarkError for an unknown name."""
    for name in names:
        if name != ALL and name not in CATALOGUE:
            raise BenchmarkError(f"no benchmark {name!r}; one of {', '.join(CATALOGUE)} or {ALL}")
    return tuple(name for name in CATALOGUE if ALL in names or name in names)


def run(name: str, effort: Effort, watch: Watch) -> Result:
    """Run one benchmark; raises BenchmarkError where it can't be run here."""
    entry = CATALOGUE[name]
    module = importlib.import_module(entry.module)
    result: Result = module.measure(effort, watch)
    if tuple(figure.name for figure in result.figures) != entry.figures:
        raise ValueError(f"{entry.module} does not measure what the catalogue promises")
    return result
