import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldsmith.evaluation.ranking import stable_order

numbers = st.floats(0, 1e30) | st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, 5e-324])


@pytest.mark.parametrize("width", [32, 64])
@given(values=st.lists(numbers, max_size=40))
def test_equals_a_stable_argsort(width, values):
    array = np.array(values, dtype=np.float64)
    if width == 32:
        array = array.astype(np.float32).astype(np.float64)
    assert stable_order(array).tolist() == np.argsort(array, kind="stable").tolist()
