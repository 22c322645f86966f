"""Observations to states and back: sums kept, the newest value wins, nothing filled in."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import assemble, cells_behind, negative_generation
from gridmargin.sources import OBSERVATION_SCHEMA, Observations
from gridmargin.vocab import Fuel, Interval, Status, TableError

START = datetime(2020, 7, 15, tzinfo=UTC)
COAL, GAS = "generation_coal_mw", "generation_gas_mw"


def observed(rows, zone="US-ERCO", interval_s=900):
    """Rows of (interval number, quantity, value, status, payload, row)."""
    return Observations(
        pl.DataFrame(
            [
                (
                    zone,
                    START + timedelta(seconds=interval_s * k),
                    interval_s,
                    quantity,
                    float(value),
                    status,
                    payload,
                    row,
                    "c",
                )
                for k, quantity, value, status, payload, row in rows
            ],
            schema=OBSERVATION_SCHEMA,
            orient="row",
        )
    )


def test_a_newer_payload_replaces_what_an_older_one_said():
    """Later rows are newer, and the cell behind the state is the newer one."""
    both = observed([(0, COAL, 5, "adjusted", "old", 2), (0, COAL, 7, "reported", "new", 2)])
    states = assemble(both, "US-ERCO", 900)
    assert states.generation_mw(Fuel.COAL).tolist() == [7.0]
    assert states.frame["status"].to_list() == ["reported"]
    behind = cells_behind(both, "US-ERCO", Interval.starting(START, 900))
    assert [(o.value, o.cell.payload_sha256) for o in behind] == [(7.0, "new")]


def test_one_payload_that_says_a_cell_twice_is_refused():
    """Both places are named."""
    with pytest.raises(TableError, match=r"twice .row 2 column c and row 9 column c"):
        assemble(
            observed([(0, COAL, 5, "reported", "p", 2), (0, COAL, 5, "reported", "p", 9)]), "US-ERCO", 900
        )


def test_the_same_cell_read_for_two_stretches_is_one_statement():
    """Overlapping stretches of one payload do not contradict each other."""
    rows = [(0, COAL, 5, "reported", "p", 2)]
    assert assemble(observed(rows + rows), "US-ERCO", 900).generation_mw(Fuel.COAL).tolist() == [5.0]


def test_what_is_missing_stays_missing_and_lowers_completeness():
    """A quantity not stated is null, an interval not stated has no state (C2)."""
    rows = [(k, q, 1, "reported", "p", k) for k in (0, 1, 3) for q in (COAL, GAS)][:-1]
    states = assemble(observed(rows), "US-ERCO", 900)
    assert states.frame["completeness_frac"].to_list() == [1.0, 1.0, 0.5]
    assert states.frame[GAS].to_list() == [1.0, 1.0, None]
    assert np.diff(states.start_epoch_s()).tolist() == [900, 1800]


def test_the_status_is_the_worst_of_the_parts():
    """One modelled part makes the state modelled."""
    rows = [(0, COAL, 1, "reported", "p", 2), (0, GAS, 1, "modelled", "p", 3)]
    assert assemble(observed(rows), "US-ERCO", 900).record(0).status is Status.MODELLED


def test_negative_generation_is_kept_and_listed():
    """It is published so; zeroing it would change the sum."""
    states = assemble(
        observed([(0, COAL, -3, "reported", "p", 2), (1, COAL, 4, "reported", "p", 3)]), "US-ERCO", 900
    )
    assert states.generation_mw(Fuel.COAL).tolist() == [-3.0, 4.0]
    assert negative_generation(states).rows() == [(START, COAL, -3.0)]


def test_another_interval_or_quantity_is_refused_and_nothing_gives_no_states():
    """An hour is not a quarter-hour; a name without a column is not dropped."""
    with pytest.raises(TableError, match="3600 s, want 900 s"):
        assemble(observed([(0, COAL, 1, "reported", "p", 2)], interval_s=3600), "US-ERCO", 900)
    with pytest.raises(TableError, match="generation_steam_mw"):
        assemble(observed([(0, "generation_steam_mw", 1, "reported", "p", 2)]), "US-ERCO", 900)
    assert len(assemble(observed([]), "US-ERCO", 900)) == 0


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 50), st.sampled_from([COAL, GAS, "demand_mw"])),
        st.floats(-1e5, 1e5),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_every_value_arrives_once_whatever_the_order(cells, random):
    """The states hold the observed values, each in its place, and nothing else."""
    rows = [(k, q, v, "reported", "p", n) for n, ((k, q), v) in enumerate(cells.items())]
    random.shuffle(rows)
    states = assemble(observed(rows), "US-ERCO", 900)
    quantities = [c for c in (COAL, GAS, "demand_mw") if c in states.frame.columns]
    long = states.frame.unpivot(quantities, index="start_utc").drop_nulls()
    found = {((t - START) / timedelta(seconds=900), q): v for t, q, v in long.iter_rows()}
    assert found == cells
