"""when a plugin was switched on for the first time"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = 'core0007'
down_revision = 'core0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('core_unit_plugin', schema=None) as batch_op:
        batch_op.add_column(sa.Column('first_on_at', sa.DateTime(timezone=True), nullable=True))
    # The last time is the best that is known of those there are.
    op.execute(sa.text('UPDATE core_unit_plugin SET first_on_at = changed_at WHERE enabled'))


def downgrade() -> None:
    with op.batch_alter_table('core_unit_plugin', schema=None) as batch_op:
        batch_op.drop_column('first_on_at')
