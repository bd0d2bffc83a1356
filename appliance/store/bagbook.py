"""The station's book of post bags: which ones went, which ones came. What the relay asks of a store about them, on the table bag."""

from abc import ABC, abstractmethod
from typing import Any

from appliance.database import Connection
from appliance.relay.storage import BagRow

_COLUMNS = "inward, origin, number, nonce, at, digest, vouched, refused, contents, messages, items, size, done"
_LATEST = f"SELECT {_COLUMNS}, id FROM bag WHERE"  # noqa: S608 - our own words


class BagBook(ABC):
    """Part of the station's store. `tx` is the connection inside a transaction."""

    station: str

    @abstractmethod
    def forget_streams(self) -> None:
        """Another process may have begun an epoch."""

    def share(self, tx: Connection) -> None:  # noqa: B027 - there is nothing to do
        """Nothing to do: whoever writes has the file for himself until the end of his transaction."""

    def hold(self, tx: Connection) -> None:  # noqa: B027 - as share
        """As `share`."""

    def bag_turns(self, tx: Connection, since: int) -> tuple[int, set[str]]:
        """How often post bags have spoken or listened, and for whom after turn `since`."""
        turn = int(tx.execute("SELECT coalesce(max(turn), 0) FROM bag").fetchone()[0])
        if turn > since:
            self.forget_streams()
        return turn, {self.station} if turn > since else set()

    def note_bag(self, tx: Connection, station: str, row: BagRow) -> int:
        """Keep or change a row, which is one more turn; its id."""
        del station
        values = tuple(row)[:-1]
        turn = "(SELECT coalesce(max(turn), 0) + 1 FROM bag)"
        if row.id:
            names = " = ?, ".join(_COLUMNS.split(", "))
            tx.execute(f"UPDATE bag SET {names} = ?, turn = {turn} WHERE id = ?", (*values, row.id))  # noqa: S608 - our own words
            return row.id
        places = ", ".join("?" * len(values))
        made = tx.execute(f"INSERT INTO bag ({_COLUMNS}, turn) VALUES ({places}, {turn})", values)  # noqa: S608 - our own words
        return int(made.lastrowid)

    def bag_in(self, tx: Connection, station: str, digest: bytes) -> BagRow | None:
        """The bag with this very content, if it has come before."""
        del station
        return _row(tx.execute(f"{_LATEST} inward = 1 AND digest = ?", (digest,)).fetchone())

    def bag_out(self, tx: Connection, station: str, nonce: bytes) -> BagRow | None:
        """The bag that went with this nonce."""
        del station
        return _row(tx.execute(f"{_LATEST} inward = 0 AND nonce = ? ORDER BY id DESC LIMIT 1", (nonce,)).fetchone())

    def last_bag(self, tx: Connection, station: str, *, inward: bool) -> BagRow | None:
        """The last one that came whole and had no later one before it, or the last one that was packed."""
        del station
        which = "inward = 1 AND done = 1 AND length(nonce) > 0" if inward else "inward = 0"
        return _row(tx.execute(f"{_LATEST} {which} ORDER BY id DESC LIMIT 1").fetchone())


def _row(found: Any) -> BagRow | None:
    if found is None:
        return None
    values: list[Any] = [bool(found[0]), *list(found)[1:12], bool(found[12]), found[13]]
    return BagRow(*values)
