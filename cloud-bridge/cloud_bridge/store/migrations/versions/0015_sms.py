"""Emergency messages that came by telephone network."""

revision = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    """Nothing yet."""
