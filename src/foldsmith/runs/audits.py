"""Audits that were finished, kept in the ledger: what each proved of a run, and what that is worth now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Manifest

KIND = "audit"
"""Kind of these entries of the ledger."""
HELD, OUTCOMES = "held", ("held", "broken", "blind", "could not run")
"""How a proof can end; every outcome but HELD is a failure."""
NAMED = 20
"""Failed proofs that an entry names."""
SHOWN = 3
"""Failed proofs that a sentence names."""
_LONGEST = 200


@dataclass(frozen=True)
class Audited:
    """What a finished audit proved of one run.

    content : the run's content hash then; outcomes : number of proofs by outcome; failed : names of the first NAMED
    that did not hold; version, source : of the code that proved; at : when, in ISO form, UTC; empty until entered.
    """

    run_id: str
    content: str
    quick: bool
    outcomes: Mapping[str, int]
    failed: tuple[str, ...]
    version: str
    source: str
    at: str = ""

    @property
    def proofs(self) -> int:
        """How many were run."""
        return sum(self.outcomes.values())

    @property
    def held(self) -> bool:
        """Whether there were proofs, and all held."""
        return 0 < self.proofs == self.outcomes.get(HELD, 0)


def record(ledger: Ledger, audits: Iterable[Audited]) -> None:
    """Enter audits, all or none."""
    ledger.enter(KIND, *((one.run_id, _body(one)) for one in audits))


def audits(ledger: Ledger) -> list[Audited]:
    """The audits that were finished, oldest first; IntegrityError for an entry that is none."""
    return ledger.entries(_audited, KIND)


def standing(every: Iterable[Audited], content: str) -> Audited | None:
    """The audit that says how a run of this content stands; None where it was never audited.

    The latest, but what a full audit found is not outdone by a quick one that held: not where it failed, and not where
    it held with the same code.
    """
    full: Audited | None = None
    quick: Audited | None = None
    for one in every:
        if one.content == content:
            full, quick = (full, one) if one.quick else (one, None)
    if full is None or quick is None:
        return full or quick
    news = not quick.held or (full.held and quick.source != full.source)
    return quick if news else full


def told(found: Audited | None, source: str) -> str:
    """How a run stands in one sentence; source : hash of the code that is asked.

    >>> told(None, "")
    'never audited'
    >>> told(Audited("m", "c", True, {"held": 9}, (), "1.0", "a" * 64, "2024-03-05T09:00"), "a" * 64)
    'audited on 2024-03-05: 9 proofs held on this content (quick), with this code'
    """
    if found is None:
        return "never audited"
    code = (
        "this code" if found.source == source
        else f"other code ({found.version}, source {found.source[:12]}), which has changed since"
    )  # fmt: skip
    how, on = " (quick)" if found.quick else "", f" on {found.at[:10]}" if found.at else ""
    if found.held:
        return f"audited{on}: {found.proofs} proofs held on this content{how}, with {code}"
    failures = found.proofs - found.outcomes.get(HELD, 0)
    more = f" and {failures - SHOWN} more" if failures > SHOWN else ""
    names = "; ".join(found.failed[:SHOWN]) or "no proof ran"
    return f"audit FAILED{on}: {failures} of {found.proofs} proofs on this content{how}, with {code}: {names}{more}"


def stands(every: Iterable[Audited], run: Manifest, source: Callable[[], str]) -> dict[str, Any]:
    """How a run stands as plain values: `said`, and held, quick, same_code, outcomes, failed, at; null where unknown.

    source : asked for the hash of the code only where there is an audit to compare it with: it takes a while. An
    evaluation that no audit has seen stands as its model does, and `said` says so.
    """
    listed = list(every)
    found, whose = standing(listed, run.content), ""
    model = next((one for one in run.parents if one.kind == "model"), None)
    if found is None and run.kind == "evaluation" and model is not None:
        found, whose = standing(listed, model.content), "its model: "
    if found is None:
        return {
            "said": whose + told(None, ""),
            **dict.fromkeys(("held", "quick", "same_code", "outcomes", "failed", "at")),
        }
    code = source()
    return {
        "said": whose + told(found, code), "held": found.held, "quick": found.quick,
        "same_code": found.source == code,
        "outcomes": dict(found.outcomes), "failed": list(found.failed), "at": found.at,
    }  # fmt: skip


def _body(one: Audited) -> dict[str, Any]:
    return {
        "content": one.content,
        "quick": one.quick,
        "outcomes": dict(one.outcomes),
        "failed": [name[:_LONGEST] for name in one.failed[:NAMED]],
        "code": {"version": one.version, "source": one.source},
    }


def _audited(
    run_id: str, content: Any, quick: Any, outcomes: Any, failed: Any, code: Any, at: str
) -> Audited:
    """An entry as it was read; whatever is not what `record` enters is a ValueError."""
    good = (
        isinstance(content, str)
        and isinstance(quick, bool)
        and isinstance(outcomes, dict)
        and all(name in OUTCOMES and type(n) is int and n >= 0 for name, n in outcomes.items())
        and isinstance(failed, list)
        and all(isinstance(name, str) for name in failed)
        and isinstance(code, dict)
        and all(isinstance(code.get(name), str) for name in ("version", "source"))
    )
    if not good:
        raise ValueError(f"what run {run_id:.80} was audited for cannot be read")
    return Audited(run_id, content, quick, outcomes, tuple(failed), code["version"], code["source"], at)
