"""Every cell of the broker's walls on a real Mosquitto with certificates: who × verb × topic; and a revoked station is cut off at once."""

import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_bridge import ca, topicwalls
from cloud_bridge.topicwalls import ADMIN, CARRIER, STATION, Resident, Verb
from tests import servers
from tests.enrolling import Peer, authority, come, member, walled

OURS, NEIGHBOUR, ELSEWHERE, REVOKED = (
    Resident("tram-0001", 7),
    Resident("tram-0002", 7),
    Resident("tram-0003", 8),
    Resident("tram-0009", 7, True),
)
RESIDENTS = (OURS, NEIGHBOUR, ELSEWHERE, REVOKED)
PLACES = [
    f"v1/{one.shard:02d}/{one.station}/{way}/{lane}" for one in (OURS, NEIGHBOUR, ELSEWHERE) for way in ("up", "down") for lane in range(6)
]
ODD = [
    "v1/08/tram-0001/up/0", "v1/08/tram-0001/down/0", "v1/07/tram-000/up/0", "v1/7/tram-0001/up/0", "v2/07/tram-0001/up/0",
    "v1/07/tram-0001/up/0/more", "v1/07/tram-0001/up", "v1/07/tram-0001", "/v1/07/tram-0001/up/0", "tram-0001",
    topicwalls.CONTROL, topicwalls.CONTROL + "/response",
]  # fmt: skip
FILTERS = [
    "#", "+", "v1/#", "v1/07/#", "v1/07/tram-0001/#", "v1/+/tram-0001/down/+", "v1/07/+/down/+", "v1/07/+/up/+", "v1/+/+/up/+",
    "v1/+/+/up/0", "v1/+/+/down/+", "+/+/+/+/+", "v1/07/tram-0001/+/+", "v1/07/tram-0001/+/0", "v1/07/tram-0001/up/+",
    "v1/07/tram-0001/down/+", "v1/07/tram-0002/down/+", "v1/08/tram-0003/down/+", "v1/07/tram-0001/down/#", "$SYS/#", "$SYS/broker/version",
    "$CONTROL/#", "$CONTROL/+/v1", "$share/all/v1/07/tram-0002/down/+", "$share/all/#",
]  # fmt: skip


@dataclass
class Walls:
    """A broker, its authority and the folder of certificates."""

    broker: servers.Broker
    authority: ca.Authority
    folder: Path
    peers: list[Peer] = field(default_factory=list)

    def come(self, name: str, life: timedelta = timedelta(days=30), by: ca.Authority | None = None) -> Peer:
        """Somebody with a certificate of this name."""
        files = member(by or self.authority, self.folder / str(len(self.peers)), name, life)
        peer = come(self.broker.port, files, member(self.authority, self.folder, "root")[2], f"{name}-{len(self.peers)}")
        self.peers.append(peer)
        return peer


@pytest.fixture
def walls(tmp_path: Path) -> Iterator[Walls]:
    """A running broker with everybody's rights."""
    made = authority(tmp_path / "ca")
    broker, files = walled(made, RESIDENTS)
    broker.start()
    standing = Walls(broker, made, tmp_path / "members")
    yield standing
    broker.stop()
    shutil.rmtree(broker.place)
    shutil.rmtree(files)


def cells(peer: Peer) -> dict[tuple[Verb, str], bool]:
    """What this one may do, asked of the broker: every topic published to, every topic and filter subscribed to."""
    asked: dict[tuple[str, int], tuple[Verb, str]] = {}
    for topic in [*PLACES, *ODD]:
        if topic != topicwalls.CONTROL:  # what is said there is done; it has its own test
            asked["publish", peer.client.publish(topic, b"", qos=1).mid] = (Verb.PUBLISH, topic)
    for topic in [*PLACES, *ODD, *FILTERS]:
        asked["subscribe", peer.client.subscribe(topic, 1)[1] or 0] = (Verb.SUBSCRIBE, topic)
    peer.wait(lambda: len(peer.reasons) == len(asked), "an answer to every question")
    refusals = ("Not authorized", "Topic filter invalid", "Shared subscriptions not supported")
    return {asked[token]: reasons[0] not in refusals for token, reasons in peer.reasons.items()}


@pytest.mark.parametrize(
    ("name", "who"),
    [("tram-0001", OURS), ("tram-0002", NEIGHBOUR), ("tram-0003", ELSEWHERE), (CARRIER, Resident(CARRIER, 0)), (ADMIN, Resident(ADMIN, 0)),
     ("tram-0009", None), ("nobody", None)],
)  # fmt: skip
def test_every_cell_is_as_the_table_says(walls: Walls, name: str, who: Resident | None) -> None:
    """Own lanes and nothing else; a revoked station and a name that nobody registered have no cell at all."""
    peer = walls.come(name)
    peer.wait(lambda: peer.joined, "the broker to answer")
    found = cells(peer)
    role = name if name in (CARRIER, ADMIN) else STATION
    wanted = {(verb, topic): who is not None and topicwalls.allowed(role, verb, topic, who.shard, who.station) for verb, topic in found}
    assert found == wanted and len(found) == 2 * len(PLACES) + 2 * len(ODD) - 1 + len(FILTERS)
    allowed = {topic for (verb, topic), yes in found.items() if yes and verb is Verb.PUBLISH}
    if role == STATION:
        own = {f"v1/{who.shard:02d}/{who.station}/up/{lane}" for lane in range(6)} if who is not None else set()
        assert allowed == own


@pytest.mark.parametrize("case", ["anonymous", "expired", "another authority"])
def test_who_cannot_prove_who_they_are_is_not_heard(walls: Walls, tmp_path: Path, case: str) -> None:
    """Without a certificate, with one that has ended, with somebody else's: no connection, so every cell is closed."""
    life, by = (timedelta(days=-1), None) if case == "expired" else (timedelta(days=30), None)
    if case == "another authority":
        by = authority(tmp_path / "other")
    root = member(walls.authority, walls.folder, "root")[2]
    try:
        peer = come(walls.broker.port, None, root, "x") if case == "anonymous" else walls.come("tram-0001", life, by)
        peer.wait(lambda: peer.left or peer.joined, "an end")
    except (ssl.SSLError, OSError):
        return
    assert peer.left and peer.joined in ([], ["Not authorized"])
