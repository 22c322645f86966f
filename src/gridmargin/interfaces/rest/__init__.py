"""The REST API: the same answers as the command line, plus receipts as they come."""

from gridmargin.interfaces.rest.app import build_app
from gridmargin.interfaces.rest.desk import Desk
from gridmargin.interfaces.rest.guard import is_loopback
from gridmargin.interfaces.rest.rounds import Rounds

__all__ = ["Desk", "Rounds", "build_app", "is_loopback"]
