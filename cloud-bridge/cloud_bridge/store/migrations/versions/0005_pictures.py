"""The content of pictures, part by part."""

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """The content of pictures, part by part."""
