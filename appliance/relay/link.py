"""The one door to MQTT: paho driven by hand, one connection at a time, nothing kept in it.

paho-mqtt 2.2 has habits that lose or block messages (each reproduced in tests/relay/test_link.py); what is done about them:

1. it ignores CONNACK's ReceiveMaximum and MaximumPacketSize: `room` and `largest` are ours;
2. an oversized message is sent again for ever: its size is checked before; the client is made anew for every connection,
   so that nothing of an old one is ever resent: what is unreceipted comes from our own table;
3. publish() while offline queues in memory: we publish only while up and within the window;
4. the message id wraps after 65,535: the window never gets near it;
5. an exception in a callback: every callback is wrapped, a bug ends the process instead of a thread;
6. no TCP_NODELAY: set here, with TCP_USER_TIMEOUT (a dead line is noticed) and TCP_NOTSENT_LOWAT (the kernel does not hoard);
7. connect() blocks, gives up after 5 s and never tries again: the connection is made here, without blocking, and the waits
   between tries belong to the caller;
8. loop_start() needs a thread and a socket pair: never used;
9. unacknowledged messages come back only to the same client id with a session that is kept: the bridge asks for one;
10. it writes each packet by itself, which is a TLS record and a segment each (74 B): its packets gather until `wait`, and go together;
11. its pings follow the keepalive of CONNECT and the machine's own clock: they are sent here, so that the pulse can change
    without a new connection, and a line of which much is expected can be asked at once (`prod`);
12. it cannot pass on a TLS session: the socket is ours, and the session is taken late, because TLS 1.3 brings its tickets after
    the handshake.
"""

import errno
import select
import socket
import ssl
import struct
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any


@contextmanager
def _spared(name: str) -> Iterator[None]:
    """Something empty in the place of a module while another one imports it.

    paho imports urllib.request to look for proxies, and only where PySocks is installed: 2.7 MiB of every box and a third
    of paho's loading time for nothing (measured). Whoever imports it in earnest later gets the real one.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = types.ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]


with _spared("urllib.request"):
    import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion  # noqa: E402 - after `_spared`, which must come first
from paho.mqtt.packettypes import PacketTypes  # noqa: E402 - after `_spared`, which must come first
from paho.mqtt.properties import Properties  # noqa: E402 - after `_spared`, which must come first

from appliance.relay.line import Acked, Down, Happening, LinkError, Message, Up  # noqa: E402 - after `_spared`, which must come first
from appliance.relay.rules import ANSWER_SECONDS, Silence  # noqa: E402 - after `_spared`, which must come first

USER_TIMEOUT_MS = 20_000
"""Sent and unacknowledged by TCP for so long: the line is dead (recovery from a 90 s black hole: 5.8 s instead of 40 s, measured)."""
SYN_SECONDS = 3.5
"""An unanswered SYN is given up for a fresh one after so long: the kernel's own pauses double (1, 2, 4, 8 s), and a link that comes back
in the last of them would be noticed 8 s late. The longest round trip here is 1.2 s (VSAT)."""
THIN_LINEAR_TIMEOUTS = 16
"""linux/tcp.h TCP_THIN_LINEAR_TIMEOUTS: with so few packets under way as here (at most three messages) a packet that was lost twice
is sent again after the same time, not after the double: on a link that loses 5 % an urgent request must not wait 10 s."""
FAR_SECONDS = 32_767
"""linux/tcp.h MAX_TCP_KEEPIDLE: the kernel's own keepalive never comes; ours is asked for by hand (`MqttLink._tap`)."""
TAP_SECONDS = 5.0
"""A tap that TCP has not answered in so long is followed by a ping, which TCP repeats when it is lost."""
TAPS_LOST = 3
"""With so many unanswered taps one after the other there are no more on this connection: something on the way swallows them."""
NEAR_FACTOR, NEAR_SECONDS = 2.0, 0.25
"""The ping's answer may take so many times TCP's own round trip, and so much more, for the acknowledgements to be the broker's own."""
NOTSENT_BYTES = 4096
"""The kernel keeps no more than this unsent, so that an urgent message does not queue behind 10 s of others."""
RECEIVE_MAXIMUM = 200
"""Messages a broker may have un-PUBACKed to us (MQTT 5)."""
SESSION_SECONDS = 7 * 24 * 3600
"""How long a broker is asked to keep a session (MQTT 5)."""
HELD_BYTES = 8192
"""So much is held before paho has to keep the rest: a window of three chunks, and what the kernel keeps unsent beside it."""
HELLO_PADDING = 0x10
"""openssl/ssl.h SSL_OP_TLSEXT_PADDING, which Python switches on: it fills every ClientHello up to 517 bytes for a balancer of 2013."""
RECORD_BYTES = 1300
"""What goes into one TLS record together: as much as fits into a segment. Nothing of a record can be read before all of it is there, so a
request must not share one with a chunk of a picture."""
BURST = 512
"""The most happenings collected in one wait."""
OVERHEAD_BYTES = 64
"""What an MQTT 5 PUBLISH adds to topic and payload, generously."""
ALIASES = 6
"""Topics of ours that go as a number: a station speaks on six (saves about 20 B a message; the broker may take fewer)."""
NO_LIMIT = 65_535

