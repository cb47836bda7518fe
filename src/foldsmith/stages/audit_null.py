"""`audit null`: the workflow in many markets of known truth, what it says of them, and whether that is right.

Results are kept a line a market, so a run that was killed goes on; they are judged in the order of their names, so the
number of workers leaves no trace.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import foldsmith
from foldsmith.audit.proof import Proof
from foldsmith.errors import DataError, FoldsmithError, SettingError, StoppedError, UnfinishedError
from foldsmith.intervals import as_instants
from foldsmith.market.instruments import INSTRUMENTS, instrument
from foldsmith.market.mirror import whole_days
from foldsmith.market.readers import read_bars
from foldsmith.market.sessions import schedule
from foldsmith.runs.files import disk_errors_told, hash_raw, open_regular
from foldsmith.runs.source import source_hash
from foldsmith.stages.executors import Executor, WorkersLost
from foldsmith.stages.interrupt import ends_promptly
from foldsmith.stages.market_bars import clean_bars
from foldsmith.stages.null_bars import EDGE, HINT, MIRRORED, SHIFTED, SHUFFLED, SIMULATED, Market
from foldsmith.stages.null_markets import Record, run_market
from foldsmith.stages.null_statements import null_proofs, power_proofs, seen_proofs

Say = Callable[[str], None]
DEFAULT_EDGES = (0.04, 0.08, 0.16)
LEAST_MARKETS, MOST_MARKETS = 20, 10_000
LEAST_PLANTED = 20
"""Markets with an edge, or with a leak, that a proof needs: fewer could not exceed its bound."""
MOST_BYTES = 1 << 28
TOLD_EVERY = 10
BEGINNING = b'{"of": "'
"""Of each line that is kept: nothing else is taken for one that was cut short."""


@dataclass(frozen=True)
class NullSettings:
    """How many markets, which edges, and the real bars, {SYMBOL}_1m.* each, that nulls are made from."""

    markets: int = 200
    edges: tuple[float, ...] = DEFAULT_EDGES
    raw: tuple[Path, ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        if not LEAST_MARKETS <= self.markets <= MOST_MARKETS:
            raise SettingError(
                f"--markets {self.markets} is out of range; give {LEAST_MARKETS} to {MOST_MARKETS:,}, and 200 or more "
                "for a proof that can tell small faults."
            )
        # As markets are named: edges that differ in later digits would be one market twice.
        if not self.edges or len({f"{edge:g}" for edge in self.edges}) != len(self.edges):
            raise SettingError(
                f"--edges {','.join(f'{e:g}' for e in self.edges)!r} must name edges, each once."
            )
        for edge in self.edges:
            if not (math.isfinite(edge) and 0 < edge <= 1):
                raise SettingError(
                    f"--edges holds {edge:g}; give sizes above 0 and up to 1, such as 0.04,0.08,0.16."
                )
        if self.seed < 0:
            raise SettingError(f"--seed {self.seed} is too small; the least is 0.")
        symbols = [_symbol(path) for path in self.raw]
        for symbol in symbols:
            if symbols.count(symbol) > 1:
                raise SettingError(
                    f"--raw is given {symbols.count(symbol)} files of {symbol}, and markets are named by their symbol; "
                    "give one of each, and the other in a run of its own."
                )

    @property
    def planted(self) -> int:
        """Markets with each edge."""
        return max(self.markets // 4, LEAST_PLANTED)

    @property
    def leaking(self) -> int:
        """Markets with each leak."""
        return max(self.markets // 5, LEAST_PLANTED)


def _symbol(path: Path) -> str:
    symbol = path.name.split("_1m")[0]
    if "_1m" not in path.name or symbol not in INSTRUMENTS:
        raise SettingError(
            f"--raw {path} does not say which instrument it is of; name it SYMBOL_1m.parquet (or .csv), SYMBOL one of "
            f"{', '.join(INSTRUMENTS)}."
        )
    return symbol


def audit_null(settings: NullSettings, *, executor: Executor, kept: Path | None, say: Say) -> list[Proof]:
    """Run all markets that `kept` does not hold yet, and every proof of what they gave."""
    if kept is not None and not kept.absolute().parent.is_dir():
        raise SettingError(
            f"--keep {kept} is in a folder that is not there; make {kept.parent}, or name another."
        )
    with tempfile.TemporaryDirectory(prefix="foldsmith-null-") as folder:
        markets, real = _markets(settings, Path(folder), say)
        records = _run(markets, _fingerprint(settings), executor, kept, Path(folder), say)
    return list(_proofs(settings, real, markets, records))


def _markets(settings: NullSettings, folder: Path, say: Say) -> tuple[list[Market], list[str]]:
    """Every market, and the symbols of the real bars."""
    seed = settings.seed
    made = [Market(SIMULATED, number, seed) for number in range(settings.markets)]
    for edge in settings.edges:
        made += [Market(EDGE, number, seed, edge) for number in range(settings.planted)]
    for leak in (HINT, SHUFFLED):
        made += [Market(leak, number, seed) for number in range(settings.leaking)]
    symbols: list[str] = []
    for path in settings.raw:
        symbol, bars = _symbol(path), folder / f"{len(symbols)}.parquet"
        _clean(path, symbol, bars, say)
        symbols.append(symbol)
        for kind in (MIRRORED, SHIFTED):
            made += [Market(kind, number, seed, 0.0, symbol, str(bars)) for number in range(settings.markets)]
    return made, symbols


def _clean(path: Path, symbol: str, cleaned: Path, say: Say) -> None:
    mine = instrument(symbol)
    raw = read_bars(path, symbol=symbol)
    base, _, _ = clean_bars(raw.frame, mine)
    at = as_instants(base["datetime"])
    days = len(whole_days(base, schedule(mine.calendar, int(at[0]), int(at[-1]))))
    base.write_parquet(cleaned)
    say(f"read {path.name}: {base.height:,} bars, {days} whole days")


def _name(market: Market) -> str:
    return f"{market.symbol}/{market.key}"


def _fingerprint(settings: NullSettings) -> str:
    """What makes kept results comparable: the program, the seed, and the real bars."""
    raw = [hash_raw(path)[:16] for path in settings.raw]
    return "/".join([foldsmith.__version__, source_hash()[:16], str(settings.seed), *raw])


def _run(
    markets: Sequence[Market],
    fingerprint: str,
    executor: Executor,
    kept: Path | None,
    folder: Path,
    say: Say,
) -> dict[str, Record]:
    found = {} if kept is None else _read(kept, fingerprint)
    wanted = {_name(market) for market in markets}
    found = {name: record for name, record in found.items() if name in wanted}
    waiting = [market for market in markets if _name(market) not in found]
    if found:
        say(f"{len(found)} of {len(markets)} markets are kept in {kept}")
    stopped = "stopped by Ctrl-C; " + (
        f"what is finished is kept. Go on with the same command and --keep {kept}"
        if kept is not None
        else "nothing is kept. Say --keep FILE next time"
    )
    try:
        with ends_promptly(lambda: stopped):
            for name, record in executor.each(_named, waiting, folder):
                found[name] = record
                if kept is not None:
                    _append(kept, fingerprint, name, record)
                if len(found) % TOLD_EVERY == 0 or len(found) == len(markets):
                    say(f"[{len(found)}/{len(markets)}] {name}")
    except KeyboardInterrupt:
        raise StoppedError(stopped) from None
    except WorkersLost as error:
        raise UnfinishedError(
            "a worker process was killed, most likely by the system for want of memory; use fewer --workers"
        ) from error
    return {_name(market): found[_name(market)] for market in markets}


def _named(market: Market) -> tuple[str, Record]:
    try:
        return _name(market), run_market(market)
    except FoldsmithError as error:
        raise DataError(f"market {_name(market)} could not be worked through: {error}") from error


def _append(kept: Path, fingerprint: str, name: str, record: Record) -> None:
    entry = {"of": fingerprint, "market": name, "sum": _sum(record), "record": record}
    line = json.dumps(entry, allow_nan=False)
    with disk_errors_told(f"write {kept}"), kept.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _sum(record: Record) -> str:
    """Of a record as it is kept: one that was damaged is told by it."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def _read(kept: Path, fingerprint: str) -> dict[str, Record]:
    """Records that an earlier run kept; a last line that was cut short is taken away, and its market made again."""
    if not kept.exists():
        return {}
    with disk_errors_told(f"read {kept}"), os.fdopen(open_regular(kept), "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(
            f"{kept} holds more than {MOST_BYTES:,} bytes and is no file of --keep; name another."
        )
    whole = content[: content.rfind(b"\n") + 1]
    found = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = json.loads(line)
            of, name, record, told = entry["of"], str(entry["market"]), dict(entry["record"]), entry["sum"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"line {number} of {kept} is no result of a market ({error}); name another file."
            ) from None
        if of != fingerprint:
            raise SettingError(
                f"{kept} holds results of another program, seed or raw file ({str(of)[:60]}, here {fingerprint}); "
                "name another file with --keep."
            )
        if told != _sum(record):
            raise DataError(
                f"line {number} of {kept} was changed after it was written; take it out, or name another file."
            )
        found[name] = record
    cut = content[len(whole) :]
    if cut and not (cut.startswith(BEGINNING) or BEGINNING.startswith(cut)):
        raise DataError(f"the last line of {kept} is no result of a market; name another file.")
    if cut:
        with disk_errors_told(f"write {kept}"), kept.open("r+b") as file:
            file.truncate(len(whole))
    return found


def _proofs(
    settings: NullSettings, real: Sequence[str], markets: Sequence[Market], records: dict[str, Record]
) -> Iterator[Proof]:
    by: dict[tuple[str, str, float], list[Record]] = {}
    for market in markets:
        by.setdefault((market.symbol if market.bars else "", market.kind, market.edge), []).append(
            records[_name(market)]
        )
    nulls = {SIMULATED: by["", SIMULATED, 0.0]}
    for symbol in real:
        nulls |= {f"{symbol}, {kind}": by[symbol, kind, 0.0] for kind in (MIRRORED, SHIFTED)}
    yield from null_proofs(nulls)
    yield from seen_proofs({leak: by["", leak, 0.0] for leak in (HINT, SHUFFLED)})
    yield from power_proofs({edge: by["", EDGE, edge] for edge in sorted(settings.edges)})
