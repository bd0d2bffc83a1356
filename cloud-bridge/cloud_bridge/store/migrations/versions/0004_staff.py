"""Staff of a station and the heads of its audit chain."""

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Staff of a station and the heads of its audit chain."""
