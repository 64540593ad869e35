"""Families carry tags, by which the team chooses who gets a broadcast."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("tag", sa.String(length=20), nullable=False),
        sa.Column("family_id", NUMBER, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["family_id"], ["families.id"], name=op.f("fk_tags_family_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag", "family_id", name=op.f("pk_tags")),
    )
    op.create_index(op.f("ix_tags_family_id"), "tags", ["family_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_tags_family_id"), table_name="tags")
    op.drop_table("tags")
