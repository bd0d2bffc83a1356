"""``tram carry``: the station's outbox to the broker, and what the bridge says back into the station's rows. One loop, one thread.

It may be killed at any instant and started again: everything under way is in the store. One worker at a time, by a lock.
"""

import ctypes
import errno
import fcntl
import gc
import logging
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from appliance import journal
from appliance.agent.clock import Clock, Learnt
from appliance.agent.routes import Meter, Routes
from appliance.agent.timekeeping import Timekeeper
from appliance.agent.watchdog import Systemd, Watchdog, self_test
from appliance.contract.readings import TICK_NS
from appliance.contract.topics import DOWN, station_filter
from appliance.database import Connection, data_version, transaction
from appliance.relay.link import Broker, MqttLink, tls_context
from appliance.relay.pump import Pump
from appliance.relay.rules import ANSWER_SECONDS, BUSY, Budget, Silence
from appliance.settings import Settings, SettingsError
from appliance.store import audit, keys, measuring
from appliance.store.errors import Refused
from appliance.store.inbox import StationStore
from appliance.store.machine import machine_of, renew
from appliance.store.room import EVERY, Keeper
from appliance.store.room import tell as tell_room
from appliance.store.sealing import seals_of
from appliance.store.speaking import station_end

POLL, POLL_BUSY = 0.1, 0.2
"""How often the store is asked whether another process has committed: an urgent request waits 50 ms on average, 100 ms
while readings stream in (each of them is a commit, and being woken costs more than what there is to do)."""
AWAY = 1.0
"""The wait after the store could not do it, doubling up to `AWAY_MOST`."""
AWAY_MOST = 15.0
HEARD_SECONDS = 600.0
"""The carrier row is written when its state changes, and so often while receipts come: the card is not for heartbeats."""
PULSE_METERED = 900
"""Seconds of silence on a metered line: a ping each minute would cost 294 kB a day, one in 15 minutes 20 kB (decision 9)."""
PULSE_MOST = 1800
"""With nothing under way and nobody at the station for as long, the pulse grows up to this as far as the path has shown that it stays open
(decision 0015); the first thing that somebody does tries the line."""
KEEPALIVE_METERED = 3600
"""What CONNECT promises there: between two pings the pulse may be TCP's own (decision 0017)."""
PROBE, PROBE_METERED = 60.0, 3600.0
"""While a request waits for its answer, the bridge itself is asked after so much silence of its own (a hello and a receipt: three
pings' worth of bytes)."""
BEAT_WAITING = 300.0
"""... and the line is tried after so much silence of ours, by a ping under the long keepalive (decision 9: at most 5 min)."""
LOOK_SECONDS = 60.0
"""How often the consults are looked at to see whether one waits."""
TRAY_SECONDS = 30.0
"""How often the unassigned tray is looked at: what nobody claimed in time is sent as nobody's (decision 14)."""
RENEW_SECONDS = 3600.0
"""How often it is looked whether the certificate must be renewed, and tried."""
AUDIT_SECONDS = 600.0
"""How often the head of the audit log is sent at most (about 80 bytes, and only when something was added)."""
BLAME = frozenset({"not-authorized", "bad-user-name-or-password", "certificate", "tls", "banned", "client-identifier-not-valid"})
"""Reasons that no waiting mends: the kiosk says that a technician is needed."""


class CarrierBusyError(OSError):
    """Another ``tram carry`` runs on this store."""


def station_link(settings: Settings) -> MqttLink:
    """The line to the broker that the settings name; nothing is opened yet. OSError when a file of it cannot be read."""
    station, shard = settings.need("station.id"), settings.station.shard
    return MqttLink(
        broker_of(settings),
        client_id=f"tram-{station}",
        topics=[station_filter(shard, station, DOWN)],
        keepalive=keepalive_of(settings, metered=settings.link.metered),
        connect_timeout=settings.link.connect_timeout_s,
        together=True,
        rest=Silence(PULSE_METERED, PULSE_MOST),
        taps=True,
    )


def keepalive_of(settings: Settings, *, metered: bool) -> int:
    """Seconds of silence that the next CONNECT promises at most."""
    return KEEPALIVE_METERED if metered else settings.link.keepalive_s