V5, V311 = "5", "3.1.1"
_SPEECHLESS = frozenset({"lost", "timeout", "keep-alive-timeout", "protocol-error", "malformed-packet", "unspecified-error"})
"""How a CONNECT in a version that the broker does not know may end."""


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how it knows us. `context` is None without TLS; `version` "auto" tries MQTT 5 first."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    username: str = ""
    password: str = ""
    version: str = "auto"


def tls_context(ca: str | None, cert: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """TLS as the box speaks it: 1.2 or better, the broker's certificate checked against `ca`, ours shown when there is one.

    OSError (ssl.SSLError among them) when a file cannot be used.
    """
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options &= ~HELLO_PADDING
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


class _Stream:
    """A connected socket as paho wants it, read in large bites: paho asks for one byte at a time.

    What is sent is held until `flush`, so that what is said in one turn leaves in one TLS record. `spoken`: when we last sent.
    """

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self._sock = sock
        self._ahead = memoryview(b"")
        self._held: deque[bytearray] = deque()
        self._clock = clock
        self.spoken = clock()

    def recv(self, size: int) -> bytes:
        if not self._ahead:
            self._ahead = memoryview(self._sock.recv(16384))
        piece = bytes(self._ahead[:size])
        self._ahead = self._ahead[size:]
        return piece

    def send(self, data: bytes) -> int:
        if sum(map(len, self._held)) >= HELD_BYTES:
            raise BlockingIOError(errno.EAGAIN, "the line is full")
        if self._held and len(self._held[-1]) + len(data) <= RECORD_BYTES:
            self._held[-1] += data
        else:
            self._held.append(bytearray(data))
        return len(data)

    @property
    def holds(self) -> bool:
        """True while something waits to be written."""
        return bool(self._held)

    def flush(self) -> None:
        """Write what is held, as far as the kernel takes it. OSError when the connection is gone."""
        while self._held:
            try:
                sent = self._sock.send(self._held[0])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            del self._held[0][:sent]
            if not self._held[0]:
                self._held.popleft()
            self.spoken = self._clock()

    def pending(self) -> int:
        return len(self._ahead) + (self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0)

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Not yet: the socket is the link's, which takes the TLS session out of it before it closes it."""


class _Client(mqtt.Client):
    """paho's client on a connection that is already made. Whoever asks it to say something only queues; `loop_write` writes."""

    def __init__(self, stream: _Stream, **options: Any) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, manual_ack=True, reconnect_on_failure=False, **options)
        self._stream = stream
        self.on_socket_register_write = lambda *_args: None  # paho's own word for: somebody else writes

        self.ponged: Callable[[], None] = lambda: None

    def _create_socket(self) -> Any:
        return self._stream

    def ping(self) -> None:
        """PINGREQ now: paho's own schedule (`loop_misc`) is never asked."""
        self._send_pingreq()

    def _handle_pingresp(self) -> MQTTErrorCode:
        self.ponged()
        return super()._handle_pingresp()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a TCP connection has cost so far, counted by the kernel: bytes of payload (TLS included) and segments, ours and theirs.

    Segments that carry nothing but an acknowledgement are among them.
    """

    bytes_out: int = 0
    segments_out: int = 0
    bytes_in: int = 0
    segments_in: int = 0
    bare_out: int = 0
    bare_in: int = 0
    """Of the segments, those that carry nothing."""
    header: int = 0
    """IPv4 and TCP, per segment (IPv6: 20 more)."""
    trip: float = 0.0
    """Seconds that an acknowledgement usually takes, as TCP reckons (smoothed)."""

    @property
    def up(self) -> int:
        """Bytes of our IPv4 packets."""
        return self.bytes_out + self.header * self.segments_out

    @property
    def down(self) -> int:
        """Bytes of theirs."""
        return self.bytes_in + self.header * self.segments_in


HEADER_BYTES, TIMESTAMP_BYTES = 40, 12
"""IPv4 and TCP, and TCP's timestamps where both ends use them (net.ipv4.tcp_timestamps), per segment."""
_INFO = struct.Struct("@5x B 62x I 48x QQ II 8x II 40x Q")
"""linux/tcp.h, struct tcp_info: options (1: timestamps), rtt (microseconds), bytes_acked, bytes_received, segs_out,
segs_in, data_segs_in, data_segs_out, and (from Linux 4.19) bytes_sent."""


