"""Device × model energy profiles of steps without tokens: images and videos, by denoising step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gridmargin.reference.by_device import ByDevice


@dataclass(frozen=True, slots=True)
class WorkProfile:
    """What a step without tokens costs and how long it takes, on one device.

    A step costs `fixed_j_per_step + work units × j_per_work_unit` above loaded idle, and lasts likewise.

    Attributes
    ----------
    device, model : str
    unit : str
        What one work unit is.
    steps_per_output : float
        Steps that make an image or a video as measured. [1]
    loaded_idle_w : float
        Board power with the model loaded and no request. [W]
    fit_error_frac : float
        90th percentile of the leave-one-batch-size-out error, relative. [1]
    energy_low_frac, energy_high_frac : float
        90 % half-widths of the energy, relative: fit error and serving-stack version together. [1]
    stack : str
        What ran it when it was measured.
    use_by : str
        Date after which the profile should be measured again.
    """

    device: str
    model: str
    unit: str
    steps_per_output: float
    fixed_j_per_step: float
    j_per_work_unit: float
    loaded_idle_w: float
    fixed_s_per_step: float
    s_per_work_unit: float
    fit_error_frac: float
    energy_low_frac: float
    energy_high_frac: float
    stack: str
    use_by: str
    source: str
    as_of: str

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON types."""
        return asdict(self)


_WORK_PROFILES = ByDevice("work_profiles", WorkProfile, "model of images or videos")


def known_work_models(device: str) -> list[str]:
    """List models with a work profile on a device."""
    return _WORK_PROFILES.models(device)


def work_profile_for(device: str, model: str) -> WorkProfile:
    """Give the profile of a device and a model that makes images or videos.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    return _WORK_PROFILES.find(device, model)
