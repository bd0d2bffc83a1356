"""The one error of the wire. A ValueError, so a loop sets the item aside and goes on (ARCHITECTURE.md, Errors)."""


class WireError(ValueError):
    """Bytes that this version cannot read as what they claim to be.

    `reason` is a short stable word (``truncated``, ``oversized``, ``version``, ``suite``, ``dictionary``,
    ``checksum``, ``shape``, ``range``, ``station``) that receipts and quarantine lists carry; `detail` is for people.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
