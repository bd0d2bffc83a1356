"""The station's end of the relay: which epoch speaks, whose receipts count, what an event from the bridge means here.

`tram carry` turns it on a line to the broker; the post bag (`appliance.store.bags`) on a file.
"""

import os
from collections.abc import Callable, Sequence

from appliance import __version__
from appliance.contract.ids import EPOCH_BYTES
from appliance.contract.lanes import BATCH_SECONDS
from appliance.contract.topics import UP
from appliance.database import Connection
from appliance.relay.pump import End
from appliance.relay.seals import Clear, Seals
from appliance.relay.storage import Arrived, Stream
from appliance.store import boots, downlink, keys
from appliance.store.inbox import StationStore


def _chance() -> float:
    """A number in [0, 1); the module `random` would lie in the carrier's memory for nothing else."""
    return int.from_bytes(os.urandom(6), "big") / 2**48


def station_end(
    conn: Connection,
    store: StationStore,
    *,
    now: Callable[[], int],
    say: Callable[..., None],
    metered: bool = False,
    gather: float = BATCH_SECONDS,
    dictionary: int = 0,
    randomly: Callable[[int], bytes] = os.urandom,
    dice: Callable[[], float] = _chance,
    seals: Seals | None = None,
) -> End:
    """The station's end of the relay. `now` gives tenths of a second since 1970, `say` takes journal steps; `seals`: our
    content keys (`sealing.seals_of`), without which everything is clear.
    """
    own = seals or Clear()

    def apply(tx: Connection, arrived: Sequence[Arrived]) -> None:
        for one in arrived:
            downlink.apply(tx, one.event)

    def renew(tx: Connection, station: str) -> None:
        value = randomly(EPOCH_BYTES)
        boots.open_epoch(tx, value, "the bridge has more than this store: an older copy was put back", now())
        own.prepare(tx)
        store.move(tx, Stream(station, value))

    return End(
        way=UP,
        me=store.me,
        streams=lambda tx, _station: store.streams(tx),
        mine=lambda tx, stream: stream.station == store.station and stream.epoch == store.me(tx),
        keys=lambda tx, station: keys.pinned(tx, "receipt") if station == store.station else None,
        sign=(keys.STATION_KEY_ID, keys.station_key(conn)),
        apply=apply,
        renew=renew,
        random=randomly,
        dice=dice,
        say=say,
        metered=metered,
        gather=gather,
        software=__version__,
        dictionary=dictionary,
        seals=own,
    )
