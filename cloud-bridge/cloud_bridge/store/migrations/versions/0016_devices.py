"""The stations' devices, their calibration and series."""

revision = "0016"
down_revision: str | None = "0015"


def upgrade() -> None:
    """Nothing yet."""
