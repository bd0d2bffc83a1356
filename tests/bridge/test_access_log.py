"""Who looked at whom: written before the page is sent, for ever, and shown to whoever may see the patient."""

import pytest
from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from appliance.contract import events as ev
from appliance.contract.ids import spell
from cloud_bridge.store import access
from cloud_bridge.store.access import AGAIN
from cloud_bridge.store.console_tables import access_log
from cloud_bridge.store.engine import reading, writing
from tests.bridge.conftest import PASSWORD, Office
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, oxygen, pressure, recorded, who
from tests.bridge.test_claim import review, url

RECORD = f"/patients/{STATION}/{PATIENT}"


@pytest.fixture
def desk(offices: Office) -> Office:
    """An office with one request and a second patient, on both databases."""
    offices.hear(asked(900, (pressure(), oxygen(5))), asked(901, (), identity=who(OTHER)))
    return offices


def looks(office: Office, patient: int = PATIENT) -> list[tuple[str, str]]:
    """Who did what with a patient, in order."""
    with reading(office.engine) as tx:
        return [(one.login, one.what) for one in reversed(access.of_patient(tx, STATION, patient))]


def test_everything_somebody_does_with_a_record_is_written_down(desk):
    """Opening, asking, taking, giving back, signing, the record, its list of looks: each with the login, at its patient and at no other."""
    doctor = desk.doctor()
    doctor.get(url())
    doctor.send(f"{url()}/question", text="Đau từ bao giờ?")
    doctor.send(f"{url()}/release")
    doctor.send(f"{url()}/claim")
    fields = review(doctor, "Nghỉ ngơi")
    doctor.send(f"{url()}/sign", password=PASSWORD, **fields)
    viewer = desk.doctor("xem")
    viewer.get(RECORD)
    viewer.get(f"{RECORD}/access")
    said = looks(desk)
    assert [one for one in said if one[1] != "view"] == [
        ("bs.thu", "question"), ("bs.thu", "release"), ("bs.thu", "claim"), ("bs.thu", "sign"), ("xem", "record"), ("xem", "access"),
    ]  # fmt: skip
    assert said[0] == ("bs.thu", "view")
    assert looks(desk, OTHER) == []
    listed = viewer.get(f"{RECORD}/access").text
    for word in ("Ai đã xem hồ sơ này", "BS. Trần Thử", "ký trả lời", "Người Xem", "mở hồ sơ"):
        assert word in listed, word


def test_what_did_not_happen_is_not_written_down(desk):
    """A refused signature is a look and no signature; a page that does not exist and another's hold are nothing at all."""
    doctor, second = desk.doctor(), desk.doctor("bs.hai")
    doctor.get(url())
    second.send(f"{url()}/claim")
    second.send(f"{url()}/sign", password="wrong-password-here")
    second.get(f"/consults/{STATION}/999")
    assert looks(desk) == [("bs.thu", "view"), ("bs.hai", "view")]


def test_a_page_that_stays_open_is_noted_once_in_ten_minutes(desk):
    """The live part says so when it brought something, and programs' reading too; not twice a second."""
    doctor = desk.doctor()
    for _ in range(5):
        doctor.get(f"{url()}/live")
        doctor.get(f"{url()}.json")
        desk.time.turn(1)
    assert looks(desk) == [("bs.thu", "stay"), ("bs.thu", "data")]
    desk.time.turn(AGAIN / 10)
    doctor.get(f"{url()}/live")
    assert looks(desk).count(("bs.thu", "stay")) == 2


def test_a_page_that_cannot_be_written_down_is_not_sent(office, monkeypatch):
    """The log is away: 503 and no byte of the patient, on the page, its live part and for programs."""
    office.hear(asked(900, (pressure(),)))
    doctor = office.doctor()

    def away(*_args: object, **_named: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(access, "note", away)
    for path in (url(), f"{url()}/live", f"{url()}.json", RECORD, f"{RECORD}/access"):
        answer = doctor.get(path)
        assert answer.status_code == 503, path
        assert "Nguyễn" not in answer.text
        assert "115/74" not in answer.text
        assert "disk full" not in answer.text


@pytest.mark.parametrize(
    "change",
    [
        update(access_log).values(login="nobody"),
        delete(access_log),
        update(access_log).where(access_log.c.id == 1).values(patient=None),
    ],
)
def test_the_log_is_only_added_to(engine: Engine, change):
    """Both databases refuse to change or remove a row, whoever asks; what stood there stands there."""
    with writing(engine) as tx:
        row = {"at": 1, "login": "bs.thu", "name": "BS. Thử", "organisation": "", "station": STATION, "patient": PATIENT}
        tx.execute(access_log.insert().values(**row, consult=900, what="view"))
    with pytest.raises(DBAPIError, match="only added to"), writing(engine) as tx:
        tx.execute(change)
    if engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="only added to"), writing(engine) as tx:
            tx.execute(text("TRUNCATE access_log"))
    with reading(engine) as tx:
        assert tx.execute(select(func.count()).select_from(access_log)).scalar_one() == 1


def test_an_erased_record_leaves_a_log_that_names_nobody(desk):
    """After a tombstone the list of looks is gone with the record; the rows stay, and hold a number and no word of the patient."""
    doctor = desk.doctor()
    doctor.get(url())
    desk.hear(recorded(oxygen(30)), event(ev.Tombstone(PATIENT, "theo yêu cầu"), 400))
    assert doctor.get(f"{RECORD}/access").status_code == 404
    assert ("bs.thu", "view") in looks(desk)
    with reading(desk.engine) as tx:
        rows = repr([tuple(row) for row in tx.execute(select(access_log))])
    assert "Nguyễn" not in rows
    assert "001161000001" not in rows
    assert spell(PATIENT) not in rows
