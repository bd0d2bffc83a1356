"""The bridge's side of enrolment on both databases: papers, locks, the log that only grows; rights that come from one table."""

import json
import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import DBAPIError

from appliance.contract import enrolment as wire
from appliance.contract.enrolment import EnrolAsked
from cloud_bridge import ca, enrolment, tokenpaper, topicwalls
from cloud_bridge.store import enrolment as rows
from cloud_bridge.store import stations
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.enrolment_tables import log
from cloud_bridge.topicwalls import ADMIN, CARRIER, Resident, Verb
from tests.bridge.test_ca import request
from tests.enrolling import Bridge, authority


@pytest.fixture
def bridge(tmp_path: Path, engine: Engine) -> Bridge:
    """A bridge whose door is not open."""
    return Bridge(tmp_path, engine, authority(tmp_path))


def ask(ticket: wire.Ticket, key: object = None, station: str = "tram-0001", sign: bytes = bytes(32)) -> bytes:
    """A box's request."""
    body = wire.write(EnrolAsked(ticket.id, station, request(key or ca.new_key()), 0, sign, ticket.secret))  # type: ignore[arg-type]
    return wire.vouch(ticket.lock, "ask", body)


def test_a_station_is_taken_in_once(bridge: Bridge) -> None:
    """The same box that asks again gets the same; another box with the same paper gets nothing."""
    ticket, key = bridge.paper(), ca.new_key()
    first, again = (enrolment.enrol(bridge.desk, ask(ticket, key), "10.0.0.1") for _ in range(2))
    chains = [wire.read(wire.Taken, wire.vouched(ticket.lock, "answer", one), wire.ANSWER_MOST).chain for one in (first, again)]
    assert chains[0] == chains[1] and len(chains[0]) == 3
    with pytest.raises(enrolment.No, match="used"):
        enrolment.enrol(bridge.desk, ask(ticket), "10.0.0.2")
    with reading(bridge.engine) as tx:
        assert len(rows.certificates(tx, "tram-0001")) == 1
        assert {"enrolled", "token.made", "enrol.refused"} == {one.what for one in rows.entries(tx)}


def test_a_new_box_makes_the_old_one_worthless(bridge: Bridge) -> None:
    """A second paper for a station: its certificates of before go on the list, its key is replaced."""
    enrolment.enrol(bridge.desk, ask(bridge.paper()), "10.0.0.1")
    enrolment.enrol(bridge.desk, ask(bridge.paper(), sign=b"\x01" * 32), "10.0.0.1")
    with reading(bridge.engine) as tx:
        found, known = rows.certificates(tx, "tram-0001"), stations.get(tx, "tram-0001")
        assert sorted(one.revoked is None for one in found) == [False, True] and len(rows.denied(tx, bridge.wall)) == 1
        assert known is not None and known.public == b"\x01" * 32


def test_hostile_requests_are_refused_in_one_word(bridge: Bridge) -> None:
    """Noise and changed bytes: `No` and nothing else, and no certificate."""
    ticket = bridge.paper()
    good = ask(ticket)
    for number in range(0, len(good), 7):
        bad = bytearray(good)
        bad[number] ^= 0x55
        with pytest.raises(enrolment.No):
            enrolment.enrol(bridge.desk, bytes(bad), "10.0.0.1")
    for data in (b"", b"\xa0", os.urandom(200), good[:-1], good + b"x"):
        with pytest.raises(enrolment.No):
            enrolment.enrol(bridge.desk, data, "10.0.0.1")
    with reading(bridge.engine) as tx:
        assert rows.certificates(tx) == []


def test_the_log_only_grows(bridge: Bridge) -> None:
    """The database itself refuses to change or remove a line."""
    bridge.paper()
    for statement in (update(log).values(who="nobody"), delete(log)):
        with pytest.raises(DBAPIError), writing(bridge.engine) as tx:
            tx.execute(statement)


def test_waves(bridge: Bridge) -> None:
    """A station is in one wave."""
    with writing(bridge.engine) as tx:
        rows.set_wave(tx, "tram-0001", "1")
        rows.set_wave(tx, "tram-0001", "pilot")
        assert rows.waves(tx) == {"tram-0001": "pilot"}


