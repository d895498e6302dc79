"""longer sold class"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = 'products0003'
down_revision = 'products0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('products_item', schema=None) as batch_op:
        batch_op.alter_column('sold_class', existing_type=sa.String(length=10), type_=sa.String(length=12), existing_nullable=False)


def downgrade() -> None:
    with op.batch_alter_table('products_item', schema=None) as batch_op:
        batch_op.alter_column('sold_class', existing_type=sa.String(length=12), type_=sa.String(length=10), existing_nullable=False)