def traffic_of(sock: socket.socket) -> Traffic:
    """What the connection of `sock` has cost, by Linux's TCP_INFO; nothing where the system does not tell."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        options, trip, _, received, segments_out, segments_in, full_in, full_out, sent = _INFO.unpack_from(info)
    except (OSError, struct.error):
        return Traffic()
    header = HEADER_BYTES + TIMESTAMP_BYTES * (options & 1)
    return Traffic(sent, segments_out, received, segments_in, segments_out - full_out, segments_in - full_in, header, trip / 1e6)


def _plain(host: str) -> str | bytes:
    """A host's name as bytes where it is ASCII: of a string Python asks the IDNA codec, 0.3 MiB of tables that nobody else needs."""
    return host.encode("ascii") if host.isascii() else host


def _cork(sock: socket.socket, shut: bool) -> None:
    """Whether TCP holds a packet that is not full (for 200 ms at most, tcp(7)); opening it sends what was held."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(shut))


@dataclass
class MqttLink:
    """One end's line to its broker. Satisfies `appliance.relay.line.Link`.

    `client_id` is fixed; `topics` are subscribed (QoS 1) before the line counts as up. `keep`: the broker shall keep our
    session while we are away (the bridge); without it a connection begins with nothing (the station).

    `rest`, where there is one, learns how long a pulse the path stands, up to `keepalive`. `greet`, where there is one, gives what is said
    first on a connection, as topics and payloads (QoS 1): it leaves with CONNECT and SUBSCRIBE, a round trip before the line counts as up.

    `keepalive` is what CONNECT promises: the broker gives us up after one and a half times as many seconds of silence. `beat`, where
    it is shorter, says after how many seconds of our own silence a ping goes; it may be changed at any time. `together`: what is
    said between two waits leaves in one go with the second, in one TLS record where it fits; otherwise each message at once.

    `taps`: where the silence is over and the broker need not hear yet that we live, TCP asks instead (`_tap`): 80 bytes instead of 168.
    """

    broker: Broker
    client_id: str
    topics: Sequence[str]
    keep: bool = False
    keepalive: int = 300
    connect_timeout: float = 15.0
    together: bool = False
    clock: Callable[[], float] = time.monotonic
    version: str = ""
    up: bool = False
    eager: bool = False
    beat: float = 0.0
    rest: Silence | None = None
    greet: Callable[[], Sequence[tuple[str, bytes]]] | None = None
    taps: bool = False
    _greeted: bool = False
    _near: bool = False
    _pinged: float | None = None
    _tapped: tuple[float, int] | None = None
    _taps_lost: int = 0
    _stirred_at: float = float("-inf")
    _acked: list[Happening] = field(default_factory=list)
    _happened: deque[Happening] = field(default_factory=deque)
    _phase: str = "idle"
    _deadline: float = 0.0
    _agreed: float = 0.0
    _asked: tuple[float, int] | None = None
    _quiet: float = 0.0
    _generation: int = 0
    _sock: socket.socket | None = None
    _stream: _Stream | None = None
    _client: _Client | None = None
    _session: ssl.SSLSession | None = None
    _addresses: deque[Any] = field(default_factory=deque)
    _trying: Any = None
    _dialled: float = 0.0
    _found: list[Any] = field(default_factory=list)
    _flying: set[int] = field(default_factory=set)
    _receive_maximum: int = NO_LIMIT
    _largest: int = 0
    _resumed: bool = False
    _alias_maximum: int = 0
    _aliases: dict[str, int] = field(default_factory=dict)
    _bug: BaseException | None = None
    _wants: str = "write"
    _refused_five: bool = False

    def __post_init__(self) -> None:
        if not self.version:
            self.version = V5 if self.broker.version == "auto" else self.broker.version

    # --- what the relay asks ------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more messages the broker lets us have un-PUBACKed."""
        return max(0, self._receive_maximum - len(self._flying)) if self.up else 0

    @property
    def largest(self) -> int:
        """The most payload bytes the broker takes in one of our messages."""
        return self._largest or 1 << 28

    @property
    def traffic(self) -> Traffic:
        """What the present connection has cost so far."""
        return Traffic() if self._sock is None else traffic_of(self._sock)

    @property
    def spent(self) -> int:
        """Bytes of the wire that the present connection has cost so far, both ways."""
        cost = self.traffic
        return cost.up + cost.down

    @property
    def silence(self) -> float:
        """Seconds of our own silence after which a ping goes: as agreed with the broker, or `beat` where that is shorter."""
        agreed = self._agreed or float(self.keepalive)
        agreed = agreed if self.rest is None else min(agreed, self.rest.pulse)
        return min(agreed, self.beat) if self.beat > 0 else agreed

    @property
    def descriptor(self) -> int:
        """The connection's descriptor, for somebody who waits for several; -1 when there is none."""
        return -1 if self._sock is None else self._sock.fileno()

    @property
    def stirred(self) -> bool:
        """True when something has happened that is worth a turn: a PUBACK alone only where somebody waits for room."""
        return bool(self._happened) or (self.eager and bool(self._acked))

    def happenings(self) -> Sequence[Happening]:
        """What has happened since the last call."""
        happened = [*self._acked, *self._happened]
        self._acked.clear()
        self._happened.clear()
        return happened

    def open(self) -> None:
        """Begin to connect; `Up` or `Down` follows. Nothing waits here but the name server."""
        self._drop()
        self._generation += 1
        self._deadline = self.clock() + self.connect_timeout
        try:
            found = socket.getaddrinfo(_plain(self.broker.host), self.broker.port, type=socket.SOCK_STREAM)
        except OSError as error:
            if not self._found:
                self._fail("name", error)
                return
            found = self._found  # a name server is often the last to come back
        self._found = found
        self._addresses = deque(found)
        self._dial()

    def publish(self, topic: str, payload: bytes, *, sure: bool = True) -> int:
        """Hand one message to the broker; its token."""
        if self._client is None or not self.up:
            raise LinkError("down")
        if self.room <= 0:
            raise LinkError("window")
        if len(payload) > self.largest:
            raise LinkError("packet-size", f"{len(payload)} bytes, the broker takes {self.largest}")
        token = self._hand(self._client, topic, payload, sure=sure)
        self._said()
        return token

    def _hand(self, client: _Client, topic: str, payload: bytes, *, sure: bool) -> int:
        """Give one message to paho; its token."""
        name, properties = self._short(topic)
        info = client.publish(name, payload, qos=int(sure), properties=properties)
        self._raise_bug()
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._phase != "idle":
                self._fail("lost", None)
            raise LinkError("lost", mqtt.error_string(info.rc))
        if sure:
            self._flying.add(info.mid)
        return self._token(info.mid)

    def _short(self, topic: str) -> tuple[str, Properties | None]:
        """A topic once spoken in full goes as a number from then on, where the broker keeps numbers (MQTT 5: topic alias)."""
        number = self._aliases.get(topic)
        if number is None and len(self._aliases) < self._alias_maximum:
            number = self._aliases[topic] = len(self._aliases) + 1
        elif number is not None:
            topic = ""
        if number is None:
            return topic, None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        properties.TopicAlias = number
        return topic, properties

    def done(self, token: int) -> None:
        """PUBACK a message, when it came by this connection and asks for one."""
        if self._client is not None and token >> 16 == self._generation and token & 0xFFFF:
            self._client.ack(token & 0xFFFF, 1)
            self._said()
            self._raise_bug()

    def prod(self, within: float = ANSWER_SECONDS) -> None:
        """The network may be another one: what is up has to answer within so many seconds, an attempt that nobody has answered
        yet begins anew at once, and one that has been answered has to hear more.
        """
        if self._phase == "tcp":
            self.open()
        elif self._phase != "idle" and self._asked is None:
            self._ask(within)

    def close(self, reason: str = "closed") -> None:
        """End the connection, politely when there is one."""
        if self._phase == "idle":
            return
        self._generation += 1  # what paho says from now on belongs to the past
        if self._client is not None and self.up:
            self._client.disconnect()
            self.flush()
        if self._phase != "idle":
            self._fail(reason, None)

    # --- the hand on the crank ----------------------------------------------------------------------------------------

    def wait(self, seconds: float, *others: int) -> list[int]:
        """Wait for the line, for one of the descriptors `others`, or for the time; the readable ones of `others`."""
        self.flush()
        sock, client, stream = self._sock, self._client, self._stream
        reads: list[int] = list(others)
        writes: list[int] = []
        number = -1
        if sock is not None:
            number = sock.fileno()
            if client is None:
                (writes if self._wants == "write" else reads).append(number)
            else:
                reads.append(number)
                if client.want_write() or (stream is not None and stream.holds):
                    writes.append(number)
            seconds = min(seconds, self._next_check() - self.clock())
        ahead = stream is not None and stream.pending() > 0
        if ahead or self.stirred:
            seconds = 0.0
        ready, writable, _ = select.select(reads, writes, [], max(0.0, seconds))
        if sock is not None and (ahead or number in ready or writable or self.clock() >= self._next_check()):
            self._step(readable=ahead or number in ready, writable=bool(writable))
            self.flush()
        self._raise_bug()
        return [one for one in others if one in ready]

    def _next_check(self) -> float:
        """When something is due that the socket will not announce."""
        if self.up and self._stream is not None:
            if self._asked is not None:
                return self._asked[0]
            return self._quiet_since + self.silence if self._tapped is None else self._tapped[0]
        if self._phase == "tcp":
            return min(self._deadline, self._dialled + SYN_SECONDS)
        return self._deadline if self._asked is None else min(self._deadline, self._asked[0])

    def _step(self, *, readable: bool, writable: bool) -> None:
        if self._phase == "tcp":
            if writable:
                self._connected()
            elif self.clock() >= self._dialled + SYN_SECONDS:
                self._knock_again()
        elif self._phase == "tls":
            if readable or writable:
                self._shake()
        elif self._client is not None:
            self._turn(self._client, readable)
        if self._phase != "idle":
            self._check()

    def _said(self) -> None:
        if not self.together:
            self.flush()

    def flush(self) -> None:
        """Write everything that was said since the last time, in one go. `wait` begins with it."""
        client, stream = self._client, self._stream
        if client is None or stream is None:
            return
        try:
            while client.want_write() or stream.holds:
                code = client.loop_write()
                stream.flush()
                if stream.holds or code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return  # the kernel takes no more now, or the connection has ended
        except OSError as error:
            if self._client is client:
                self._fail("lost", error)

    def _turn(self, client: _Client, readable: bool) -> None:
        stream = self._stream
        if readable or (stream is not None and stream.pending()):
            while self._client is client and len(self._happened) < BURST:
                client.loop_read()
                if self._bug is not None or stream is None or not stream.pending():
                    break

    def _check(self) -> None:
        """Whether an answer is overdue, and whether it is time for a ping."""
        now = self.clock()
        if not self.up and now >= self._deadline:
            self._fail("timeout", None)
        elif self._asked is not None:
            by, heard = self._asked
            if self.traffic.bytes_in > heard:
                self._asked = None
                if self.rest is not None:
                    self.rest.answered(self._quiet)
            elif now >= by:
                if self.rest is not None:
                    self.rest.died(self._quiet)
                self._fail("keep-alive-timeout" if self.up else "timeout", None)
        elif self._tapped is not None:
            if now >= self._tapped[0]:
                self._tap_over(self._tapped[1])
        elif self.up and self._stream is not None and now >= self._quiet_since + self.silence:
            if self._may_tap(now - self._stream.spoken):
                self._tap(now)
            else:
                self._ask(ANSWER_SECONDS)

    @property
    def _quiet_since(self) -> float:
        """When we last said something, or tapped."""
        return self._stirred_at if self._stream is None else max(self._stream.spoken, self._stirred_at)

    def _may_tap(self, silent: float) -> bool:
        """True where TCP's own word will do: the path has shown that it is the broker's, taps are answered on it, and the keepalive of
        CONNECT is not broken before the next pulse.
        """
        agreed = self._agreed or float(self.keepalive)
        return self.taps and self._near and self._taps_lost < TAPS_LOST and silent + self.silence <= agreed

    def _tap(self, now: float) -> None:
        """Have the kernel send one probe now: an empty segment with an old number, which the other end's TCP acknowledges
        (RFC 9293, 3.8.4).
        """
        assert self._sock is not None
        self._tapped, self._quiet = (now + TAP_SECONDS, self.traffic.segments_in), now - self._quiet_since
        self._stirred_at = now
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)  # it has been idle longer than that: the probe is due

    def _tap_over(self, segments: int) -> None:
        """Whether the tap was answered; otherwise the broker is asked."""
        assert self._sock is not None
        self._tapped = None
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, FAR_SECONDS)
        if self.traffic.segments_in > segments:
            self._taps_lost = 0
            if self.rest is not None:
                self.rest.answered(self._quiet)
        else:
            self._taps_lost += 1
            quiet = self._quiet
            self._ask(ANSWER_SECONDS)
            self._quiet = quiet  # the path was silent before the tap, too

    def _ponged(self) -> None:
        """PINGRESP. When it takes about as long as TCP's acknowledgements, those are no proxy's."""
        if self._pinged is not None:
            self._near = self.clock() - self._pinged <= NEAR_FACTOR * self.traffic.trip + NEAR_SECONDS
            self._pinged = None

    def _ask(self, within: float) -> None:
        """From now on something has to be heard within so many seconds; a line that is up is pinged for it."""
        self._asked = (self.clock() + within, self.traffic.bytes_in)
        self._quiet = 0.0 if self._stream is None or not self.up else self.clock() - self._stream.spoken
        if self.up and self._client is not None:
            self._pinged = self.clock()
            self._client.ping()
            self._said()
            self._raise_bug()

    # --- making a connection ------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        """Try the next address, without waiting."""
        self._trying = self._addresses.popleft()
        self._dialled = self.clock()
        family, kind, protocol, _, address = self._trying
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, THIN_LINEAR_TIMEOUTS, 1)
        if self.taps:
            for option in (socket.TCP_KEEPINTVL, socket.TCP_KEEPIDLE):
                sock.setsockopt(socket.IPPROTO_TCP, option, FAR_SECONDS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._sock, self._phase, self._wants = sock, "tcp", "write"
        code = sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            self._unreachable(code)

    def _knock_again(self) -> None:
        """Nobody has answered: the same attempt begins anew, at the next address where there are several."""
        assert self._sock is not None
        self._sock.close()
        self._addresses.append(self._trying)
        self._dial()

    def _connected(self) -> None:
        assert self._sock is not None
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._unreachable(code)
            return
        if self.broker.context is None:
            self._speak(self._sock)
            return
        try:
            self._sock = self.broker.context.wrap_socket(
                self._sock, server_hostname=_plain(self.broker.host), do_handshake_on_connect=False, session=self._session
            )
        except (OSError, ValueError) as error:
            self._fail("tls", error)
            return
        self._phase = "tls"
        self._shake()

    def _unreachable(self, code: int) -> None:
        if self._addresses:
            assert self._sock is not None
            self._sock.close()
            self._dial()
            return
        self._fail("refused" if code == errno.ECONNREFUSED else "unreachable", OSError(code, errno.errorcode.get(code, str(code))))

    def _shake(self) -> None:
        """A step of the handshake. The last of ours shares its packet with CONNECT, so TCP is corked until that is written: of two small
        packets on a bad link one more is lost, and each costs a header.
        """
        assert isinstance(self._sock, ssl.SSLSocket)
        sock = self._sock
        try:
            _cork(sock, True)
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._wants = "read"
            _cork(sock, False)
        except ssl.SSLWantWriteError:
            self._wants = "write"
        except ssl.SSLCertVerificationError as error:
            self._fail("certificate", error)
        except OSError as error:
            self._session = None  # should it be the session that the broker did not like
            self._fail("tls", error)
        else:
            self._speak(sock)
            self.flush()
            if self._sock is sock:
                _cork(sock, False)

    def _speak(self, sock: socket.socket) -> None:
        """CONNECT, in the version we believe the broker speaks."""
        self._phase, self._stream = "mqtt", _Stream(sock, self.clock)
        five = self.version == V5
        options: dict[str, Any] = {
            "client_id": self.client_id,
            "protocol": MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        }
        if not five:
            options["clean_session"] = not self.keep
        client = self._client = _Client(self._stream, **options)
        client.max_inflight_messages_set(0)
        if self.broker.username:
            client.username_pw_set(self.broker.username, self.broker.password or None)
        properties = None
        if five:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            properties.SessionExpiryInterval = SESSION_SECONDS if self.keep else 0
        wrap, now = partial(self._wrapped, self._generation), self._generation
        client.ponged = partial(wrap(self._ponged), None, None)
        client.on_connect = wrap(self._on_connect)
        client.on_subscribe = wrap(self._on_subscribe)
        client.on_publish = wrap(self._on_publish)
        client.on_message = wrap(self._on_message)
        client.on_disconnect = wrap(self._on_disconnect)
        client.connect_async(
            self.broker.host, self.broker.port, self.keepalive, clean_start=not self.keep if five else True, properties=properties
        )
        try:
            client.reconnect()
            client.subscribe([(topic, 1) for topic in self.topics])  # in one go with CONNECT: nobody need wait for CONNACK (MQTT 5, 3.1.4)
            greeting = () if self.greet is None else self.greet()
            for where, said in greeting:  # after SUBSCRIBE, so that the answer finds us subscribed
                self._hand(client, where, said, sure=True)
            self._greeted = bool(greeting)
        except LinkError:
            pass  # `_hand` has told it
        except OSError as error:
            self._fail("lost", error)
        if self._generation == now:
            self._raise_bug()

    # --- what paho tells ----------------------------------------------------------------------------------------------

    def _wrapped(self, generation: int, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback of one connection: late calls of an old one are nothing, and an exception in it is kept for `wait`."""

        def call(_client: Any, _userdata: Any, *args: Any) -> None:
            if generation != self._generation or self._bug is not None:
                return
            try:
                callback(*args)
            except BaseException as error:  # noqa: BLE001 - raised again by _raise_bug, outside paho's locks
                self._bug = error

        return call

    def _on_connect(self, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            if self.version == V5 and str(reason) == "Unsupported protocol version":
                self._refused_five = True
            self._fail(_slug(str(reason)), None)
            return
        self._resumed = bool(flags.session_present)
        self._receive_maximum = getattr(properties, "ReceiveMaximum", NO_LIMIT)
        most = getattr(properties, "MaximumPacketSize", 0)
        self._alias_maximum = min(ALIASES, getattr(properties, "TopicAliasMaximum", 0))
        self._largest = max(1, most - OVERHEAD_BYTES - 48) if most else 0
        self._agreed = float(getattr(properties, "ServerKeepAlive", self.keepalive))
        self._phase = "subscribing"

    def _on_subscribe(self, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [str(one) for one in reasons if one.is_failure]
        if refused:
            self._fail("subscription-" + _slug(refused[0]), None)
            return
        if self._phase == "subscribing":
            self._phase, self.up, self._refused_five, self._asked = "up", True, False, None
            self._happened.append(Up(self._resumed, self._greeted))

    def _on_publish(self, mid: int, reason: Any, _properties: Any) -> None:
        if mid not in self._flying:
            return  # QoS 0: paho says only that it has written it
        self._flying.discard(mid)
        refusal = _slug(str(reason)) if reason.is_failure else ""
        acked = Acked(self._token(mid), refusal, nobody=reason.value == 16)
        (self._happened if refusal else self._acked).append(acked)

    def _on_message(self, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "?"
        self._happened.append(Message(topic, bytes(message.payload), self._token(message.mid)))

    def _on_disconnect(self, _flags: Any, reason: Any, _properties: Any) -> None:
        name = _slug(str(reason))
        self._fail("lost" if name in ("", "success", "normal-disconnection", "unspecified-error") else name, None)

    # --- the end of a connection --------------------------------------------------------------------------------------

    def _fail(self, reason: str, error: Exception | None) -> None:
        """The connection has ended, or has not come about."""
        another = self.broker.version == "auto" and self._other_version(reason)
        self._drop()
        self._happened.append(Down(reason, "" if error is None else str(error), again=another))

    def _other_version(self, reason: str) -> bool:
        """Change the version for the next try where this one did not get as far as CONNACK; True when 3.1.1 comes next."""
        speechless = self._phase == "mqtt" and reason not in ("closed", "no-puback")
        refused, self._refused_five = self._refused_five, False
        if self.version == V5 and (refused or (speechless and reason in _SPEECHLESS)):
            self.version = V311
            return True
        if self.version == V311 and speechless:
            self.version = V5  # perhaps the broker is another one now
        return False

    def _drop(self) -> None:
        """Let go of everything that belonged to a connection; paho's queue goes with its client."""
        self._generation += 1
        self._phase, self.up, self._asked, self._agreed = "idle", False, None, 0.0
        self._flying.clear()
        self._acked.clear()
        self._receive_maximum, self._largest, self._resumed = NO_LIMIT, 0, False
        self._alias_maximum, self._aliases, self._greeted = 0, {}, False
        self._near, self._pinged, self._tapped, self._taps_lost, self._stirred_at = False, None, None, 0, float("-inf")
        sock, self._sock = self._sock, None
        client, self._client, self._stream = self._client, None, None
        if isinstance(sock, ssl.SSLSocket) and client is not None:
            self._session = sock.session or self._session
        if sock is not None:
            sock.close()

    def _token(self, mid: int) -> int:
        return self._generation << 16 | mid

    def _raise_bug(self) -> None:
        if self._bug is not None:
            bug, self._bug = self._bug, None
            raise bug


def _slug(text: str) -> str:
    """A broker's reason as a stable word.

    >>> _slug("Not authorized")
    'not-authorized'
    """
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())
