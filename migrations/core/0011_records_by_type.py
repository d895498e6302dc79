"""records by type"""

from __future__ import annotations

from alembic import op

revision = 'core0011'
down_revision = 'core0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('core_record', schema=None) as batch_op:
        batch_op.create_index('ix_core_record_type', ['unit_id', 'type', 'category', 'received_at', 'id'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('core_record', schema=None) as batch_op:
        batch_op.drop_index('ix_core_record_type')
