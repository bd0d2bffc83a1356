"""The collector on a hand-turned clock: whose measurement it is, what the live file says, what a lost line does."""

import json
from collections.abc import Callable, Iterator

import pytest

from appliance.agent.collect import Collector, DeviceTakenError, Job, NotInServiceError, check, run
from appliance.contract.events import DeviceRegistered, ObservationRecorded
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.drivers.contec_cms50 import ContecCms50
from appliance.devices.errors import PortUsedError
from appliance.devices.sim.suntech_nibp import result
from appliance.store import measuring
from appliance.store.measuring import State
from tests.agent.collecting import TURN_S, Room, numbers
from tests.store.station import Station

OXIMETER = "oximeter"


@pytest.fixture
def room(station: Station) -> Iterator[Callable[..., Room]]:
    """A function that makes a room with a running collector; all are closed with the test."""
    made: list[Room] = []

    def make(driver: str = "contec-cms50", *, job: dict[str, object] | None = None, **options: str) -> Room:
        device = OXIMETER if driver.startswith("contec-") else "cuff"
        made.append(Room(station, driver, device=device, **({"finger": "out"} if device == OXIMETER else {}) | options))
        return made[-1].begin(**(job or {}))

    yield make
    for each in made:
        each.close()


def test_a_finger_in_a_session_settles_there(room: Callable[..., Room], station: Station) -> None:
    """One placement, one measurement, in the session of its first sample, with the whole of its statistics."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(14)
    (row,) = here.rows()
    assert (row.state, row.session) == (State.SETTLED, session)
    assert 93 <= (numbers(row)[Metric.SPO2] or 0) <= 99
    assert numbers(row)[Metric.WINDOW] == 100
    assert row.raw[0] == 1
    assert len(row.raw) == 9
    assert row.reading.rule == 1
    here.run(20)
    assert len(here.rows()) == 1, "the same finger is measured once"


def test_the_steps_of_a_reading_are_written_down(room: Callable[..., Room], station: Station) -> None:
    """read, feed, settle, observe, in their order, with one reading key; the times do not run backwards."""
    here = room().until_ready()
    station.session(station.patient(), OXIMETER)
    here.finger("in").run(14)
    steps = here.steps()
    (row,) = here.rows()
    assert [each["step"] for each in steps] == ["read", "feed", "settle", "observe"]
    assert {each["reading_key"] for each in steps} == {row.key.hex()}
    assert {each["measurement"] for each in steps} == {row.id}
    assert [each["boottime_ns"] for each in steps[:3]] == sorted(each["boottime_ns"] for each in steps[:3])


def test_without_a_session_it_lies_in_the_tray(room: Callable[..., Room]) -> None:
    """Nobody said whose finger it is: it is nobody's."""
    here = room().until_ready().finger("in").run(14)
    (row,) = here.rows()
    assert (row.state, row.why) == (State.UNASSIGNED, "no-session")


def test_a_session_opened_after_the_first_sample_is_too_late(room: Callable[..., Room], station: Station) -> None:
    """The finger was in before the patient was named: it may be somebody else's."""
    here = room().until_ready().finger("in").run(5)
    session = station.session(station.patient(), OXIMETER)
    here.run(10)
    (row,) = here.rows()
    assert (row.state, row.why) == (State.UNASSIGNED, "no-session")
    here.finger("out").run(2)
    here.finger("in").run(14)
    assert here.rows()[-1].session == session


def test_another_patient_opened_in_mid_measurement(room: Callable[..., Room], station: Station) -> None:
    """The device was given to somebody else while the first one's finger was in: the measurement is neither's."""
    here = room().until_ready()
    station.session(station.patient("Thử Nghiệm Một"), OXIMETER)
    here.finger("in").run(6)
    station.session(station.patient("Thử Nghiệm Hai"), OXIMETER)
    here.run(10)
    (row,) = here.rows()
    assert (row.state, row.why, row.session) == (State.UNASSIGNED, "session-changed", None)


