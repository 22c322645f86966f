"""Read XML so that every fault is named by file; names are compared without their namespace, which publishers change."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError


def read_xml(payload: Payload) -> ET.Element:
    """Give the root of what the payload holds.

    Raises
    ------
    TableError
        If it is empty, cut short, no XML, or declares entities, which no table of a publisher needs.
    """
    if not payload.body.strip():
        raise TableError(f"{payload.name} is empty; fetch it again")
    if b"<!DOCTYPE" in payload.body or b"<!ENTITY" in payload.body:
        raise TableError(f"{payload.name} declares entities: a web page, or not what the publisher writes")
    try:
        return ET.fromstring(payload.body)  # noqa: S314 - nothing to expand: declarations were refused above
    except ET.ParseError as error:
        line = error.position[0]
        raise TableError(f"{payload.name} is no XML or cut short at line {line}; fetch it again") from None


def child_text(payload: Payload, element: ET.Element, name: str) -> str:
    """Give the text of the child of that name.

    Raises
    ------
    TableError
        If it is not there or empty; names it and what is.
    """
    found = element.findtext(f"{{*}}{name}")
    if found is None or not found.strip():
        have = ", ".join(one.tag.rpartition("}")[2] for one in element) or "nothing"
        where = element.tag.rpartition("}")[2]
        raise TableError(f"{payload.name}: no {name!r} in {where}; found {have}")
    return found.strip()
