"""The emergency button's text message: one modem on one serial port, one thread (`tram sms`).

A press that the line has not delivered after `sms.after_s` goes out as one message; the same bytes again while nobody
acknowledges; after `TRIES` the screen says that only the telephone is left. It says so from the first second anyway.
"""

import logging
import os
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from appliance import journal
from appliance.agent.clock import Clock
from appliance.contract import sms as wire
from appliance.contract.errors import WireError
from appliance.database import Connection
from appliance.devices.at import Came, Failed, Modem, Out, Said, Sent, State
from appliance.devices.driver import SECOND, Line
from appliance.devices.errors import DeviceError, PortAbsentError
from appliance.devices.port import Port, open_port
from appliance.store import sms

TRIES = 3
"""A message that the network or the bridge has failed three times will not come by itself: a person must telephone."""
ACKNOWLEDGE_NS = 60 * SECOND
"""So long the bridge's acknowledgement is awaited before the same bytes go again (a message takes 2-10 s, at times a minute)."""
AGAIN_NS = 10 * SECOND
REOPEN_NS = 5 * SECOND
TURN_S = 0.5

Keys = Callable[[], Sequence[tuple[bytes, bytes]]]
"""(epoch, content key) of this station, the present one first."""


@dataclass
class Texter:
    """What has to be done about open emergencies, one turn at a time. `number` is the bridge's; `after` tenths of a second."""

    conn: Connection
    station: str
    number: str
    after: int
    keys: Keys
    clock: Clock
    open: Callable[[], Port]
    log: logging.Logger
    random: Callable[[int], bytes] = os.urandom
    modem: Modem = field(default_factory=Modem)
    port: Port | None = None
    _reopen_ns: int = 0
    _due: dict[int, int] = field(default_factory=dict)
    """When a message may be sent (again), by its number."""
    _flying: set[int] = field(default_factory=set)

    def turn(self, now_ns: int) -> None:
        """Everything that is due. DeviceErrors of the port are said and the port is opened again later."""
        try:
            if self.port is None:
                self._open(now_ns)
            if self.port is not None:
                self._hear(self.port, now_ns)
            self._raise()
            if self.port is not None and self.modem.ready:
                self._send(now_ns)
        except DeviceError as error:
            self._lost(error, now_ns)
        self._give_up(now_ns)

    def close(self) -> None:
        """Give the port back."""
        if self.port is not None:
            self.port.close()
            self.port = None

    # --- the port -----------------------------------------------------------------------------------------------------------------

    def _open(self, now_ns: int) -> None:
        if now_ns < self._reopen_ns:
            return
        self.port = self.open()
        self._do(self.modem.begin(now_ns), now_ns)

    def _lost(self, error: DeviceError, now_ns: int) -> None:
        self.close()
        self._reopen_ns = now_ns + REOPEN_NS
        self._tell("absent" if isinstance(error, PortAbsentError) else "silent", None)
        self.log.warning("modem: %s", error)
        for token in self._flying:
            self._due[token] = now_ns + AGAIN_NS
        self._flying.clear()
        self.modem = Modem()

    def _hear(self, port: Port, now_ns: int) -> None:
        self._do(self.modem.feed(port.read(now_ns), now_ns), now_ns)
        self._do(self.modem.tick(now_ns), now_ns)

    def _do(self, said: list[Said], now_ns: int) -> None:
        for one in said:
            if isinstance(one, Out):
                assert self.port is not None
                self.port.write(one.data, now_ns)
            elif isinstance(one, Came):
                self._came(one, now_ns)
            elif isinstance(one, Sent):
                self._flying.discard(one.token)
                self._due[one.token] = now_ns + ACKNOWLEDGE_NS
                sms.sent(self.conn, one.token, self.clock.stamp().wall)
                journal.step(self.log, "texted", text=one.token)
            elif isinstance(one, Failed):
                self._failed(one.token, one.reason, now_ns)
            else:
                self._tell(one.word, one.signal)

    def _tell(self, word: str, signal: int | None) -> None:
        known = sms.modem(self.conn)
        if known is None or known[:2] != (word, signal):
            sms.tell_modem(self.conn, word, signal, self.clock.stamp().wall)
            self.log.info("modem %s", State(word, signal))

    # --- what goes out ------------------------------------------------------------------------------------------------------------

    def _raise(self) -> None:
        """A message for every press that the line has not delivered in time."""
        sms.needless(self.conn)
        now = self.clock.stamp()
        waiting = sms.due(self.conn, now, self.after)
        keys = self.keys() if waiting else ()
        for emergency in waiting if keys else ():
            epoch, content = keys[0]
            made = sms.raise_alarm(
                self.conn, emergency, key=wire.key_of(content, self.station), station=self.station, epoch=epoch, now=now, random=self.random
            )
            journal.step(self.log, "raised", text=made.number, bytes=len(made.message))

    def _send(self, now_ns: int) -> None:
        for one in sms.texts(self.conn):
            if one.number not in self._flying and self._due.get(one.number, 0) <= now_ns and one.tries < TRIES:
                self._flying.add(one.number)
                self._do(self.modem.send(one.number, self.number, one.message, now_ns), now_ns)

    def _failed(self, token: int, reason: str, now_ns: int) -> None:
        self._flying.discard(token)
        self._due[token] = now_ns + AGAIN_NS
        tries = next((one.tries for one in sms.texts(self.conn) if one.number == token), TRIES)
        sms.failed(self.conn, token, reason, last=tries + 1 >= TRIES)
        self.log.warning("text %d not sent: %s", token, reason)

    def _give_up(self, now_ns: int) -> None:
        """Sent often enough and never acknowledged."""
        for one in sms.texts(self.conn):
            if one.tries >= TRIES and one.number not in self._flying and self._due.get(one.number, 0) <= now_ns:
                sms.failed(self.conn, one.number, "no-acknowledgement", last=True)
                self.log.warning("text %d: no acknowledgement", one.number)

    # --- what comes in ------------------------------------------------------------------------------------------------------------

    def _came(self, one: Came, now_ns: int) -> None:
        """An acknowledgement, or a stranger's message: whose number it comes from proves nothing either way."""
        try:
            found = wire.head(one.data)
            known = [content for epoch, content in self.keys() if wire.epoch_tag(epoch) == found.epoch]
            if found.station != wire.station_tag(self.station) or not known:
                raise WireError("key", "not for this station")
            _at, proof = wire.open_acknowledgement(one.data, wire.key_of(known[0], self.station))
        except WireError as error:
            self.log.warning("text of %d bytes is not for us: %s", len(one.data), error)
        else:
            if sms.acknowledged(self.conn, found.number, proof, self.clock.stamp().wall):
                journal.step(self.log, "acknowledged", text=found.number)
        self._do(self.modem.forget(one.place, now_ns), now_ns)


def line(baud: int) -> Line:
    """The settings of a modem's port; DTR must be up, or many hang up."""
    return Line(baud, dtr=True, rts=True)


def run(texter: Texter, *, stopping: Callable[[], bool]) -> None:
    """Turn until told to stop."""
    try:
        while not stopping():
            texter.turn(texter.clock.boottime_ns())
            number = None if texter.port is None else texter.port.fileno()
            select.select([] if number is None else [number], [], [], TURN_S)
    finally:
        texter.close()


def opener(path: str, baud: int) -> Callable[[], Port]:
    """How the modem's port is opened."""
    return lambda: open_port(path, line(baud))
