"""What a store says no with. All are ValueErrors: this item is set aside and a person is told; the loop goes on."""


class Refused(ValueError):  # noqa: N818 - the word of the house for what a person hears
    """A person asked for something that must not be. `vi` says at the station what to do instead, `en` the same in English."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.vi = vi
        self.en = en


class Taken(Refused):
    """The short number given for something new belongs to something else already: the caller draws another one."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__("Trùng số. Hãy thử lại.", f"{what} number {number} is taken: draw another one")


class Damaged(ValueError):  # noqa: N818 - as Refused
    """A row whose bytes are not those that were written: `table`, `row`. It is never shown and never sent."""

    def __init__(self, table: str, row: int) -> None:
        super().__init__(f"row {row} of {table} does not match its checksum")
        self.table = table
        self.row = row


class WrongSchema(ValueError):  # noqa: N818 - as Refused
    """The file and this code do not fit together; `found` and `needed` are schema numbers. Processes end with 78."""

    def __init__(self, found: int, needed: int, text: str) -> None:
        super().__init__(text)
        self.found = found
        self.needed = needed
