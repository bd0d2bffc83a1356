"""The card fills up: what may go goes in its order, what nobody else has never goes, and the box still takes readings."""

import os
from pathlib import Path

import pytest

from appliance.contract.codec import read_event
from appliance.contract.events import CardRoom
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.database import StoreError, transaction
from appliance.relay.storage import Stream
from appliance.settings import load
from appliance.store import boots, pictures, retention, room
from appliance.store.ballast import make_ballast
from appliance.store.content import keep as keep_content
from appliance.store.errors import Refused
from appliance.store.inbox import StationStore
from appliance.store.opening import ballast_file
from appliance.store.retention import DAY
from tests.store.disk import small_disk
from tests.store.station import STATION, Station, station_at

HEADER = bytes([0xFF, 0xD8, 0xFF])


def stream(station: Station) -> Stream:
    """What the station writes now."""
    return Stream(STATION, boots.epoch(station.conn)[1])


def send_all(station: Station) -> None:
    """Every waiting event in a parcel of its own kind of lane, and all of it received now."""
    store = StationStore(station.conn, STATION, 7)
    with store.transaction() as tx:
        while waiting := store.waiting(tx):
            one = waiting[0]
            rows = store.queued(tx, one.stream, one.lane, one.frozen, 10_000)
            header = Header(STATION, one.stream.origin, one.lane, rows[0].seq, len(rows))
            payload = write_parcel(header, [read_event(row.body) for row in rows])
            store.freeze(tx, one.stream, one.lane, rows[0].seq, len(rows), payload, station.now.wall)
            ranges = [(rows[0].seq, rows[-1].seq)]
            store.settle(tx, one.stream, one.lane, ranges, 2, station.now.wall)
            store.close(tx, one.stream, one.lane, ranges)


def picture(station: Station, patient: int, consult: int = 77) -> bytes:
    """A picture of a request, with a preview, offered."""
    made = pictures.attach(
        station.conn, consult, patient=patient, full=HEADER + os.urandom(5000), preview=HEADER + os.urandom(1500), source="file",
        staff="an", now=station.now,
    )  # fmt: skip
    with transaction(station.conn):
        pictures.offer(station.conn, consult, staff="an", now=station.now)
    return made


def small(station: Station, share: float) -> room.Keeper:
    """A keeper for whom the store takes `share` of its room."""
    size = sum(one.stat().st_size for one in Path(station.conn.path).parent.glob("tram.db*") if not one.name.endswith("-shm"))
    file = Path(station.conn.path).parent.parent / "tram.toml"
    text = file.read_text().replace("ballast_mb = 0\n", f"ballast_mb = 0\nroom_bytes = {max(1, int(size / share))}\n", 1)
    file.write_text(text, encoding="utf-8")
    station.settings = load([file])
    told: list[object] = []
    return room.Keeper(station.settings, station.conn, lambda: station.now.wall, told.append)


def tidy(keeper: room.Keeper) -> None:
    """Turn until there is nothing to do for an hour."""
    now = 0.0
    for _ in range(2000):
        wait = keeper.turn(now)
        if wait >= room.EVERY:
            return
        now += wait
    pytest.fail("it never ends")


def shed(station: Station) -> list[str]:
    """What left the card, in the order it did."""
    return [row["what"] for row in reversed(retention.noted(station.conn))]


def test_nothing_leaves_while_there_is_room(station: Station) -> None:
    """Below 80 % a received picture, a received reading: all stay."""
    who = station.patient()
    station.saved(who)
    digest = picture(station, who)
    send_all(station)
    tidy(small(station, 0.5))
    assert shed(station) == []
    assert pictures.read(station.conn, 77, digest) is not None


def test_what_is_shed_goes_in_its_order_and_is_written_down(station: Station) -> None:
    """Previews, then pictures, then copies older than 90 days; each with its count and bytes."""
    who = station.patient()
    old = station.saved(who)
    send_all(station)
    station.later(91 * 86_400)
    digest = picture(station, who)
    young = station.saved(who)
    send_all(station)
    tidy(small(station, 5.0))
    assert [one for one in shed(station) if one != "copies"] == ["previews", "attachments"]
    rows = retention.noted(station.conn)
    assert {row["what"] for row in rows} == {"previews", "attachments", "copies"}
    assert all(row["count"] > 0 and row["bytes"] > 0 for row in rows)
    assert pictures.read(station.conn, 77, digest) is None
    (listed,) = pictures.listing(station.conn, 77)
    assert listed.there, "it is at the bridge, and the row says so"
    bodies = dict(
        station.conn.execute(
            "SELECT observation.measurement, length(outbox.body) FROM observation JOIN outbox ON outbox.id = outbox"
        ).fetchall()
    )
    assert bodies[old] == 0, "the copy of 91 days ago is gone"
    assert bodies[young] > 0, "the copy of today stays"
    assert station.count("observation") == 2, "the clinic's own rows stay"


def test_what_the_bridge_does_not_have_never_leaves(station: Station) -> None:
    """However full and however old: readings, requests and pictures that nobody vouched for."""
    who = station.patient()
    station.saved(who)
    digest = picture(station, who)
    before = station.conn.execute("SELECT id, body FROM outbox ORDER BY id").fetchall()
    station.later(400 * 86_400)
    tidy(small(station, 50.0))
    assert shed(station) == []
    assert [tuple(row) for row in station.conn.execute("SELECT id, body FROM outbox ORDER BY id").fetchall()] == [
        tuple(row) for row in before
    ]
    assert pictures.read(station.conn, 77, digest) is not None


