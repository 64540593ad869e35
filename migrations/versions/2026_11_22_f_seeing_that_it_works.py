"""Seeing that the programme works: the days that were told, what was not promised, whose age an answer is about."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("passed", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("on", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "tallies",
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_tallies")),
    )
    op.add_column("answers", sa.Column("band", sa.String(length=8), nullable=True))
    op.create_index(op.f("ix_answers_answered_at"), "answers", ["answered_at"])
    op.create_index(op.f("ix_deliveries_created_at"), "deliveries", ["created_at"])
    op.create_index(op.f("ix_escalations_opened_at"), "escalations", ["opened_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_escalations_opened_at"), "escalations")
    op.drop_index(op.f("ix_deliveries_created_at"), "deliveries")
    op.drop_index(op.f("ix_answers_answered_at"), "answers")
    op.drop_column("answers", "band")
    op.drop_table("tallies")
    op.drop_table("heartbeats")
