"""Clock anchors and corrected times."""

revision = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    """Nothing yet."""
