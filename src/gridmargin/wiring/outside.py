"""What is read of the outside: clock, environment, and where the user's folders are."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path, user_state_path
from pydantic import SecretStr

from gridmargin.settings import Settings, of_adapter
from gridmargin.sources import Reach
from gridmargin.vocab import InputError


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def read_settings(ledger: str | None = None) -> Settings:
    """Read the environment.

    Parameters
    ----------
    ledger : str, optional
        Stands before what the environment says.

    Raises
    ------
    InputError
        If a setting cannot be used.
    """
    try:
        return Settings() if ledger is None else Settings(ledger=SecretStr(ledger))
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": ("?",), "msg": str(error)}
        name = "GRIDMARGIN_" + str(first["loc"][0]).upper()
        raise InputError(f"{name}: {first['msg']}; correct the environment variable") from None


def reach_of(adapter: str) -> Reach:
    """Give where a live adapter's publisher is and the keys for it, from the environment."""
    url, secrets = of_adapter(adapter, os.environ)
    return Reach(url, {name: secret.get_secret_value() for name, secret in secrets.items()})


def home_folder(data_dir: Path | None, settings: Settings) -> Path:
    """Give the folder for ledger, archive and receipts."""
    return (data_dir or settings.home or user_data_path("gridmargin")).expanduser()


def recent_file() -> Path:
    """Name the file that remembers where receipts were written lately."""
    return user_state_path("gridmargin") / "recent.json"


def witnessed_file(log_id: str, witness_id: str) -> Path:
    """Name the file that remembers the head of a log that a witness signed last, by the ids of both keys."""
    return user_state_path("gridmargin") / "witnessed" / f"{log_id}-{witness_id}"


def seen_file(key_id: str) -> Path:
    """Name the file that remembers the newest head that a ledger showed us, by the id of its key."""
    return user_state_path("gridmargin") / "heads" / key_id
