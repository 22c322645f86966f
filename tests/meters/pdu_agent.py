"""A real SNMP agent on loopback, of a PDU made of a dictionary: pysnmp's own responders over UDP."""

import asyncio
import threading
from contextlib import contextmanager

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto.api import v2c
from pysnmp.smi.instrum import AbstractMibInstrumController


class Tables(AbstractMibInstrumController):
    """Gauges by object identifier; what is asked for and not there is said to be not there."""

    def __init__(self, gauges):
        self.gauges = gauges

    def _order(self):
        return sorted(tuple(int(part) for part in oid.split(".")) for oid in self.gauges)

    def _value(self, oid):
        value = self.gauges[".".join(str(part) for part in oid)]
        return v2c.Integer32(value) if value < 0 else v2c.Gauge32(value)

    def read_variables(self, *bindings, **_):
        return [
            (oid, self._value(oid) if tuple(oid) in self._order() else v2c.NoSuchInstance(""))
            for oid, _ in bindings
        ]

    def read_next_variables(self, *bindings, **_):
        found = []
        for oid, _ in bindings:
            after = next((one for one in self._order() if one > tuple(oid)), None)
            found.append(
                (oid, v2c.EndOfMibView(""))
                if after is None
                else (v2c.ObjectIdentifier(after), self._value(after))
            )
        return found


@contextmanager
def pdu(gauges, community="for tests only"):
    """Serve the gauges until the end; gives the address."""
    port, ready, ended = [], threading.Event(), threading.Event()

    def serve():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)

        async def run():
            agent = engine.SnmpEngine()
            transport = udp.UdpTransport(loop=loop).open_server_mode(("127.0.0.1", 0))
            config.add_transport(agent, udp.DOMAIN_NAME, transport)
            while transport.transport is None:
                await asyncio.sleep(0.01)
            port.append(transport.transport.get_extra_info("sockname")[1])
            config.add_v1_system(agent, "area", community)
            config.add_vacm_user(agent, 2, "area", "noAuthNoPriv", (1, 3, 6))
            served = context.SnmpContext(agent)
            served.unregister_context_name(v2c.OctetString(""))
            served.register_context_name(v2c.OctetString(""), Tables(gauges))
            for responder in (
                cmdrsp.GetCommandResponder,
                cmdrsp.NextCommandResponder,
                cmdrsp.BulkCommandResponder,
            ):
                responder(agent, served)
            ready.set()
            while not ended.is_set():
                await asyncio.sleep(0.02)
            agent.close_dispatcher()

        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"snmp://127.0.0.1:{port[0]}"
    finally:
        ended.set()
        thread.join(5)
