"""What is fuzzed: for each kind of file that a command reads, how it is spoilt and who reads it.

A target copies what it needs from a finished workspace (`source`) into its own folder (`scratch`) and then goes
through cases: spoil, read, and either all is well or a FoldsmithError says what is not. `run_batch` does so in a forked
child, so that an interpreter that crashes or hangs takes nothing along; a case follows from the target's name and its
number alone and can be run again.

Where a hash guards a file, some targets repair it, to reach the parser behind it: a run from elsewhere, whose manifest
fits what it holds, is one that a user can meet. Two parsers stay behind their guard: those of XGBoost and CatBoost,
written in C++, which are known to crash on crafted bytes; see `ModelFiles`.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
from click.testing import CliRunner
from tests.crash.desk import BASE, HORIZON
from tests.crash.mutate import (
    Draw,
    mutate_bytes,
    mutate_frame,
    mutate_json,
    mutate_text,
    mutate_value,
    spelled,
)

from foldsmith.cli.main import main
from foldsmith.errors import FoldsmithError
from foldsmith.runs.manifest import MANIFEST, Manifest, content_hash, read
from foldsmith.runs.store import Run, Workspace, published

UNFINISHED = "unfinished"
"""Name of the CV run in `source` that was stopped when most of it was done."""
WHOLE = "whole"
"""Name of the CV run in `source` that was made with equal settings and not stopped."""
ROOM = 3 * 2**30
"""Bytes that a case may use beside what the process has: a file must not be able to ask for all there is."""


class Target:
    """One kind of file; `cases` is how many are run, `seconds` what one of them may take without a word."""

    cases: ClassVar[int]
    seconds: ClassVar[float] = 30.0
    mends: ClassVar[bool] = False
    """What is spoilt is made good again, so that nothing need be refused."""

    def __init__(self, source: Path, scratch: Path) -> None:
        self.source = source
        self.scratch = scratch

    def case(self, draw: Draw) -> None:
        """Spoil and read; FoldsmithError or nothing."""
        raise NotImplementedError


class RefusedError(FoldsmithError):
    """A command that ended as it should when it cannot work: one sentence, status 2."""


def command(*words: object) -> str:
    """Run `foldsmith WORDS` in this process; RefusedError where it refuses, what nobody caught otherwise."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code == 0:
        return done.output
    lines = done.stderr.strip().splitlines()
    of_ours = len(lines) == 1 and lines[0].startswith("error: ")
    of_clicks = lines[:1] and lines[0].startswith("Usage: ") and lines[-1].startswith("Error: ")
    assert done.exit_code == 2, (done.exit_code, done.stderr)
    assert of_ours or of_clicks, done.stderr
    raise RefusedError(lines[-1])


def signed(folder: Path, change: Mapping[str, Any] | None = None) -> None:
    """Make a run's manifest fit what its folder holds, with some of its entries changed."""
    found = json.loads((folder / MANIFEST).read_bytes())
    files = {path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in found["files"]}
    found |= {"files": files, **(change or {})}
    parents = found["parents"] if isinstance(found["parents"], list) else []
    named = [parent.get("content") for parent in parents if isinstance(parent, dict)]
    found["content"] = content_hash(files, [name for name in named if isinstance(name, str)])
    (folder / MANIFEST).write_bytes(spelled(found))


def changed_entry(draw: Draw, found: Mapping[str, Any], key: str) -> dict[str, Any]:
    """One entry of an object, changed; empty where nothing is left of it."""
    changed = mutate_value(draw, {key: found[key]})
    return changed if isinstance(changed, dict) else {}


