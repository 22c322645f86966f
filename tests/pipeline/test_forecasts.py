"""Forecasts are written down as issued and scored when their interval is known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gridmargin.ledger import Book
from gridmargin.pipeline import append_forecasts, entries_of
from gridmargin.pipeline import score_forecasts as score
from gridmargin.vocab import InputError, Interval, Kind, TimeError
from ledger.samples import FIT, T0, estimates

ISSUED = T0 - timedelta(minutes=30)
HOUR = Interval.starting(T0, 3600)


@pytest.fixture
def book(tmp_path):
    with Book(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_a_forecast_stands_beside_what_was_observed(book):
    """Error is forecast − observed; where nothing was observed there is none, and the range is held to account."""
    assert append_forecasts(book, estimates([0.1, 0.5, 0.3], ISSUED), FIT, ISSUED) == 3
    book.append(estimates([0.1, 0.1]), FIT, T0 + timedelta(hours=1))
    reference = entries_of(book, Kind.MARGINAL, "US-ERCO", HOUR, "regression")
    first, second, third = score(book.forecasts("US-ERCO"), reference)
    assert (first.horizon_s, second.horizon_s) == (1800, 2700)
    assert (first.error_gco2_per_kwh, first.inside) == (0, True)
    assert second.error_gco2_per_kwh == pytest.approx(0.4 * (1000.1 - 450.7))
    assert second.inside is False
    assert (third.observed_gco2_per_kwh, third.error_gco2_per_kwh, third.inside) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "fit", "recorded", "error", "says"),
    [
        (estimates([0.1]), FIT, T0, InputError, "view is observed"),
        (estimates([0.1], ISSUED), FIT, ISSUED - timedelta(minutes=1), TimeError, "after the"),
        (estimates([0.1], T0 + timedelta(minutes=1)), FIT, T0 + timedelta(hours=1), TimeError, "had begun"),
        (
            estimates([0.1], ISSUED), replace(FIT, train_end_utc=T0), T0, InputError, "C10",
        ),
    ],
)  # fmt: skip
def test_what_is_no_honest_forecast_is_refused(book, given, fit, recorded, error, says):
    """No observed estimate, no issue from the future, no interval that had begun, no fit that saw more."""
    with pytest.raises(error, match=says):
        append_forecasts(book, given, fit, recorded)
    assert book.forecasts("US-ERCO") == []
