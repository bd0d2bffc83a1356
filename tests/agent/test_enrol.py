"""A box becomes known to its bridge: by the door, by a stick, cut off at any point; whatever goes wrong, the old state still runs."""

import io
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import Engine

from appliance import journal
from appliance.agent import carry, enrol
from appliance.contract import enrolment as wire
from appliance.contract.enrolment import Ticket
from appliance.settings import Broker, Settings, SettingsError
from appliance.store import enrolment, keys
from appliance.store.errors import Refused
from cloud_bridge import enrolment as bridge_enrolment
from cloud_bridge.store import enrolment as rows
from cloud_bridge.store import stations
from cloud_bridge.store.engine import open_engine, reading, writing
from cloud_bridge.store.migrations import migrate
from tests.enrolling import Box, Bridge, authority, box, pins


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The bridge's database."""
    made = open_engine(f"sqlite:///{tmp_path / 'bridge.db'}")
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def bridge(tmp_path: Path, engine: Engine) -> Iterator[Bridge]:
    """A bridge with an open door."""
    made = Bridge(tmp_path / "bridge", engine, authority(tmp_path / "bridge"))
    made.open()
    yield made
    made.close()


@pytest.fixture
def here(tmp_path: Path, bridge: Bridge) -> Iterator[Box]:
    """A box that nobody knows yet."""
    made = box(tmp_path / "box", port=bridge.port)
    yield made
    made.conn.close()


def go(here: Box, bridge: Bridge, ticket: Ticket) -> enrol.Done:
    """The box enrols at the bridge's door."""
    return enrol.enrol(here.conn, here.settings, here.clock, ticket, "127.0.0.1", bridge.port)


def typed(ticket: Ticket) -> Ticket:
    """The same paper, its 24 letters typed."""
    return enrol.ticket_of(wire.spell(ticket.secret).lower().replace("-", " "))


def said(bridge: Bridge) -> list[str]:
    """The bridge's log, the oldest first."""
    with reading(bridge.engine) as tx:
        return [one.what for one in reversed(rows.entries(tx))]


@pytest.mark.parametrize("form", [lambda ticket: enrol.ticket_of(wire.qr_text(ticket)), typed], ids=["scanned", "typed"])
def test_a_paper_makes_a_station(here: Box, bridge: Bridge, form: Callable[[Ticket], Ticket]) -> None:
    """Certificate, pins and registration are there on both sides, the six words are the same, the token has been used."""
    ticket = form(bridge.paper())
    done = go(here, bridge, ticket)
    with reading(bridge.engine) as tx:
        known, log = stations.get(tx, "tram-0001"), rows.entries(tx, "tram-0001")
    assert known is not None and (known.key_id, known.public, known.shard) == (*keys.station_public(here.conn), 7)
    assert done.one.words in log[0].detail and log[0].who == "KTV. Thử" and len(done.one.words.split()) == 6
    assert keys.pinned(here.conn, "receipt")[0].public_bytes_raw() == pins()[0].public
    assert keys.sealing_pin(here.conn) is not None and here.conn.execute("SELECT count(*) FROM content_key").fetchone()[0] == 1
    assert bridge.welcomed == ["tram-0001"] and enrolment.latest(here.conn) == done.one
    files = enrolment.files_of(here.settings)
    assert files is not None and files.key.stat().st_mode & 0o077 == 0
    settings = enrolment.with_identity(replace(here.settings, broker=Broker(tls=True)))
    assert (settings.broker.cert, settings.broker.key, settings.broker.ca) == (files.cert, files.key, files.ca)
    assert isinstance(carry.broker_of(settings).context, ssl.SSLContext)
    with pytest.raises(Refused, match="has been used"):
        go(here, bridge, ticket)


