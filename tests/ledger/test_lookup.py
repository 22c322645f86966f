"""The table in memory gives what the ledger gives, and nothing where the ledger has nothing."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Factors, Lookup
from gridmargin.vocab import Interval, Kind, MixedKindsError, NoFactorError, TableError
from ledger.samples import FIT, T0, estimates


def factors(places, kind=Kind.MARGINAL, zone="US-ERCO", interval_s=900):
    n = len(places)
    mid = np.arange(1.0, n + 1)
    return Factors(
        zone=zone, kind=kind, estimator="regression", interval_s=interval_s,
        start_epoch_s=np.array(places, dtype=np.int64) * interval_s, low=mid - 0.5, mid=mid, high=mid + 0.5,
        entry_id=np.arange(11, 11 + n), status=np.full(n, "reported"), view=np.full(n, "observed"),
    )  # fmt: skip


@given(st.sets(st.integers(0, 40), min_size=1), st.integers(-900, 41 * 900))
@settings(max_examples=200)
def test_a_moment_has_the_factor_of_its_own_interval_or_none(places, moment_s):
    places = sorted(places)
    table = Lookup(Kind.MARGINAL, [factors(places)])
    slot = moment_s // 900
    if slot in places:
        k = places.index(slot)
        assert table.at("US-ERCO", moment_s) == (k + 0.5, k + 1.0, k + 1.5, 11 + k)
    else:
        with pytest.raises(NoFactorError):
            table.at("US-ERCO", moment_s)


def test_it_gives_what_the_book_gives(store):
    with Book(store.ledger()) as book:
        book.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
        found = book.covering(Kind.MARGINAL, "US-ERCO", Interval.starting(T0, 3600), "regression")
    point = Lookup(Kind.MARGINAL, [found]).at("US-ERCO", (T0 + timedelta(minutes=20)).timestamp())
    assert (point.mid, point.entry_id) == (found.mid[1], found.entry_id[1])


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(MixedKindsError, match="average factors in a table of marginal"):
        Lookup(Kind.MARGINAL, [factors([0], Kind.AVERAGE)])
    with pytest.raises(TableError, match="comes twice"):
        Lookup(Kind.MARGINAL, [factors([0]), factors([1])])
    with pytest.raises(TableError, match="do not follow"):
        Lookup(Kind.MARGINAL, [factors([1, 0])])
    with pytest.raises(NoFactorError, match="no marginal factor of DE"):
        Lookup(Kind.MARGINAL, [factors([0]), factors([], zone="DE")]).at("DE", 0)
