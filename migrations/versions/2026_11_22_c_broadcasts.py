"""Broadcasts: one message of the team to many, and the index that finds its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BROADCASTS = {"sqlite_where": sa.text("lane = 4"), "postgresql_where": sa.text("lane = 4")}


def upgrade() -> None:
    op.create_table(
        "broadcasts",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("hour", sa.String(length=5), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gathered_to", NUMBER, nullable=False),
        sa.Column("gather_end", NUMBER, nullable=True),
        sa.Column("gathered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("excluded", sa.JSON(), nullable=False),
        sa.Column("ledger", sa.JSON(), nullable=True),
        sa.Column("why", sa.String(length=64), nullable=True),
        sa.Column("author", NUMBER, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["author"], ["coordinators.id"], name=op.f("fk_broadcasts_author")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcasts")),
    )
    op.create_index(op.f("ix_broadcasts_state"), "broadcasts", ["state"])
    op.create_index("ix_deliveries_broadcast", "deliveries", ["content_id", "state", "next_at", "id"], **BROADCASTS)


def downgrade() -> None:
    op.drop_index("ix_deliveries_broadcast", "deliveries")
    op.drop_index(op.f("ix_broadcasts_state"), "broadcasts")
    op.drop_table("broadcasts")