def test_the_store_at_the_bridge_holds_no_token(bridge: Bridge) -> None:
    """Neither form of a paper's secret stands in the database: only what cannot be turned back."""
    ticket = bridge.paper()
    with reading(bridge.engine) as tx:
        found = rows.token_named(tx, ticket.id)
    text = repr(found)
    assert repr(ticket.secret) not in text and repr(wire.short_of(ticket.secret)) not in text and ticket.lock != ticket.secret


def test_what_a_paper_is_refused_for(here: Box, bridge: Bridge, tmp_path: Path) -> None:
    """Expired, replaced, somebody else's, unknown: a sentence each, and nothing has changed at the box."""
    late = bridge.paper()
    bridge.wall += wire.DAYS * 24 * 36_000
    refused_with(here, bridge, late, "has expired")
    older, _newer = bridge.paper(), bridge.paper()
    refused_with(here, bridge, older, "was cancelled")
    refused_with(here, bridge, bridge.paper("tram-0002"), "this paper is for tram-0002")
    refused_with(here, bridge, typed(bridge.paper("tram-0002")), "another station")
    refused_with(here, bridge, Ticket(b"\x01" * 16), "does not know")
    assert [one for one in said(bridge) if one.endswith("refused")] == ["greeting.refused"] * 2 + ["enrol.refused", "greeting.refused"]


def refused_with(here: Box, bridge: Bridge, ticket: Ticket, words: str) -> None:
    """The box is refused with these words, and everything is as it was."""
    before = (keys.pinned(here.conn, "receipt"), enrolment.files_of(here.settings), enrolment.latest(here.conn))
    with pytest.raises(Refused, match=words) as no:
        go(here, bridge, ticket)
    assert no.value.vi
    assert before == (keys.pinned(here.conn, "receipt"), enrolment.files_of(here.settings), enrolment.latest(here.conn))


def test_a_stranger_behind_the_door_gets_nothing(here: Box, bridge: Bridge, tmp_path: Path) -> None:
    """Another authority, or a bridge that does not know the token, is found out before the token leaves the box."""
    ticket = bridge.paper()
    refused_with(here, bridge, replace(ticket, root=bytes(32)), "not the bridge of this paper")
    other_engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    migrate(other_engine)
    other = Bridge(tmp_path / "other", other_engine, authority(tmp_path / "other"))
    with writing(other_engine) as tx:  # it has heard the token's name on the line, and no more
        rows.add_token(
            tx, station="tram-0001", technician="", name="", organisation="", shard=7, tier=0, long_id=ticket.id, long_lock=bytes(32),
            short_id=b"x", short_lock=bytes(32), made=other.wall, expires=other.wall + 36_000,
        )  # fmt: skip
    other.open()
    try:
        refused_with(here, other, ticket, "not the bridge of this paper")
        assert said(other) == []
    finally:
        other.close()
        other_engine.dispose()
    assert go(here, bridge, ticket).station == "tram-0001"


def test_who_guesses_is_locked_out(here: Box, bridge: Bridge) -> None:
    """After five wrong tokens not even the right one opens, for a quarter of an hour."""
    ticket = bridge.paper()
    for number in range(5):
        refused_with(here, bridge, Ticket(bytes([number]) * 14), "does not know")
    refused_with(here, bridge, ticket, "too many wrong tokens")
    bridge.seconds += 901
    assert go(here, bridge, ticket).station == "tram-0001"


