"""Post bags that came and went."""

revision = "0012"
down_revision: str | None = "0011"


def upgrade() -> None:
    """Nothing yet."""
