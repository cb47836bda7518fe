"""How much was tried on the raw bars behind a dataset, as the ledger counts it: nobody can make it less.

Datasets made from the same raw bars share the market that they are judged by, whatever their features and labels. So
what was tried on any of them counts for all, also where the runs were pruned, failed, or were removed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foldsmith.errors import DataError
from foldsmith.runs.ledger import Ledger


@dataclass(frozen=True)
class Tried:
    """Counts of what was tried, this evaluation included.

    trials : K, model trials (each fold's counts) and, each once, every model with its trading rule that was looked at;
    trained : the first part of it; labellings : ways of labelling; datasets : made from these raw bars; looks : at
    rows of this split of them; place : of this model and rule among those that were looked at there, the first being 1
    (a repeated look changes nothing).
    """

    trials: int
    trained: int
    labellings: int
    datasets: int
    looks: int
    place: int

    def as_dict(self) -> dict[str, int]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Any) -> Tried:
        """The inverse of `as_dict`; DataError for anything else."""
        names = set(cls.__dataclass_fields__)
        if (
            not isinstance(kept, Mapping)
            or set(kept) != names
            or not all(type(n) is int and n >= 0 for n in kept.values())
        ):
            raise DataError(f"{kept!r:.80} are no counts of what was tried; evaluate the model anew.")
        if kept["trials"] < 1 or kept["place"] < 1:
            raise DataError(f"{kept!r:.80} count less than the trial itself; evaluate the model anew.")
        return cls(**kept)


def tried(
    ledger: Ledger, *, raw: Iterable[str], dataset: str, split: str, content: str, rule: str = ""
) -> Tried:
    """Count what was tried on the datasets of these raw bars.

    raw : content hashes of the raw files of `dataset` (its own content hash); content, rule : of the model that is
    looked at, whose look is in the ledger. A trial that a resumed run made again, equal in every value, counts once.
    """
    files = sorted(set(raw))
    with ledger.reading() as connection:
        if connection is None:
            return Tried(1, 0, 0, 1, 0, 1)
        ask = connection.execute
        data = {dataset}
        for file in files:
            data |= {str(found) for (found,) in ask(_DATASETS, (file,)) if found}
        trained = sum(int(ask(_TRIALS, (each,)).fetchone()[0]) for each in sorted(data))
        labellings = sum(int(ask(_TRIALS, (file,)).fetchone()[0]) for file in files)
        looks = sorted(row for each in sorted(data) for row in ask(_LOOKS, (each,)))
    seen = dict.fromkeys((str(model), str(how or "")) for _, _, model, how in looks)
    here = [(str(model), str(how or "")) for _, where, model, how in looks if where == split]
    order = list(dict.fromkeys(here))
    place = order.index((content, rule)) + 1 if (content, rule) in order else len(order) + 1
    return Tried(max(1, trained + len(seen)), trained, labellings, len(data), len(here), place)


_DATASETS = (
    "SELECT DISTINCT json_extract(made.body, '$.content') FROM entries labelled JOIN entries made "
    "ON made.run_id = labelled.run_id AND made.kind = 'published' "
    "WHERE labelled.kind = 'trial' AND labelled.fingerprint = ?"
)
_TRIALS = "SELECT COUNT(*) FROM (SELECT DISTINCT run_id, body FROM entries WHERE kind = 'trial' AND fingerprint = ?)"
_LOOKS = (
    "SELECT id, json_extract(body, '$.split'), json_extract(body, '$.content'), json_extract(body, '$.rule') "
    "FROM entries WHERE kind = 'look' AND fingerprint = ?"
)
