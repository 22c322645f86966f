"""Reference figures of power sensors and hosts: what a name finds, and what stands behind it."""

from __future__ import annotations

import pytest

from gridmargin.reference import host_line, range_shares, sensor_family
from gridmargin.vocab import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("device", "field", "family", "seen"),
    [
        ("A100", "power.draw", "GA100", 0.25),
        ("NVIDIA A100-SXM4-80GB", "power.draw.instant", "GA100", 0.25),
        ("h100", "power.draw.instant", "GH100", 0.25),
        ("rtx_3090", "power.draw.instant", "GA10x", 1.0),
        ("k40m", "power.draw", "Kepler", 1.0),
        ("mi300x", "power.draw", "any", 1.0),
        ("3090", "no.such.field", "any", 1.0),
    ],
)
def test_a_name_finds_its_family(device, field, family, seen) -> None:
    """A maker's prefix and a memory size do not matter; what is not known is `any`."""
    found = sensor_family(device, field)
    assert found.family == family
    assert min(1.0, found.window_s / found.update_s) == pytest.approx(seen)
    assert found.source


def test_the_average_is_a_mean_over_a_second_from_ampere_on() -> None:
    """As NVML's reference has it: not on GA100."""
    assert sensor_family("h100", "power.draw").window_s == 1.0
    assert sensor_family("a100", "power.draw").window_s == 0.025


def test_shares_are_positive_and_longer_windows_are_steadier() -> None:
    """A range that is not above 0 would be none."""
    shares = range_shares()
    assert list(shares.steady_frac) == sorted(shares.steady_frac, reverse=True)
    assert min(*shares.steady_frac, shares.fitted_level_frac, shares.unfitted_level_frac) > 0


def test_a_host_draws_its_fixed_power_and_more_than_its_boards() -> None:
    """101 W with an idle board and 1.08 W for each of the board's; unknown devices are refused with those known."""
    line = host_line("L40")
    idle, busy = line.wall_w(0.0), line.wall_w(300.0)
    assert idle.mid == line.fixed_w
    assert busy.mid == pytest.approx(101.3 + 1.081 * 300.0)
    assert busy.low < busy.mid < busy.high
    with pytest.raises(UnknownNameError, match="L40"):
        host_line("abacus")
    with pytest.raises(InputError, match="at least 0"):
        line.wall_w(-1.0)
