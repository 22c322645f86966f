"""PDUs by SNMP (v2c): power and energy of what hangs on them. APC rPDU2 and Raritan PDU2, told apart by what they answer.

Every figure is an integer in a unit of the vendor's; -1 means that the model has no such figure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlsplit

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import J_PER_KWH, NoMeterError

APC_DEVICE = "1.3.6.1.4.1.318.1.1.26.4.3.1"
"""rPDU2DeviceStatusEntry (PowerNet-MIB), by PDU of a chain."""

APC = {
    f"{APC_DEVICE}.5": (Quantity.POWER, 10.0),  # rPDU2DeviceStatusPower [0.01 kW]
    f"{APC_DEVICE}.9": (Quantity.ENERGY, J_PER_KWH / 10),  # rPDU2DeviceStatusEnergy [0.1 kWh]
}

RARITAN_VALUE = "1.3.6.1.4.1.13742.6.5.2.3.1.4"
"""measurementsInletSensorValue (PDU2-MIB), by PDU, inlet and kind of sensor."""

RARITAN_THERE = "1.3.6.1.4.1.13742.6.5.2.3.1.2"
"""measurementsInletSensorIsAvailable: 1 where it is."""

RARITAN_DIGITS = "1.3.6.1.4.1.13742.6.3.3.4.1.7"
"""inletSensorDecimalDigits: how many digits of the value stand behind the point."""

RARITAN = {"5": (Quantity.POWER, 1.0), "8": (Quantity.ENERGY, J_PER_KWH / 1e3)}
"""Kinds of sensor: activePower [W], activeEnergy [Wh]."""

COLUMNS = (*APC, RARITAN_VALUE, RARITAN_THERE, RARITAN_DIGITS)

EXTRA = "pip install 'gridmargin[snmp]'"

Answers = Mapping[str, int]
"""Integers by object identifier, written with dots."""


def decode(answers: Answers) -> list[Sample]:
    """Give the samples in what a PDU answered; a figure that it does not have gives none."""
    return [*_apc(answers), *_raritan(answers)]


def _apc(answers: Answers) -> Iterator[Sample]:
    for oid, value in answers.items():
        column, _, index = oid.rpartition(".")
        if column in APC and value >= 0:
            quantity, scale = APC[column]
            yield Sample(Channel(f"apc-{index}", quantity), value * scale)


def _raritan(answers: Answers) -> Iterator[Sample]:
    for oid, value in answers.items():
        if not oid.startswith(RARITAN_VALUE + "."):
            continue
        index = oid.removeprefix(RARITAN_VALUE + ".")
        pdu, _, rest = index.partition(".")
        inlet, _, kind = rest.partition(".")
        digits = answers.get(f"{RARITAN_DIGITS}.{index}")
        if (
            kind in RARITAN
            and digits is not None
            and value >= 0
            and answers.get(f"{RARITAN_THERE}.{index}", 1) == 1
        ):
            quantity, scale = RARITAN[kind]
            yield Sample(Channel(f"raritan-{pdu}-inlet-{inlet}", quantity), value * scale / 10**digits)


def worth_asking(answers: Answers) -> list[str]:
    """Give the identifiers that samples came from, to be asked for alone from then on."""
    wanted = []
    for oid in answers:
        column, _, index = oid.rpartition(".")
        if column in APC:
            wanted.append(oid)
        elif oid.startswith(RARITAN_VALUE + ".") and index in RARITAN:
            place = oid.removeprefix(RARITAN_VALUE)
            wanted += [
                o + place for o in (RARITAN_VALUE, RARITAN_THERE, RARITAN_DIGITS) if o + place in answers
            ]
    return wanted


class SnmpMeter(LiveMeter):
    """One PDU, or a chain of them behind one address.

    Parameters
    ----------
    get : callable
        Asks for identifiers, giving the integers of those that are there.
    oids : sequence of str
        What to ask for.
    way : str
        By what it is read.
    """

    name = "snmp"
    sees = "everything that hangs on the PDU's outlets, at its inlet: servers, switches, fans in the rack"
    resolution_s = 10.0
    fastest_s = 1.0
    stands_s = 7200.0  # one step of APC's counter is 0.1 kWh

    def __init__(
        self,
        get: Callable[[Sequence[str]], Answers],
        oids: Sequence[str],
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._get = get
        self._oids = oids

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Walk the PDU's tables once; the community stands in the environment alone."""
        url = around.require_url(cls.name, "snmp://pdu.example")
        community = around.reach(cls.name).words.get("community")
        if not community:
            raise NoMeterError(
                cls.name, "no community is given", "set GRIDMARGIN_SNMP_COMMUNITY to one that may read"
            )
        library = around.require("pysnmp.hlapi.v3arch.asyncio", cls.name, EXTRA)
        failure = around.require("pysnmp.error", cls.name, EXTRA).PySnmpError
        agent = Agent(library, failure, url, community)
        try:
            oids = worth_asking(agent.walk(COLUMNS))
            if not oids:
                raise NoMeterError(
                    cls.name,
                    f"{agent.shown} has neither APC's nor Raritan's tables of power and energy",
                    "scrape it by an SNMP exporter and read that by the `prometheus` meter",
                )
        except NoMeterError:
            agent.close()
            raise
        meter = cls(agent.get, oids, around.clock_us, sample_s)
        meter.let_go = agent.close
        return meter

    def ask(self) -> Sequence[Sample]:
        """Ask for every figure in one request."""
        samples = decode(self._get(self._oids))
        if not samples:
            raise NoMeterError(self.name, "the PDU tells no figure any more", "check the PDU")
        return samples


