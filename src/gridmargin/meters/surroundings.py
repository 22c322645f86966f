"""What the outside hands to an instrument: folders, libraries, addresses, secrets; built in `wiring`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from gridmargin.vocab import NoMeterError


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an instrument is and what opens it.

    Attributes
    ----------
    url : str or None
        Its address, without anything secret.
    words : mapping
        Options and secrets by name; never shown.
    """

    url: str | None = None
    words: Mapping[str, str] = field(default_factory=dict, repr=False)


def nothing_said(_instrument: str) -> Reach:
    """Know no address."""
    return Reach()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a meter may touch.

    Attributes
    ----------
    clock_us : callable
        The time of day. [µs since 1970 UTC]
    reach : callable
        Address and secrets of an instrument by its name.
    root : Path
        Where `sys` and `proc` are.
    library : callable
        Imports a vendor's library by name.
    """

    clock_us: Callable[[], int]
    reach: Callable[[str], Reach] = nothing_said
    root: Path = Path("/")
    library: Callable[[str], Any] = import_module

    def require(self, library: str, instrument: str, way_out: str) -> Any:
        """Import a vendor's library, and keep what it prints to itself.

        Raises
        ------
        NoMeterError
            If it is not there, or cannot find what it binds to.
        """
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return self.library(library)
        except (ImportError, OSError, KeyError, AttributeError) as error:
            why = "is not installed" if isinstance(error, ImportError) else f"cannot be loaded ({error})"
            raise NoMeterError(instrument, f"the library {library} {why}", way_out) from None

    def require_url(self, instrument: str, example: str) -> str:
        """Give the address of an instrument.

        Raises
        ------
        NoMeterError
            If none was given.
        """
        url = self.reach(instrument).url
        if url is None:
            variable = f"GRIDMARGIN_{instrument.upper()}_URL"
            raise NoMeterError(instrument, "no address is given", f"set {variable}={example}")
        return url