def broker_of(settings: Settings) -> Broker:
    """The broker of the settings with its secrets read."""
    said = settings.broker
    if said.kind != "mqtt":
        where = settings.said.get("broker.kind", "default")
        raise SettingsError("broker.kind", said.kind, '"mqtt": a station speaks MQTT; amqp is for the bridge', '"mqtt"', where)
    if settings.environment == "production" and (not said.tls or said.cert is None):
        where = "broker.cert" if said.tls else "broker.tls"
        expected = "the station's certificate, which tram enrol brings: in service nobody comes without one"
        raise SettingsError(where, "", expected, "tram enrol", settings.said.get(where, "default"))
    context = None
    if said.tls:
        context = tls_context(*(None if one is None else str(one) for one in (said.ca, said.cert, said.key)))
    password = said.password_file.read_text().strip() if said.password_file is not None else ""
    return Broker(said.host, said.port, context, said.username, password, said.mqtt)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the one carrier of this store; `CarrierBusyError` when another one runs. The kernel lets go when we die."""
    handle = os.open(folder / ".carry.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno != errno.EWOULDBLOCK:
            raise
        raise CarrierBusyError(f"another tram carry runs on {folder}") from error
    try:
        yield
    finally:
        os.close(handle)


@dataclass
class Carrier:
    """The loop's state beside the pump's: what the kiosk is told, and when the line was last tried."""

    conn: Connection
    pump: Pump
    clock: Clock
    log: logging.Logger
    station: str
    version: int = -1
    due: float = float("-inf")
    away: float = AWAY
    told: tuple[Any, ...] = ()
    told_at: float = float("-inf")
    asked_at: float = float("-inf")
    tray_due: float = float("-inf")
    audit_due: float = float("-inf")
    walk: audit.Walk | None = None
    keeper: Keeper | None = None
    timekeeper: Timekeeper | None = None
    renewal: Callable[[bool], None] | None = None
    renew_due: float = float("-inf")
    meter: Meter | None = None
    keepalive: Callable[[bool], None] | None = None
    waits: bool = False
    _probed: float = field(default=float("-inf"))
    _done: tuple[Any, ...] = ()
    _active: float = field(default=float("-inf"))
    _looked: float = field(default=float("-inf"))

    def turn(self, *, stirred: bool) -> float:
        """One round: turn the pump when there is a reason to; seconds until the next reason. `stirred`: the line has moved."""
        now = self.clock.monotonic()
        self._heed_route(now)
        if self.away > AWAY and now < self.due:
            return self.due - now
        try:
            version = data_version(self.conn)
            learnt = self.timekeeper is not None and self.timekeeper.turn(now)
            self._renew(now)
            news = learnt or self._tray(now) or self._audit(now) or version != self.version
            if not (stirred or news or now >= self.due):
                return self.due - now
            wait = self.pump.turn(now, self.wall(), news=news)
            self.version = version
            self._tell(now)
            wait = min(wait, self._probe(now), POLL if self.walk is not None else wait, self._keep_room(now))
            self.away = AWAY
        except OSError as error:  # the store is full, busy or gone: the messages wait unacknowledged, the rows where they are
            self._relieve(error, now)
            self.log.warning("the store cannot do it now", exc_info=error)
            wait, self.away = self.away, min(self.away * 2, AWAY_MOST)
        self.due = now + wait
        return wait

    def _heed_route(self, now: float) -> None:
        """Another route may cost nothing, or money; whatever it costs, it is tried at once. A connection that stands keeps its pulse."""
        if self.meter is None or not self.meter.changed(now):
            return
        metered = self.meter.metered
        if metered != self.pump.end.metered:
            self.log.info("the route in force is %s", "metered" if metered else "not metered")
        self.pump.end = replace(self.pump.end, metered=metered)
        if self.keepalive is not None:
            self.keepalive(metered)
        self.pump.route_changed()
        self.due = float("-inf")

    def _renew(self, now: float) -> None:
        """The next certificate, asked for at contact; once an hour until it is there."""
        if self.renewal is not None and now >= self.renew_due:
            self.renew_due = now + RENEW_SECONDS
            self.renewal(self.pump.link.up)

    def _tray(self, now: float) -> bool:
        """Send what lay in the unassigned tray too long; True when there was something."""
        if now < self.tray_due:
            return False
        self.tray_due = now + TRAY_SECONDS
        return measuring.send_unassigned(self.conn, self.clock.stamp()) > 0

    def _keep_room(self, now: float) -> float:
        """Shed what may go when the card fills up, a small step each time, and tell how full it is; seconds until the next."""
        wait = EVERY if self.keeper is None else self.keeper.turn(now)
        if self.keeper is not None and wait == EVERY:  # the round has just ended
            tell_room(self.conn, self.clock.stamp())
        return wait

    def _relieve(self, error: OSError, now: float) -> None:
        """The disk is full: what may go goes now. The ballast was given up with the error, so that removing can be written down."""
        if self.keeper is not None and getattr(error, "reason", "") == "full":
            self.keeper.urgent()
            with suppress(OSError):
                self.keeper.turn(now)

    def _audit(self, now: float) -> bool:
        """Reckon the audit log anew, a slice each time, and queue its head; True when one was queued."""
        if self.walk is None:
            if now < self.audit_due:
                return False
            added = audit.due(self.conn)
            self.audit_due = now + (AUDIT_SECONDS if added else TRAY_SECONDS)
            if not added:
                return False
            self.walk = audit.start(self.conn)
        if not self.walk.go(self.conn):
            return False
        walk, self.walk = self.walk, None
        return audit.publish_head(self.conn, self.clock.stamp(), walk)

    @property
    def poll(self) -> float:
        """Seconds until the store is to be asked again."""
        return POLL_BUSY if self.pump.talks[self.station].sender.rate.now(self.clock.monotonic()) > BUSY else POLL

    def wall(self) -> int:
        """Tenths of a second since 1970, by the box's clock."""
        return int(self.clock.now().timestamp() * 10)

    def _probe(self, now: float) -> float:
        """While a request waits for its answer the pulse is livelier, and the bridge is asked after a while of silence."""
        if now - self._looked >= LOOK_SECONDS:
            self._looked, self.waits = now, unanswered(self.conn)
            about = self._about(now)
            self.pump.link.beat = BEAT_WAITING if self.waits else PULSE_METERED if about and self.pump.end.metered else 0.0
        look = self._looked + LOOK_SECONDS - now
        if not self.pump.link.up:
            return look
        every = PROBE_METERED if self.pump.end.metered else PROBE
        heard = max(self.pump.talks[self.station].heard, self._probed)
        if now - heard >= every and self.waits:
            self._probed = now
            self.pump.probe(self.station, now)
            return 0.0
        return max(1.0, min(heard + every - now if self.waits else look, look))

    def _about(self, now: float) -> bool:
        """True while somebody has done something here within the usual pulse. Whoever comes after a long silence has the line tried
        before it is needed.
        """
        row = self.conn.execute("SELECT (SELECT max(id) FROM outbox), (SELECT max(id) FROM audit)").fetchone()
        done, before, last = tuple(row or ()), self._done, self._active
        if done != before:
            self._done, self._active = done, now
            silent = now - max(self.pump.quiet, self.pump.talks[self.station].heard)
            if self.pump.link.up and before and now - last >= PULSE_METERED and silent >= PULSE_METERED:
                self.pump.link.prod(ANSWER_SECONDS)
        return now - self._active < PULSE_METERED

    def _tell(self, now: float) -> None:
        """The carrier row for the kiosk, when it changed."""
        pump, talk = self.pump, self.pump.talks[self.station]
        state, reason = pump.state(self.station, now), pump.reason
        if state != "online" and reason in BLAME:
            state = "error"
        elif state == "waiting" and pump.nobody:
            reason = "no-bridge"  # MQTT 5 told: nobody is subscribed
        news = (state, reason if state != "online" else "")
        if news == self.told and (talk.heard <= self.told_at or now - self.told_at < HEARD_SECONDS):
            return
        wall = self.wall()
        ago = None if talk.heard == float("-inf") else wall - int((now - talk.heard) * 10)
        retry = None if pump.link.up or pump.retry == float("-inf") else wall + max(0, int((pump.retry - now) * 10))
        with transaction(self.conn):
            self.conn.execute(
                "INSERT INTO carrier (id, state, heard, tried, retry, reason) VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " state = excluded.state, heard = coalesce(excluded.heard, heard), tried = excluded.tried,"
                " retry = excluded.retry, reason = excluded.reason",
                (news[0], ago, wall, retry, news[1]),
            )
        if news != self.told:
            self.log.info("line %s %s", news[0], news[1])
        self.told, self.told_at = news, now