def test_a_preview_that_left_is_shown_from_the_full_picture(station: Station) -> None:
    """It can be made again: the page shows the picture itself meanwhile."""
    who = station.patient()
    digest = picture(station, who)
    send_all(station)
    (one,) = pictures.listing(station.conn, 77)
    assert retention.previews(station.conn, station.now.wall) is not None
    assert pictures.read(station.conn, 77, one.preview) == pictures.read(station.conn, 77, digest)


def test_a_bridge_that_lost_what_left_the_card_waits_for_nothing(station: Station) -> None:
    """A restored bridge asks for all of it again: what is still here goes up once more, what left is not called waiting."""
    who = station.patient()
    station.saved(who)
    send_all(station)
    station.later(91 * 86_400)
    station.saved(who)
    send_all(station)
    while retention.copies(station.conn, station.now.wall):
        pass
    store = StationStore(station.conn, STATION, 7)
    with store.transaction() as tx:
        store.unsettle(tx, stream(station), int(Lane.READINGS), [(1, 1000)])
    rows = station.conn.execute("SELECT state, length(body) FROM outbox WHERE lane = 2 ORDER BY id").fetchall()
    assert {(row[0], row[1] > 0) for row in rows} == {(2, False), (0, True)}


def test_pictures_of_a_closed_request_leave_after_a_week(station: Station) -> None:
    """With all the room in the world: decision 25."""
    who = station.patient()
    digest = picture(station, who)
    send_all(station)
    station.later(8 * 86_400)
    tidy(small(station, 0.1))
    assert pictures.read(station.conn, 77, digest) is not None, "nobody knows that the request is closed"
    with transaction(station.conn):
        station.conn.execute(
            "INSERT INTO consult (id, patient, urgency, department, complaint, staff, epoch, lane, seq, boot, ticks, saved, withdrawn,"
            " outbox, body, crc) VALUES (77, ?, 0, 0, '', 'an', 1, 0, 1, 1, 1, 1, ?, 1, x'', 0)", (who, station.now.wall - 8 * DAY),
        )  # fmt: skip
    tidy(room.Keeper(station.settings, station.conn, lambda: station.now.wall, lambda _one: None))
    assert pictures.read(station.conn, 77, digest) is None


@pytest.mark.parametrize(("share", "refused"), [(0.9, False), (0.97, True)])
def test_a_card_that_is_nearly_full_takes_no_pictures(station: Station, share: float, refused: bool) -> None:
    """At 95 % a plain sentence in Vietnamese; below nothing is said."""
    small(station, share)
    if not refused:
        room.check_picture(station.settings, station.conn)
        return
    with pytest.raises(Refused) as said:
        room.check_picture(station.settings, station.conn)
    assert "không nhận thêm ảnh" in said.value.vi


def test_a_full_disk_still_takes_a_thousand_readings(tmp_path: Path) -> None:
    """With the ballast given up; and what was shed afterwards makes room for the ballast again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "12m"):
        station = station_at(disk)
        file = disk / "tram.toml"
        file.write_text(file.read_text().replace("ballast_mb = 0", "ballast_mb = 5"))
        station.settings = load([file])
        make_ballast(ballast_file(station.settings), 5)
        station.conn.close()
        station.conn = station.second()
        who = station.patient()
        (disk / "filler").write_bytes(bytes((os.statvfs(disk).f_bavail - 20) * os.statvfs(disk).f_frsize))
        taken = full = 0
        while full == 0 or taken < 1000:
            try:
                station.saved(who, 100 + taken % 50)
                taken = taken + 1 if full else 0
            except StoreError as error:
                full += 1
                if error.reason != "full" or full > 1:
                    pytest.fail(f"{error.reason} after {taken} readings")
        assert ballast_file(station.settings).stat().st_size == 0
        keep = station.count("observation")
        (disk / "filler").unlink()
        tidy(room.Keeper(station.settings, station.conn, lambda: station.now.wall, lambda _one: None))
        assert station.count("observation") == keep
        station.conn.close()


def test_contents_of_the_same_bytes_are_kept_once_after_one_left(station: Station) -> None:
    """A picture that left and is taken again is kept again."""
    who = station.patient()
    digest = picture(station, who)
    send_all(station)
    while retention.attachments(station.conn, station.now.wall):
        pass
    with transaction(station.conn):
        row, same = keep_content(station.conn, b"new bytes", "image/jpeg", station.now.wall)
    assert row > 0
    assert same != digest


def test_the_bridge_hears_once_a_day_how_full_the_card_is(station: Station) -> None:
    """And when it changes by a twentieth; never before the room was measured, never twice the same."""
    assert not room.tell(station.conn, station.now)
    room.keep(station.conn, room.Room(512 << 20, 1024 << 20), station.now.wall)
    assert room.tell(station.conn, station.now)
    assert not room.tell(station.conn, station.later(60))
    room.keep(station.conn, room.Room(520 << 20, 1024 << 20), station.now.wall)
    assert not room.tell(station.conn, station.later(60))
    room.keep(station.conn, room.Room(600 << 20, 1024 << 20), station.now.wall)
    assert room.tell(station.conn, station.later(60))
    assert not room.tell(station.conn, station.later(60))
    assert room.tell(station.conn, station.later(86_400))
    assert [one.body.used for one in station.events(CardRoom.KIND) if isinstance(one.body, CardRoom)] == [512, 600, 600]
