"""What is imputed stands beside what was reported, says how and how sure, and closes the balance where that is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from grid.test_outliers import START, N, usual, with_values
from gridmargin.grid import FLAG_SCHEMA, FlagCode, GridStates, Method, flags_of, impute, reconcile
from gridmargin.vocab import Status, worst

NO_FLAGS = pl.DataFrame(schema=FLAG_SCHEMA)


def hidden(quantity: str, first: int, length: int) -> GridStates:
    states = usual()
    values = states.frame[quantity].to_list()
    values[first : first + length] = [None] * length
    return GridStates(
        states.zone,
        states.interval_s,
        states.frame.with_columns(pl.Series(quantity, values, dtype=pl.Float64)),
    )


def truth(quantity: str, first: int, length: int) -> np.ndarray:
    return usual().frame[quantity].to_numpy()[first : first + length]


@pytest.mark.parametrize(
    ("length", "method"), [(1, Method.LINEAR), (2, Method.LINEAR), (6, Method.DAYS), (30, Method.DAYS)]
)
def test_the_method_follows_the_length_of_the_gap(length: int, method: Method) -> None:
    """Up to two hours a line; then the days beside; the error stands beside each value."""
    found = impute(hidden("generation_coal_mw", 300, length), NO_FLAGS, balanced=False)
    assert found["method"].to_list() == [method.value] * length
    assert found["reason"].to_list() == ["absent"] * length
    assert found["reported"].null_count() == length
    off = np.abs(found["imputed"].to_numpy() - truth("generation_coal_mw", 300, length))
    assert (off <= 3 * found["error_mw"].to_numpy()).all()
    assert (found["n_hidden"] >= 20).all()


def test_a_line_is_a_line() -> None:
    """Two absent hours lie at a third and two thirds of the way."""
    found = impute(hidden("generation_coal_mw", 300, 2), NO_FLAGS, balanced=False)
    left, right = truth("generation_coal_mw", 299, 1)[0], truth("generation_coal_mw", 302, 1)[0]
    assert found["imputed"].to_numpy() == pytest.approx(
        [left + (right - left) / 3, left + (right - left) * 2 / 3]
    )


def test_nothing_is_imputed_for_long_gaps_and_for_open_ends() -> None:
    """Beyond three days, and after the last value, absent stays absent (C2)."""
    assert impute(hidden("generation_coal_mw", 300, 73), NO_FLAGS).height == 0
    assert impute(hidden("generation_coal_mw", N - 3, 3), NO_FLAGS).height == 0
    assert impute(hidden("generation_coal_mw", 0, 3), NO_FLAGS).height == 0


def test_nothing_is_imputed_where_nothing_is_known() -> None:
    """A quantity that is never stated, and one that a zone states seldom."""
    assert impute(hidden("generation_coal_mw", 0, N), NO_FLAGS).height == 0
    assert (
        impute(hidden("generation_coal_mw", 0, N - 40), NO_FLAGS)
        .filter(pl.col("quantity") == "generation_coal_mw")
        .height
        == 0
    )


def test_a_missing_interval_is_filled_in_every_quantity() -> None:
    """With the reason that there was no interval at all."""
    states = usual()
    keep = np.ones(N, np.bool_)
    keep[300] = False
    holed = GridStates(states.zone, states.interval_s, states.frame.filter(pl.Series(keep)))
    found = impute(holed, NO_FLAGS)
    assert set(found["reason"]) == {"no_interval"}
    assert set(found["quantity"]) == {c for c in states.frame.columns if c.endswith("_mw")}


def test_the_balance_finds_the_one_term_that_is_absent() -> None:
    """Six hours of demand: what is made and imported says it, closer than the days beside and with a smaller error."""
    states = hidden("demand_mw", 300, 6)
    plain, closed = impute(states, NO_FLAGS, balanced=False), impute(states, NO_FLAGS)
    real = truth("demand_mw", 300, 6)
    assert closed["method"].to_list() == [Method.BALANCE.value] * 6
    assert (
        np.abs(closed["imputed"].to_numpy() - real).mean() < np.abs(plain["imputed"].to_numpy() - real).mean()
    )
    assert (closed["error_mw"] < plain["error_mw"]).all()


def test_a_balance_that_never_closes_is_not_believed() -> None:
    """Where 4 GW are left out, the absent demand is what it would be by itself."""
    demand = usual().frame["demand_mw"].to_numpy() + 4_000
    demand[300:306] = np.nan
    assert set(impute(usual(demand_mw=demand), NO_FLAGS)["method"]) == {Method.DAYS.value}


@settings(max_examples=25, deadline=None)
@given(
    quantity=st.sampled_from(["demand_mw", "generation_coal_mw", "generation_gas_mw", "net_imports_mw"]),
    first=st.integers(0, N - 30),
    length=st.integers(1, 30),
    factor=st.sampled_from([0.0, -1.0, 10.0, 1000.0]),
)
def test_reported_values_never_change(quantity: str, first: int, length: int, factor: float) -> None:
    """Whatever is wrong with them: the states are as they were, and the table repeats what was reported."""
    wrong = usual().frame[quantity].to_numpy()[first : first + length] * factor
    states = with_values(quantity, slice(first, first + length), wrong)
    before = states.frame.clone()
    flags = flags_of(states)
    found = impute(states, flags)
    assert states.frame.equals(before)
    told = states.frame.unpivot(
        index="start_utc", on=[c for c in before.columns if c.endswith("_mw")], variable_name="quantity"
    )
    both = found.join(told, on=["start_utc", "quantity"], how="left")
    assert both["reported"].to_list() == both["value"].to_list()
    assert set(found["reason"]) <= {code.value for code in FlagCode}
    # Every status of an imputed value is further from reported than reported is.
    assert {worst(Status(text), Status.REPORTED) for text in found["status"]} <= {Status.IMPUTED}
    assert found["imputed"].is_finite().all()
    assert (found["error_mw"] > 0).all()


@given(
    data=st.data(),
    n_terms=st.integers(2, 6),
    n=st.integers(1, 4),
)
def test_reconciled_terms_add_up(data: st.DataObject, n_terms: int, n: int) -> None:
    """To 1e-9 of their size wherever any term may move; a term without error stays where it is."""
    cells = st.lists(st.floats(-1e5, 1e5), min_size=n_terms * n, max_size=n_terms * n)
    terms = np.array(data.draw(cells)).reshape(n_terms, n)
    errors = st.lists(
        st.one_of(st.just(0.0), st.floats(0.1, 1e4)), min_size=n_terms * n, max_size=n_terms * n
    )
    error = np.array(data.draw(errors)).reshape(n_terms, n)
    sign = np.array(data.draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=n_terms, max_size=n_terms)))
    fixed, share = reconcile(terms, sign, error)
    movable = (error > 0).any(axis=0)
    off = np.abs(sign @ fixed)
    assert (off[movable] <= 1e-9 * np.maximum(np.abs(terms).sum(axis=0), 1.0)[movable]).all()
    assert (fixed[error == 0] == terms[error == 0]).all()
    assert share.sum(axis=0)[movable] == pytest.approx(1.0)


def test_the_closed_form_is_the_least_squares_answer() -> None:
    """A solver that knows nothing of it finds the same terms."""
    terms, sign, error = (
        np.array([[900.0], [300.0], [1000.0]]),
        np.array([1.0, 1.0, -1.0]),
        np.array([[50.0], [20.0], [80.0]]),
    )
    found, _ = reconcile(terms, sign, error)
    solved = minimize(
        lambda x: float((((x - terms[:, 0]) / error[:, 0]) ** 2).sum()),
        terms[:, 0],
        constraints={"type": "eq", "fun": lambda x: float(sign @ x)},
        tol=1e-12,
    )
    assert found[:, 0] == pytest.approx(solved.x, abs=1e-3)


def test_the_error_holds_for_nine_in_ten_hidden_values() -> None:
    """Single hours of gas hidden one after another: between 80 and 98 % lie within the stated error."""
    held = []
    for first in range(200, 700, 7):
        found = impute(hidden("generation_gas_mw", first, 1), NO_FLAGS, balanced=False)
        held.append(
            abs(found["imputed"][0] - truth("generation_gas_mw", first, 1)[0]) <= found["error_mw"][0]
        )
    assert 0.8 <= np.mean(held) <= 0.98


def test_a_flagged_value_is_named_by_its_flag() -> None:
    """The reason is the code, the reported value stands beside."""
    states = with_values("generation_coal_mw", slice(300, 301), 99_000.0)
    row = (
        impute(states, flags_of(states))
        .filter(pl.col("start_utc") == START.replace(day=13, hour=12))
        .to_dicts()
    )
    assert [(r["quantity"], r["reported"]) for r in row] == [("generation_coal_mw", 99_000.0)]
    assert row[0]["reason"] in {code.value for code in FlagCode}
    assert row[0]["imputed"] == pytest.approx(truth("generation_coal_mw", 300, 1)[0], abs=300)
