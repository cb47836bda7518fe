"""What is fuzzed of models: further families, meta-learners with files, corrections, bags and joins of datasets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tests.crash.mutate import Draw, mutate_bytes, mutate_json, mutate_value, spelled
from tests.crash.targets import Copied, Facts, Target, facts_of, packed, signed, spoilt

from foldsmith.runs.manifest import MANIFEST


class MoreModelFiles(Facts):
    """Facts and files, hashes repaired, of the families that are read by code of this project."""

    cases = 1200
    families: ClassVar[Sequence[str]] = (
        "extra_trees", "hist_gradient_boosting", "ridge", "svm", "mlp", "class_prior", "momentum",
    )  # fmt: skip

    def case(self, draw: Draw) -> None:
        from foldsmith.models.base import FACTS_FILE

        name = draw.choice(self.families)
        files = dict(self.saved[name])
        facts: Any = facts_of(files.pop(FACTS_FILE))
        if files and draw.random() < 0.5:
            target = draw.choice(sorted(files))
            files[target] = mutate_bytes(draw, files[target], files[target])
        else:
            facts = mutate_value(draw, facts)
        self.load(name, packed(FACTS_FILE, facts, files))


class LearnerFiles(Target):
    """Every file of ensembles whose meta-learner is a base model of the catalogue."""

    cases = 800

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        from foldsmith.ensembles.catalogue import make_ensemble

        rng = np.random.default_rng(1)
        self.P = rng.dirichlet((1, 1, 1), size=(60, 2)).reshape(60, 6).astype(np.float32)
        y, weight, fold = rng.integers(-1, 2, 60).astype(np.int8), np.ones(60), np.repeat([0, 1, 2], 20)
        self.saved = {
            learner: make_ensemble("stacking", learner, models=["a", "b"], seed=1)
            .fit(self.P, y, weight, fold)
            .to_files()
            for learner in ("ridge", "lightgbm")
        }

    def case(self, draw: Draw) -> None:
        from foldsmith.ensembles.base import FACTS_FILE
        from foldsmith.ensembles.catalogue import load_ensemble

        files = dict(self.saved[draw.choice(sorted(self.saved))])
        target = draw.choice(sorted(files))
        how = draw.random()
        if how < 0.3:
            files[target] = mutate_bytes(draw, files[target], files[target])
        elif how < 0.5:
            del files[target]
        else:
            facts = mutate_value(draw, facts_of(files.pop(FACTS_FILE)))
            files = packed(FACTS_FILE, facts, files)
        assert load_ensemble("stacking", files).predict_proba(self.P).shape == (60, 3)


class Corrections(Target):
    """correction.json of each calibrator and fold_features.json of a fitted model, with their own hash and without."""

    cases = 800

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        from foldsmith.dataset import Dataset
        from foldsmith.models.calibrators import CALIBRATORS
        from foldsmith.validation.correction import FILE, Correction
        from foldsmith.validation.cross_validate import calibrated
        from foldsmith.validation.fold_features import FILE as FITTED_FILE
        from foldsmith.validation.fold_features import FoldFeatures

        rng = np.random.default_rng(2)
        self.P = rng.dirichlet((2, 2, 2), size=80).astype(np.float32)
        y, at = rng.integers(-1, 2, 80).astype(np.int8), np.arange(80, dtype=np.int64)
        rows = Dataset(self.P, y, np.ones(80), at, at + 1, ("a", "b", "c"))
        self.saved = [
            (FILE, Correction((0.5, 1.0, 2.0), calibrated(name, self.P, rows)).to_files()[FILE])
            for name in CALIBRATORS
        ]
        self.saved.append(
            (FITTED_FILE, FoldFeatures(kept=(0, 2), kept_names=("a", "c")).to_files()[FITTED_FILE])
        )

    def case(self, draw: Draw) -> None:
        from foldsmith.validation.correction import FILE, Correction
        from foldsmith.validation.fold_features import FoldFeatures

        name, content = draw.choice(self.saved)
        if draw.random() < 0.4:
            files = {name: mutate_json(draw, content, content)}
        else:
            files = packed(name, mutate_value(draw, facts_of(content)), {})
        if name == FILE:
            P = Correction.from_files(files).apply(self.P)
            assert P.shape == self.P.shape
        else:
            FoldFeatures.from_files(files)


class BagFiles(Copied):
    """model.json of a bag of two models, behind a manifest that vouches for it."""

    cases = 300

    def __init__(self, source: Path, scratch: Path) -> None:
        super().__init__(source, scratch)
        folder = self.model / "model"
        bag = folder / "base" / "logistic"
        described = json.loads((bag / "model.json").read_bytes())
        for number in ("0", "1"):
            member = bag / "member" / number
            member.mkdir(parents=True)
            for file in ("model.json", *described["files"]):
                shutil.copyfile(bag / file, member / file)
        for file in described["files"]:
            (bag / file).unlink()
        (bag / "model.json").write_bytes(spelled({**described, "files": [], "members": 2}))
        self._listed()
        self.files = {path: path.read_bytes() for path in self.desk.rglob("*") if path.is_file()}

    def _listed(self) -> None:
        """The manifest names the files that are there now."""
        found = json.loads((self.model / MANIFEST).read_bytes())
        here = [path for path in self.model.rglob("*") if path.is_file() and path.name != MANIFEST]
        kept = {str(path.relative_to(self.model)): "" for path in here if "evaluations" not in path.parts}
        (self.model / MANIFEST).write_bytes(spelled({**found, "files": kept}))
        signed(self.model)

    def case(self, draw: Draw) -> None:
        from foldsmith.runs.manifest import read
        from foldsmith.runs.store import Run
        from foldsmith.stages.model_store import read_model, revive

        path = self.model / "model" / "base" / "logistic" / draw.choice(("", "member/1/")) / "model.json"
        content = path.read_bytes()
        with spoilt(path, mutate_json(draw, content, content)):
            signed(self.model)
            revive(read_model(Run(self.model, read(self.model)), "model"))


class Joins(BagFiles):
    """join.json of an ensemble over two datasets, behind a manifest that vouches for it."""

    cases = 600

    def __init__(self, source: Path, scratch: Path) -> None:
        Copied.__init__(self, source, scratch)
        folder = self.model / "model"
        parts = [
            {"models": [name], "fitted_until": 1_700_000_000_000_000} for name in ("lightgbm", "logistic")
        ]
        (folder / "join.json").write_bytes(spelled({"max_age_microseconds": 60_000_000, "parts": parts}))
        shutil.copyfile(folder / "recipe.json", folder / "recipe_2.json")
        self._listed()
        self.files = {path: path.read_bytes() for path in self.desk.rglob("*") if path.is_file()}

    def case(self, draw: Draw) -> None:
        from foldsmith.runs.manifest import read
        from foldsmith.runs.store import Run
        from foldsmith.stages.joined_model import read_join

        path = self.model / "model" / "join.json"
        content = path.read_bytes()
        with spoilt(path, mutate_json(draw, content, content)):
            signed(self.model)
            read_join(Run(self.model, read(self.model)))
