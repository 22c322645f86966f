"""From the power of boards to that at the wall of their host."""

from __future__ import annotations

from dataclasses import dataclass

from gridmargin.reference.tables import load_table
from gridmargin.vocab import InputError, Range, UnknownNameError


@dataclass(frozen=True, slots=True)
class HostLine:
    """What a host draws at the wall, as a line over the power of its boards.

    Attributes
    ----------
    fixed_w : float
        With boards that draw nothing. [W]
    wall_per_board : float
        More at the wall for one watt more of a board: fans, supply losses, work of the host. [1]
    range90_frac : float
        Half-width of the 90 % range, as a share of the wall's power. [1]
    source : str
    """

    fixed_w: float
    wall_per_board: float
    range90_frac: float
    source: str

    def wall_w(self, board_w: float) -> Range:
        """Give the power at the wall while all boards of the host draw so much together. [W]

        Raises
        ------
        InputError
            If the power is below 0 or no number.
        """
        if not 0 <= board_w < float("inf"):
            raise InputError(f"boards that draw {board_w} W: want a power of at least 0")
        mid = self.fixed_w + self.wall_per_board * board_w
        return Range(mid * (1 - self.range90_frac), mid, mid * (1 + self.range90_frac))


def host_line(device: str) -> HostLine:
    """Give the line of hosts of a device that stood beside a wall meter.

    Raises
    ------
    UnknownNameError
        With the devices known.
    """
    rows = {row["device"]: row for row in load_table("host_lines")}
    if device not in rows:
        raise UnknownNameError("device with a host measured at the wall", device, rows)
    row = rows[device]
    return HostLine(
        float(row["fixed_w"]), float(row["wall_per_board"]), float(row["range90_frac"]), row["source"]
    )
