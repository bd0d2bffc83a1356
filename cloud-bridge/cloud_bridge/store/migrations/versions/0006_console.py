"""Second factors, organisation walls, the access log."""

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Second factors, organisation walls, the access log."""
