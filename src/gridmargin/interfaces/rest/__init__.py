"""The REST API: the same answers as the command line, plus receipts as they come."""

from gridmargin.interfaces.rest.app import build_app

__all__ = ["build_app"]