def test_the_six_words_are_66_bits() -> None:
    """2048 different words without marks, six of them, and one changed byte changes them."""
    words = wire.word_list()
    assert len(words) == len(set(words)) == 1 << wire.WORD_BITS and all(word.isascii() and word.isalpha() for word in words)
    pins = (wire.Pin("receipt", 0, bytes(32)),)
    one = wire.phrase_of(b"root", b"key", bytes(32), pins)
    assert one != wire.phrase_of(b"root", b"key", bytes(32), (wire.Pin("receipt", 0, b"\x01" + bytes(31)),))


def test_one_wrong_letter_is_found() -> None:
    """Every single wrong letter of a typed token, and every two that were swapped."""
    text = wire.spell(bytes(range(16))).replace("-", "")
    missed = 0
    for place in range(24):
        for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ":
            wrong = text[:place] + letter + text[place + 1 :]
            missed += wrong != text and readable(wrong)
    for place in range(23):
        wrong = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        missed += wrong != text and readable(wrong)
    assert missed <= 4, "ten bits of check let one in a thousand through"


def readable(text: str) -> bool:
    """Whether somebody would be let type this."""
    try:
        return bool(wire.read_ticket(text))
    except ValueError:
        return False


def test_both_forms_of_the_rights_come_from_the_table() -> None:
    """A revoked station is in neither with a right; the file names every topic of the table and no other."""
    ours, gone = Resident("tram-0001", 7), Resident("tram-0002", 7, disabled=True)
    said = json.loads(topicwalls.dynamic_security([ours, gone]))
    assert {one["username"]: bool(one["roles"]) for one in said["clients"]} == {
        CARRIER: True,
        ADMIN: True,
        "tram-0001": True,
        "tram-0002": False,
    }
    text = topicwalls.acl_file([ours, gone])
    assert "topic write v1/07/tram-0001/up/+" in text and "tram-0002" not in text and "$CONTROL" not in text
    assert topicwalls.allowed("station", Verb.PUBLISH, "v1/07/tram-0001/up/3", 7, "tram-0001")
    assert not topicwalls.allowed("station", Verb.SUBSCRIBE, "v1/07/+/down/3", 7, "tram-0001")


def test_the_paper_as_a_pdf(tmp_path: Path) -> None:
    """A reader opens it, and a scanner reads the code that is on it."""
    import pypdfium2
    import zxingcpp

    ticket = wire.Ticket(bytes(range(16)), "tram-0001", "bridge.example.org", 8443, bytes(32))
    paper = tokenpaper.Paper("tram-0001", "KTV. Lê Thử (A5)", "29/11/2026", wire.qr_text(ticket), wire.spell(ticket.secret))
    document = pypdfium2.PdfDocument(tokenpaper.pdf(paper))
    picture = document[0].render(scale=3).to_pil()
    text = document[0].get_textpage().get_text_bounded()
    document.close()
    (found,) = zxingcpp.read_barcodes(picture)
    assert wire.read_ticket(found.text) == ticket
    assert paper.letters in text and "KTV. Le Thu (A5)" in text


def test_the_rights_of_a_broker_that_stands_before_any_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    """They come from the same table without a store; a wrong station is refused with an example."""
    from cloud_bridge.cli import main

    assert main(["broker-acl", "--fresh", "--station", "tram-0001:7"]) == 0
    assert capsys.readouterr().out == topicwalls.dynamic_security([Resident("tram-0001", 7)])
    assert main(["broker-acl", "--fresh", "--form", "acl", "--station", "tram-0001:7"]) == 0
    assert capsys.readouterr().out == topicwalls.acl_file([Resident("tram-0001", 7)])
    for wrong in (
        ["--fresh", "--station", "tram-0001"],
        ["--fresh", "--station", "tram-admin:0"],
        ["--fresh", "--station", "a:64"],
        ["--station", "a:1"],
    ):
        assert main(["broker-acl", *wrong]) != 0
        assert "tram-0001:7" in capsys.readouterr().err
