"""Models that a user wrote: what a class must be, how its failures are told, and what the trial of it finds."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable

import numpy as np
import pytest
from tests.models.test_conformance import planted

from foldsmith.errors import DataError, SettingError
from foldsmith.models.catalogue import FAMILIES, load_model, make, model_class, resolve
from foldsmith.models.conformance import check_model
from foldsmith.models.own import OwnModel, OwnRecord

X, Y, W = planted()

CODE = """
import numpy as np
from foldsmith.models.base import Classifier
from foldsmith.models.parameters import Parameter
from foldsmith.models.stored import numbers

class Shares(Classifier):
    \"\"\"Class shares by the sign of the first feature.\"\"\"
    parameters = {"extra": Parameter(1.0, 0.1, 10.0, (0.5, 2.0))}

    def _train(self, train, evaluation):
        rng = np.random.default_rng(self.seed)
        sign = (train.X[:, 0] > 0).astype(int)
        self.table = np.full((2, 3), float(self.params["extra"])) + 1e-6 * rng.random((2, 3))
        np.add.at(self.table, (sign, train.codes), train.weight)

    def _predict(self, X):
        return self.table[(X[:, 0] > 0).astype(int)]

    def _dump(self):
        return {"table": self.table.tolist()}, {}

    def _restore(self, facts, files):
        self.table = numbers(facts, "table", (2, 3))