def unanswered(conn: Connection) -> bool:
    """True while a request that was not withdrawn has no answer."""
    row = conn.execute(
        "SELECT 1 FROM consult WHERE withdrawn IS NULL AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.consult = consult.id) LIMIT 1"
    ).fetchone()
    return row is not None


def carrier(conn: Connection, settings: Settings, clock: Clock, log: logging.Logger, link: Any) -> Carrier:
    """The parts of the loop put together on `link`."""
    station, shard = settings.need("station.id"), settings.station.shard
    store = StationStore(conn, station, shard)
    meter = Meter(settings.link.metered_file, settings.link.metered)
    end = station_end(
        conn,
        store,
        now=lambda: clock.stamp().wall,
        say=partial(journal.step, log),
        metered=meter.metered,
        gather=float(settings.link.gather_s),
        dictionary=settings.wire.dictionary,
        seals=seals_of(conn, settings, clock.stamp),
    )
    budget = Budget(settings.link.session_bytes, float(settings.link.session_seconds), float(settings.link.session_rest_s))
    loop = Carrier(conn, Pump(store, link, end, [(station, shard)], budget=budget), clock, log, station)

    def promise(metered: bool) -> None:
        link.keepalive = keepalive_of(settings, metered=metered)
        if getattr(link, "rest", None) is not None:
            link.rest.elsewhere()

    loop.meter, loop.keepalive = meter, promise
    if hasattr(link, "greet"):
        link.greet = loop.pump.greeting
    promise(meter.metered)
    loop.keeper = Keeper(settings, conn, loop.wall, lambda shed: log.info("shed %s: %d, %d bytes", *shed))
    return loop


