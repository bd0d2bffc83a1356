"""The projection behind a trend: what stands, in the order of time, and nothing else."""

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind, Source
from appliance.store import corrections, history, measuring, migrations
from tests.store.station import Station

EVER = (0, 1 << 40)


def test_saving_draws_and_measuring_alone_does_not(station: Station) -> None:
    """A value is drawn from *Lưu* on, with its device, source and status; a value that is missing is None and never 0."""
    patient = station.patient()
    seen = station.observe(station.session(patient), station.reading(121, status=Status.TEST_DATA))
    assert history.vitals(station.conn, patient, *EVER) == []
    measuring.record(station.conn, seen.measurement, staff="an", now=station.later(2))
    (one,) = history.vitals(station.conn, patient, *EVER)
    assert (one.systolic, one.diastolic, one.pulse, one.spo2) == (121, 74, 85, None)
    assert one.status & Status.TEST_DATA and one.source == Source.LIVE


def test_a_reading_out_of_a_memory_is_drawn_when_it_was_measured(station: Station) -> None:
    """By the device's own clock where it can be read; a clock that cannot be read is passed over."""
    reading = Reading(ReadingKind.SPO2, 1, (Numeric(Metric.SPO2, 97),), station.now, Source.MEMORY, "2026-05-28T10:00:00")
    assert history.measured(reading) == 17_799_372_000
    odd = Reading(ReadingKind.SPO2, 1, (Numeric(Metric.SPO2, 97),), station.now, Source.MEMORY, "0001-01-01T00:00:00")
    assert history.measured(odd) == history.measured(Reading(ReadingKind.SPO2, 1, (), station.now))


def test_what_has_no_drawn_value_has_no_row(station: Station) -> None:
    """A weight is in the record and in no picture."""
    patient = station.patient()
    weight = Reading(ReadingKind.WEIGHT, 3, (Numeric(Metric.WEIGHT, 612, Status(0), 1),), station.now)
    seen = station.observe(station.session(patient), weight)
    measuring.record(station.conn, seen.measurement, staff="an", now=station.later(2))
    assert history.vitals(station.conn, patient, *EVER) == []
    assert len(corrections.listing(station.conn, patient, 5)) == 1


def test_only_the_months_that_were_asked_for(station: Station) -> None:
    """From since to until, the oldest first, of one patient."""
    patient, other = station.patient(), station.patient("Thử Nghiệm Hai")
    for days in (0, 10, 400):
        station.later(days * 86_400)
        station.saved(patient, 110 + days % 90)
        station.saved(other)
    now = station.now.wall
    assert [one.systolic for one in history.vitals(station.conn, patient, now - history.YEAR_TENTHS, now)] == [150]
    assert [one.systolic for one in history.vitals(station.conn, patient, *EVER)] == [110, 120, 150]


def test_a_store_from_before_gets_its_rows_when_it_is_migrated(station: Station) -> None:
    """What was saved before there were trends is drawn; a damaged row is passed over and stays for a person."""
    patient = station.patient()
    for value in (111, 122, 133):
        station.saved(patient, value)
    station.conn.execute("DELETE FROM vital")
    station.conn.execute("UPDATE observation SET crc = crc + 1 WHERE id = 2")
    for row in station.conn.execute("SELECT id, patient, reading, crc FROM observation").fetchall():
        migrations._draw(station.conn, *row)
    assert [one.systolic for one in history.vitals(station.conn, patient, *EVER)] == [111, 133]