def test_the_session_is_looked_up_at_the_first_sample_itself(room: Callable[..., Room], station: Station) -> None:
    """The device was given to somebody else a fifth of a second before: what the collector knew until then does not count."""
    here = room().until_ready()
    station.session(station.patient("Thử Nghiệm Một"), OXIMETER)
    here.run(1)
    looked = here.collector._look_ns
    while here.collector._look_ns == looked:
        here.run(TURN_S)
    here.run(0.3).finger("in").run(1.84)
    assert here.collector._settler.measuring_since is None
    second = station.session(station.patient("Thử Nghiệm Hai"), OXIMETER)
    here.run(0.12)
    assert here.collector._session != second, "the test wants the moment in which the collector has not looked yet"
    here.run(14)
    (row,) = here.rows()
    assert (row.state, row.session) == (State.SETTLED, second)


def stall(here: Room) -> Callable[[float], None]:
    """The collector does nothing for a while (a busy box, a slow card); what the device says waits in the line. Lets time pass."""
    held, read = bytearray(), here.cable.read

    def wait(seconds: float) -> None:
        for _ in range(round(seconds / TURN_S)):
            held.extend(here.cable.script.output(here.station.clock.boottime_ns()))
            here.station.hand.seconds += TURN_S

    def late(now_ns: int) -> bytes:
        here.cable.read = read
        return bytes(held) + read(now_ns)

    here.cable.read = late
    return wait


@pytest.mark.parametrize("before", [0.2, 2.5])
def test_bytes_that_waited_in_the_line_are_not_the_next_patients(room: Callable[..., Room], station: Station, before: float) -> None:
    """Nobody listened while the finger of one was in and another was named: that finger stays nobody's until it is out."""
    here = room().until_ready()
    station.session(station.patient("Thử Nghiệm Một"), OXIMETER)
    here.finger("in").run(5)
    wait = stall(here)
    wait(before)
    second = station.session(station.patient("Thử Nghiệm Hai"), OXIMETER)
    wait(2)
    here.run(14)
    assert {(row.state, row.session) for row in here.rows()} == {(State.UNASSIGNED, None)}
    here.finger("out").run(2)
    here.finger("in").run(14)
    assert (here.rows()[-1].state, here.rows()[-1].session) == (State.SETTLED, second)


def test_a_finger_that_left_while_nobody_listened_voids_nothing(room: Callable[..., Room], station: Station) -> None:
    """Out before the next patient was named, and that was heard: the next finger is the next patient's."""
    here = room().until_ready()
    station.session(station.patient("Thử Nghiệm Một"), OXIMETER)
    here.finger("in").run(5)
    wait = stall(here)
    wait(1)
    here.finger("out")
    wait(1)
    second = station.session(station.patient("Thử Nghiệm Hai"), OXIMETER)
    wait(1)
    here.finger("in").run(14)
    assert (here.rows()[-1].state, here.rows()[-1].session) == (State.SETTLED, second)


def test_a_slow_card_costs_no_measurement_of_the_same_patient(room: Callable[..., Room], station: Station) -> None:
    """The session stood all the time: what waited in the line is of that patient."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(6)
    stall(here)(1.5)
    here.run(14)
    assert [(row.state, row.session) for row in here.rows()] == [(State.SETTLED, session)]


@pytest.mark.parametrize("tenths", [-36_000_000, -20, 20, 36_000_000], ids=["41 days back", "2 s back", "2 s ahead", "41 days ahead"])
def test_a_clock_that_is_set_in_mid_measurement_changes_nothing(room: Callable[..., Room], station: Station, tenths: int) -> None:
    """The network's time comes in the sixth second of ten: same window, same patient, one reading, and its session still stands."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(8)
    assert here.collector._settler.collecting
    station.hand.wall += tenths
    here.run(7)
    (row,) = here.rows()
    assert (row.state, row.session, row.reading.rule) == (State.SETTLED, session, 1)
    window = next(each.number for each in row.reading.numerics if each.metric is Metric.WINDOW)
    assert window == 10
    assert here.rows() == here.run(5).rows()
    measuring.end_session(station.conn, session, "done", station.now)
    assert measuring.session_for(station.conn, OXIMETER, station.later(0.2)) is None


def test_a_screen_closed_in_mid_measurement(room: Callable[..., Room], station: Station) -> None:
    """The session ended before the measurement settled: nobody's."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(6)
    measuring.end_session(station.conn, session, "screen-closed", station.now)
    here.run(10)
    (row,) = here.rows()
    assert (row.state, row.why) == (State.UNASSIGNED, "session-ended")


def test_a_device_that_reconnects_in_mid_measurement(room: Callable[..., Room], station: Station) -> None:
    """Out and in again within two seconds: what was cut off is void, and so is what the same finger gives next."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(6)
    here.cable.plugged = False
    here.run(0.5)
    assert here.live()["state"] == "lost"
    here.cable.plugged = True
    here.run(16)
    assert [(row.state, row.why) for row in here.rows()] == [(State.UNASSIGNED, "reconnected")] * 2
    here.finger("out").run(2)
    here.finger("in").run(14)
    assert (here.rows()[-1].state, here.rows()[-1].session) == (State.SETTLED, session)


