"""The content keys of stations."""

revision = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    """Nothing yet."""
