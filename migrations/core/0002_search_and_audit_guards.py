"""What Alembic cannot declare: the full-text index, and the triggers that keep the audit trail append-only."""

from __future__ import annotations

from alembic import op

from core.kernel import audit_ddl, search_ddl

revision = "core0002"
down_revision = "core0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    search_ddl.create(op.get_bind())
    audit_ddl.create(op.get_bind())


def downgrade() -> None:
    audit_ddl.drop(op.get_bind())
    search_ddl.drop(op.get_bind())
