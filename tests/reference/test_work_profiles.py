"""Profiles of steps without tokens: what they say of the measurement they were fitted to, and unknown names."""

from __future__ import annotations

import pytest

from gridmargin.reference import known_work_models, work_profile_for
from gridmargin.vocab import UnknownNameError


@pytest.mark.parametrize("device", ["H100", "B200"])
def test_every_profile_is_whole(device) -> None:
    """Costs are not negative, a unit costs something, the range is the stack's at least, the rest is named."""
    models = known_work_models(device)
    assert len(models) >= 10
    for model in models:
        profile = work_profile_for(device, model)
        assert profile.fixed_j_per_step >= 0 < profile.j_per_work_unit
        assert profile.energy_low_frac >= 0.36
        assert profile.unit.startswith("one step of ")
        assert profile.use_by > profile.as_of
        assert profile.as_dict()["stack"] == profile.stack


def test_a_profile_gives_the_measured_image_back() -> None:
    """Sixteen images of FLUX.1-dev at a time took 7,551 J each on an H100 (ML.ENERGY v3): within 2 %."""
    profile = work_profile_for("H100", "black-forest-labs/FLUX.1-dev")
    batch, steps = 16, profile.steps_per_output
    dynamic_j = steps * (profile.fixed_j_per_step / batch + profile.j_per_work_unit)
    idle_j = profile.loaded_idle_w * steps * (profile.fixed_s_per_step / batch + profile.s_per_work_unit)
    assert dynamic_j + idle_j == pytest.approx(7551, rel=0.02)


def test_names_are_found_in_any_case_and_unknown_ones_refused() -> None:
    """Short and full names; a model or device without a profile lists what there is."""
    assert work_profile_for("h100", "FLUX.1-DEV") == work_profile_for("H100", "black-forest-labs/FLUX.1-dev")
    with pytest.raises(UnknownNameError, match=r"flux\.1-dev"):
        work_profile_for("H100", "flux.1")
    with pytest.raises(UnknownNameError, match="H100, B200"):
        work_profile_for("A100", "flux.1-dev")
