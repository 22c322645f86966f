"""Device × model energy profiles in step form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gridmargin.reference.by_device import ByDevice


@dataclass(frozen=True, slots=True)
class Profile:
    """What a step of an inference engine costs and how long it takes.

    A step costs `fixed_j_per_step + prefill tokens × j_per_prefill_token + decode tokens × j_per_decode_token` above
    loaded idle, and lasts `fixed_s_per_step + …` likewise; per decoded token at batch size B that is `c0 + c1 / B`.

    Attributes
    ----------
    device, model : str
        Accelerator and model, one device.
    active_params_b : float
        Parameters that take part in one token. [10⁹]
    loaded_idle_w : float
        Board power with the model loaded and no request. [W]
    fit_error_frac : float
        90th percentile of the leave-one-batch-size-out error, relative. [1]
    energy_low_frac, energy_high_frac : float
        90 % half-widths of the energy, relative: fit error and serving-stack version together. [1]
    stack : str
        Serving stack that was measured.
    use_by : str
        Date after which the profile should be measured again.
    """

    device: str
    model: str
    active_params_b: float
    fixed_j_per_step: float
    j_per_prefill_token: float
    j_per_decode_token: float
    loaded_idle_w: float
    fixed_s_per_step: float
    s_per_prefill_token: float
    s_per_decode_token: float
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


_PROFILES = ByDevice("profiles", Profile, "model")


def known_devices() -> list[str]:
    """List devices with a profile."""
    return _PROFILES.devices()


def known_models(device: str) -> list[str]:
    """List models with a profile on a device."""
    return _PROFILES.models(device)


def is_model(device: str, name: str, model: str) -> bool:
    """Say whether a name stands for a model that has a profile on a device."""
    profile = _PROFILES.get(device, name)
    return profile is not None and profile.model == model


def profile_for(device: str, model: str) -> Profile:
    """Give the profile of a device and model.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    return _PROFILES.find(device, model)
