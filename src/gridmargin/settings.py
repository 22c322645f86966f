"""Settings from the environment, typed; `wiring` is the only reader."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the environment may say; every name is prefixed with `GRIDMARGIN_`.

    Attributes
    ----------
    data : Path or None
        Folder with recorded grid tables (`GRIDMARGIN_DATA`).
    home : Path or None
        Data folder for the ledger, archive and receipts (`GRIDMARGIN_HOME`); the platform's own place otherwise.
    ledger : SecretStr or None
        Where the ledger is, if not in the data folder: a path, or the URL of a PostgreSQL database, which may hold a
        password (`GRIDMARGIN_LEDGER`).
    api_key : SecretStr or None
        Required of every request when serving beyond loopback (`GRIDMARGIN_API_KEY`).
    places : Path or None
        TOML file of data centres and overrides (`GRIDMARGIN_PLACES`).
    geojson : Path or None
        Outlines of zones, in place of the coarse ones (`GRIDMARGIN_GEOJSON`).
    debug : bool
        Show where an error came from, traceback and all (`GRIDMARGIN_DEBUG`).
    """

    model_config = SettingsConfigDict(env_prefix="GRIDMARGIN_", env_ignore_empty=True, extra="ignore")

    data: Path | None = None
    home: Path | None = None
    ledger: SecretStr | None = None
    api_key: SecretStr | None = Field(default=None, min_length=16)
    places: Path | None = None
    geojson: Path | None = None
    debug: bool = False