def renew_on_another_machine(conn: Connection, clock: Clock, log: logging.Logger, machine: str | None = None) -> bool:
    """Begin a new epoch where this store is a copy and `tram init` has not been here; True when it was. Nothing was said yet."""
    with transaction(conn):
        why = renew(conn, machine_of() if machine is None else machine, clock.stamp(), os.urandom)
    if why:
        log.warning("this store was made on another machine: a new epoch")
    return bool(why)


def timekeeper(conn: Connection, settings: Settings, clock: Clock, log: logging.Logger, context: ssl.SSLContext | None) -> Timekeeper:
    """What learns the time; `context` then judges the broker's certificate by what was learnt where the system's clock is far off."""
    if context is not None:
        from appliance.agent import asking  # a plain line needs none of it

        asking.judge_by(context, lambda: clock.stamp().wall / 10)
    return Timekeeper(conn, clock, settings.paths.data, settings.paths.run, log, door_of(conn, settings, clock), context)


def door_of(conn: Connection, settings: Settings, clock: Clock) -> Callable[[], Learnt] | None:
    """The question to the bridge's door; None where none is named, or no key is pinned for the time."""
    trusted = keys.pinned(conn, "time")
    if not settings.door.host or not trusted:
        return None
    from appliance.agent import asking

    ca = settings.door.ca or settings.broker.ca
    return lambda: asking.ask_time(settings.door.host, settings.door.port, ca, trusted, lambda: clock.boottime_ns() // TICK_NS)


def renewal(
    conn: Connection, settings: Settings, clock: Clock, log: logging.Logger, context: ssl.SSLContext | None
) -> Callable[[bool], None] | None:
    """What renews an enrolled certificate in time, told whether the line is up; None where there is none, or no door to ask.

    One that has ended keeps the line from coming up, so it is renewed without. What it needs is loaded when it is needed: 5 MiB, every
    four months.
    """
    if context is None or not settings.door.host:
        return None
    from appliance.store import enrolment  # a plain line needs none of it

    if enrolment.files_of(settings) is None:
        return None

    def turn(up: bool) -> None:
        wall, last = clock.stamp().wall, enrolment.latest(conn)
        if last is None or not enrolment.renewal_due(conn, wall) or not (up or wall >= last.ends):
            return
        from appliance.agent import enrol

        try:
            one = enrol.renew(conn, settings, clock)
        except (OSError, Refused) as error:
            log.warning("the certificate could not be renewed: %s", error)
            return
        log.info("the certificate was renewed: serial %s", one.serial)
        found = enrolment.files_of(settings)
        if found is not None and settings.broker.cert in (None, found.cert):
            context.load_cert_chain(found.cert, found.key)

    return turn


def stop_on_signals() -> Callable[[], bool]:
    """A question that turns true with SIGTERM or Ctrl-C: the loop ends after its turn."""
    heard: list[int] = []
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda number, _frame: heard.append(number))
    return lambda: bool(heard)


def trim() -> None:
    """Give back what loading the program left behind (1-2 MiB, measured) and leave what stays out of every later collection."""
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another C library than GNU's
        return


def run(conn: Connection, settings: Settings, clock: Clock, log: logging.Logger, *, stop: Callable[[], bool]) -> None:
    """Carry until `stop()`. `CarrierBusyError` when another carrier runs on this store; OSError when the settings' files cannot be read."""
    with alone(settings.paths.data):
        link, routes = station_link(settings), Routes()
        loop = carrier(conn, settings, clock, log, link)
        loop.timekeeper = timekeeper(conn, settings, clock, log, link.broker.context)
        loop.renewal = renewal(conn, settings, clock, log, link.broker.context)
        trim()
        watchdog = Watchdog(Systemd(), self_test(conn, settings.paths.data, "carry"), log.warning)
        try:
            wait = 0.0
            while not stop():
                if link.wait(min(wait, loop.poll), *routes.descriptors) and routes.changed():
                    if link.rest is not None:
                        link.rest.elsewhere()
                    loop.pump.route_changed()
                    loop.due = float("-inf")
                wait = min(loop.turn(stirred=link.stirred), watchdog.turn(clock.monotonic()))
        finally:
            link.close()
            routes.close()