@contextmanager
def spoilt(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content inside the block."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def only(parent: Path) -> Path:
    """The one run in a folder."""
    (name,) = published(parent)
    return parent / name


def loose(run: Path) -> Run:
    """A run whose manifest vouches for whatever its files hold now; it is not looked at on the disk."""
    manifest = Manifest.model_validate_json((run / MANIFEST).read_bytes())
    files = {path: hashlib.sha256((run / path).read_bytes()).hexdigest() for path in manifest.files}
    return Run(run, manifest.model_copy(update={"files": files}))


class Copied(Target):
    """Works in a copy of the finished workspace without its ledger, as if the runs had come from elsewhere."""

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        self.desk = scratch / "desk"
        for part in ("data", "experiments/runs"):
            shutil.copytree(source / part, self.desk / part)
        self.workspace = Workspace(self.desk)
        self.dataset = only(self.workspace.datasets)
        self.cv = self.workspace.stacking / BASE
        self.model = only(self.workspace.runs)
        self.files = {path: path.read_bytes() for path in self.desk.rglob("*") if path.is_file()}

    def clean(self) -> None:
        """Take away what a case made and undo what it changed."""
        for path in sorted(self.desk.rglob("*"), reverse=True):
            if path not in self.files:
                if path.is_file() or path.is_symlink():
                    path.unlink()
                elif path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
            elif path.read_bytes() != self.files[path]:
                path.write_bytes(self.files[path])
        for path, content in self.files.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


# --- manifests and the other JSON of a run --------------------------------------------------------------------------


class Manifests(Copied):
    """manifest.json of each kind of run, and all who list, show and verify runs."""

    cases = 1200

    def case(self, draw: Draw) -> None:
        run = draw.choice((self.dataset, self.cv, self.model))
        other = draw.choice((self.dataset, self.cv, self.model))
        content = mutate_json(draw, (run / MANIFEST).read_bytes(), (other / MANIFEST).read_bytes())
        with spoilt(run / MANIFEST, content):
            if draw.random() < 0.3:
                command("runs", "list", "--workspace", self.desk)
                command("pipeline", "status", "--workspace", self.desk)
            words = draw.choice((["show", run.name], ["verify"], ["verify", run.name]))
            command("runs", *words, "--workspace", self.desk)


class SignedManifests(Copied):
    """A manifest whose hashes fit and whose other entries are any, and the commands that work from it."""

    cases = 150

    def case(self, draw: Draw) -> None:
        run = draw.choice((self.dataset, self.cv, self.model))
        found = json.loads((run / MANIFEST).read_bytes())
        key = draw.choice(
            ("extra", "extra", "parameters", "parameters", "parents", "seed", "packages", "command")
        )
        try:
            with spoilt(run / MANIFEST, (run / MANIFEST).read_bytes()):
                signed(run, changed_entry(draw, found, key))
                self._read(draw, run)
        finally:
            self.clean()

    def _read(self, draw: Draw, run: Path) -> None:
        where = ("--workspace", self.desk)
        command("runs", "list", *where)
        command("pipeline", "status", *where)
        command("runs", "show", run.name, *where)
        if run == self.dataset:
            command("train", "--model", "logistic", "--horizon", HORIZON, "--workers", 1, *where)
        elif run == self.cv:
            command("train", "--model", "voting", "--horizon", HORIZON, "--stacking-data", BASE, *where)
        elif draw.random() < 0.5:
            raw = self.workspace.raw / "MES_1m.parquet"
            command("predict", "--run-id", run.name, "--bars", raw, "--output", self.desk / "out.csv", *where)
        else:
            command("evaluate", "--run-id", run.name, "--split", "test", *where)


class Recipes(Target):
    """recipe.json: how a model's inputs are made."""

    cases = 1500

    def case(self, draw: Draw) -> None:
        from foldsmith.stages.recipe import Recipe

        content = (only(Workspace(self.source).datasets) / "recipe.json").read_bytes()
        path = self.scratch / "recipe.json"
        path.write_bytes(mutate_json(draw, content, content))
        Recipe.read(path)


class Descriptions(Copied):
    """model.json of a stacked model and its base models, behind a manifest that vouches for it."""

    cases = 700

    def case(self, draw: Draw) -> None:
        from foldsmith.stages.model_store import read_model, revive

        inside = draw.choice(("", "", "base/lightgbm/", "base/logistic/"))
        path = self.model / "model" / f"{inside}model.json"
        content, other = path.read_bytes(), (self.model / "model" / "model.json").read_bytes()
        with spoilt(path, mutate_json(draw, content, other)):
            revive(read_model(loose(self.model), "model"))


class ReportedFiles(Copied):
    """metrics.json and findings.json, which an evaluation puts into its report, and recipe.json, all vouched for."""

    cases = 60

    def case(self, draw: Draw) -> None:
        run, inside = draw.choice(
            ((self.model, "metrics.json"), (self.dataset, "findings.json"), (self.dataset, "recipe.json"))
        )
        content = (run / inside).read_bytes()
        try:
            (run / inside).write_bytes(mutate_json(draw, content, content))
            signed(run)
            if run == self.dataset:
                manifest = json.loads((self.model / MANIFEST).read_bytes())
                found = json.loads((run / MANIFEST).read_bytes())["content"]
                for parent in manifest["parents"]:
                    if parent["kind"] == "dataset":
                        parent["content"] = found
                signed(self.model, {"parents": manifest["parents"]})
            command("evaluate", "--run-id", self.model.name, "--split", "test", "--workspace", self.desk)
        finally:
            self.clean()


class Simulations(Target):
    """The settings of a simulated market, in the metadata of raw bars."""

    cases = 300

    def case(self, draw: Draw) -> None:
        from datetime import date

        from foldsmith.market.simulate import Simulation

        content = Simulation("MES", 8, 7, 0.05, date(2022, 1, 3)).as_json().encode()
        Simulation.from_json(mutate_json(draw, content, content).decode(errors="replace"))


# --- model files ----------------------------------------------------------------------------------------------------


class ModelFiles(Target):
    """Any file of a saved model of every family, behind the hashes that its facts hold."""

    cases = 1200
    families: ClassVar[Sequence[str]] = ("xgboost", "lightgbm", "random_forest", "logistic", "catboost")

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        from tests.models.rows import planted, quick

        X, y, w = planted(200)
        self.X = X[:20]
        self.saved = {name: quick(name, **_few(name)).fit(X, y, w).to_files() for name in self.families}

    def case(self, draw: Draw) -> None:
        name = draw.choice(self.families)
        files = self.saved[name]
        target = draw.choice(list(files))
        others = self.saved[draw.choice(self.families)]
        spoil = mutate_json if target.endswith(".json") else mutate_bytes
        content = spoil(draw, files[target], others[draw.choice(list(others))])
        self.load(name, {**files, target: content})

    def load(self, name: str, files: Mapping[str, bytes]) -> None:
        """Load and predict."""
        from foldsmith.models.catalogue import load_model

        assert load_model(name, files).predict_proba(self.X).shape == (len(self.X), 3)


class Facts(ModelFiles):
    """The facts of a saved model, their own hash repaired."""

    cases = 1000

    def case(self, draw: Draw) -> None:
        from foldsmith.models.base import FACTS_FILE

        name = draw.choice(self.families)
        files = dict(self.saved[name])
        facts = mutate_value(draw, facts_of(files.pop(FACTS_FILE)))
        self.load(name, packed(FACTS_FILE, facts, files))


class SignedModelFiles(ModelFiles):
    """Files whose hashes were repaired, of the families that check a file before a parser meets it.

    Those of XGBoost and CatBoost stay behind the guard: their own parsers, in C++, crash on crafted bytes.
    """

    cases = 1000
    families = ("lightgbm", "random_forest")

    def case(self, draw: Draw) -> None:
        from foldsmith.models.base import FACTS_FILE

        name = draw.choice(self.families)
        files = dict(self.saved[name])
        facts = facts_of(files.pop(FACTS_FILE))
        (target,) = files
        spoil = mutate_text if name == "lightgbm" else mutate_bytes
        self.load(name, packed(FACTS_FILE, facts, {target: spoil(draw, files[target], files[target])}))


class Ensembles(Target):
    """ensemble.json of each ensemble and meta-learner, with its own hash and without."""

    cases = 600

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        from foldsmith.ensembles.catalogue import make_ensemble

        rng = np.random.default_rng(1)
        self.P = rng.dirichlet((1, 1, 1), size=(60, 2)).reshape(60, 6).astype(np.float32)
        y, weight, fold = rng.integers(-1, 2, 60).astype(np.int8), np.ones(60), np.repeat([0, 1, 2], 20)
        self.saved = [
            (
                name,
                make_ensemble(name, learner, models=["a", "b"], seed=1)
                .fit(self.P, y, weight, fold)
                .to_files(),
            )
            for name, learner in (
                ("stacking", "logistic"),
                ("blending", "greedy"),
                ("voting", None),
                ("meta_labelling", "logistic"),
            )
        ]

    def case(self, draw: Draw) -> None:
        from foldsmith.ensembles.base import FACTS_FILE
        from foldsmith.ensembles.catalogue import load_ensemble

        name, files = draw.choice(self.saved)
        content = files[FACTS_FILE]
        if draw.random() < 0.4:
            changed = {FACTS_FILE: mutate_json(draw, content, content)}
        else:
            changed = packed(FACTS_FILE, mutate_value(draw, facts_of(content)), {})
        assert load_ensemble(name, changed).predict_proba(self.P).shape == (60, 3)


def _few(name: str) -> dict[str, int]:
    from tests.models.rows import QUICK

    return {"n_estimators": 3} if "n_estimators" in QUICK[name] else {}


def facts_of(content: bytes) -> dict[str, Any]:
    """The facts of a saved model without what `pack` adds."""
    from foldsmith.models.stored import OWN

    return {key: value for key, value in json.loads(content).items() if key not in ("format", "sha256", OWN)}


def packed(facts_file: str, facts: Any, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """`pack`, for facts that may hold words that are no JSON as a model spells it: those are read first."""
    from foldsmith.models.stored import pack

    try:
        facts = json.loads(spelled(facts))
    except (ValueError, RecursionError) as error:
        raise RefusedError("no facts can be spelled so") from error
    return pack(facts_file, facts, files)


# --- the ledger -----------------------------------------------------------------------------------------------------


class LedgerFiles(Target):
    """ledger.sqlite, and the log beside it that a kill leaves behind."""

    cases = 1000

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        self.path = scratch / "ledger.sqlite"
        from foldsmith.runs.audits import Audited, record
        from foldsmith.runs.ledger import Ledger

        shutil.copyfile(Workspace(source).ledger, self.path)
        # A connection that is left open keeps the log from being written back.
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("SELECT COUNT(*) FROM entries").fetchone()
            Ledger(self.path).record_tag("run", "mine", True)
            record(Ledger(self.path), [Audited("run", "c", True, {"held": 3, "broken": 1}, ("x",), "1", "s")])
            self.files = {
                ending: self.path.with_name(self.path.name + ending).read_bytes() for ending in ("", "-wal")
            }
        assert self.files["-wal"]

    def case(self, draw: Draw) -> None:
        from foldsmith.runs.audits import Audited, audits, record, standing, told
        from foldsmith.runs.ledger import Ledger

        for path in self.scratch.iterdir():
            path.unlink()
        ending = draw.choice(("", "", "", "-wal"))
        for name, content in self.files.items():
            if name == ending or draw.random() < 0.7 or not name:
                new = mutate_bytes(draw, content, self.files[""]) if name == ending else content
                self.path.with_name(self.path.name + name).write_bytes(new)
        ledger = Ledger(self.path)
        calls: list[Callable[[], object]] = [
            ledger.check,
            ledger.looks,
            ledger.published,
            ledger.removed,
            ledger.tags,
            ledger.anchor,
            lambda: ledger.trial_count("data", 5),
            lambda: ledger.manifest_hashes(BASE),
            lambda: ledger.record_published("run", "model", "content", "manifest"),
            lambda: ledger.record_look(
                run_id="run", content="c", fingerprint="data", split="test", horizon=5
            ),
            lambda: ledger.record_trials([]),
            lambda: [told(standing(audits(ledger), one.content), "s") for one in audits(ledger)],
            lambda: record(ledger, [Audited("run", "c", True, {"held": 3}, (), "1", "s")]),
        ]
        refused: FoldsmithError | None = None
        for call in draw.sample(calls, 4):
            try:
                call()
            except FoldsmithError as error:
                refused = error
        if refused is not None:
            raise refused


# --- unfinished runs ------------------------------------------------------------------------------------------------


class Settings(Copied):
    """.settings.json of an unfinished CV run, read back by `--resume`."""

    cases = 800

    def case(self, draw: Draw) -> None:
        from foldsmith.stages.cross_validate import kept_settings

        path = self.workspace.stacking / f".{UNFINISHED}.partial" / ".settings.json"
        content = path.read_bytes()
        with spoilt(path, mutate_json(draw, content, content)):
            kept_settings(self.workspace.stacking, UNFINISHED)


class ResumedSettings(Copied):
    """The same, and the resumed run goes on with what it read."""

    cases = 100

    def case(self, draw: Draw) -> None:
        path = self.workspace.stacking / f".{UNFINISHED}.partial" / ".settings.json"
        kept = json.loads(path.read_bytes())
        part = draw.choice(("validation", "validation", "models", "horizons", "dataset", "content"))
        try:
            path.write_bytes(spelled({**kept, **changed_entry(draw, kept, part)}))
            command("cv", "--resume", UNFINISHED, "--workers", 1, "--workspace", self.desk)
        finally:
            self.clean()


class Units(Copied):
    """Results of finished units and logs of trials in an unfinished CV run, which `--resume` goes on from.

    What is damaged is made again, so a run that is resumed has the content of one that was never stopped.
    """

    cases = 120
    mends = True

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        folder = self.workspace.stacking / f".{UNFINISHED}.partial" / ".units"
        self.units = sorted(path for path in folder.rglob("*") if path.is_file())
        assert {".json", ".npy", ".trials"} <= {path.suffix for path in self.units}

    def case(self, draw: Draw) -> None:
        path = draw.choice(self.units)
        other = draw.choice(self.units).read_bytes()
        spoil = mutate_json if path.suffix == ".json" else mutate_bytes
        try:
            path.write_bytes(spoil(draw, path.read_bytes(), other))
            command("cv", "--resume", UNFINISHED, "--workers", 1, "--workspace", self.desk)
            made, wanted = (read(self.workspace.stacking / name) for name in (UNFINISHED, WHOLE))
            assert made.content == wanted.content, f"other content after {path.name} was spoilt"
        finally:
            self.clean()


class Locks(Copied):
    """.lock of an unfinished run, whose words are quoted in messages."""

    cases = 300

    def case(self, draw: Draw) -> None:
        from foldsmith.runs.claim import claim, partial_folder, reopen
        from foldsmith.runs.lock import owner

        partial = partial_folder(self.workspace.stacking, UNFINISHED)
        content = b'{"pid": 12, "host": "here"}'
        (partial / ".lock").write_bytes(mutate_json(draw, content, content))
        assert "\n" not in owner(partial)
        if draw.random() < 0.5:
            reopen(self.workspace.stacking, UNFINISHED).release()
        else:
            claim(self.workspace.stacking, name=UNFINISHED)


# --- raw bars -------------------------------------------------------------------------------------------------------


class RawCsv(Target):
    """CSV bars, plain and packed."""

    cases = 1500
    ending: ClassVar[str] = ".csv"

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        frame = pl.read_parquet(Workspace(source).raw / "MES_1m.parquet")
        self.short = frame.head(40).write_csv().encode()
        self.whole = frame.write_csv().encode()

    def case(self, draw: Draw) -> None:
        from foldsmith.market.readers import read_bars

        path = self.scratch / f"MES_1m{self.ending}"
        path.write_bytes(self.content(draw, self.short))
        read_bars(
            path,
            timezone=draw.choice((None, "America/Chicago", "Asia/Tokyo")),
            stamp=draw.choice((None, "close")),
        )

    def content(self, draw: Draw, content: bytes) -> bytes:
        """Spoilt bars."""
        return mutate_text(draw, content, content)


class RawGzip(RawCsv):
    """CSV bars, packed."""

    cases = 300
    ending = ".csv.gz"

    def content(self, draw: Draw, content: bytes) -> bytes:
        """Spoilt before or after they were packed."""
        if draw.random() < 0.5:
            return gzip.compress(mutate_text(draw, content, content), mtime=0)
        return mutate_bytes(draw, gzip.compress(content, mtime=0), content)


class VendorFiles(Target):
    """Bars as each vendor writes them: texts, Parquet, Arrow, JSON, DBN, zips and packed files."""

    cases = 1500

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        from tests.market.readers.writers import WRITERS, some_bars

        bars = some_bars(40)
        self.written = [WRITERS[name](bars) for name in sorted(WRITERS)]

    def case(self, draw: Draw) -> None:
        from foldsmith.market.readers import read_bars

        written, other = draw.choice(self.written), draw.choice(self.written)
        is_text = written.name.endswith((".csv", ".txt", ".json")) and draw.random() < 0.7
        path = self.scratch / written.name
        path.write_bytes((mutate_text if is_text else mutate_bytes)(draw, written.content, other.content))
        read_bars(path, **written.flags)  # type: ignore[arg-type]


class PreparedCsv(RawCsv):
    """CSV bars from reading to labels."""

    cases = 120

    def case(self, draw: Draw) -> None:
        raw = self.scratch / "desk" / "data" / "raw"
        shutil.rmtree(self.scratch / "desk", ignore_errors=True)
        raw.mkdir(parents=True)
        (raw / f"MES_1m{self.ending}").write_bytes(self.content(draw, self.whole))
        words = ("pipeline", "run", "--symbols", "MES", "--horizons", HORIZON, "--yes")
        command(*words, "--workspace", self.scratch / "desk")


class RawParquet(RawCsv):
    """Parquet bars of other bytes, or of other tables."""

    cases = 1000
    ending = ".parquet"

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        self.frame = pl.read_parquet(Workspace(source).raw / "MES_1m.parquet")
        self.short = as_parquet(self.frame.head(300))
        self.whole = as_parquet(self.frame)

    def content(self, draw: Draw, content: bytes) -> bytes:
        """Spoilt bars."""
        if draw.random() < 0.4:
            return mutate_bytes(draw, content, content)
        return as_parquet(mutate_frame(draw, self.frame if content == self.whole else self.frame.head(300)))


class PreparedParquet(RawParquet, PreparedCsv):
    """Parquet bars from reading to labels."""

    cases = 150

    def case(self, draw: Draw) -> None:
        PreparedCsv.case(self, draw)


class PredictedBars(RawParquet):
    """Parquet bars from reading to a model's predictions."""

    cases = 80

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        self.run = only(Workspace(source).runs)
        shutil.copytree(self.run, scratch / "runs" / self.run.name)

    def case(self, draw: Draw) -> None:
        path, out = self.scratch / "bars.parquet", self.scratch / "out.csv"
        path.write_bytes(self.content(draw, self.whole))
        out.unlink(missing_ok=True)
        words = ("predict", "--run-id", self.run.name, "--bars", path, "--output", out)
        command(*words, "--runs-dir", self.scratch / "runs", "--workspace", self.scratch)


def as_parquet(frame: pl.DataFrame, metadata: dict[str, str] | None = None) -> bytes:
    """A table as the bytes of a Parquet file; RefusedError for one that cannot be written so."""
    import io

    content = io.BytesIO()
    try:
        frame.write_parquet(content, metadata=metadata)
    except pl.exceptions.PolarsError as error:
        raise RefusedError("no such table can be written") from error
    return content.getvalue()


# --- tables of runs -------------------------------------------------------------------------------------------------


class Tables(Copied):
    """Spoils a Parquet table of a run as bytes, as a table, or in its own metadata."""

    def spoil(self, draw: Draw, path: Path) -> None:
        """Write other content to `path`."""
        content, kind = path.read_bytes(), draw.random()
        if kind < 0.35:
            path.write_bytes(mutate_bytes(draw, content, content))
            return
        text = pl.read_parquet_metadata(path).get("foldsmith", "{}")
        frame = pl.read_parquet(path)
        if kind < 0.85:
            frame = mutate_frame(draw, frame)
        else:
            text = mutate_json(draw, text.encode(), text.encode()).decode(errors="replace")
        try:
            path.write_bytes(as_parquet(frame, {"foldsmith": text}))
        except (UnicodeEncodeError, ValueError) as error:
            raise RefusedError("no such metadata can be written") from error


class DatasetTables(Tables):
    """Bars, features and labels of a dataset, vouched for, joined for training."""

    cases = 500

    def case(self, draw: Draw) -> None:
        from foldsmith.config import ValidationSettings
        from foldsmith.stages.horizon import load_horizons

        name = draw.choice(("bars.parquet", "features.parquet", f"labels_h{HORIZON}.parquet"))
        try:
            self.spoil(draw, self.dataset / name)
            load_horizons(loose(self.dataset), (HORIZON,), ValidationSettings(n_splits=2))
        finally:
            self.clean()


class TrainedTables(Tables):
    """The same, and a model is trained on what was joined."""

    cases = 80

    def case(self, draw: Draw) -> None:
        name = draw.choice(("bars.parquet", "features.parquet", f"labels_h{HORIZON}.parquet"))
        try:
            self.spoil(draw, self.dataset / name)
            signed(self.dataset)
            words = ("train", "--model", "logistic", "--horizon", HORIZON, "--workers", 1)
            command(*words, "--workspace", self.desk)
        finally:
            self.clean()


class StackingTables(Tables):
    """Stored predictions of a CV run, vouched for, read for an ensemble."""

    cases = 500

    def case(self, draw: Draw) -> None:
        from foldsmith.stages.stacking_data import read_stacking

        name = draw.choice((f"stacking_dataset_h{HORIZON}", f"validation_h{HORIZON}"))
        try:
            self.spoil(draw, self.cv / "stacking" / f"{name}.parquet")
            read_stacking(loose(self.cv), HORIZON)
        finally:
            self.clean()


class StackedTables(Tables):
    """The same, and an ensemble is trained from what was read."""

    cases = 100

    def case(self, draw: Draw) -> None:
        name = draw.choice((f"stacking_dataset_h{HORIZON}", f"validation_h{HORIZON}"))
        try:
            self.spoil(draw, self.cv / "stacking" / f"{name}.parquet")
            signed(self.cv)
            words = ("train", "--model", "stacking", "--horizon", HORIZON, "--stacking-data", BASE)
            command(*words, "--workspace", self.desk)
        finally:
            self.clean()


# --- files that a user writes ---------------------------------------------------------------------------------------

INSTRUMENTS = b"""# my own
[MES]
name = "mine"
calendar = "CME_EQUITY"
tick_size = 0.25
tick_value = 1.25
commission = 0.62
slippage_ticks = 1
max_gap_minutes = 60

["BTC.P"]
calendar = "24x7"
tick_size = 0.5
tick_value = 5e-1
currency = "USDT"
"""
CONFIG = b"""model = "lightgbm"
horizon = 5
n_splits = 3
tune = false
seed = 42
sample_weight = "none"
base_models = ["lightgbm", "logistic"]
workers = 1

[params]
num_leaves = 7
learning_rate = 0.1
reg_lambda = 1e1
"""


PRESETS = b"""[mine]
timeframe = "15m"
horizons = [5, 10]
train-ratio = 0.6
val_ratio = 0.2
test-ratio = 0.2
k-up = 1.5
k-down = 1

["another one"]
start = "2022-01-03"
max-bars = 20
horizons = "5"
timezone = "America/Chicago"
"""


FEATURE_SETS = b"""[sets]
mine = ["return_1", "volatility", "my_range"]
"another one" = ["core", "wavelet"]

[features.my_range]
file = "my_features.py"
function = "my_range"
warmup = 48
equation = "(h - l) / max_48(h - l)"
"""


class Instruments(Target):
    """instruments.toml of a workspace."""

    cases = 2000

    def case(self, draw: Draw) -> None:
        from foldsmith.cli.command import instrument_of

        (self.scratch / "instruments.toml").write_bytes(mutate_text(draw, INSTRUMENTS, CONFIG))
        instrument_of(Workspace(self.scratch), draw.choice(("MES", "BTC.P", "CL")))


class Configs(Target):
    """The file of --config: read and its flags parsed, before any work is done."""

    cases = 2000

    def case(self, draw: Draw) -> None:
        path = self.scratch / "config.toml"
        path.write_bytes(mutate_text(draw, CONFIG, INSTRUMENTS))
        # No dataset is in this workspace: all that a flag can say is looked at before that is told.
        command("train", "--config", path, "--workspace", self.scratch)


class Presets(Target):
    """presets.toml of a workspace, as far as the flags that a preset gives."""

    cases = 1500

    def case(self, draw: Draw) -> None:
        (self.scratch / "presets.toml").write_bytes(mutate_text(draw, PRESETS, CONFIG))
        where = ("--workspace", self.scratch)
        if draw.random() < 0.3:
            command("pipeline", "presets", *where)
        # No bars are in this workspace: all that a flag can say is looked at before that is told.
        name = draw.choice(("mine", "another one", "scalp"))
        command("pipeline", "run", "--symbols", "MES", "--preset", name, "--yes", *where)


class FeatureSets(Target):
    """features.toml of a workspace, and that no code that it names is run for being named."""

    cases = 1500

    def case(self, draw: Draw) -> None:
        (self.scratch / "features.toml").write_bytes(mutate_text(draw, FEATURE_SETS, PRESETS))
        ran = self.scratch / "ran"
        (self.scratch / "my_features.py").write_text(f"open({str(ran)!r}, 'w')\n")
        what = draw.choice((("list",), ("list", "--set", "mine"), ("list", "--json"), ("show", "my_range")))
        command("features", *what, "--workspace", self.scratch)
        assert not ran.exists()