"""


def own(code: str = CODE, name: str = "mine", class_name: str = "Shares") -> OwnModel:
    return OwnModel(name, "my_models.py", class_name, code.encode())


def changed(before: str, after: str) -> OwnModel:
    assert CODE.count(before) == 1, before
    return own(CODE.replace(before, after))


def test_a_class_is_a_model_under_the_name_it_was_given() -> None:
    model = own().load()
    assert check_model(model)
    fitted = make(model, seed=3, extra=2.0).fit(X, Y, W)
    assert fitted.name == "mine"
    assert fitted.get_params() == {"seed": 3, "extra": 2.0}
    P = fitted.predict_proba(X)
    assert P[X[:, 0] > 0, 2].mean() > P[X[:, 0] < 0, 2].mean()
    assert load_model(model, fitted.to_files()).predict_proba(X).tobytes() == P.tobytes()
    other = own(name="other").load()
    with pytest.raises(DataError, match="not other"):
        load_model(other, fitted.to_files())


def test_texts_of_one_name_never_meet() -> None:
    """As in two workspaces of one process; and nothing of either is in the catalogue."""
    one, two = own(), changed('extra": Parameter(1.0', 'extra": Parameter(2.0')
    assert (one.load().parameters["extra"].default, two.load().parameters["extra"].default) == (1.0, 2.0)
    assert one.load() is own().load()
    assert one.record != two.record
    with pytest.raises(SettingError, match="of your own mine"):
        resolve(["nope"], ["mine"])
    with pytest.raises(SettingError, match="unknown model 'mine'"):
        model_class("mine")
    assert resolve(["mine", "linear"], ["mine"]) == ("mine", *FAMILIES["linear"])
    assert "mine" not in resolve(["all"], ["mine"])


def test_it_travels_to_other_processes() -> None:
    sent = pickle.loads(pickle.dumps(own()))
    assert sent == own()
    assert sent.record == own().record


def test_its_module_is_there_for_dataclasses() -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
    )
    more = "@dataclass\nclass Pair:\n    a: ClassVar[int]\n    b: int\nPair(3)\n"
    assert own(text + CODE + more).load().__module__ in sys.modules


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (own("def f(:\n"), r"cannot be run: SyntaxError at line 1"),
        (own("import nowhere_at_all\n"), r"ModuleNotFoundError at line 1 of my_models.py: No module named 'nowhere"),
        (own("raise SystemExit(3)\n"), r"cannot be run: SystemExit at line 1"),
        (own("1 / 0\n"), r"ZeroDivisionError at line 1"),
        (own(class_name="Nope"), r"the file has no such class"),
        (own("Shares = 3\n"), r"the file has no such class"),
        (own("class Shares: pass\n"), r"must be one of foldsmith.models.base.Classifier"),
        (changed("def _dump", "def dump"), r"lacks _dump"),
        (changed("parameters = {", "parameters = 3, {"), r"has no table of hyperparameters"),
        (changed('"extra": P', '"seed": P'), r"'seed' is no name"),
        (changed("(0.5, 2.0)", "(2.0, 5.0)"), r"hyperparameter extra is .* must rise"),
        (changed("10.0, (0.5", "float('nan'), (0.5"), r"hyperparameter extra"),
        (changed("parameters =", "early_stopping = 1\n    parameters ="), r"early_stopping is 1"),
        (changed("parameters =", "early_stopping = True\n    parameters ="), r"rounds names 'n_estimators'"),
        (changed("parameters =", "sees = 'gap'\n    parameters ="), r"sees is 'gap'"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused_when_it_is_loaded(model: OwnModel, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        model.load()
    assert f"foldsmith_own_{model.record.sha256}" not in sys.modules or "Shares" not in sentence


BREACHES: dict[str, tuple[str, str, str]] = {
    "chance": ("default_rng(self.seed)", "default_rng()", "not the same to the bit"),
    "threads": ("default_rng(self.seed)", "default_rng(self.threads)", "2 threads"),
    "not saved": ('"table": self.table.tolist()', '"table": np.ones((2, 3)).tolist()', "predicts something else"),
    "rounded": ("self.table.tolist()", "self.table.astype(np.float32).tolist()", "predicts something else"),
    "sees later rows": ("(X[:, 0] > 0)", "(X[:, 0] > X[:, 0].mean())", "rows predicted beside it"),
    "spoils rows": ("sign = (train.X[:, 0] > 0)", "train.X[:] *= 1.5; sign = (train.X[:, 0] > 0)", "work on a copy"),
    "stops early": ("train.weight)\n", "train.weight)\n        return 3\n", "early_stopping = True"),
    "strange rounds": ("train.weight)\n", "train.weight)\n        return 'x'\n", "_train gives 'x'"),
    "two columns": ("self.table[(X", "self.table[:, :2][(X", r"array of shape \(400, 2\) for 400 rows"),
    "negative": ("return self.table[", "return -self.table[", "not negative"),
    "not a number": ("return self.table[", "return np.nan * self.table[", "finite"),
    "nothing": ("return self.table[", "return 0 * self.table[", "not all 0"),
    "raises": ("rng = np", "rng = 1 / 0; rng = np", "failed to fit: ZeroDivisionError at line 12 of my_models.py"),
    "a missing class": ("np.add.at(", "1 / (3 == len(np.unique(train.codes))); np.add.at(", "failed to fit: ZeroDiv"),
    "no bytes": (".tolist()}, {}", ".tolist()}, {'a': 'b'}", "failed to be saved|not bytes"),
    "leads away": (".tolist()}, {}", ".tolist()}, {'../a': b'b'}", "outside its folder"),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
def test_the_trial_finds_what_breaks_the_contract(breach: str) -> None:
    before, after, sentence = BREACHES[breach]
    assert CODE.count(before) == 1
    with pytest.raises(DataError, match=sentence) as told:
        check_model(own(CODE.replace(before, after)).load())
    assert "\n" not in str(told.value)


STOPPING: Callable[[str], str] = lambda more: CODE.replace(  # noqa: E731
    'parameters = {"extra"',
    'early_stopping = True\n    rounds = "n"\n    parameters = {"n": Parameter(9, 1, 99), "extra"',
).replace("train.weight)\n", f"train.weight)\n        return {more}\n")


def test_early_stopping_is_held_to_its_rules() -> None:
    assert check_model(own(STOPPING("None if evaluation is None else 4")).load())
    with pytest.raises(DataError, match="give None from _train where evaluation is None"):
        check_model(own(STOPPING("4")).load())
    with pytest.raises(DataError, match="_train gives 0"):
        check_model(own(STOPPING("0")).load())


@pytest.mark.parametrize(
    "name", ["ridge", "logistic", "class_prior", "momentum", "lightgbm", "random_forest"]
)
def test_models_of_the_catalogue_pass_the_trial(name: str) -> None:
    pytest.importorskip(model_class(name).library or "sklearn")
    assert check_model(model_class(name))


@pytest.mark.parametrize(
    "made",
    [None, {}, {"class": "A"}, {"class": "A", "sha256": "x"}, {"class": "../A", "sha256": "0" * 64}, [1]],
)
def test_a_record_that_is_none_is_refused(made: object) -> None:
    with pytest.raises(DataError, match="does not describe a model"):
        OwnRecord.from_dict(made)
    good = OwnRecord("A", "0" * 64)
    assert OwnRecord.from_dict(good.as_dict()) == good


def test_products_of_matrices_have_one_thread() -> None:
    """Else the bits would depend on how many threads a worker process has."""
    text = CODE.replace("rng = np", "self.seen = pools(); rng = np").replace(
        "import numpy as np", "import numpy as np\nfrom threadpoolctl import threadpool_info\n"
        "def pools():\n    return [pool['num_threads'] for pool in threadpool_info()]\n", 1)  # fmt: skip
    fitted = make(own(text).load(), seed=1).fit(X, Y, W)
    assert set(fitted.seen) == {1}  # type: ignore[attr-defined]
    np.testing.assert_array_equal(fitted.predict_proba(X[:0]), np.empty((0, 3)))
