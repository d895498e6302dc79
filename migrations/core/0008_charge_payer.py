"""what is to be settled with one payer"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = 'core0008'
down_revision = 'core0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        'ix_core_charge_payer',
        'core_charge',
        ['unit_id', 'payer_ref', 'id'],
        unique=False,
        sqlite_where=sa.text("payer_ref <> ''"),
        postgresql_where=sa.text("payer_ref <> ''"),
    )


def downgrade() -> None:
    op.drop_index('ix_core_charge_payer', table_name='core_charge')
