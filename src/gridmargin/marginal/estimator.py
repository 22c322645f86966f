"""The Estimator protocol: fit on what came before, estimate for the states given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from gridmargin.grid import FleetResponse, GridStates, UnitFleet
from gridmargin.marginal.estimate import Estimates
from gridmargin.reference import ZoneBorder
from gridmargin.vocab import Fuel, Kind, canonical_json, sha256_hex


class Need(StrEnum):
    """What a fit may be impossible without, beside states."""

    FLEET = "a fleet response of an EPA region"
    UNITS = "a table of units"
    STATED = "the operator's own word on the margin"


@dataclass(frozen=True, slots=True)
class FuelRate:
    """What a fuel emits per net megawatt-hour in a zone.

    Attributes
    ----------
    factor_gco2_per_kwh : float
        Direct CO2 at the busbar. [g kWh⁻¹]
    source : str
        Where the figure stands.
    spread90_frac : float or None
        Half-width of its 90 % range, relative; None where not known. [1]
    by_load_gco2_per_kwh : tuple of float or None
        The rate in each fifth of the hours by fossil load, lowest first; None where only the one rate is known.
        [g kWh⁻¹]
    """

    factor_gco2_per_kwh: float
    source: str
    spread90_frac: float | None = None
    by_load_gco2_per_kwh: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a zone beside its states.

    Attributes
    ----------
    timezone : str
        IANA name; regimes by local hour use it.
    fuel_rates : mapping of Fuel to FuelRate
        Emission rate of each fuel's plants as they respond to load in this zone.
    fleet : FleetResponse or None
        EPA's fleet curves of the newest year known at the time of the fit.
    average_fuel_rates : mapping of Fuel to FuelRate or None
        Emission rate of all of each fuel's generation, for an average; None where the same rates serve.
    units : UnitFleet or None
        The zone's plants one by one, as known at the time of the fit.
    border : ZoneBorder or None
        How the zone differs from the AVERT region of `fleet`; None where it is not known to.
    """

    timezone: str
    fuel_rates: Mapping[Fuel, FuelRate]
    fleet: FleetResponse | None = None
    average_fuel_rates: Mapping[Fuel, FuelRate] | None = None
    units: UnitFleet | None = None
    border: ZoneBorder | None = None

    def has(self, need: Need) -> bool:
        """Say whether these facts hold what an estimator may need beside states; what is stated is in the states."""
        return {Need.FLEET: self.fleet, Need.UNITS: self.units, Need.STATED: self}[need] is not None


@dataclass(frozen=True, slots=True)
class Fit:
    """What an estimator learned; plain JSON, so that anyone can apply it again.

    Attributes
    ----------
    parameters : dict
        JSON-able numbers, lists and strings; enough, with the code version, to repeat every estimate.
    train_start_utc, train_end_utc : datetime
        The half-open stretch of states it saw.
    payload_sha256s : tuple of str
        Payloads beside the states that it used.
    """

    estimator: str
    estimator_version: str
    zone: str
    train_start_utc: datetime
    train_end_utc: datetime
    n_train: int
    parameters: dict[str, Any]
    payload_sha256s: tuple[str, ...] = field(default=())

    @staticmethod
    def on(
        history: GridStates,
        estimator: Estimator,
        n_train: int,
        parameters: dict[str, Any],
        payload_sha256s: tuple[str, ...] = (),
    ) -> Fit:
        """Give what an estimator learned from all of a history."""
        starts = history.frame["start_utc"]
        end = starts[-1] + timedelta(seconds=history.interval_s)
        return Fit(
            estimator.name,
            estimator.version,
            history.zone,
            starts[0],
            end,
            n_train,
            parameters,
            payload_sha256s,
        )

    @property
    def fit_id(self) -> str:
        """Content hash of the whole fit, 32 hexadecimal digits; ledgers from before hold the first 16 of some."""
        text = canonical_json(
            [
                self.estimator,
                self.estimator_version,
                self.zone,
                self.train_start_utc.isoformat(),
                self.train_end_utc.isoformat(),
                self.n_train,
                self.parameters,
                list(self.payload_sha256s),
            ]
        )
        return sha256_hex(text.encode())[:32]


class Estimator(Protocol):
    """Grid states in, estimates out; no I/O, no clock, same arguments, same answer.

    Attributes
    ----------
    name, version : str
        As registered, and as it stands on every estimate; what moves numbers moves the version.
    kind : Kind
        Marginal or average.
    needs : frozenset of Need
        Facts without which no fit is possible, so that nothing need be read to know it.
    """

    name: str
    version: str
    kind: Kind
    needs: frozenset[Need]

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        ...

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Learn from the past; `history` must lie wholly before the states to be estimated."""
        ...

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Estimate for every state that allows it; states that lack what is needed are left out, never filled."""
        ...
