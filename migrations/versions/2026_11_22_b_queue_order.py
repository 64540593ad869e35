"""The queue's index holds its whole order: a hundred thousand tips fall due in one moment, and the number decides then."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PLANNED = {"sqlite_where": sa.text("state = 'planned'"), "postgresql_where": sa.text("state = 'planned'")}


def upgrade() -> None:
    op.drop_index("ix_deliveries_planned", "deliveries")
    op.create_index("ix_deliveries_planned", "deliveries", ["lane", "next_at", "id"], **PLANNED)


def downgrade() -> None:
    op.drop_index("ix_deliveries_planned", "deliveries")
    op.create_index("ix_deliveries_planned", "deliveries", ["lane", "next_at"], **PLANNED)
