"""Every stored evaluation of a workspace in order of a score; read from what was kept, so that nothing is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldsmith.errors import DataError
from foldsmith.runs.audits import audits, stands
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.registry import FINISHED, places, read_registry
from foldsmith.runs.source import source_hash
from foldsmith.runs.store import Workspace, open_run, read_json

SORTS: dict[str, tuple[str, float]] = {
    "direction_auc": ("direction AUC", 0.5),
    "log_loss_gain": ("log loss gained over the base rate", 0.0),
    "net": ("profit after costs", 0.0),
    "sharpe": ("Sharpe ratio a year after costs", 0.0),
}
"""What to sort by: its name in words, and its yardstick; the highest goes first."""

TELL_MORE = ("snooping", "importance", "learning_curve")
"""Flags by which an evaluation tells more of the same model and rule."""


def leaderboard(
    workspace: Workspace, split: str, by: str, symbol: str | None = None, also: Sequence[Path] = ()
) -> dict[str, Any]:
    """Evaluations at a split, best first by one of SORTS; JSON-able.

    Each has id, model, symbol, horizon, score, low, high (95%, null where none is kept), trades, net, verdict, place
    and trials: what had been tried by then, as its manifest says; and audit, as `runs.audits.stands` says it now. Those
    whose score is not known come last. Evaluations of one model and trading rule are one thing tried: the first of them
    is shown, and `looks` says how many there are. Damaged evaluations are named under `unread`. `things_tried` is the
    greatest count of trials that any of them tells.
    """
    rows, unread = [], []
    looks: dict[tuple[str, str], int] = {}
    every = read_registry(workspace, places(workspace, also)).entries
    audited = audits(Ledger(workspace.ledger))
    for entry in sorted(every, key=lambda one: one.id):
        if entry.kind != "evaluation" or entry.split != split or (symbol and entry.symbol != symbol):
            continue
        if entry.state != FINISHED:
            unread.append(entry.id)
            continue
        run = open_run(entry.path.parent, entry.path.name, workspace.ledger)
        run.verify(["metrics.json"])
        parameters = {k: v for k, v in run.manifest.parameters.items() if k not in TELL_MORE}
        model = next((one for one in run.manifest.parents if one.kind == "model"), None)
        key = ("" if model is None else model.content, repr(sorted(parameters.items())))
        looks[key] = looks.get(key, 0) + 1
        if looks[key] == 1:
            told = _row(read_json(run.path / "metrics.json"), by, run.id)
            tried = run.manifest.extra.get("tried") or {}
            rows.append(
                {
                    "id": run.id,
                    "model": "" if model is None else model.id,
                    "symbol": entry.symbol,
                    "horizon": run.manifest.extra.get("horizon"),
                    "place": tried.get("place"),
                    "trials": tried.get("trials"),
                    "audit": stands(audited, run.manifest, source_hash),
                    "key": key,
                    **told,
                }
            )
    rows.sort(key=lambda one: (one["score"] is None, -(one["score"] or 0.0), one["id"]))
    for one in rows:
        one["looks"] = looks[one.pop("key")]
    name, yardstick = SORTS[by]
    return {
        "split": split,
        "by": by,
        "name": name,
        "yardstick": yardstick,
        "things_tried": max((one["trials"] or 0 for one in rows), default=0),
        "rows": rows,
        "unread": unread,
    }


def _row(metrics: Mapping[str, Any], by: str, run_id: str) -> dict[str, Any]:
    try:
        traded, judged = metrics["backtest"], metrics.get("verdict") or {}
        kept = traded.get("interval", {}) if by in ("net", "sharpe") else metrics["interval"]
        name = {"sharpe": "sharpe_annual"}.get(by, by)
        interval = kept.get(name) or {}
        if by in ("net", "sharpe"):
            score = traded[name]
        elif by == "log_loss_gain":
            score = metrics["log_loss_base"] - metrics["log_loss"]
        else:
            score = metrics[by]
        return {
            "score": score,
            "low": interval.get("low"),
            "high": interval.get("high"),
            "trades": traded["trades"],
            "net": traded["net"],
            "verdict": judged.get("verdict"),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"metrics.json of {run_id} is not what `evaluate` writes ({error!r:.60}).") from error
