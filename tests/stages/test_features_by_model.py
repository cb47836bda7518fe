"""Features by model as a manifest or the settings of an unfinished run hold them, edited ones included."""

from __future__ import annotations

from typing import Any

import pytest

from foldsmith.config import CrossValidateSettings
from foldsmith.errors import SettingError
from foldsmith.stages.cross_validate import features_by_model


def test_names_come_back() -> None:
    assert features_by_model({}) == {}
    assert features_by_model({"features": {"logistic": ["a", "b"]}}) == {"logistic": ("a", "b")}


@pytest.mark.parametrize(
    "features", [["a"], "a", None, 5, {"logistic": "a"}, {"logistic": [["a"]]}, {"logistic": [1]}]
)
def test_what_is_no_names_is_refused(features: Any) -> None:
    with pytest.raises(SettingError, match="no names by model"):
        features_by_model({"features": features})


def test_a_model_that_is_no_name_is_refused() -> None:
    with pytest.raises(SettingError, match="is no name"):
        CrossValidateSettings((["logistic"],), (5,))  # type: ignore[arg-type]
