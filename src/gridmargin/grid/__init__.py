"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble
from gridmargin.grid.state import GridState, GridStates

__all__ = ["GridState", "GridStates", "assemble"]
