"""places and inspections"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "core0012"
down_revision = "core0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "core_checklist",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("title_en", sa.String(length=120), nullable=False),
        sa.Column("use", sa.String(length=40), nullable=False),
        sa.Column("clause", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_checklist_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_checklist")),
        sa.UniqueConstraint("unit_id", "code", name=op.f("uq_core_checklist_unit_id_code")),
    )
    with op.batch_alter_table("core_checklist", schema=None) as batch_op:
        batch_op.create_index("ix_core_checklist_use", ["unit_id", "use", "id"], unique=False)

    op.create_table(
        "core_place",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("name_en", sa.String(length=80), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["core_place.id"], name=op.f("fk_core_place_parent_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_place_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_place")),
        sa.UniqueConstraint("unit_id", "code", name=op.f("uq_core_place_unit_id_code")),
    )
    with op.batch_alter_table("core_place", schema=None) as batch_op:
        batch_op.create_index("ix_core_place_parent", ["parent_id", "sort", "id"], unique=False)
        batch_op.create_index("ix_core_place_path", ["unit_id", "path"], unique=False)

    op.create_table(
        "core_checklist_version",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("checklist_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("items", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["checklist_id"], ["core_checklist.id"], name=op.f("fk_core_checklist_version_checklist_id")
        ),
        sa.ForeignKeyConstraint(
            ["published_by"], ["core_user.id"], name=op.f("fk_core_checklist_version_published_by")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_checklist_version_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_checklist_version")),
        sa.UniqueConstraint("checklist_id", "number", name=op.f("uq_core_checklist_version_checklist_id_number")),
    )
    with op.batch_alter_table("core_checklist_version", schema=None) as batch_op:
        batch_op.create_index(
            "uq_core_checklist_draft",
            ["checklist_id"],
            unique=True,
            sqlite_where=sa.text("state = 'draft'"),
            postgresql_where=sa.text("state = 'draft'"),
        )

    op.create_table(
        "core_inspection_plan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("checklist_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("place_kind", sa.String(length=12), nullable=False),
        sa.Column("every", sa.Integer(), nullable=False),
        sa.Column("every_unit", sa.String(length=8), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("position", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["checklist_id"], ["core_checklist.id"], name=op.f("fk_core_inspection_plan_checklist_id")
        ),
        sa.ForeignKeyConstraint(["place_id"], ["core_place.id"], name=op.f("fk_core_inspection_plan_place_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_inspection_plan_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_inspection_plan")),
    )
    with op.batch_alter_table("core_inspection_plan", schema=None) as batch_op:
        batch_op.create_index("ix_core_inspection_plan_list", ["unit_id", "id"], unique=False)

    op.create_table(
        "core_inspection",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("checklist_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("subject_text", sa.String(length=200), nullable=False),
        sa.Column("clause", sa.String(length=40), nullable=False),
        sa.Column("plan_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("answers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("score", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["begun_by"], ["core_user.id"], name=op.f("fk_core_inspection_begun_by")),
        sa.ForeignKeyConstraint(
            ["checklist_id"], ["core_checklist.id"], name=op.f("fk_core_inspection_checklist_id")
        ),
        sa.ForeignKeyConstraint(["finished_by"], ["core_user.id"], name=op.f("fk_core_inspection_finished_by")),
        sa.ForeignKeyConstraint(
            ["id", "unit_id"], ["core_record.id", "core_record.unit_id"], name=op.f("fk_core_inspection_id_unit_id")
        ),
        sa.ForeignKeyConstraint(["place_id"], ["core_place.id"], name=op.f("fk_core_inspection_place_id")),
        sa.ForeignKeyConstraint(["plan_id"], ["core_inspection_plan.id"], name=op.f("fk_core_inspection_plan_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_inspection_unit_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["core_checklist_version.id"], name=op.f("fk_core_inspection_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_inspection")),
    )
    with op.batch_alter_table("core_inspection", schema=None) as batch_op:
        batch_op.create_index(
            "ix_core_inspection_checklist", ["unit_id", "checklist_id", "finished_at"], unique=False
        )
        batch_op.create_index(
            "ix_core_inspection_due",
            ["unit_id", "due_on", "id"],
            unique=False,
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        )
        batch_op.create_index("ix_core_inspection_place", ["place_id", "finished_at", "id"], unique=False)
        batch_op.create_index("ix_core_inspection_subject", ["unit_id", "subject", "starts_on", "id"], unique=False)
        batch_op.create_index(
            "uq_core_inspection_plan",
            ["plan_id", "subject", "starts_on"],
            unique=True,
            sqlite_where=sa.text("plan_id IS NOT NULL"),
            postgresql_where=sa.text("plan_id IS NOT NULL"),
        )

    op.create_table(
        "core_finding",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("inspection_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("checklist_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("item_key", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=200), nullable=False),
        sa.Column("item_en", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("found_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("record_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["checklist_id"], ["core_checklist.id"], name=op.f("fk_core_finding_checklist_id")),
        sa.ForeignKeyConstraint(["found_by"], ["core_user.id"], name=op.f("fk_core_finding_found_by")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["core_inspection.id"], name=op.f("fk_core_finding_inspection_id")
        ),
        sa.ForeignKeyConstraint(["place_id"], ["core_place.id"], name=op.f("fk_core_finding_place_id")),
        sa.ForeignKeyConstraint(["record_id"], ["core_record.id"], name=op.f("fk_core_finding_record_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["core_unit.id"], name=op.f("fk_core_finding_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_core_finding")),
        sa.UniqueConstraint("inspection_id", "item_key", name=op.f("uq_core_finding_inspection_id_item_key")),
    )
    with op.batch_alter_table("core_finding", schema=None) as batch_op:
        batch_op.create_index("ix_core_finding_list", ["unit_id", "found_at", "id"], unique=False)
        batch_op.create_index(
            "ix_core_finding_place", ["unit_id", "place_id", "item_key", "found_at"], unique=False
        )
        batch_op.create_index("ix_core_finding_record", ["record_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("core_finding", schema=None) as batch_op:
        batch_op.drop_index("ix_core_finding_record")
        batch_op.drop_index("ix_core_finding_place")
        batch_op.drop_index("ix_core_finding_list")

    op.drop_table("core_finding")
    with op.batch_alter_table("core_inspection", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_core_inspection_plan",
            sqlite_where=sa.text("plan_id IS NOT NULL"),
            postgresql_where=sa.text("plan_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_core_inspection_subject")
        batch_op.drop_index("ix_core_inspection_place")
        batch_op.drop_index(
            "ix_core_inspection_due",
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        )
        batch_op.drop_index("ix_core_inspection_checklist")

    op.drop_table("core_inspection")
    with op.batch_alter_table("core_inspection_plan", schema=None) as batch_op:
        batch_op.drop_index("ix_core_inspection_plan_list")

    op.drop_table("core_inspection_plan")
    with op.batch_alter_table("core_checklist_version", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_core_checklist_draft",
            sqlite_where=sa.text("state = 'draft'"),
            postgresql_where=sa.text("state = 'draft'"),
        )

    op.drop_table("core_checklist_version")
    with op.batch_alter_table("core_place", schema=None) as batch_op:
        batch_op.drop_index("ix_core_place_path")
        batch_op.drop_index("ix_core_place_parent")

    op.drop_table("core_place")
    with op.batch_alter_table("core_checklist", schema=None) as batch_op:
        batch_op.drop_index("ix_core_checklist_use")

    op.drop_table("core_checklist")
