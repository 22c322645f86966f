"""The reader protocol: an engine's own words in, steps out, with what could not be told said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridmargin.engines.steps import Steps
from gridmargin.vocab import InputError

Groups = Sequence[Sequence[str]]
"""The devices that each engine steps on, engines in the order of their names."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an engine said, as steps.

    Attributes
    ----------
    steps : Steps
    notes : tuple of str
        For people: what is missing between the steps, and what had to be assumed.
    """

    steps: Steps
    notes: tuple[str, ...] = ()


class EngineReader(Protocol):
    """Brings one engine's records to steps.

    Attributes
    ----------
    name : str
        Under which it is registered.
    source : str
        What it reads, and how to have the engine write it.
    tells, lacks : str
        What the records say of a step, and what they do not.
    read_at : str
        Of which version the engine's source or page was read.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def tells(self) -> str: ...  # noqa: D102
    @property
    def lacks(self) -> str: ...  # noqa: D102
    @property
    def read_at(self) -> str: ...  # noqa: D102

    def read(self, paths: Sequence[Path], groups: Groups) -> Told:
        """Read files, in order of time, that one process of the engine wrote.

        Parameters
        ----------
        groups : sequence of sequences of str
            Empty where nobody said; then a single engine runs on gpu0.

        Raises
        ------
        GridmarginError
            If a file is not there or not in the engine's format, or its steps cannot be.
        """
        ...


def group_of(groups: Groups, engines: Sequence[str], what: str) -> list[tuple[str, ...]]:
    """Give the devices of each engine.

    Raises
    ------
    InputError
        If there are not as many groups as engines.
    """
    given = [tuple(group) for group in groups] or ([("gpu0",)] if len(engines) == 1 else [])
    if len(given) != len(engines):
        raise InputError(
            f"{what} tells of {len(engines)} engines ({', '.join(name or 'unnamed' for name in engines)}) and the devices"
            f" of {len(given)} are given; name the devices of each, in that order"
        )
    return given


def text_of(path: Path) -> str:
    """Read a text that an engine wrote.

    Raises
    ------
    InputError
        If it is not there or is no text.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give what the engine wrote")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is no text (byte {error.start}); give what the engine wrote") from None


def lines_of(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """Read the lines of a record, and say where the last was cut short, as by a kill: it ends in no newline.

    A last line that is whole JSON was not.

    Raises
    ------
    InputError
        As `text_of`.
    """
    whole, newline, rest = text_of(path).rpartition("\n")
    lines = whole.split("\n") if newline else []
    if not rest.strip():
        return lines, ()
    try:
        json.loads(rest)
    except ValueError:
        return lines, (f"{path.name}: its last line is cut short; left out",)
    return [*lines, rest], ()