class Agent:
    """An SNMP agent, asked from an event loop of its own.

    Parameters
    ----------
    library : module
        `pysnmp.hlapi.v3arch.asyncio`.
    failure : type
        What the library raises.
    url : str
        `snmp://host` or `snmp://host:port`.
    community : str
        Never shown.

    Raises
    ------
    NoMeterError
        If the address cannot be used.
    """

    WAIT_S, RETRIES = 2.0, 1

    def __init__(self, library: Any, failure: type[Exception], url: str, community: str) -> None:
        self._library = library
        self._failure = failure
        try:
            parts = urlsplit(url)
            port = parts.port or 161
        except ValueError:
            parts, port = urlsplit(""), 161
        if parts.scheme != "snmp" or not parts.hostname or parts.username:
            raise NoMeterError(
                "snmp", "GRIDMARGIN_SNMP_URL is no address", "give one such as snmp://pdu.example:161"
            )
        self._at = (parts.hostname, port)
        self._community = community
        self.shown = f"{parts.hostname}:{port}"
        self._loop = asyncio.new_event_loop()
        self._asked: tuple[Any, ...] | None = None

    def walk(self, columns: Sequence[str]) -> dict[str, int]:
        """Give every integer under some columns."""
        return self._ran(self._walk(columns))

    def get(self, oids: Sequence[str]) -> dict[str, int]:
        """Give the integers of some identifiers; those that are not there are left out."""
        return self._ran(self._get(oids))

    def _ran(self, work: Coroutine[Any, Any, dict[str, int]]) -> dict[str, int]:
        try:
            return self._loop.run_until_complete(work)
        except (OSError, self._failure) as error:
            raise NoMeterError(
                "snmp", f"{self.shown} cannot be asked ({error})", "check the network"
            ) from None

    def close(self) -> None:
        """Close the socket and the loop."""
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        if self._asked is not None:
            self._asked[0].close_dispatcher()

    async def _walk(self, columns: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        lib, asked = self._library, await self._opened()
        for column in columns:
            kind = lib.ObjectType(lib.ObjectIdentity(column))
            async for fault, status, _, bindings in lib.bulk_walk_cmd(
                *asked, 0, 25, kind, lexicographicMode=False, lookupMib=False
            ):
                self._check(fault, status)
                found.update(_integers(bindings))
        return found

    async def _get(self, oids: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        lib, asked = self._library, await self._opened()
        kinds = [lib.ObjectType(lib.ObjectIdentity(oid)) for oid in oids]
        for first in range(0, len(kinds), 50):  # a datagram holds only so many
            fault, status, _, bindings = await lib.get_cmd(
                *asked, *kinds[first : first + 50], lookupMib=False
            )
            self._check(fault, status)
            found.update(_integers(bindings))
        return found

    async def _opened(self) -> tuple[Any, ...]:
        if self._asked is not None:
            return self._asked
        lib = self._library
        try:
            target = await lib.UdpTransportTarget.create(self._at, timeout=self.WAIT_S, retries=self.RETRIES)
        except (OSError, self._failure) as error:
            raise NoMeterError(
                "snmp", f"{self.shown} cannot be found ({type(error).__name__})", "check the address"
            ) from None
        community = lib.CommunityData(self._community, mpModel=1)
        self._asked = lib.SnmpEngine(), community, target, lib.ContextData()
        return self._asked

    def _check(self, fault: Any, status: Any) -> None:
        if fault:
            raise NoMeterError(
                "snmp",
                f"{self.shown} does not answer ({fault})",
                "check the address, GRIDMARGIN_SNMP_COMMUNITY and the PDU's list of readers",
            )
        if status:
            raise NoMeterError(
                "snmp", f"{self.shown} refuses ({status.prettyPrint()})", "check the PDU's access rules"
            )


def _integers(bindings: Any) -> Iterator[tuple[str, int]]:
    for oid, value in bindings:
        try:
            yield str(oid), int(value)
        except (TypeError, ValueError):  # noSuchObject and the like have no figure
            continue