def test_a_reconnect_without_a_finger_voids_nothing(room: Callable[..., Room], station: Station) -> None:
    """The adapter came and went between two patients."""
    here = room().until_ready()
    here.cable.plugged = False
    here.run(5)
    here.cable.plugged = True
    session = station.session(station.patient(), OXIMETER)
    here.until_ready().finger("in").run(14)
    assert [(row.state, row.session) for row in here.rows()] == [(State.SETTLED, session)]


def test_a_line_that_stays_away_ends_the_stream(room: Callable[..., Room], station: Station) -> None:
    """The stream was cut and does not come back: a short measurement of its own session, marked as early."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(6)
    here.cable.plugged = False
    here.run(4)
    (row,) = here.rows()
    assert (row.state, row.session, row.reading.rule) == (State.SETTLED, session, 2)
    assert row.reading.status & Status.EARLY_INDICATION


def test_two_devices_in_two_sessions_do_not_mix(room: Callable[..., Room], station: Station) -> None:
    """Two kiosks, two patients, two devices at the same time: each reading is its own patient's."""
    oximeter, cuff = room().until_ready(), room("suntech-nibp-unasked", unasked="0.2").run(1)
    one, two = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    station.session(one, OXIMETER)
    station.session(two, "cuff")
    oximeter.finger("in")
    for _ in range(700):
        oximeter.collector.turn()
        cuff.run(TURN_S)
    by_device = {(row.device, row.patient) for row in oximeter.rows() if row.state is State.SETTLED}
    assert by_device == {(OXIMETER, one), ("cuff", two)}


# --- headless and once ------------------------------------------------------------------------------------------------


def test_what_a_device_remembers_is_nobodys(room: Callable[..., Room], station: Station) -> None:
    """A cuff that was used in the night reports when it is plugged in: not a measurement of whoever sits there now."""
    session = station.session(station.patient(), "cuff")
    old = room("ieee11073", kind="cuff", cycle="2", late="600").run(4)
    (row,) = old.rows()
    assert (row.session, row.reading.source) == (None, Source.MEMORY)
    assert session


def test_a_cuff_that_began_before_the_patient_was_named_is_nobodys(room: Callable[..., Room], station: Station) -> None:
    """Its own button was pressed on somebody else: the result comes seconds after the next one was named, and no cuff is so quick."""
    here = room("ieee11073", kind="cuff", cycle="8").run(4)
    station.session(station.patient(), "cuff")
    here.run(6)
    (row,) = here.rows()
    assert (row.session, row.state, row.why) == (None, State.UNASSIGNED, "no-session")


@pytest.mark.parametrize("kind", ["cuff", "scale", "oximeter"])
@pytest.mark.parametrize(("named", "whose"), [(40, False), (100, True)])
def test_what_was_measured_before_the_patient_was_named_is_nobodys(
    room: Callable[..., Room], station: Station, kind: str, named: float, whose: bool
) -> None:
    """A report is 70 seconds old by the device's own clock: it belongs to whoever sat there then, or to nobody."""
    session = station.session(station.patient(), "cuff")
    station.later(named)
    here = room("ieee11073", kind=kind, cycle="4", late="70").run(9)
    row = here.rows()[0]
    assert (row.session, row.reading.source) == (session if whose else None, Source.LIVE)


def test_a_lone_report_that_waited_is_not_the_next_patients(room: Callable[..., Room], station: Station) -> None:
    """An oximeter's report is held for three seconds, for it may begin a stream; who is named meanwhile did not have the finger in."""
    here = room("ieee11073", kind="oximeter", cycle="20")
    while not getattr(here.collector._driver, "_waiting", None):
        here.run(TURN_S)
    station.session(station.patient(), "cuff")
    here.run(4)
    (row,) = here.rows()
    assert (row.session, row.state) == (None, State.UNASSIGNED)


