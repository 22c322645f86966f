"""What any way of committing a fleet gives, and how it is called."""

from __future__ import annotations

from typing import Protocol

from gridmargin.grid import CommitmentCase, CommitmentSchedule


class Committed(Protocol):
    """A schedule with what it costs, and what any schedule costs at least where that was proven."""

    @property
    def schedule(self) -> CommitmentSchedule:
        """Who runs when."""
        ...

    @property
    def cost(self) -> float:
        """In the case's currency."""
        ...

    @property
    def bound(self) -> float | None:
        """In the case's currency; None where nothing was proven."""
        ...

    @property
    def proof(self) -> str | None:
        """What proved the bound: `milp`, `lagrangian`, or None."""
        ...


class Commit(Protocol):
    """One way of committing a fleet."""

    def __call__(self, case: CommitmentCase) -> Committed:
        """Commit it.

        Raises
        ------
        InputError
            If no schedule was found.
        """
        ...
