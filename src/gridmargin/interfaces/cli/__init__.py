"""The `gridmargin` command."""

from gridmargin.interfaces.cli.app import main

__all__ = ["main"]