def test_what_a_device_has_just_measured_is_the_sessions(room: Callable[..., Room], station: Station) -> None:
    """The same cuff, used by the person who sits there."""
    session = station.session(station.patient(), "cuff")
    station.later(11)
    (row,) = room("ieee11073", kind="cuff", cycle="2").run(4).rows()
    assert (row.session, row.reading.source) == (session, Source.LIVE)


def test_a_memory_that_is_read_is_nobodys(room: Callable[..., Room], station: Station) -> None:
    """Also a series: the session is for the finger that is in it now."""
    station.session(station.patient(), OXIMETER)
    here = room("contec-cms50", stored="24").until_ready()
    driver = here.collector._driver
    assert isinstance(driver, ContecCms50)
    now = here.station.clock.boottime_ns()
    here.collector._take(driver.recall(now), now)
    here.run(8)
    assert [(row.session, row.reading.source) for row in here.rows()] == [(None, Source.MEMORY)] * 2


@pytest.mark.parametrize(("driver", "count"), [("contec08a", 9), ("omron-hem790", 6), ("omron-hem7301", 3)])
def test_a_memory_over_usb_lies_in_the_tray_once(room: Callable[..., Room], station: Station, driver: str, count: int) -> None:
    """Everything that a cuff holds, of all its users, is nobody's yet; plugged in again it says all of it again, and nothing is new."""
    station.session(station.patient(), "cuff")
    here = room(driver, stored="3").run(8)
    assert [(row.session, row.reading.source) for row in here.rows()] == [(None, Source.MEMORY)] * count
    here.cable.plugged = False
    here.run(2)
    here.cable.plugged = True
    here.run(12)
    assert len(here.rows()) == count
    assert here.live()["state"] == "ready"


def test_a_headless_session_records_at_once(room: Callable[..., Room], station: Station) -> None:
    """Observation and outbox row without a browser; the journal names the place on the wire."""
    patient = station.patient()
    session = station.session(patient, OXIMETER)
    here = room(job={"session": session}).until_ready().finger("in").run(14)
    (row,) = here.rows()
    assert row.state is State.RECORDED
    (event,) = station.events(ObservationRecorded.KIND)
    assert isinstance(event.body, ObservationRecorded)
    assert (event.body.patient, event.body.reading.key, event.actor) == (patient, row.key, "an")
    last = here.steps()[-1]
    assert last["step"] == "record"
    assert {"lane", "seq", "epoch", "reading_key"} <= set(last)


def test_a_headless_collector_takes_only_its_own_session(room: Callable[..., Room], station: Station) -> None:
    """Another session on the device is not its business: nobody's, and nothing is recorded."""
    first = station.session(station.patient("Thử Nghiệm Một"), OXIMETER)
    here = room(job={"session": first}).until_ready()
    station.later(1)
    station.session(station.patient("Thử Nghiệm Hai"), OXIMETER)
    here.finger("in").run(14)
    (row,) = here.rows()
    assert row.state is State.UNASSIGNED
    assert station.events(ObservationRecorded.KIND) == []


def test_once_ends_after_the_first_measurement(room: Callable[..., Room], station: Station) -> None:
    """And the process leaves in good order: no live file, no socket."""
    here = room(job={"once": True}).until_ready().finger("in")
    turn = here.collector.turn

    def turned() -> None:
        turn()
        station.hand.seconds += TURN_S

    here.collector.turn = turned
    here.collector.wait = lambda: None
    assert run(here.collector) == 0
    assert len(here.rows()) == 1


def test_leaving_keeps_what_was_measured(room: Callable[..., Room], station: Station) -> None:
    """A collector that is stopped in mid-measurement commits the short measurement, and asks the stream to stop."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.finger("in").run(6)
    here.collector.leave()
    (row,) = here.rows()
    assert (row.session, row.reading.rule) == (session, 2)
    assert here.cable.sent.endswith(bytes.fromhex("7D81A2808080808080"))


# --- what it is marked with -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_numbers_say_so(room: Callable[..., Room], station: Station, simulated: bool) -> None:
    """Every numeric of a simulated device carries test-data, in the store, in the live file, and in the device's registration."""
    station.session(station.patient(), OXIMETER)
    here = room(job={"simulated": simulated}).until_ready().finger("in").run(5)
    marks = {tuple(each["status"]) for each in here.live()["numerics"]}
    assert here.live()["test_data"] == simulated
    assert marks == ({("test-data",)} if simulated else {()})
    here.run(10)
    (row,) = here.rows()
    assert all(bool(each.status & Status.TEST_DATA) == simulated for each in row.reading.numerics)
    (event,) = station.events(DeviceRegistered.KIND)
    assert isinstance(event.body, DeviceRegistered)
    assert (event.body.test_data, event.body.model, event.body.name) == (simulated, "CMS50ESIM", "Máy thử")
    assert event.body.device == row.reading.device


