"""Estimates made up for the tests of this folder."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from gridmargin.marginal import Estimates, Fit
from gridmargin.vocab import Basis, Kind, View

T0 = datetime(2020, 7, 15, 18, tzinfo=UTC)
FIT = Fit(
    "regression", "1", "US-ERCO", datetime(2019, 7, 1, tzinfo=UTC), datetime(2020, 7, 1, tzinfo=UTC), 35_000,
    {"half_life_days": 30.5},
)  # fmt: skip


def estimates(shares, issued=None, *, start=T0, fit=FIT, view=None):
    """Quarter hours from `start`, one for each share of coal; a forecast where an issue time is given."""
    p = np.array([[s, 1 - s] for s in shares])
    f = np.tile([1000.1, 450.7], (len(shares), 1))
    mid = np.einsum("nk,nk->n", p, f)
    n = len(shares)
    return Estimates(
        zone="US-ERCO", interval_s=900, start_epoch_s=np.arange(n) * 900 + int(start.timestamp()),
        low=mid * 0.8, mid=mid, high=mid * 1.2, source_names=("coal", "gas"), source_probability=p, source_factor=f,
        regime=np.array(["day"] * n), status=np.array(["reported" if issued is None else "forecast"] * n),
        basis=Basis(Kind.MARGINAL, view=view or (View.OBSERVED if issued is None else View.FORECAST)),
        estimator=fit.estimator, estimator_version="1", fit_id=fit.fit_id, issued_utc=issued,
    )  # fmt: skip


def other_fit(n_train):
    """Another fit of the same estimator."""
    return replace(FIT, n_train=n_train)
