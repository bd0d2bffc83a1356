"""The same bugs in the real commands, with a real broker between them: each is caught; the honest commands pass the same looks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.contract.topics import UP, topic
from appliance.database import transaction
from appliance.relay.line import Acked
from appliance.relay.link import Broker, MqttLink
from appliance.store import measuring, patients, staff
from tests import servers
from tests.polling import until
from tests.relay.brokers import heard
from tests.relay.site import SHARD, STATION, Site


@pytest.fixture
def site(tmp_path: Path, mosquitto: Callable[..., servers.Broker]) -> Iterator[Site]:
    """Both ends and a broker; nothing runs yet."""
    made = Site(tmp_path, mosquitto().port)
    yield made
    made.close()


def settled(site: Site) -> None:
    """The bridge has vouched for everything."""
    until(lambda: site.waiting() == 0, 30.0, what="everything to be received")


def away(site: Site, bug: str) -> set[tuple[int, int]]:
    """The bridge dies, the station goes on speaking to the broker; what it then calls received without being there."""
    site.start("tram-bridge", "carry")
    site.start("tram", "carry", bug=bug)
    site.record()
    settled(site)
    site.kill("tram-bridge")
    site.record((0, 2, 2))
    until(lambda: site.conn.execute("SELECT count(*) FROM parcel").fetchone()[0] >= 3, 20.0, what="the parcels to be made")
    for _ in range(8):  # a PUBACK alone wakes nobody: something more has to happen
        site.record()
        try:
            until(site.missing, 0.5)
        except AssertionError:
            continue
        break
    return site.missing()


def test_settling_at_puback_is_caught(site: Site) -> None:
    """The broker acknowledges, nobody has it, and the station believes it received."""
    assert away(site, "settle-at-puback")


def test_the_honest_station_believes_no_broker(site: Site) -> None:
    """The same with the real command."""
    assert away(site, "") == set()
    site.start("tram-bridge", "carry")
    settled(site)
    assert (site.missing(), site.doubled()) == (set(), 0)


def killed(site: Site, bug: str, times: int) -> set[tuple[int, int]]:
    """The bridge is killed again and again while it takes things; what was called received and is not there, between death and return."""
    site.start("tram", "carry")
    for _ in range(times):
        site.start("tram-bridge", "carry", bug=bug)
        settled(site)
        before = site.received()
        site.record((0, 0, 2))
        until(lambda before=before: site.received() != before, 20.0, every=0.002)
        site.kill("tram-bridge")
        if site.missing():
            return site.missing()
    site.start("tram-bridge", "carry")
    settled(site)
    return site.missing()


def test_acknowledging_before_the_commit_is_caught(site: Site) -> None:
    """The receipt is there, the bridge dies in its slow commit, the events are not."""
    assert killed(site, "ack-before-commit", 12)


def test_the_honest_bridge_receipts_what_it_has(site: Site) -> None:
    """Killed at the same moments."""
    assert killed(site, "", 3) == set()
    assert site.doubled() == 0


def repeated(site: Site, bug: str) -> int:
    """Somebody sends a parcel of the station again; how many events the bridge has twice."""
    site.start("tram-bridge", "carry", bug=bug)
    site.start("tram", "carry")
    site.record((2, 2, 2))
    settled(site)
    port = site.settings.broker.port
    line = MqttLink(Broker("127.0.0.1", port, version="5"), "stranger", ["v1/00/nobody/down/0"])
    line.open()
    until(lambda: line.wait(0.05) or line.up, 10.0, every=0.0)
    line.happenings()
    for row in site.conn.execute("SELECT lane, payload FROM parcel WHERE lane = 2").fetchall():
        line.publish(topic(SHARD, STATION, UP, row[0]), bytes(row[1]))
        heard(line, Acked)
    line.close()
    site.record((0,))
    settled(site)
    return site.doubled()


def test_a_missing_duplicate_check_is_caught(site: Site) -> None:
    """What comes again is there twice."""
    assert repeated(site, "no-duplicate-check") > 0


def test_the_honest_bridge_keeps_a_repeat_once(site: Site) -> None:
    """The same parcel again changes nothing."""
    assert repeated(site, "") == 0


def torn(site: Site, bug: str) -> tuple[int, int]:
    """`tram observe` is killed as soon as its observation is there; (observations, events of observations)."""
    staff.add(site.conn, code="nv-1", name="Nhân Viên Thử", now=site.clock.stamp())
    now = site.clock.stamp()
    patients.register(site.conn, patients.PatientDraft(name="Thử Nghiệm Một", birth="1961"), patient=5, staff="nv-1", now=now)
    session = measuring.open_session(site.conn, patient=5, staff="nv-1", device="oximeter", now=site.clock.stamp())
    reading = Reading(ReadingKind.SPO2, short_of("oximeter"), (Numeric(Metric.SPO2, 97),), site.clock.stamp())
    measuring.observe(site.conn, reading, device="oximeter", began=session.id, now=site.clock.stamp(), raw=b"")
    process = site.start("tram", "observe", "--session", str(session.id), bug=bug)

    def count(table: str, where: str = "1") -> int:
        return int(site.conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])

    until(lambda: count("observation") or process.poll() is not None, 30.0, every=0.002)
    site.kill("tram")
    with transaction(site.conn):  # whoever held the lock is dead
        pass
    return count("observation"), count("outbox", "kind = 10")


def test_a_torn_record_is_caught(site: Site) -> None:
    """The observation is there, and nobody will ever hear of it."""
    assert torn(site, "two-transactions") == (1, 0)


def test_the_honest_record_is_whole(site: Site) -> None:
    """Whenever the observation can be seen, its event is there too."""
    assert torn(site, "") == (1, 1)
