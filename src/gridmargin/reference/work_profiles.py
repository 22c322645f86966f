"""Device × model energy profiles of steps without tokens: images and videos, by denoising step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from gridmargin.reference.tables import load_table
from gridmargin.vocab import UnknownNameError


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


_TEXTS = ("device", "model", "unit", "stack", "use_by", "source", "as_of")


@cache
def _work_profiles() -> dict[tuple[str, str], WorkProfile]:
    found = {}
    for row in load_table("work_profiles"):
        figures = {k: float(v) for k, v in row.items() if k not in (*_TEXTS, "aliases", "n_batch_sizes")}
        profile = WorkProfile(**figures, **{k: row[k] for k in _TEXTS})  # type: ignore[arg-type]
        for name in (row["model"], *row["aliases"].split()):
            found[profile.device.casefold(), name.casefold()] = profile
    return found


def known_work_models(device: str) -> list[str]:
    """List models with a work profile on a device."""
    return sorted({p.model for p in _work_profiles().values() if p.device.casefold() == device.casefold()})


def work_profile_for(device: str, model: str) -> WorkProfile:
    """Give the profile of a device and a model that makes images or videos.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    if not known_work_models(device):
        raise UnknownNameError("device", device, {profile.device for profile in _work_profiles().values()})
    key = (device.casefold(), model.casefold())
    if key not in _work_profiles():
        raise UnknownNameError(f"model of images or videos on {device}", model, known_work_models(device))
    return _work_profiles()[key]