def test_a_lost_answer_comes_again(here: Box, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line breaks after the bridge has used the token: the same command gets the same certificate, once."""
    ticket, post = bridge.paper(), enrol.post

    def cut(*args: object) -> bytes:
        answer = post(*args)  # type: ignore[arg-type]
        if args[3] == wire.ENROL and len(answer) > 1000:
            raise OSError("the line has gone")
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(enrol, "post", cut)
        with pytest.raises(OSError, match="has gone"):
            go(here, bridge, ticket)
    assert enrolment.files_of(here.settings) is None
    done = go(here, bridge, ticket)
    with reading(bridge.engine) as tx:
        assert [one.serial for one in rows.certificates(tx, "tram-0001")] == [done.one.serial]


def test_the_old_certificate_stays_until_the_new_one_is_whole(here: Box, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power goes while a second enrolment is written down: the first is in force, and the command goes on where it was."""
    first, ticket = go(here, bridge, bridge.paper()).one.serial, bridge.paper()

    def power_cut(*_args: object) -> None:
        raise KeyboardInterrupt

    for step in ("_lay_down", "_switch"):
        with monkeypatch.context() as broken:
            broken.setattr(enrol, step, power_cut)
            with pytest.raises(KeyboardInterrupt):
                go(here, bridge, ticket)
        assert serial_of(here) == first
    second = go(here, bridge, ticket).one.serial
    assert serial_of(here) == second != first


def serial_of(here: Box) -> str:
    """The certificate in force, its key beside it."""
    files = enrolment.files_of(here.settings)
    assert files is not None
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(files.cert, files.key)
    return f"{x509.load_pem_x509_certificate(files.cert.read_bytes()).serial_number:x}"


def test_without_a_line_a_stick_does_it(here: Box, bridge: Bridge, tmp_path: Path) -> None:
    """Request, answer, taking: the token itself is never on the stick, and a stick that was changed is refused."""
    ticket = bridge.paper()
    asked = enrol.ask_by_stick(here.conn, here.settings, ticket, tmp_path)
    assert ticket.secret not in asked.read_bytes() and wire.short_of(ticket.secret) not in asked.read_bytes()
    answer = tmp_path / "tram-tram-0001.answer"
    answer.write_bytes(bridge_enrolment.enrol(bridge.desk, asked.read_bytes(), "cli:thu", stick=True))
    changed = tmp_path / "changed"
    changed.write_bytes(answer.read_bytes()[:-40] + bytes(8) + answer.read_bytes()[-32:])
    with pytest.raises(Refused, match="not the bridge"):
        enrol.take_by_stick(here.conn, here.settings, here.clock, ticket, changed)
    assert enrolment.files_of(here.settings) is None
    found = enrol.answer_on(here.settings, tmp_path)
    assert found == answer
    done = enrol.take_by_stick(here.conn, here.settings, here.clock, ticket, answer)
    assert serial_of(here) == done.one.serial


def test_a_stick_without_the_paper_enrols_nobody(here: Box, bridge: Bridge, tmp_path: Path) -> None:
    """Whoever finds a stick can neither use its request for another key nor show it at the door."""
    ticket = bridge.paper()
    asked = enrol.ask_by_stick(here.conn, here.settings, ticket, tmp_path).read_bytes()
    for data, stick in ((asked[:-1] + bytes([asked[-1] ^ 1]), True), (asked, False)):
        with pytest.raises(bridge_enrolment.No, match="unknown"):
            bridge_enrolment.enrol(bridge.desk, data, "finder", stick=stick)


def test_a_box_that_is_years_off_enrols(here: Box, bridge: Bridge) -> None:
    """The bridge's signed time judges the certificates, not the box's own clock; and it is what the box has learnt."""
    bridge.wall += 3 * 365 * 24 * 36_000
    done = go(here, bridge, bridge.paper())
    assert done.learnt is not None and abs(done.learnt.wall - bridge.wall) <= done.learnt.error
    assert abs(done.one.at - bridge.wall) < 6000


def test_the_next_certificate(here: Box, bridge: Bridge) -> None:
    """Due when a third is left; a new key; an ended one may renew for two years, and after that no more."""
    first = go(here, bridge, bridge.paper()).one
    life = first.ends - first.at
    assert not enrolment.renewal_due(here.conn, first.ends - life // 3 - 600)
    assert enrolment.renewal_due(here.conn, first.ends - life // 3 + 600)
    bridge.wall = first.ends + 36_000 * 24 * 30
    second = enrol.renew(here.conn, here.settings, here.clock)
    assert serial_of(here) == second.serial != first.serial and second.ends - bridge.wall > life - 72_000
    assert (second.words, second.kind) == (first.words, "renewed")
    bridge.wall = second.ends + 731 * 24 * 36_000
    with pytest.raises(Refused, match="two years"):
        enrol.renew(here.conn, here.settings, here.clock)
    assert serial_of(here) == second.serial


def test_a_certificate_that_was_replaced_renews_no_more(here: Box, bridge: Bridge) -> None:
    """A copy of it, with the station's own key to sign, gets no other: the station itself is not revoked, and goes on with the new one."""
    go(here, bridge, bridge.paper())
    files = enrolment.files_of(here.settings)
    assert files is not None
    old = files.cert.read_bytes()
    now = go(here, bridge, bridge.paper()).one
    files = enrolment.files_of(here.settings)
    assert files is not None
    newer = files.cert.read_bytes()
    files.cert.write_bytes(old)
    with pytest.raises(Refused, match="revoked"):
        enrol.renew(here.conn, here.settings, here.clock)
    files.cert.write_bytes(newer)
    assert enrol.renew(here.conn, here.settings, here.clock).serial != now.serial


def test_a_revoked_station_renews_no_more(here: Box, bridge: Bridge) -> None:
    """Nor does its old paper work, nor an open one; a new paper, made on purpose, does."""
    ticket = bridge.paper()
    go(here, bridge, ticket)
    unused = bridge.paper()
    with writing(bridge.engine) as tx:
        assert bridge_enrolment.revoke(tx, "tram-0001", bridge.wall, "cli:thu") == 1
    with pytest.raises(Refused, match="revoked"):
        enrol.renew(here.conn, here.settings, here.clock)
    refused_with(here, bridge, unused, "cancelled")
    refused_with(here, bridge, ticket, "has been used")
    assert go(here, bridge, bridge.paper()).station == "tram-0001"
    with reading(bridge.engine) as tx:
        known = stations.get(tx, "tram-0001")
        assert known is not None and known.revoked is None and len(rows.denied(tx, bridge.wall)) == 1


@pytest.mark.parametrize(
    ("text", "words"), [("B1A9", "24 letters"), ("U" * 24, "letters without U"), ("9" * 24, "compare"), ("TRAM1/x", "not a QR code")]
)
def test_a_slip_of_the_finger_is_named(text: str, words: str) -> None:
    """Too short, a letter that is none, a wrong check, another QR code: said before anybody is asked."""
    with pytest.raises(Refused, match=words):
        enrol.ticket_of(text)


def test_in_service_no_station_comes_without_a_certificate(tmp_path: Path) -> None:
    """Where environment is production the carrier names what is missing, TLS or the certificate, and what to do."""
    for broker, key in ((Broker(), "broker.tls"), (Broker(tls=True), "broker.cert")):
        with pytest.raises(SettingsError, match="tram enrol") as no:
            carry.broker_of(Settings(environment="production", broker=broker))
        assert no.value.key == key


def test_the_carrier_asks_for_the_next_certificate_by_itself(here: Box, bridge: Bridge) -> None:
    """Nothing while it is young; at contact once a third is left; without contact only when it has ended."""
    first = go(here, bridge, bridge.paper()).one
    settings = enrolment.with_identity(replace(here.settings, broker=Broker(tls=True)))
    heard = io.StringIO()
    context = carry.broker_of(settings).context
    turn = carry.renewal(here.conn, settings, here.clock, journal.open("carry", heard), context)
    assert turn is not None and carry.renewal(here.conn, settings, here.clock, journal.open("carry", heard), None) is None
    turn(True)
    assert serial_of(here) == first.serial
    here.conn.execute("UPDATE enrolment SET at = at - 18000000000 / 10, ends = at + 36000000")
    turn(False)
    assert serial_of(here) == first.serial
    turn(True)
    assert serial_of(here) != first.serial and "renewed" in heard.getvalue()
