"""A device whose log says when each request ended: concurrency as it was, not as batching would have it.

A request is active from its arrival to its end, its tokens spread evenly over that time. While B requests are active the
device takes steps of B decode tokens as the profile has them, so the fixed energy of a step accrues at
`fixed_j_per_step / (fixed_s_per_step + B · s_per_decode_token)` watts; that and the loaded idle are shared equally
among the active. Energy is cut at interval boundaries to the microsecond. A request that ends as it arrives has no
time in which to share anything: it carries its own tokens only, in the interval of its arrival.
"""

from __future__ import annotations

import numpy as np

from gridmargin.attribution import kernel_observed
from gridmargin.attribution.completed import FloatArray, IntArray
from gridmargin.attribution.device import Device
from gridmargin.reference import Profile

NOT_KNOWN = np.nan
TO_THE_END = -1


class ObservedDevice(Device):
    """A device that follows the log's own ends."""

    integers = ("mark_us",)
    floats = ("mark_fixed", "mark_idle", "alone_j")

    def __init__(self, profile: Profile, interval_s: int) -> None:
        super().__init__(profile, interval_s)
        self.clock_us = 0
        self.state = np.zeros(kernel_observed.N_STATE)

    def _begin(self, first_us: int) -> None:
        assert self.base_s is not None
        self.clock_us = first_us - self.base_s * 1_000_000

    def _advance(
        self, until_us: int | None
    ) -> tuple[int, FloatArray, FloatArray, IntArray, IntArray, IntArray]:
        assert self.base_s is not None
        held, profile, local = self.held, self.profile, self.local
        assert held.end_us is not None
        base_us = self.base_s * 1_000_000
        horizon_us = TO_THE_END if until_us is None else max(until_us - base_us, self.clock_us)
        (
            self.clock_us, first_slot, self.keys, self.items, self.n_active, self.n_admitted,
            slices, owners, slots, done, meter,
        ) = kernel_observed.observe(
            held.arrival_us - base_us, held.end_us - base_us, held.prompt_tokens * profile.j_per_prefill_token,
            np.maximum(held.generated_tokens - 1, 0) * profile.j_per_decode_token, local["mark_fixed"],
            local["mark_idle"], local["mark_us"], local["alone_j"], self.keys, self.items, self.n_active,
            self.n_admitted, self.state, self.clock_us, horizon_us, self.interval_s * 1_000_000,
            profile.fixed_j_per_step, profile.loaded_idle_w, profile.fixed_s_per_step, profile.s_per_decode_token,
        )  # fmt: skip
        return first_slot, meter, slices, owners, slots, done

    def _times_s(self, done: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        assert self.held.end_us is not None or not len(done)
        start_s = self.held.arrival_us[done] / 1e6
        end_s = start_s if self.held.end_us is None else self.held.end_us[done] / 1e6
        return start_s, np.full(len(done), NOT_KNOWN), end_s