def test_production_refuses_what_is_not_for_patients() -> None:
    """A simulated port, a device said to be simulated, and a driver for benches; the same are welcome elsewhere."""
    for job in (
        Job("a", "contec-cms50", "sim://contec-cms50"),
        Job("a", "contec-cms50", "/dev/x", simulated=True),
        Job("a", "suntech-nibp-unasked", "/dev/x"),
    ):
        with pytest.raises(NotInServiceError):
            check(job, "production")
        assert check(job, "demo").name == job.driver
    assert check(Job("a", "contec-cms50", "/dev/x"), "production").name == "contec-cms50"
    with pytest.raises(NotInServiceError, match="toaster"):
        check(Job("a", "toaster", "/dev/x"), "demo")
    with pytest.raises(NotInServiceError, match="colour"):
        check(Job("a", "contec-cms50", "sim://contec-cms50?colour=red"), "demo")


def test_an_impossible_reading_is_refused_and_counted(room: Callable[..., Room], station: Station) -> None:
    """Systolic not above diastolic: no measurement, a refusal with its reason, and no number on the screen."""
    here = room("suntech-nibp-unasked", unasked="0.001").run(1)
    station.session(station.patient(), "cuff")
    here.cable.script.device._replies.append((0, result(70, 90, 80, 60)))
    here.run(1)
    assert here.rows() == []
    assert measuring.refused(station.conn, "cuff") == 1
    assert here.live()["invalid"] == "impossible"
    assert here.live()["numerics"] == []
    assert here.live()["measurement"] is None


# --- the live file ----------------------------------------------------------------------------------------------------


def test_the_live_file_is_written_at_most_ten_times_a_second(room: Callable[..., Room]) -> None:
    """However fast the stream is; and at least once a second when nothing happens."""
    here = room().until_ready().finger("in").run(3)
    seen = []
    for _ in range(100):
        here.run(TURN_S)
        seen.append(here.live()["boottime_ns"])
    assert len(set(seen)) <= 21
    here.finger("out").run(3)
    seen.clear()
    for _ in range(150):
        here.run(TURN_S)
        seen.append(here.live()["boottime_ns"])
    gaps = [b - a for a, b in zip(sorted(set(seen)), sorted(set(seen))[1:], strict=False)]
    assert max(gaps) <= 1e9


