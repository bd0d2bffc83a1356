"""What a verified backup holds, and what the bridge has of each attachment."""

revision = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    """Nothing yet."""
