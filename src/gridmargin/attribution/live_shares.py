"""Shares while the engine runs: steps and readings come as they come, and requests are handed over once they are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.metered import metered
from gridmargin.attribution.rule import Rule
from gridmargin.attribution.step_cost import CostKey, prior_of, window_terms
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.attribution.tally import Tally
from gridmargin.engines import Steps, join_steps
from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

END = np.iinfo(np.int64).max

PARTS = tuple(part.name for part in fields(StepEnergy))


@dataclass
class _Group:
    """One group of devices: steps not settled yet, readings not used yet, and what its steps cost.

    `carried` is what the first of the steps has of windows used before: its parts [J], and how long the meter saw it [s].
    """

    fit: CostFit
    steps: Steps | None = None
    carried: FloatArray = field(default_factory=lambda: np.zeros(len(PARTS) + 1))
    start_us: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    end_us: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    energy_j: FloatArray = field(default_factory=lambda: np.empty(0))
    stepped_to_us: int = -1
    read_to_us: int = -1


class LiveShares:
    """Settles steps window by window as the meter speaks, and adds their shares up.

    Parameters
    ----------
    profile : Profile
        What is believed of the cost before the meter speaks.
    rule : Rule
    interval_s : int
        Grid on which energy is split. [s]
    wait_s : float
        How long steps wait for a reading; then they are settled without energy, and nothing is invented. [s]
    patience_s : float
        As of `Tally`. [s]

    Attributes
    ----------
    between_j : float
        Drawn while there was no step. [J]
    metered_j : float
        What the readings that were used came to. [J]
    silent_s : float
        How long steps ran that no reading told of. [s]

    Notes
    -----
    What is kept is bounded by the wait, the patience and the rates at which steps and readings come, however long it
    runs. Each device is a group of its own, or named in a group's steps before its first reading.
    """

    def __init__(
        self,
        profile: Profile,
        rule: Rule,
        interval_s: int,
        *,
        wait_s: float = 30.0,
        patience_s: float = 120.0,
    ) -> None:
        if not wait_s > 0:
            raise InputError(f"a wait of {wait_s} s for readings: give a length above 0")
        self.profile = profile
        self.wait_s = wait_s
        self.tally = Tally(rule, interval_s, patience_s)
        self.between_j = self.metered_j = self.silent_s = 0.0
        self._groups: dict[tuple[str, ...], _Group] = {}

    def push(self, steps: Steps | None, readings: Sequence[Reading] = ()) -> pl.DataFrame:
        """Take what came since the last time, steps and readings each in order of time.

        Returns
        -------
        DataFrame
            Requests that are done, as `tally.SCHEMA`.

        Raises
        ------
        InputError
            If steps of a group, or readings of a device, overlap those that came before.
        """
        if steps is not None:
            for number, group in enumerate(steps.groups):
                rows = np.flatnonzero(steps.group == number)
                if len(rows):
                    self._take_steps(group, steps.take(rows).trimmed())
        for device in dict.fromkeys(reading.device for reading in readings):
            self._take_readings(device, [one for one in readings if one.device == device])
        latest_us = max((max(g.stepped_to_us, g.read_to_us) for g in self._groups.values()), default=-1)
        for held in self._groups.values():
            self._settle(held, latest_us)
        return self.tally.hand_over()

    def finish(self) -> pl.DataFrame:
        """Settle what is left, with the readings there are, and give all requests still held."""
        for held in self._groups.values():
            self._settle(held, None)
        return self.tally.finish()

    def conservation_error(self) -> float:
        """Give readings used less steps and time between them, relative to the readings. [1]"""
        off_j = self.metered_j - self.tally.metered_j - self.between_j - sum(
            float(g.carried[:-1].sum()) for g in self._groups.values()
        )  # fmt: skip
        return abs(off_j) / self.metered_j if self.metered_j else 0.0

    def _group(self, group: tuple[str, ...]) -> _Group:
        if group not in self._groups:
            key = CostKey(self.profile.device, self.profile.model, self.profile.stack)
            self._groups[group] = _Group(CostFit(key, prior_of(self.profile)))
        return self._groups[group]

    def _take_steps(self, name: tuple[str, ...], steps: Steps) -> None:
        group = self._group(name)
        if int(steps.start_us[0]) < group.stepped_to_us:
            raise InputError(
                f"steps of {'+'.join(name)} begin {group.stepped_to_us - int(steps.start_us[0])} µs before the last that"
                " came ended; push steps once, in order of time"
            )
        group.steps = steps if group.steps is None else join_steps([group.steps, steps])
        group.stepped_to_us = int(steps.end_us[-1])

    def _take_readings(self, device: str, readings: Sequence[Reading]) -> None:
        group = next((held for name, held in self._groups.items() if name == (device,)), None)
        if group is None:
            shared = next(("+".join(name) for name in self._groups if device in name), None)
            if shared is not None:
                raise InputError(
                    f"{device} steps together with others ({shared}); give the sum of their readings under that name"
                )
            group = self._group((device,))
        start_us = np.array([round(one.interval.start_utc.timestamp() * 1e6) for one in readings], np.int64)
        if int(start_us[0]) < group.read_to_us:
            raise InputError(
                f"readings of {device} begin {group.read_to_us - int(start_us[0])} µs before the last that came ended; push"
                " readings once, in order of time"
            )
        end_us = np.array([round(one.interval.end_utc.timestamp() * 1e6) for one in readings], np.int64)
        group.start_us = np.concatenate([group.start_us, start_us])
        group.end_us = np.concatenate([group.end_us, end_us])
        group.energy_j = np.concatenate([group.energy_j, [one.energy_j for one in readings]])
        group.read_to_us = int(end_us[-1])

    def _settle(self, group: _Group, latest_us: int | None) -> None:
        """Use the windows up to which the steps are known, and settle the steps up to which the meter has spoken."""
        # Who was silent for so long has nothing to tell: an engine no steps, a meter no readings.
        waited_us = END if latest_us is None else latest_us - int(self.wait_s * 1e6)
        n = int(np.searchsorted(group.end_us, max(group.stepped_to_us, waited_us), side="right"))
        windows = group.start_us[:n], group.end_us[:n], group.energy_j[:n]
        group.start_us, group.end_us, group.energy_j = (
            group.start_us[n:],
            group.end_us[n:],
            group.energy_j[n:],
        )
        self.metered_j += float(windows[2].sum())
        steps = group.steps
        if steps is None:
            self.between_j += float(windows[2].sum())
            return
        told = np.zeros((len(PARTS) + 1, len(steps)))
        if n:
            group.fit.update(window_terms(steps, windows[0], windows[1]), windows[2], windows[0], windows[1])
            found = metered(steps, group.fit.cost(), *windows)
            told = np.nan_to_num(np.stack([*(getattr(found, part) for part in PARTS), found.metered_s]))
            self.between_j += float(np.nansum(found.unattributed_j))
        told[:, 0] += group.carried
        settled_us = max(int(windows[1][-1]) if n else -1, waited_us)
        n_done = int(np.searchsorted(steps.end_us, settled_us, side="right"))
        # The row that the next windows go on with keeps what it has; those after it have nothing yet.
        group.carried = told[:, n_done] if n_done < len(steps) else np.zeros(len(told))
        group.steps = steps.take(np.arange(n_done, len(steps))).trimmed() if n_done < len(steps) else None
        if not n_done:
            return
        done = steps.take(np.arange(n_done)).trimmed()
        self.silent_s += float((done.duration_s - told[-1, :n_done]).clip(0.0).sum())
        self.tally.add(done, StepEnergy(*told[:-1, :n_done]))
