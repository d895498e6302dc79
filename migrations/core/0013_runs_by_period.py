"""runs of recurring work are found by their period"""

from __future__ import annotations

from alembic import op

revision = "core0013"
down_revision = "core0012"
branch_labels = None
depends_on = None

INDEX, TABLE = "ix_core_schedule_run_period", "core_schedule_run"


def upgrade() -> None:
    op.create_index(INDEX, TABLE, ["unit_id", "clause", "period", "subject"])


def downgrade() -> None:
    op.drop_index(INDEX, table_name=TABLE)
