"""A lead confirms whoever follows a lead's invitation; cohorts that the team makes in the chat."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("coordinators", sa.Column("unconfirmed_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("invitations", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "cohorts",
        sa.Column("code", sa.String(length=62), nullable=False),
        sa.Column("created_by", NUMBER, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by"], ["coordinators.id"], name=op.f("fk_cohorts_created_by")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_cohorts")),
    )


def downgrade() -> None:
    op.drop_table("cohorts")
    op.drop_column("invitations", "decided_at")
    op.drop_column("coordinators", "unconfirmed_since")