def test_the_live_file_shows_the_moment(room: Callable[..., Room], station: Station) -> None:
    """The keys that the kiosk reads, the moving number, the signal; no number when there is none."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.run(1)
    live = here.live()
    assert set(live) >= {
        "device", "driver", "state", "session", "boottime_ns", "numerics", "signals", "invalid", "message", "test_data", "bad_ratio",
        "measurement",
    }  # fmt: skip
    assert (live["device"], live["driver"], live["state"], live["session"]) == (OXIMETER, "contec-cms50", "ready", session)
    assert (live["numerics"], live["invalid"], live["measurement"]) == ([], "probe-error", None)
    here.finger("in").run(1)
    assert here.live()["invalid"] == "searching"
    here.run(3)
    live = here.live()
    assert (live["state"], live["invalid"]) == ("measuring", None)
    assert [each["metric"] for each in live["numerics"]] == ["SPO2", "PULSE_RATE", "PERFUSION"]
    assert 0 <= live["signals"]["pleth"] <= 127
    here.run(10)
    assert here.live()["measurement"] == here.rows()[0].id


def test_the_number_of_an_unnamed_finger_is_in_no_session(room: Callable[..., Room], station: Station) -> None:
    """The live file says in whose session the moving number is: not in one that was opened after it began."""
    here = room().until_ready().finger("in").run(5)
    station.session(station.patient(), OXIMETER)
    here.run(2)
    assert here.live()["state"] == "measuring"
    assert here.live()["session"] is None


def test_states_follow_the_device(room: Callable[..., Room]) -> None:
    """Absent, identifying, ready, stale when it says nothing more, lost when the cable is pulled, and back."""
    here = room()
    here.cable.plugged = False
    here.run(1)
    assert here.live()["state"] == "absent"
    here.cable.plugged = True
    here.run(1.5)
    assert here.live()["state"] in ("identifying", "ready")
    here.run(2)
    assert here.live()["state"] == "ready"
    here.cable.script.order("silent", 0)
    here.run(4)
    assert here.live()["state"] == "stale"
    here.cable.script.order("resume", 0)
    here.run(8)
    assert here.live()["state"] == "ready"
    here.cable.plugged = False
    here.run(2)
    assert here.live()["state"] == "lost"
    here.cable.plugged = True
    here.run(4)
    assert here.live()["state"] == "ready"


def test_silence_takes_the_number_away(room: Callable[..., Room]) -> None:
    """A device that stops talking in mid-measurement shows no last value."""
    here = room().until_ready().finger("in").run(5)
    assert here.live()["numerics"]
    here.cable.script.order("silent", 0)
    here.run(1.5)
    assert here.live()["numerics"] == []


def test_noise_shows_as_a_ratio(room: Callable[..., Room]) -> None:
    """Bad bytes of all bytes, over the last seconds."""
    here = room().until_ready().finger("in").run(3)
    assert here.live()["bad_ratio"] == 0
    here.cable.script.order("noise", 0)
    here.run(6)
    assert here.live()["bad_ratio"] > 0.2


def test_a_port_used_by_another_program_is_said(room: Callable[..., Room]) -> None:
    """With its own word, and again tried later, not spun on."""
    here = room()
    tried = []

    def used(path: str, _line: object) -> None:
        tried.append(here.station.hand.seconds)
        raise PortUsedError(path, "the port is used by another program")

    here.collector._opens = used
    here.run(60)
    assert here.live()["message"] == "port-used"
    assert len(tried) <= 7
    here.collector._opens = here.cable.open
    here.run(40)
    assert here.live()["message"] is None


def test_a_second_collector_is_refused(room: Callable[..., Room], station: Station) -> None:
    """Two would steal each other's bytes."""
    here = room()
    with pytest.raises(DeviceTakenError):
        Room(station, "contec-cms50", device=OXIMETER).begin()
    here.run(0.2)
    assert here.live()["device"] == OXIMETER


def test_nothing_stays_behind(room: Callable[..., Room]) -> None:
    """Closed: no live file to be taken for the present, no socket to knock at."""
    here = room().run(1)
    here.collector.close()
    here.collector.close()
    assert sorted(each.name for each in here.run_dir.iterdir()) == [f".{OXIMETER}.lock"]
    here.begin()


# --- the store is away ------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_is_waited_for(room: Callable[..., Room], station: Station) -> None:
    """Measurements stay in hand, the live file says so, and everything is committed when the store is back: in the right session."""
    here = room().until_ready()
    session = station.session(station.patient(), OXIMETER)
    here.conn.execute("PRAGMA query_only = ON")
    here.finger("in").run(15)
    assert here.rows() == []
    assert here.live()["message"] == "store"
    here.conn.execute("PRAGMA query_only = OFF")
    here.run(2)
    (row,) = here.rows()
    assert row.session == session
    assert here.live()["message"] is None


def test_the_hand_is_bounded(room: Callable[..., Room], station: Station) -> None:
    """A store that stays away does not fill the memory: 64 in hand, the newest beyond are lost and said to be."""
    here = room("suntech-nibp-unasked", unasked="10").run(1)
    here.conn.execute("PRAGMA query_only = ON")
    here.run(10)
    assert here.collector._observing.waiting == 64
    assert "a measurement is lost" in here.journal.getvalue()
    here.conn.execute("PRAGMA query_only = OFF")


def test_no_patient_is_in_the_journal(room: Callable[..., Room], station: Station) -> None:
    """Ids only, whatever happens."""
    here = room().until_ready()
    station.session(station.patient("Thử Nghiệm Kín"), OXIMETER)
    here.finger("in").run(14)
    text = here.journal.getvalue()
    assert "Kín" not in json.dumps([json.loads(line) for line in text.splitlines()], ensure_ascii=False)
    assert "SPO2" not in text


def test_it_is_a_collector() -> None:
    """The class says what it needs, nothing is found by itself."""
    with pytest.raises(TypeError):
        Collector(Job("a", "contec-cms50", "/dev/x"))
