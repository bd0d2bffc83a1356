"""The content of pictures, part by part; what was said about messages on the other side's screen."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Previews and captions beside what is offered, the contents, their parts, and who has had which message on the screen."""
    for column in (
        sa.Column("preview_of", sa.LargeBinary(), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("wall", sa.BigInteger(), nullable=True),
    ):
        op.add_column("attachment", column)
    op.add_column("message", sa.Column("shown", sa.BigInteger(), nullable=True))
    op.add_column("message", sa.Column("shown_to", sa.Text(), nullable=True))
    op.create_table(
        "content",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("station", "digest", name=op.f("pk_content")),
    )
    op.create_index(op.f("ix_content_station_name"), "content", ["station", "name"])
    op.create_table(
        "content_part",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "name", "part", name=op.f("pk_content_part")),
    )
