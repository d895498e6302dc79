"""mails to others than the customer"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = 'core0009'
down_revision = 'core0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('core_mail', schema=None) as batch_op:
        batch_op.add_column(sa.Column('other_party', sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('core_mail', schema=None) as batch_op:
        batch_op.drop_column('other_party')
