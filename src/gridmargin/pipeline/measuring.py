"""Steps from a file, energy from a meter's trace or a profile: what an accountant shares in place of a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gridmargin.attribution import (
    METER_FRAC,
    RULES,
    Instance,
    Measured,
    charge_by_meter,
    charge_by_profile,
)
from gridmargin.engines import read_steps
from gridmargin.meters import Instrument, RecordedMeter, through_sensor
from gridmargin.reference import Profile, WorkProfile, profile_for, work_profile_for
from gridmargin.requests import file_sha256
from gridmargin.vocab import InputError, UnknownNameError

DEFAULT_RULE = "shapley"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a run's energy comes from.

    Attributes
    ----------
    steps : Path
        A file of engine steps.
    meter : Path or None
        A meter's trace; None where a profile stands in.
    instrument : Instrument or None
        What the trace cannot say of itself.
    rule : str
        By which rule steps are shared.
    field : str or None
        What a trace of power was read from, such as `power.draw.instant`; it is then brought to energy by the sensor of
        the device's family. None where the trace is taken as it stands.
    instances : tuple of Instance
        Parts of boards that share a meter.
    """

    steps: Path
    meter: Path | None = None
    instrument: Instrument | None = None
    rule: str = DEFAULT_RULE
    field: str | None = None
    instances: tuple[Instance, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON, with the hash of each file as it is now."""
        files = {
            name: {"path": str(path.resolve()), "sha256": file_sha256(path)}
            for name, path in (("steps", self.steps), ("meter", self.meter))
            if path is not None
        }
        described = {
            "instrument": asdict(self.instrument) if self.instrument else None,
            "rule": self.rule,
            "field": self.field,
        }
        parts = {"instances": [asdict(one) for one in self.instances]} if self.instances else {}
        return files | described | parts


def evidence(
    steps: Path | None,
    meter: Path | None,
    every_s: float | None,
    modulus_j: float | None,
    most_power_w: float | None,
    rule: str | None,
    field: str | None = None,
    instances: Sequence[str] = (),
) -> Evidence | None:
    """Bring what a user says together; None where nothing was said, and a log is replayed.

    Parameters
    ----------
    every_s : float or None
        Period at which the meter was sampled. [s]
    modulus_j, most_power_w : float or None
        As of `Instrument`. [J], [W]
    instances : sequence of str
        Parts of boards, as `instance_of` reads them.

    Raises
    ------
    InputError
        If what belongs together is not there together.
    UnknownNameError
        If no such rule is known.
    """
    if rule is not None:
        RULES.get(rule)
    parts = tuple(instance_of(text) for text in instances)
    if parts and meter is None:
        raise InputError(
            f"instance {parts[0].name} says how a meter's reading is split; give the meter's trace, or leave it out"
        )
    if steps is None:
        if meter is not None or (rule or DEFAULT_RULE) != DEFAULT_RULE:
            raise InputError(
                f"{'a meter' if meter is not None else f'rule {rule}'} needs the engine's steps, which say who took part"
                f" when; give them, or leave it out: a replayed log is shared by {DEFAULT_RULE}"
            )
        return None
    if meter is None:
        return Evidence(steps, rule=rule or DEFAULT_RULE)
    if every_s is None:
        raise InputError(
            "a meter's trace does not say how often it was sampled; give the period in seconds, so that a missing sample"
            " can be told"
        )
    return Evidence(
        steps, meter, Instrument(every_s, modulus_j, most_power_w), rule or DEFAULT_RULE, field, parts
    )


def instance_of(text: str) -> Instance:
    """Read an instance: `BOARD/NAME=3/7` or, where its memory is another share, `BOARD/NAME=3/7,4/8`.

    Raises
    ------
    InputError
        If it cannot be read so.
    """
    name, _, shares = text.rpartition("=")
    try:
        fracs = [float(Fraction(share.strip())) for share in shares.split(",")]
    except (ValueError, ZeroDivisionError):
        fracs = []
    if not name or len(fracs) not in (1, 2):
        raise InputError(
            f"instance {text!r}: write its name and its share of the board, GPU-0/MIG-1=3/7, and after a comma that of the"
            " memory where it is another"
        )
    return Instance(name.strip(), fracs[0], fracs[-1])


def evidence_of(described: Mapping[str, Any]) -> Evidence:
    """Give the evidence that `Evidence.as_dict` described."""
    meter, instrument = described.get("meter"), described["instrument"]
    return Evidence(
        Path(described["steps"]["path"]),
        Path(meter["path"]) if meter else None,
        Instrument(**instrument) if instrument else None,
        described["rule"],
        described.get("field"),
        tuple(Instance(**one) for one in described.get("instances", ())),
    )


def measure(evidence: Evidence, profile: Profile | WorkProfile, interval_s: int) -> Measured:
    """Read steps and meter, and share.

    Raises
    ------
    GridmarginError
        As `read_steps`, `RecordedMeter` and `charge_by_meter`.
    """
    rule = RULES.get(evidence.rule)
    steps = read_steps(evidence.steps)
    if evidence.meter is None:
        charged = charge_by_profile(steps, profile)
    else:
        meter = RecordedMeter(evidence.meter, evidence.instrument or Instrument(1.0))
        readings, meter_frac = meter.readings(), METER_FRAC
        if evidence.field is not None:
            readings, meter_frac = through_sensor(readings, profile.device, evidence.field)
        charged = charge_by_meter(steps, readings, profile, meter_frac, evidence.instances)
    return Measured(charged, rule, interval_s)


def profile_of(described: Mapping[str, Any]) -> Profile | WorkProfile:
    """Give the profile that `as_dict` described."""
    return WorkProfile(**described) if "j_per_work_unit" in described else Profile(**described)


def profile_named(device: str, model: str, evidence: Evidence | None) -> Profile | WorkProfile:
    """Give the profile of a device and model; of one that makes images or videos, where its steps are given.

    Raises
    ------
    UnknownNameError
        With near names.
    InputError
        If the model makes no tokens and there are no steps.
    """
    try:
        return profile_for(device, model)
    except UnknownNameError:
        try:
            found = work_profile_for(device, model)
        except UnknownNameError:
            found = None
        if found is None:
            raise
    if evidence is None:
        raise InputError(
            f"{found.model} makes no tokens ({found.unit} is its unit), so a log of tokens cannot be replayed; give its"
            " steps with their work units"
        )
    return found
