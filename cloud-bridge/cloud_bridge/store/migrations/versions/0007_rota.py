"""Who is on duty; where a request has gone on to."""

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Who is on duty; where a request has gone on to."""
