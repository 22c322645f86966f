"""PDUs: APC's and Raritan's tables, from a real agent over UDP on loopback."""

import logging

import pysnmp.hlapi.v3arch.asyncio as pysnmp_client
import pytest
from pysnmp.error import PySnmpError

from gridmargin.meters import METERS, Quantity, Reach, Surroundings
from gridmargin.meters.snmp import (
    APC_DEVICE,
    COLUMNS,
    RARITAN_DIGITS,
    RARITAN_THERE,
    RARITAN_VALUE,
    Agent,
    decode,
    worth_asking,
)
from gridmargin.vocab import NoMeterError
from meters.fakes import Clock, library
from meters.pdu_agent import pdu

COMMUNITY = "gemeenschap-7"

APC = {
    f"{APC_DEVICE}.4.1": 2,  # load state
    f"{APC_DEVICE}.5.1": 52,
    f"{APC_DEVICE}.5.2": 7,
    f"{APC_DEVICE}.9.1": 170_982,
    f"{APC_DEVICE}.9.2": -1,
}

RARITAN = {
    f"{RARITAN_VALUE}.1.1.1": 23,  # rmsCurrent
    f"{RARITAN_VALUE}.1.1.5": 5185,
    f"{RARITAN_VALUE}.1.1.8": 1_204_331,
    f"{RARITAN_VALUE}.1.2.5": 0,
    f"{RARITAN_DIGITS}.1.1.1": 1,
    f"{RARITAN_DIGITS}.1.1.5": 1,
    f"{RARITAN_DIGITS}.1.1.8": 0,
    f"{RARITAN_DIGITS}.1.2.5": 0,
    f"{RARITAN_THERE}.1.1.5": 1,
    f"{RARITAN_THERE}.1.2.5": 2,
}


def figures(answers):
    return {(s.channel.device, s.channel.quantity): s.value for s in decode(answers)}


def test_apcs_units_are_hundredths_of_a_kilowatt_and_tenths_of_a_kilowatt_hour():
    """520 W and 17,098.2 kWh; -1 is no figure."""
    assert figures(APC) == {
        ("apc-1", Quantity.POWER): 520.0,
        ("apc-1", Quantity.ENERGY): pytest.approx(17_098.2 * 3.6e6),
        ("apc-2", Quantity.POWER): 70.0,
    }


def test_raritans_digits_stand_behind_the_point():
    """518.5 W and 1,204,331 Wh; a sensor that is not there is no figure, nor is one whose digits are not known."""
    assert figures(RARITAN) == {
        ("raritan-1-inlet-1", Quantity.POWER): pytest.approx(518.5),
        ("raritan-1-inlet-1", Quantity.ENERGY): pytest.approx(1_204_331 * 3600.0),
    }
    unknown = {oid: value for oid, value in RARITAN.items() if not oid.startswith(RARITAN_DIGITS)}
    assert figures(unknown) == {}


@pytest.mark.parametrize("tables", [APC, RARITAN], ids=["apc", "raritan"])
def test_a_real_agent_answers_the_same(tables):
    """Walked once, then asked for what matters alone."""
    with pdu(dict(tables), COMMUNITY) as url:
        agent = Agent(pysnmp_client, PySnmpError, url, COMMUNITY)
        walked = agent.walk(COLUMNS)
        wanted = worth_asking(walked)
        assert figures(walked) == figures(tables)
        assert figures(agent.get(wanted)) == figures(tables)
        assert len(wanted) == len(set(wanted)) < len(tables) + 1
        agent.close()


def test_a_chain_longer_than_a_datagram_is_asked_in_parts():
    """Sixty PDUs: every figure comes."""
    tables = {f"{APC_DEVICE}.{column}.{i}": 100 + i for column in (5, 9) for i in range(1, 61)}
    with pdu(tables, COMMUNITY) as url:
        agent = Agent(pysnmp_client, PySnmpError, url, COMMUNITY)
        assert len(figures(agent.get(worth_asking(agent.walk(COLUMNS))))) == 120
        agent.close()


def opened_at(url, words):
    around = Surroundings(Clock(), lambda _: Reach(url, words), library=library())
    return METERS.get("snmp").open(around)


def test_the_wrong_community_is_not_answered_and_not_shown(monkeypatch, caplog):
    """The message names the variable."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(Agent, "WAIT_S", 0.2)
    monkeypatch.setattr(Agent, "RETRIES", 0)
    with (
        pdu(dict(APC), "another") as url,
        pytest.raises(NoMeterError, match=r"does not answer.*GRIDMARGIN_SNMP_COMMUNITY") as told,
    ):
        opened_at(url, {"community": COMMUNITY})
    assert COMMUNITY not in str(told.value) + caplog.text


@pytest.mark.parametrize(
    ("url", "words", "says"),
    [
        (None, {}, "no address is given; set GRIDMARGIN_SNMP_URL"),
        ("snmp://pdu.example", {}, "no community is given; set GRIDMARGIN_SNMP_COMMUNITY"),
        ("pdu.example", {"community": "c"}, "is no address"),
        ("snmp://pdu.example:port", {"community": "c"}, "is no address"),
        ("snmp://secret@pdu.example", {"community": "c"}, "is no address"),
    ],
)
def test_what_is_missing_is_said(url, words, says):
    """Address, community."""
    with pytest.raises(NoMeterError, match=says) as told:
        opened_at(url, words)
    assert "secret" not in str(told.value)


def test_a_device_of_another_make_says_what_to_use_instead():
    """The Prometheus meter, by an exporter that knows it."""
    with (
        pdu({"1.3.6.1.2.1.1.3.0": 5}, COMMUNITY) as url,
        pytest.raises(NoMeterError, match=r"neither APC's nor Raritan's tables.*`prometheus` meter"),
    ):
        opened_at(url, {"community": COMMUNITY})
