"""Tokens, certificates, waves and what the fleet says of itself."""

revision = "0017"
down_revision: str | None = "0016"


def upgrade() -> None:
    """Nothing yet."""
