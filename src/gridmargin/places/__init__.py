"""Where something runs: a name, a point or a declared data centre, as one of our zones.

Comes in: text such as `aws:us-east-1` or `37.77,-122.42`, and the user's files of outlines and data centres. Goes out:
the zone, the rule that decided, its source, and what weaker rules would have said.
"""

from gridmargin.places.declared import DataCentre, Declarations, Override, Procurement, read_declarations
from gridmargin.places.outlines import Outline, Outlines, built_in_outlines, point_from, read_outlines
from gridmargin.places.where import RULES, Conflict, Placed, Places, overheads_of

__all__ = [
    "RULES",
    "Conflict",
    "DataCentre",
    "Declarations",
    "Outline",
    "Outlines",
    "Override",
    "Placed",
    "Places",
    "Procurement",
    "built_in_outlines",
    "overheads_of",
    "point_from",
    "read_declarations",
    "read_outlines",
]
