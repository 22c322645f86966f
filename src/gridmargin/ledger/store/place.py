"""Where a ledger lies: a file, or the URL of a PostgreSQL database, shown to people without its secrets."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from gridmargin.vocab import InputError

Place = Path | str
"""A path, or a URL; a text that is no URL is taken for a path."""

FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SCHEMES = ("postgresql", "postgres")
_NO_SECRETS = ("host", "port", "user", "dbname", "sslmode", "options")


def is_url(place: Place) -> bool:
    """Say whether a place is the URL of a PostgreSQL database.

    Raises
    ------
    InputError
        If it is a URL of something else.
    """
    scheme, found, _ = str(place).partition("://")
    if isinstance(place, Path) or not found:
        return False
    if scheme not in _SCHEMES:
        raise InputError(f"a ledger cannot be kept at a {scheme}:// URL; give a path, or {FORM}")
    return True


def file_of(place: Place) -> Path:
    """Give the file of a place that is no URL."""
    return Path(place).expanduser()


def shown(place: Place) -> str:
    """Name a place for people: the path, or the URL without its password.

    A URL in which a password could hide elsewhere, since its special characters were not encoded, is not shown.
    """
    if not is_url(place):
        return str(file_of(place))
    try:
        parts = urlsplit(str(place))
        user, _ = parts.username, parts.port
        asked = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return "postgresql://…"
    hosts = parts.netloc.rpartition("@")[2]
    if "@" in parts.path + parts.query or parts.fragment or "#" in str(place) or parts.netloc.count("@") > 1:
        return "postgresql://…"
    query = urlencode([(k, v) for k, v in asked if k in _NO_SECRETS], quote_via=quote, safe="/")
    named = quote(unquote(user), safe="") + "@" if user else ""
    return f"postgresql://{named}{hosts}{parts.path}{'?' + query if query else ''}"
