"""What settings and metrics are called in a store."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostinato.tracking.handle import KEY_LENGTH, flat_metrics, flattened, valid_key

nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers()),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
)


@settings(
    suppress_health_check=[HealthCheck.too_slow], deadline=None
)  # a busy machine is no failure
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), nested))
def test_flattening_keeps_every_leaf(values):
    def leaves(value):
        return sum(map(leaves, value.values())) if isinstance(value, dict) else 1

    flat = flattened(values)
    assert len(flat) == leaves(values)
    assert all(isinstance(text, str) for text in flat.values())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(min_size=1, max_size=600), st.text(min_size=1, max_size=600))
def test_keys_are_valid_for_mlflow_and_long_ones_stay_apart(a, b):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    for name in (a, b, "long" * 100 + a):
        _validate_metric_name(valid_key(name))
        _validate_param_name(valid_key(name))
        assert len(valid_key(name)) <= KEY_LENGTH
    assert a == b or valid_key("x" * 300 + a) != valid_key("x" * 300 + b)


def test_metrics_flatten_without_what_is_no_number():
    metrics = {"a": {"value": 1, "low": 0.5, "n": 3}, "b": {"c": None, "d": "x", "e": True, "f": 2}}
    assert flat_metrics(metrics) == {"a": 1.0, "a_low": 0.5, "a_n": 3.0, "b/f": 2.0}
