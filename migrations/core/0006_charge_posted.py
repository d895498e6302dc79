"""when a charge was posted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = 'core0006'
down_revision = 'core0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('core_charge', schema=None) as batch_op:
        batch_op.add_column(sa.Column('posted_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('core_charge', schema=None) as batch_op:
        batch_op.drop_column('posted_at')
