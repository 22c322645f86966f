"""From the device to the plug and the busbar: host, cooling, losses, price."""

from __future__ import annotations

from gridmargin.reference.tables import load_table
from gridmargin.reference.zones import zone_named
from gridmargin.vocab import Range, UnknownNameError

Figure = tuple[Range, str]
"""A range and where it stands."""


def pue(site: str) -> Figure:
    """Power usage effectiveness of a kind of site. [1]

    Raises
    ------
    UnknownNameError
        With the kinds known.
    """
    rows = {row["site"]: row for row in load_table("sites")}
    if site not in rows:
        raise UnknownNameError("kind of site", site, rows)
    row = rows[site]
    return Range(float(row["pue_low"]), float(row["pue_mid"]), float(row["pue_high"])), row["source"]


def host_factor(device: str) -> Figure:
    """Server power per accelerator power. [1]

    Raises
    ------
    UnknownNameError
        With the devices known.
    """
    rows = {row["device"]: row for row in load_table("hosts")}
    if device not in rows:
        raise UnknownNameError("device with a host factor", device, rows)
    row = rows[device]
    return Range(float(row["host_low"]), float(row["host_mid"]), float(row["host_high"])), row["source"]


def line_loss(zone: str) -> Figure:
    """Share of what is generated that is lost on the way to the plug. [1]"""
    country = zone_named(zone).country
    rows = {row["country"]: row for row in load_table("line_losses")}
    if country not in rows:
        raise UnknownNameError("country with line losses", country, rows)
    row = rows[country]
    return Range(*(float(row[f"loss_{part}_frac"]) for part in ("low", "mid", "high"))), row["source"]


def price_usd_per_kwh(zone: str) -> tuple[float, str] | None:
    """Average industrial price in a zone's largest or typical state, or None without a sourced figure. [USD kWh⁻¹]"""
    for row in load_table("electricity_prices"):
        if row["zone"] == zone:
            return float(row["price_usd_per_kwh"]), row["source"]
    return None
