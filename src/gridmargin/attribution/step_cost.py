"""What the steps of an engine cost: a straight line in what they did, with its range and the end of its validity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gridmargin.engines import Steps
from gridmargin.reference import Profile, WorkProfile
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TERMS = ("idle", "fixed", "prefill", "decode", "context", "work")
"""What energy is linear in: seconds, steps, computed prompt tokens, decoded tokens, tokens attended to, work units."""

IDLE, FIXED, PREFILL, DECODE, CONTEXT, WORK = range(len(TERMS))

STACK_LOW, STACK_HIGH = 1 - 0.64, 1 / 0.64 - 1
"""A newer serving stack alone took the same model and GPU to 0.55-0.73 of the energy: the middle of that, either way;
as in `tools/profiles.py`."""


IDLE_SPREAD_FRAC = 0.25
"""How well loaded idle is known as a share of what a busy board draws: 123 of 410 W on an H100, 176 of some 750 W on a
B200. [1]"""


@dataclass(frozen=True, slots=True)
class CostKey:
    """What a cost holds for: one device (or group of a kind), one model, one version of the serving stack."""

    device: str
    model: str
    stack: str

    def __str__(self) -> str:
        return f"{self.model} on {self.device}, {self.stack}"


@dataclass(frozen=True, slots=True)
class CostPrior:
    """What is believed of a cost before any meter spoke.

    Attributes
    ----------
    mean, sd : arrays, shape (6,)
        By `TERMS`. [W, then J each]
    has_level : bool
        False where only the proportions are believed, and the device says how much.
    stack : str
        Serving stack it was measured on; empty where it names none.
    """

    mean: FloatArray
    sd: FloatArray
    has_level: bool
    stack: str


def prior_of(profile: Profile) -> CostPrior:
    """Give a device × model profile as what is believed at first, to half of each coefficient.

    Notes
    -----
    Profiles say nothing of attention: a thousand tokens of context are taken to cost up to one decoded token.
    Nor of work units, whose coefficient is left free.
    """
    mean = np.array(
        [
            profile.loaded_idle_w, profile.fixed_j_per_step, profile.j_per_prefill_token, profile.j_per_decode_token,
            0.0, 0.0,
        ]
    )  # fmt: skip
    return CostPrior(mean, _spread(mean, 0.5), has_level=True, stack=profile.stack)


def prior_of_work(profile: WorkProfile) -> CostPrior:
    """Give the profile of a model without tokens as what is believed at first, to half of each coefficient."""
    mean = np.zeros(len(TERMS))
    mean[[IDLE, FIXED, WORK]] = profile.loaded_idle_w, profile.fixed_j_per_step, profile.j_per_work_unit
    sd = _spread(mean, 0.5)
    sd[WORK] = 0.5 * mean[WORK]
    # A fit that found nothing fixed found that it is small beside one unit's own.
    sd[FIXED] = max(float(sd[FIXED]), float(sd[WORK]))
    return CostPrior(mean, sd, has_level=True, stack=profile.stack)


def prior_of_proportions(profile: Profile) -> CostPrior:
    """Give the proportions of a profile, for a device or model that has none, to twice each coefficient.

    Notes
    -----
    A busy engine takes steps at nearly the same pace, so that its meter hardly tells idle from fixed; idle is known
    better than twice, since boards of several makes idle at a fifth to a third of what they draw when busy.
    """
    known = prior_of(profile)
    sd = _spread(known.mean, 2.0)
    sd[IDLE] = IDLE_SPREAD_FRAC * known.mean[IDLE]
    return CostPrior(known.mean, sd, has_level=False, stack="")


def _spread(mean: FloatArray, frac: float) -> FloatArray:
    sd = mean * frac
    sd[CONTEXT] = mean[DECODE] / 1000.0 * max(1.0, frac)
    sd[WORK] = 1e6
    return sd


@dataclass(frozen=True, slots=True)
class StepCost:
    """Energy of a step = fixed + what it did, above loaded idle.

    Attributes
    ----------
    key : CostKey
    coefficients : array, shape (6,)
        By `TERMS`, none negative. [W, then J each]
    covariance : array, shape (6, 6)
        Of the coefficients, in units of `noise_w2s`. [W⁻² s⁻¹ × products of their units]
    noise_w2s : float
        Variance of the mean power of one second around the line; that of d seconds is its d-th part. [W² s]
    n_windows : float
        Windows that were predicted before they were read, less those forgotten. [1]
    pace_per_s : float
        Steps per second on average over what was read. [s⁻¹]
    idle_unseen_w : float
        Standard deviation of loaded idle that no meter has narrowed, as the device was never seen near idle. [W]
    fitted_to_us, use_by_us : int
        Last moment that was read, and until when the cost may be used. [µs since 1970 UTC]
    drifted_since_us : int or None
        Since when the residuals have left their range too often.
    """

    key: CostKey
    coefficients: FloatArray
    covariance: FloatArray
    noise_w2s: float
    n_windows: float
    pace_per_s: float
    idle_unseen_w: float
    fitted_to_us: int
    use_by_us: int
    drifted_since_us: int | None = None

    def energy_j(self, terms: FloatArray) -> FloatArray:
        """Give the energy of windows of `window_terms`, shape (n,); NaN where what costs something is not known. [J]"""
        return self._costly(terms) @ self.coefficients

    def range_j(self, terms: FloatArray, *, out_of_profile: bool = False) -> tuple[FloatArray, FloatArray]:
        """Give the 90 % range of the energy of windows, each shape (n,). [J]

        Parameters
        ----------
        terms : array, shape (n, 6)
        out_of_profile : bool
            Widen it by what another serving stack was seen to change.

        Notes
        -----
        Variance of the mean power x·c of d seconds: ``noise × (1/d + xᵀ C x) + (idle unseen × (1 − pace ÷ mean pace))²``,
        times Student's quantile. An engine that is always busy takes steps at one pace, at which idle and fixed costs
        are one sum; the last part is what their wrong division costs at another pace.
        """
        energy, seconds = self.energy_j(terms), np.maximum(terms[:, IDLE], 1e-9)
        x = self._costly(terms) / seconds[:, None]
        spread = 1.0 / seconds + np.einsum("ij,jk,ik->i", x, self.covariance, x)
        quantile = float(stdtrit(max(self.n_windows, 1.0), 0.95))
        other_pace = 1.0 - x[:, FIXED] / self.pace_per_s if self.pace_per_s > 0 else np.ones(len(x))
        half = quantile * np.sqrt(self.noise_w2s * spread + (self.idle_unseen_w * other_pace) ** 2) * seconds
        low = half if not out_of_profile else np.hypot(half, STACK_LOW * energy)
        high = half if not out_of_profile else np.hypot(half, STACK_HIGH * energy)
        return np.maximum(energy - low, 0.0), energy + high

    def _costly(self, terms: FloatArray) -> FloatArray:
        # A context that is not known is no matter to a cost without attention.
        return np.asarray(np.where(np.isnan(terms) & (self.coefficients == 0.0), 0.0, terms), np.float64)

    def doubts(self, key: CostKey, at_us: int) -> tuple[str, ...]:
        """Say why this cost is out of profile for a use; nothing where it is not.

        Parameters
        ----------
        key : CostKey
            What is to be priced.
        at_us : int
            When. [µs since 1970 UTC]
        """
        found = [
            f"{name} is {asked!r}, fitted on {own!r}"
            for name, own, asked in (
                ("device", self.key.device, key.device),
                ("model", self.key.model, key.model),
                ("serving stack", self.key.stack, key.stack),
            )
            if own != asked
        ]
        if at_us >= self.use_by_us:
            found.append(f"to be used before {_day(self.use_by_us)}")
        if self.drifted_since_us is not None:
            found.append(f"residuals out of range since {_day(self.drifted_since_us)}")
        return tuple(found)


def row_terms(steps: Steps) -> FloatArray:
    """Give what each row did, shape (n, 6) by `TERMS`.

    Context is counted once for each step that attends to it: of a stretch, summed over its steps too. Where it is not
    known the column is NaN.
    """
    return np.column_stack(
        [
            steps.duration_s, steps.n_steps, steps.prefill_tokens, steps.decode_tokens, steps.context_tokens,
            steps.work_units,
        ]
    )  # fmt: skip


def window_terms(steps: Steps, start_us: IntArray, end_us: IntArray) -> FloatArray:
    """Give what was done in each window of time, shape (n, 6) by `TERMS`; the device is loaded all the while.

    Parameters
    ----------
    steps : Steps
        Of one group.
    start_us, end_us : arrays of int64, shape (n,)
        Windows in any order; they may overlap, as those of a reading that is an average do. [µs since 1970 UTC]

    Raises
    ------
    InputError
        If the steps are of several groups, or a window ends before it starts.

    Notes
    -----
    A row that two windows share is cut in proportion to time.
    """
    refuse_several_groups(steps)
    backwards = np.flatnonzero(end_us <= start_us)
    if len(backwards):
        raise InputError(f"meter window {backwards[0]} does not end after it starts; correct its times")
    out = np.empty((len(start_us), len(TERMS)))
    out[:, IDLE] = (end_us - start_us) / 1e6
    edges = np.column_stack([steps.start_us, np.maximum(steps.end_us, steps.start_us + 1)]).ravel()
    terms = row_terms(steps)
    for term in range(FIXED, len(TERMS)):
        total = np.concatenate([[0.0], np.cumsum(terms[:, term])])
        at_edges = np.column_stack([total[:-1], total[1:]]).ravel()
        if not len(at_edges):
            out[:, term] = 0.0
            continue
        out[:, term] = np.interp(end_us, edges, at_edges) - np.interp(start_us, edges, at_edges)
    return out


def refuse_several_groups(steps: Steps) -> None:
    """Raise `InputError` where steps are of more than one group, since a meter's reading is of one."""
    if len(steps) and int(steps.group.min()) != int(steps.group.max()):
        names = ", ".join("+".join(group) for group in steps.groups[:4])
        raise InputError(f"{steps.origin} steps are of several groups ({names}); take one group at a time")


def _day(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d}"
