"""The line to a real broker, and to one that misbehaves; each habit of paho that loses or blocks messages, and what is done about it."""

import datetime as dt
import shutil
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.relay.line import Acked, Down, LinkError, Message, Up
from appliance.relay.link import (
    ANSWER_SECONDS,
    NOTSENT_BYTES,
    SYN_SECONDS,
    TAP_SECONDS,
    TAPS_LOST,
    THIN_LINEAR_TIMEOUTS,
    USER_TIMEOUT_MS,
    Broker,
    MqttLink,
    tls_context,
)
from appliance.relay.rules import Silence
from tests import servers
from tests.polling import until
from tests.relay.brokers import CONNECT, PINGREQ, PINGRESP, PUBACK, PUBLISH, HandBroker, heard, packet

TOPIC = "v1/07/tram-0001/down/0"
UP_TOPIC = "v1/07/tram-0001/up/0"


@pytest.fixture
def link() -> Iterator[Callable[..., MqttLink]]:
    """A function that makes a link to a port; all are closed with the test."""
    made: list[MqttLink] = []

    def make(port: int, **options: Any) -> MqttLink:
        broker = options.pop("broker", Broker("127.0.0.1", port))
        given = {"client_id": "tram-0001", "topics": [TOPIC], "connect_timeout": 5.0} | options
        made.append(MqttLink(broker, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def hand() -> Iterator[Callable[..., HandBroker]]:
    """A function that makes a broker that does what it is told."""
    made: list[HandBroker] = []

    def make(**options: Any) -> HandBroker:
        made.append(HandBroker(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def opened(one: MqttLink, broker: HandBroker | None = None) -> MqttLink:
    """The link, up."""
    one.open()
    heard(one, Up, broker)
    return one


# --- real brokers ------------------------------------------------------------------------------------------------------------------


def test_the_line_comes_up_on_mqtt_5_and_on_3_1_1(broker: servers.Broker, link: Callable[..., MqttLink]) -> None:
    """MQTT 5 first; a broker that does not know it is asked again at once in 3.1.1, and that is remembered."""
    one = link(broker.port)
    one.open()
    first = heard(one, (Up, Down))
    if broker.kind == "iotcore":
        assert isinstance(first, Down)
        assert first.again
        one.open()
        heard(one, Up)
        one.close()
        one.happenings()
        one.open()
        heard(one, Up)
    assert one.version == ("5" if broker.kind == "mosquitto" else "3.1.1")


def test_a_message_comes_again_until_it_is_acknowledged(broker: servers.Broker, link: Callable[..., MqttLink]) -> None:
    """Trap 9: with a kept session and the same client id, what was not acknowledged is delivered again; what was, is not."""
    version = "5" if broker.kind == "mosquitto" else "3.1.1"
    taker = opened(link(0, broker=Broker("127.0.0.1", broker.port, version=version), client_id="taker", keep=True))
    giver = opened(link(0, broker=Broker("127.0.0.1", broker.port, version=version), client_id="giver", topics=[UP_TOPIC]))
    giver.publish(TOPIC, b"one")
    heard(giver, Acked)
    assert heard(taker, Message).payload == b"one"
    taker.close()
    taker.happenings()
    taker.open()
    again = heard(taker, Message)
    assert again.payload == b"one"
    taker.done(again.token)
    giver.publish(TOPIC, b"two")
    assert heard(taker, Message).payload == b"two"
    taker.close()
    taker.happenings()
    taker.open()
    assert heard(taker, Message).payload == b"two"


def test_what_need_not_be_sure_is_said_once_and_acknowledged_by_nobody(broker: servers.Broker, link: Callable[..., MqttLink]) -> None:
    """QoS 0: it arrives, takes no room, brings no `Acked`, and `done` says nothing that a broker would take for a mistake."""
    version = "5" if broker.kind == "mosquitto" else "3.1.1"
    taker = opened(link(0, broker=Broker("127.0.0.1", broker.port, version=version), client_id="taker"))
    giver = opened(link(0, broker=Broker("127.0.0.1", broker.port, version=version), client_id="giver", topics=[UP_TOPIC]))
    room = giver.room
    giver.publish(TOPIC, b"a receipt", sure=False)
    assert giver.room == room
    message = heard(taker, Message)
    assert message.payload == b"a receipt"
    taker.done(message.token)
    token = giver.publish(TOPIC, b"a parcel")
    assert heard(giver, Acked).token == token
    second = heard(taker, Message)
    taker.done(second.token)
    assert (second.payload, taker.up) == (b"a parcel", True)


def test_the_brokers_receive_maximum_is_kept(mosquitto: Callable[..., servers.Broker], link: Callable[..., MqttLink]) -> None:
    """Trap 1: CONNACK's ReceiveMaximum bounds what is un-PUBACKed; one more is refused here, before it can break the connection."""
    one = opened(link(mosquitto("max_inflight_messages 5").port))
    assert one.room == 5
    for _ in range(5):
        one.publish(UP_TOPIC, b"x")
    with pytest.raises(LinkError, match="window"):
        one.publish(UP_TOPIC, b"x")


def test_the_brokers_largest_packet_is_known_before_anything_is_sent(
    mosquitto: Callable[..., servers.Broker], link: Callable[..., MqttLink]
) -> None:
    """Traps 1 and 2: what the broker would answer with a disconnect is never handed to paho, and the next message passes."""
    one = opened(link(mosquitto("max_packet_size 1000").port))
    assert 800 < one.largest < 1000
    with pytest.raises(LinkError, match="packet-size"):
        one.publish(UP_TOPIC, bytes(one.largest + 1))
    one.publish(UP_TOPIC, bytes(one.largest))
    assert heard(one, Acked).refusal == ""


def test_a_refused_message_says_so(mosquitto: Callable[..., servers.Broker], link: Callable[..., MqttLink], tmp_path: Path) -> None:
    """MQTT 5: the broker's reason comes through (in 3.1.1 it says Success and drops the message)."""
    acl = tmp_path / "acl"
    acl.write_text("topic read v1/#\n")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.owner() == tmp_path.owner() and str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    acl.chmod(0o644)
    one = opened(link(mosquitto(f"acl_file {acl}").port))
    one.publish(UP_TOPIC, b"x")
    assert heard(one, Acked).refusal == "not-authorized"


def test_nobody_listening_is_told_by_mqtt_5(mosquitto: Callable[..., servers.Broker], link: Callable[..., MqttLink]) -> None:
    """A free sign that the bridge is missing."""
    one = opened(link(mosquitto().port))
    one.publish(UP_TOPIC, b"x")
    assert heard(one, Acked).nobody


def test_a_broker_that_wants_a_name_says_so(mosquitto: Callable[..., servers.Broker], link: Callable[..., MqttLink]) -> None:
    """A reason a technician can use."""
    one = link(mosquitto("", anonymous=False).port)
    one.open()
    assert heard(one, Down).reason == "not-authorized"


def test_nothing_of_an_old_connection_is_sent_on_a_new_one(broker: servers.Broker, link: Callable[..., MqttLink]) -> None:
    """Trap 2: what is unreceipted comes from our own table, never out of paho's memory."""
    version = "5" if broker.kind == "mosquitto" else "3.1.1"
    where = Broker("127.0.0.1", broker.port, version=version)
    one = opened(link(0, broker=where))
    one.publish(UP_TOPIC, b"old")
    broker.restart()
    heard(one, Down)
    listener = opened(link(0, broker=where, client_id="listener", topics=[UP_TOPIC]))
    opened(one)
    one.publish(UP_TOPIC, b"new")
    assert heard(listener, Message).payload == b"new"


# --- TLS ---------------------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str, signer: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """A key and a certificate for 127.0.0.1 (or an authority, without `signer`), as PEM files `name.key` and `name.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = (subject, key) if signer is None else (signer[0].subject, signer[1])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        # Python 3.13 asks certificates for all that RFC 5280 asks of them
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(_usage(signer is None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(plain)
    return made, key


def _usage(authority: bool) -> x509.KeyUsage:
    """What the key of an authority, or of an end, is for."""
    no = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **no)


@pytest.fixture
def secure(mosquitto: Callable[..., servers.Broker]) -> Iterator[tuple[servers.Broker, Path]]:
    """A mosquitto that wants client certificates, and the folder with everybody's."""
    folder = servers.folder(servers.unprivileged("mosquitto"), "tls")
    folder.chmod(0o755)
    authority = certificate(folder, "ca")
    certificate(folder, "server", authority)
    certificate(folder, "client", authority)
    certificate(folder, "other")
    for file in folder.iterdir():
        file.chmod(0o644)
    lines = [f"cafile {folder}/ca.pem", f"certfile {folder}/server.pem", f"keyfile {folder}/server.key", "require_certificate true"]
    yield mosquitto("\n".join(lines)), folder
    shutil.rmtree(folder, ignore_errors=True)


def test_tls_with_certificates_on_both_sides(secure: tuple[servers.Broker, Path], link: Callable[..., MqttLink]) -> None:
    """The line comes up without blocking; the session is kept for the next connection, which is cheaper by half."""
    running, folder = secure
    context = tls_context(f"{folder}/ca.pem", f"{folder}/client.pem", f"{folder}/client.key")
    one = opened(link(0, broker=Broker("localhost", running.port, context)))
    one.publish(UP_TOPIC, b"x")
    heard(one, Acked)
    one.close()
    one.happenings()
    opened(one)
    assert isinstance(one._sock, ssl.SSLSocket)
    assert one._sock.session_reused


def test_connect_shares_a_packet_with_the_end_of_the_handshake(secure: tuple[servers.Broker, Path], link: Callable[..., MqttLink]) -> None:
    """Until the line is up two packets of ours carry something: the ClientHello, and the rest."""
    running, folder = secure
    context = tls_context(f"{folder}/ca.pem", f"{folder}/client.pem", f"{folder}/client.key")
    said = opened(link(0, broker=Broker("localhost", running.port, context))).traffic
    assert said.segments_out - said.bare_out == 2


def test_the_first_flight_is_not_filled_up() -> None:
    """A fifth of a second of a thin line: what TLS says first holds nothing that nobody needs."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls_context(None).wrap_bio(coming, going, server_hostname="broker.example.org").do_handshake()
    assert 200 < len(going.read()) < 400


def test_a_broker_nobody_vouches_for_is_not_spoken_to(secure: tuple[servers.Broker, Path], link: Callable[..., MqttLink]) -> None:
    """Another authority: the reason is the certificate, so that a technician looks there."""
    running, folder = secure
    one = link(0, broker=Broker("localhost", running.port, tls_context(f"{folder}/other.pem")))
    one.open()
    assert heard(one, Down).reason == "certificate"


# --- a broker that misbehaves --------------------------------------------------------------------------------------------------------


def test_what_is_said_first_leaves_with_connect(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """A broker that has not answered yet has it already, after SUBSCRIBE; on the next connection it is asked for anew."""
    broker, said = hand(mute=True), [b"one", b"two"]
    one = link(broker.port, greet=lambda: [(UP_TOPIC, said.pop(0))])
    one.open()
    until(lambda: one.wait(0.0) or broker.step() or broker.published(), 30.0)
    assert [first & 0xF0 for first, _ in broker.packets] == [0x10, 0x80, 0x30]
    assert broker.published()[0].endswith(b"one")
    assert not one.up
    broker.drop()
    heard(one, Down, broker)
    broker.mute, broker.acks = False, True
    one.open()
    assert heard(one, Up, broker).greeted
    until(lambda: one.wait(0.0) or broker.step() or one.room == 65_535, 30.0)
    assert broker.published()[1].endswith(b"two")


def test_nothing_is_queued_while_the_line_is_down(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Trap 3: publish() refuses, and the connection that follows carries nothing."""
    broker = hand()
    one = link(broker.port)
    with pytest.raises(LinkError, match="down"):
        one.publish(UP_TOPIC, b"x")
    opened(one, broker)
    for _ in range(20):
        one.wait(0.0)
        broker.step()
    assert broker.published() == []


def test_a_broker_that_never_acknowledges_holds_nothing_of_ours(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Traps 2 and 4: after the connection broke, the next one starts empty, with its whole window."""
    broker = hand()
    one = opened(link(broker.port), broker)
    for _ in range(30):
        one.publish(UP_TOPIC, b"x")
    broker.drop()
    heard(one, Down, broker)
    broker.packets.clear()
    opened(one, broker)
    for _ in range(20):
        one.wait(0.0)
        broker.step()
    assert broker.published() == []
    assert one.room == 65_535


def test_an_exception_in_a_callback_ends_the_program(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Trap 5: no thread dies silently; whoever turns the crank gets the bug."""
    broker = hand()
    one = opened(link(broker.port), broker)

    class Full(list[Any]):
        def append(self, _one: Any) -> None:
            raise RuntimeError("a bug")

    one._happened = Full()  # type: ignore[assignment]
    broker.message(TOPIC, b"x")
    with pytest.raises(RuntimeError, match="a bug"):
        until(lambda: one.wait(0.01), 30.0, every=0.0)
    one._happened = deque()


def test_the_socket_does_not_hoard_and_does_not_wait_for_ever(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Trap 6: small packets leave at once, a dead line is noticed in 20 s, the kernel keeps little unsent."""
    broker = hand()
    one = opened(link(broker.port), broker)
    assert one._sock is not None
    options = {
        name: one._sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_NODELAY", "TCP_USER_TIMEOUT", "TCP_NOTSENT_LOWAT")
    }
    assert options == {"TCP_NODELAY": 1, "TCP_USER_TIMEOUT": USER_TIMEOUT_MS, "TCP_NOTSENT_LOWAT": NOTSENT_BYTES}
    assert one._sock.getsockopt(socket.IPPROTO_TCP, THIN_LINEAR_TIMEOUTS) == 1


def test_an_unanswered_knock_is_repeated_before_the_kernel_would(link: Callable[..., MqttLink], free_port: Callable[[], int]) -> None:
    """The link swallows the first SYN: the next one leaves after SYN_SECONDS, not when the kernel's pause ends."""
    time = [100.0]
    with socket.socket() as door:
        port = free_port()
        door.bind(("127.0.0.1", port))
        door.listen(0)
        full = [socket.create_connection(("127.0.0.1", port))]  # a queue of one: the kernel drops every further SYN, as a dead link does
        one = link(port, clock=lambda: time[0])
        one.open()
        for _ in range(20):
            one.wait(0.0)
        first = one._sock
        assert first is not None and one._phase == "tcp"
        time[0] += SYN_SECONDS - 0.1
        one.wait(0.0)
        assert one._sock is first
        time[0] += 0.2
        one.wait(0.0)
        assert one._sock is not first and one._phase == "tcp"
        time[0] += 60.0
        one.wait(0.0)
        assert [type(happened).__name__ for happened in one.happenings()] == ["Down"]
        for each in full:
            each.close()


def test_a_dead_broker_is_told_not_raised(link: Callable[..., MqttLink], free_port: Callable[[], int]) -> None:
    """Trap 7: nobody listens there; open() returns at once and the next happening says why."""
    one = link(free_port())
    one.open()
    assert heard(one, Down).reason == "refused"


def test_a_broker_that_says_nothing_is_given_up(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Trap 7: the time for a connection is ours, and waiting for it blocks nobody."""
    broker = hand(mute=True)
    one = link(broker.port, connect_timeout=0.2)
    one.open()
    down = heard(one, Down, broker)
    assert (down.reason, one.version) == ("timeout", "3.1.1")


def test_a_name_that_does_not_exist_is_told(link: Callable[..., MqttLink]) -> None:
    """Without a name server there is no address."""
    one = link(0, broker=Broker("tram.invalid", 1883))
    one.open()
    assert heard(one, Down).reason == "name"


@pytest.mark.parametrize(("code", "reason"), [(0x87, "not-authorized"), (0x86, "bad-user-name-or-password"), (0x8A, "banned")])
def test_a_refused_connection_names_its_reason(
    code: int, reason: str, link: Callable[..., MqttLink], hand: Callable[..., HandBroker]
) -> None:
    """MQTT 5 says why."""
    broker = hand(connack=code)
    one = link(broker.port)
    one.open()
    assert heard(one, Down, broker).reason == reason


@pytest.mark.parametrize("code", [0x84, 0x01])
def test_a_broker_that_refuses_mqtt_5_politely_is_asked_in_3_1_1(
    code: int, link: Callable[..., MqttLink], hand: Callable[..., HandBroker]
) -> None:
    """Both ways of saying so are understood."""
    broker = hand(connack=code)
    one = link(broker.port)
    one.open()
    assert heard(one, Down, broker).again
    broker.connack = 0
    opened(one, broker)
    assert [body[6] for first, body in broker.packets if first == CONNECT] == [5, 4]


def test_a_refused_subscription_is_no_connection(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Whoever cannot hear receipts must not believe to be online."""
    broker = hand(suback=0x87)
    one = link(broker.port)
    one.open()
    assert heard(one, Down, broker).reason == "subscription-not-authorized"
    assert not one.up


def test_messages_cut_into_bytes_and_glued_together_are_the_same(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """However TCP delivers them."""
    broker = hand()
    one = opened(link(broker.port), broker)
    name = TOPIC.encode()
    bodies = [struct.pack("!H", len(name)) + name + struct.pack("!HB", mid, 0) + bytes([mid]) * (mid * 7) for mid in range(1, 30)]
    stream = b"".join(packet(PUBLISH | 2, body) for body in bodies)
    assert broker.conn is not None
    found: list[Any] = []
    place, size = 0, 1
    while place < len(stream):
        broker.conn.sendall(stream[place : place + size])
        place, size = place + size, size % 97 + 13
        one.wait(0.01)
        found += one.happenings()
    until(lambda: one.wait(0.01) or found.extend(one.happenings()) or len(found) >= 29, 30.0, every=0.0)
    assert [(each.payload[0], len(each.payload)) for each in found] == [(mid, mid * 7) for mid in range(1, 30)]


def test_an_acknowledgement_of_an_old_connection_goes_nowhere(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Message numbers begin anew with every connection: a late done() must not acknowledge somebody else's message."""
    broker = hand()
    one = opened(link(broker.port), broker)
    broker.message(TOPIC, b"x", mid=1)
    old = heard(one, Message, broker)
    broker.drop()
    heard(one, Down, broker)
    opened(one, broker)
    broker.message(TOPIC, b"y", mid=1)
    new = heard(one, Message, broker)
    one.done(old.token)
    for _ in range(10):
        one.wait(0.0)
        broker.step()
    assert [first for first, _ in broker.packets if first == PUBACK] == []
    one.done(new.token)
    until(lambda: broker.step() or [first for first, _ in broker.packets if first == PUBACK], 30.0)


def test_the_brokers_keepalive_rules(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """MQTT 5: ServerKeepAlive replaces ours."""
    broker = hand(properties=b"\x13\x00\x07")
    one = opened(link(broker.port, keepalive=300), broker)
    assert one.silence == 7
    one.beat = 3
    assert one.silence == 3
    one.beat = 100
    assert one.silence == 7
    one.close()
    assert one.keepalive == 300, "the next broker may have another opinion"


def test_closing_says_goodbye(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """DISCONNECT, so that the broker does not wait."""
    broker = hand()
    one = opened(link(broker.port), broker)
    one.close()
    until(lambda: broker.step() or any(first == 0xE0 for first, _ in broker.packets), 30.0)
    assert [type(each) for each in one.happenings()] == [Down]


# --- the pulse ---------------------------------------------------------------------------------------------------------------------


class Hand:
    """A clock turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def turned(one: MqttLink, broker: HandBroker) -> list[int]:
    """Whatever is under way arrives; the pings the broker has heard since the last call."""
    for _ in range(20):
        one.wait(0.005)
        broker.step()
    pings = [first for first, _ in broker.packets if first == PINGREQ]
    broker.packets.clear()
    return pings


def test_a_ping_goes_after_as_much_silence_as_was_agreed(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """Our own silence counts, by the link's clock: 900 s on a metered line, and a message begins it anew."""
    broker, clock = hand(acks=True), Hand()
    one = opened(link(broker.port, keepalive=900, clock=clock), broker)
    turned(one, broker)
    clock.now += 899.0
    assert turned(one, broker) == []
    clock.now += 1.0
    assert len(turned(one, broker)) == 1
    clock.now += 500.0
    one.publish(UP_TOPIC, b"x")
    clock.now += 899.0
    assert turned(one, broker) == []
    clock.now += 1.0
    assert len(turned(one, broker)) == 1
    assert one.up


def test_the_pulse_changes_without_a_new_connection(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """While a request waits it is 300 s, under the 900 s that CONNECT promised; afterwards it is 900 s again."""
    broker, clock = hand(), Hand()
    one = opened(link(broker.port, keepalive=900, clock=clock), broker)
    (promised,) = [struct.unpack("!H", body[8:10])[0] for first, body in broker.packets if first == CONNECT]
    turned(one, broker)
    pings = 0
    one.beat = 300
    for _ in range(12):
        clock.now += 150.0
        pings += len(turned(one, broker))
    assert (promised, pings) == (900, 6)
    one.beat = 0
    for _ in range(12):
        clock.now += 150.0
        pings += len(turned(one, broker))
    assert pings == 8
    assert broker.connections == 1


def tapped(one: MqttLink, broker: HandBroker, clock: Hand) -> list[int]:
    """A tap goes and TCP answers it (the kernel sends it when the line was idle for a second); the pings the broker has heard meanwhile."""
    before = one.traffic.segments_in
    pings = turned(one, broker)
    until(lambda: one.traffic.segments_in > before, 10.0)
    clock.now += TAP_SECONDS
    return pings + turned(one, broker)


def test_tcp_taps_in_place_of_a_ping_where_its_answers_are_the_brokers(
    link: Callable[..., MqttLink], hand: Callable[..., HandBroker]
) -> None:
    """The first pulse is a ping, which shows how far the broker is; then taps, and a ping again before the keepalive is broken."""
    broker, clock = hand(), Hand()
    one = opened(link(broker.port, keepalive=3600, clock=clock, taps=True), broker)
    turned(one, broker)
    one.beat = 1000.0
    clock.now += 1000.0
    assert len(turned(one, broker)) == 1
    spent = one.traffic.bytes_out
    for _ in range(2):
        clock.now += 1000.0
        assert tapped(one, broker, clock) == []
    assert one.traffic.bytes_out == spent
    clock.now += 1000.0
    assert len(turned(one, broker)) == 1  # another 1000 s would be more than CONNECT promised
    assert one.up


def test_where_a_proxy_acknowledges_the_broker_itself_is_asked(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """TCP's answer comes at once and the ping's after two seconds: somebody between them answers in the broker's name."""
    broker, clock = hand(pongs=False), Hand()
    one = opened(link(broker.port, keepalive=3600, clock=clock, taps=True), broker)
    turned(one, broker)
    one.beat = 1000.0
    for _ in range(2):
        clock.now += 1000.0
        assert len(turned(one, broker)) == 1
        clock.now += 2.0
        broker.send(PINGRESP, b"")
        turned(one, broker)


def test_a_tap_that_nobody_answers_is_followed_by_a_ping(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """It may have been lost alone. After three in a row there are pings alone, and an unanswered ping ends the line as ever."""
    broker, clock = hand(), Hand()
    one = opened(link(broker.port, keepalive=36_000, clock=clock, taps=True, rest=Silence(1000.0, 1000.0)), broker)
    turned(one, broker)
    clock.now += 1000.0
    turned(one, broker)
    for _ in range(TAPS_LOST):
        clock.now += 1000.0
        assert turned(one, broker) == []
        assert one._tapped is not None
        one._tapped = (one._tapped[0], 1 << 40)  # as though nothing had come since
        clock.now += TAP_SECONDS
        assert len(turned(one, broker)) == 1
        assert one.up
    clock.now += 1000.0
    broker.pongs = False
    assert len(turned(one, broker)) == 1
    clock.now += ANSWER_SECONDS
    turned(one, broker)
    assert heard(one, Down, broker).reason == "keep-alive-timeout"


def test_a_ping_that_nobody_answers_ends_the_connection(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """The broker hears and says nothing: after 20 s the line is given up, without waiting for another silence."""
    broker, clock = hand(pongs=False), Hand()
    one = opened(link(broker.port, keepalive=900, clock=clock), broker)
    turned(one, broker)
    clock.now += 900.0
    assert len(turned(one, broker)) == 1
    clock.now += ANSWER_SECONDS - 0.1
    turned(one, broker)
    assert one.up
    clock.now += 0.1
    turned(one, broker)
    assert [type(each) for each in one.happenings()] == [Down]


def test_a_line_that_was_prodded_lives_when_it_answers(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """A change of the routes costs a ping where the connection has survived it, however often it is told, and no new connection."""
    broker, clock = hand(), Hand()
    one = opened(link(broker.port, clock=clock), broker)
    turned(one, broker)
    one.prod(3.0)
    one.prod(3.0)
    assert len(turned(one, broker)) == 1
    clock.now += 10.0
    turned(one, broker)
    assert one.up


def test_a_line_that_was_prodded_in_vain_is_given_up_within_seconds(link: Callable[..., MqttLink], hand: Callable[..., HandBroker]) -> None:
    """TCP alone would need 20 s to notice."""
    broker, clock = hand(pongs=False), Hand()
    one = opened(link(broker.port, clock=clock), broker)
    turned(one, broker)
    one.prod(3.0)
    clock.now += 3.0
    turned(one, broker)
    assert heard(one, Down, broker).reason == "keep-alive-timeout"


def test_an_attempt_that_nobody_answers_begins_anew_when_the_route_changes(link: Callable[..., MqttLink]) -> None:
    """The kernel would ask again only after 1, 3, 7 s; nobody is told that the connection went down, because it never was up."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        made = link(port)
        made.open()
        assert made._sock is not None
        before = made._sock.getsockname()
        made.prod(3.0)
        assert made._sock.getsockname() != before
        assert made.happenings() == []
        for one in fillers:
            one.close()
