"""Device × model energy profiles in step form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from gridmargin.reference.tables import load_table
from gridmargin.vocab import UnknownNameError


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


@cache
def _profiles() -> dict[tuple[str, str], Profile]:
    found = {}
    texts = ("device", "model", "stack", "use_by", "source", "as_of")
    for row in load_table("profiles"):
        figures = {k: float(v) for k, v in row.items() if k not in (*texts, "aliases", "n_batch_sizes")}
        profile = Profile(**figures, **{k: row[k] for k in texts})  # type: ignore[arg-type]
        for name in (row["model"], *row["aliases"].split()):
            found[profile.device.casefold(), name.casefold()] = profile
    return found


def known_devices() -> list[str]:
    """List devices with a profile."""
    return sorted({profile.device for profile in _profiles().values()})


def known_models(device: str) -> list[str]:
    """List models with a profile on a device."""
    return sorted({p.model for p in _profiles().values() if p.device.casefold() == device.casefold()})


def is_model(device: str, name: str, model: str) -> bool:
    """Say whether a name stands for a model that has a profile on a device."""
    profile = _profiles().get((device.casefold(), name.casefold()))
    return profile is not None and profile.model == model


def profile_for(device: str, model: str) -> Profile:
    """Give the profile of a device and model.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    if not known_models(device):
        raise UnknownNameError("device", device, known_devices())
    key = (device.casefold(), model.casefold())
    if key not in _profiles():
        raise UnknownNameError(f"model on {device}", model, known_models(device))
    return _profiles()[key]
