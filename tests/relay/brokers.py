"""A broker that does what the test says: bytes of MQTT by hand, for what no real broker can be asked to do."""

import select
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from tests.polling import until

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x10, 0x20, 0x30, 0x40, 0x80, 0x90, 0xC0, 0xD0, 0xE0


def packet(first: int, body: bytes) -> bytes:
    """One MQTT packet."""
    size, length = len(body), b""
    while True:
        size, low = size >> 7, size & 127
        length += bytes([low | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


@dataclass
class HandBroker:
    """Listens on a free port. `step` accepts, reads, and answers CONNECT and SUBSCRIBE as told; PUBLISH only when `acks`.

    `pongs`: it answers PINGREQ.

    `connack` and `suback` are the reason codes; `properties` the bytes of CONNACK's properties; `mute`: it accepts and says nothing.
    """

    acks: bool = False
    pongs: bool = True
    connack: int = 0
    suback: int = 1
    properties: bytes = b""
    mute: bool = False
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.conn: socket.socket | None = None
        self.ahead = b""

    def step(self) -> None:
        """One look at the sockets."""
        waiting = [self.listener] + ([self.conn] if self.conn else [])
        for one in select.select(waiting, [], [], 0)[0]:
            if one is self.listener:
                self.drop()
                self.conn, _ = self.listener.accept()
                self.conn.setblocking(False)
                self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a second answer waits 40 ms for the first's
                self.connections += 1
            else:
                self._read()

    def drop(self) -> None:
        """Close the connection."""
        if self.conn is not None:
            self.conn.close()
        self.conn, self.ahead = None, b""

    def close(self) -> None:
        """Everything."""
        self.drop()
        self.listener.close()

    def send(self, first: int, body: bytes) -> None:
        """Say something."""
        assert self.conn is not None
        self.conn.sendall(packet(first, body))

    def message(self, topic: str, payload: bytes, mid: int = 1, *, five: bool = True) -> None:
        """A PUBLISH with QoS 1."""
        name = topic.encode()
        self.send(PUBLISH | 2, struct.pack("!H", len(name)) + name + struct.pack("!H", mid) + (b"\0" if five else b"") + payload)

    def published(self) -> list[bytes]:
        """The PUBLISH packets heard so far."""
        return [body for first, body in self.packets if first & 0xF0 == PUBLISH]

    def _read(self) -> None:
        assert self.conn is not None
        try:
            data = self.conn.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        self.ahead += data
        while (found := self._packet()) is not None:
            self.packets.append(found)
            if not self.mute:
                self._answer(*found)

    def _packet(self) -> tuple[int, bytes] | None:
        size, shift = 0, 0
        for place, byte in enumerate(self.ahead[1:5], 1):
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                end = place + 1 + size
                if len(self.ahead) < end:
                    return None
                found = self.ahead[0], self.ahead[place + 1 : end]
                self.ahead = self.ahead[end:]
                return found
        return None

    def _answer(self, first: int, body: bytes) -> None:
        match first & 0xF0:
            case 0x10:
                self.five = body[6] == 5
                more = bytes([len(self.properties)]) + self.properties if self.five else b""
                self.send(CONNACK, bytes([0, self.connack]) + more)
            case 0x80:
                self.send(SUBACK, body[:2] + (b"\0" if self.five else b"") + bytes([self.suback]))
            case 0xC0 if self.pongs:
                self.send(PINGRESP, b"")
            case 0x30 if self.acks:
                size = struct.unpack("!H", body[:2])[0]
                self.send(PUBACK, body[2 + size : 4 + size])


def heard(link: Any, kind: type | tuple[type, ...], broker: HandBroker | None = None, within: float = 30.0) -> Any:
    """Turn the link (and the broker) until something of `kind` happens; that."""
    found: list[Any] = []

    def look() -> Any:
        link.wait(0.01)
        if broker is not None:
            broker.step()
        found.extend(link.happenings())
        return next((one for one in found if isinstance(one, kind)), None)

    return until(look, within, every=0.0, what=f"{kind} from {link.client_id}")
