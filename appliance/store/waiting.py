"""How much has not been vouched for by the bridge, as people count."""

from appliance.contract.events import AttachmentChunk
from appliance.contract.lanes import Lane
from appliance.database import Connection


def things(conn: Connection) -> int:
    """A picture is one thing, however many copies and parts it travels in; everything else is one thing an event."""
    rows, big = conn.execute("SELECT count(*), coalesce(sum(lane = ?), 0) FROM outbox WHERE state < 2", (int(Lane.ATTACHMENTS),)).fetchone()
    parts = int(big) + int(conn.execute(_SMALL, (int(Lane.CONSULT), AttachmentChunk.KIND)).fetchone()[0])
    return int(rows) - parts + (max(1, int(conn.execute(_ON_THE_WAY).fetchone()[0])) if parts else 0)


_SMALL = "SELECT count(*) FROM outbox WHERE epoch IN (SELECT id FROM epoch) AND lane = ? AND state < 2 AND kind = ?"
_ON_THE_WAY = (
    "WITH waits AS (SELECT id FROM content WHERE (SELECT state FROM outbox WHERE id = content.last) < 2)"
    " SELECT count(DISTINCT content) FROM picture WHERE content IN waits OR preview IN waits"
)
"""The small and the large copy of one picture are one thing."""
