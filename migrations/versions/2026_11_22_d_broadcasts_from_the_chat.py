"""Broadcasts from the chat: looked at, approved by a second person, watched, amended; news can be switched off."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NEW = {
    "look_wanted_at": MOMENT,
    "looked_at": MOMENT,
    "looked_count": sa.Integer(),
    "approved_by": NUMBER,
    "corrects": NUMBER,
    "amending": sa.String(length=8),
    "amended_to": NUMBER,
    "amend_from": MOMENT,
}


def upgrade() -> None:
    with op.batch_alter_table("broadcasts") as broadcasts:
        broadcasts.add_column(sa.Column("revision", sa.Integer(), server_default="1", nullable=False))
        for name, kind in NEW.items():
            broadcasts.add_column(sa.Column(name, kind, nullable=True))
        broadcasts.create_foreign_key(op.f("fk_broadcasts_approved_by"), "coordinators", ["approved_by"], ["id"])
    with op.batch_alter_table("enrolments") as enrolments:
        enrolments.add_column(sa.Column("news_off", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index(op.f("ix_answers_question"), "answers", ["question"])
    op.create_table(
        "progress_cards",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("broadcast_id", NUMBER, nullable=False),
        sa.Column("coordinator_id", NUMBER, nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=True),
        sa.Column("shown", sa.String(length=64), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["broadcast_id"], ["broadcasts.id"], name=op.f("fk_progress_cards_broadcast_id")),
        sa.ForeignKeyConstraint(["coordinator_id"], ["coordinators.id"], name=op.f("fk_progress_cards_coordinator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_progress_cards")),
    )


def downgrade() -> None:
    op.drop_table("progress_cards")
    op.drop_index(op.f("ix_answers_question"), "answers")
    with op.batch_alter_table("enrolments") as enrolments:
        enrolments.drop_column("news_off")
    with op.batch_alter_table("broadcasts") as broadcasts:
        broadcasts.drop_constraint(op.f("fk_broadcasts_approved_by"), type_="foreignkey")
        for name in NEW:
            broadcasts.drop_column(name)
        broadcasts.drop_column("revision")
