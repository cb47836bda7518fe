"""Build a run in its hidden folder and publish it whole, with its manifest and its entry in the ledger."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foldsmith.errors import FoldsmithError, MissingError, SettingError, StoppedError, UnfinishedError
from foldsmith.runs.claim import Claim, claim, reopen
from foldsmith.runs.files import hash_raw
from foldsmith.runs.ledger import Ledger
from foldsmith.runs.manifest import Kind, LedgerState, Manifest, Parent, build, write
from foldsmith.runs.registry import SETTINGS
from foldsmith.runs.store import Run, Workspace, ensure_folder, read_json, write_json
from foldsmith.stages.interrupt import ends_promptly
from foldsmith.stages.trials import TrialRecorder
from foldsmith.stages.units import FOLDER as UNITS


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from: the command as typed, and the ledger it is entered in."""

    command: tuple[str, ...]
    ledger: Ledger


@dataclass
class Building:
    """A run under construction."""

    claimed: Claim
    kind: Kind
    provenance: Provenance
    started: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        """The hidden folder the run is built in."""
        return self.claimed.path

    @property
    def id(self) -> str:
        """The id the run will have."""
        return self.claimed.id

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Remember what this run is made with, and refuse to resume it with anything else."""
        path = self.path / SETTINGS
        if not path.exists():
            write_json(path, settings)
            return
        before = read_json(path)
        changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        if changed:
            key = changed[0]
            raise SettingError(
                f"run {self.id} was begun with {key} {before.get(key)!r}, not {settings.get(key)!r}; a run is "
                "resumed with the settings it was begun with. Start a new one for others."
            )

    def recorder(self, fingerprint: str) -> TrialRecorder:
        """What enters trials of this run in the ledger, as they are made."""
        # Absolute, for workers that keep the working folder they began in.
        return TrialRecorder(Ledger(self.provenance.ledger.path.absolute()), self.id, fingerprint)

    def publish(
        self,
        *,
        parameters: dict[str, Any],
        parents: Sequence[Parent],
        seed: int | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Run:
        """Hash every file, write the manifest, enter its hash in the ledger and put the run in place."""
        state = LedgerState(**self.provenance.ledger.anchor()._asdict())
        manifest: Manifest = build(
            self.path,
            kind=self.kind,
            id=self.id,
            created=datetime.now(UTC),
            command=list(self.provenance.command),
            parameters=parameters,
            parents=list(parents),
            fingerprint=next((parent.content for parent in parents if parent.kind == "dataset"), None),
            seed=seed,
            wall_seconds=time.monotonic() - self.started,
            ledger=state,
            extra=extra or {},
        )
        digest = write(self.path, manifest)
        self.claimed.kept = True  # from here on: what is entered as published and not there is missed as gone
        try:
            # Entered before the rename: whatever becomes visible is known to the ledger.
            self.provenance.ledger.record_published(
                self.id, self.kind, manifest.content, digest, self._unusual_folder()
            )
            published = self.claimed.publish()
        except BaseException:
            if not self.claimed.resumable and self.path.exists():
                self._take_back(manifest.content, digest)
            raise
        # Not before: a run killed on its way here is resumed with the settings and the units it has.
        (published / SETTINGS).unlink(missing_ok=True)
        shutil.rmtree(
            published / UNITS, ignore_errors=True
        )  # hidden, in no manifest: harmless where it stays
        return Run(published, manifest)

    def _take_back(self, content: str, digest: str) -> None:
        """Enter as removed what was entered as published and will not be; where that fails too, it stays kept."""
        ledger = self.provenance.ledger
        with suppress(FoldsmithError):
            if digest in ledger.manifest_hashes(self.id):
                ledger.record_removed(self.id, self.kind, content)
            self.claimed.kept = False

    def _unusual_folder(self) -> str:
        """Where the run will lie, if those who look for it would not look there unasked."""
        if self.kind == "evaluation":  # inside its model
            return ""
        root = self.provenance.ledger.path.resolve().parents[1]
        workspace, parent = Workspace(root), self.claimed.parent.resolve()
        if parent in [usual.resolve() for usual in (workspace.datasets, workspace.stacking, workspace.runs)]:
            return ""
        return str(parent.relative_to(root) if parent.is_relative_to(root) else parent)


def kept_settings(folder: Path, run_id: str) -> dict[str, Any]:
    """What an unfinished run is made with; MissingError or FoldsmithError where there is no such run to resume."""
    with reopen(folder, run_id) as claimed:
        path = claimed.path / SETTINGS
        if not path.exists():
            raise MissingError(
                f"run {run_id} was stopped before it had begun; start a new one, and delete {claimed.path}."
            )
        found: dict[str, Any] = read_json(path)
        return found


@contextmanager
def publishing(
    folder: Path,
    kind: Kind,
    provenance: Provenance,
    *,
    prefix: str = "",
    name: str | None = None,
    resume: str | None = None,
    resumable: bool = False,
) -> Iterator[Building]:
    """Claim a run in `folder` (or reopen a partial one) and hand it over to be built.

    An error removes the hidden folder, unless the run is `resumable`: then finished units stay for `--resume`.
    """
    ensure_folder(folder)
    claimed = (
        reopen(folder, resume) if resume else claim(folder, prefix=prefix, name=name, resumable=resumable)
    )
    stopped = f"run {claimed.id} was stopped in {folder}"
    go_on = f"what is finished is kept. Go on with: python scripts/run_cv.py --resume {claimed.id}"

    def give_up() -> str:
        # The main thread does not answer, so what it would do on its way out is done for it.
        if claimed.resumable:
            return f"{stopped}; {go_on}"
        if claimed.kept:
            return (
                f"{stopped} while it was put in place; what is left of it is in {claimed.path} until: foldsmith runs "
                "clean --partial. Run again."
            )
        with suppress(FoldsmithError, OSError):
            claimed.abandon()
        return f"{stopped}; nothing of it is left. Run again."

    try:
        with ends_promptly(give_up), claimed:
            yield Building(claimed, kind, provenance)
    except KeyboardInterrupt:
        if not claimed.resumable:
            raise
        raise StoppedError(f"{stopped}; {go_on}") from None
    except UnfinishedError as error:
        if not claimed.resumable:
            raise UnfinishedError(
                f"{error}. Nothing of run {claimed.id} is left; mend the cause and run again."
            ) from error
        raise UnfinishedError(f"{error}. Once the cause is mended, {go_on}") from error


def raw_parent(path: Path) -> Parent:
    """The raw file, or the folder of raw files, as a parent: its name, and the hash of its bytes."""
    return Parent(kind="raw", id=path.name, content=hash_raw(path))


def run_parent(run: Run) -> Parent:
    """A published run as a parent."""
    return Parent(kind=run.manifest.kind, id=run.path.name, content=run.manifest.content)
