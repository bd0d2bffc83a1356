"""The six lanes of the wire, in order of urgency. An event's lane is fixed when it is committed and never changes."""

from enum import IntEnum


class Lane(IntEnum):
    """Lower goes first."""

    URGENT = 0
    """Emergency and consult requests, their questions and answers, keys; receipts travel here too."""
    CONSULT = 1
    """Readings and small previews of an open consult."""
    READINGS = 2
    """Every other reading, the patients they belong to, devices and clock anchors."""
    FORMS = 3
    ATTACHMENTS = 4
    CONTENT = 5
    """Logs and content."""


AT_ONCE = frozenset({Lane.URGENT, Lane.CONSULT})
"""Lanes that never wait for a batch, whatever the link costs."""

CHUNK_BYTES = 1200
"""The most payload one MQTT message carries: 0.5 s of a 20 kbit/s link."""
BATCH_ROWS = 30
BATCH_SECONDS = 60.0
"""On a metered link lanes from READINGS on wait for this many rows or this long."""
