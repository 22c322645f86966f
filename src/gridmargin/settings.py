"""Settings from the environment, typed; `wiring` is the only reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    offline : bool
        Ask no publisher (`GRIDMARGIN_OFFLINE`).
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
    offline: bool = False
    debug: bool = False


def of_adapter(adapter: str, environment: Mapping[str, str]) -> tuple[str | None, dict[str, SecretStr]]:
    """Give what an environment says of one live adapter: another address, and its keys.

    `GRIDMARGIN_<ADAPTER>_URL` is the address; any other `GRIDMARGIN_<ADAPTER>_<NAME>` is a secret, by its name in small
    letters.
    """
    mine = re.compile(rf"GRIDMARGIN_{re.escape(adapter.upper())}_([A-Z0-9]+)")
    found = {
        hit[1].lower(): value
        for name, value in environment.items()
        if value and (hit := mine.fullmatch(name))
    }
    url = found.pop("url", None)
    return url, {name: SecretStr(value) for name, value in found.items()}
