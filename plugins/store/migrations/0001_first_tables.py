"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = 'store0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('store_count',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('counted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('counted_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('closed_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['closed_by'], ['core_user.id'], name=op.f('fk_store_count_closed_by')),
    sa.ForeignKeyConstraint(['counted_by'], ['core_user.id'], name=op.f('fk_store_count_counted_by')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_count_id_unit_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_store_count_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_count_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_count'))
    )
    op.create_table('store_issue',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('receipt', sa.String(length=60), nullable=False),
    sa.Column('phone', sa.String(length=30), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_issue_id_unit_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_issue_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_issue'))
    )
    op.create_table('store_plan',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('month', sa.Date(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_plan_id_unit_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_plan_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_plan'))
    )
    with op.batch_alter_table('store_plan', schema=None) as batch_op:
        batch_op.create_index('ix_store_plan_month', ['unit_id', 'month', 'id'], unique=False)

    op.create_table('store_price_change',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('starts_on', sa.Date(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('approved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_price_change_id_unit_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_price_change_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_price_change'))
    )
    op.create_table('store_release',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('released_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_release_id_unit_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_release_model_id')),
    sa.ForeignKeyConstraint(['released_by'], ['core_user.id'], name=op.f('fk_store_release_released_by')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_release_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_release'))
    )
    with op.batch_alter_table('store_release', schema=None) as batch_op:
        batch_op.create_index('uq_store_release_model', ['unit_id', 'model_id'], unique=True, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))

    op.create_table('store_showroom',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('clause', sa.String(length=40), nullable=False),
    sa.Column('subject', sa.String(length=60), nullable=False),
    sa.Column('starts_on', sa.Date(), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('result', sa.Text(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_showroom_id_unit_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_store_showroom_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_showroom_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_showroom'))
    )
    with op.batch_alter_table('store_showroom', schema=None) as batch_op:
        batch_op.create_index('ix_store_showroom_due', ['unit_id', 'due_on', 'id'], unique=False)

    op.create_table('store_supplier',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=120), nullable=False),
    sa.Column('uscc', sa.String(length=18), nullable=False),
    sa.Column('contact', sa.String(length=60), nullable=False),
    sa.Column('phone', sa.String(length=30), nullable=False),
    sa.Column('address', sa.String(length=200), nullable=False),
    sa.Column('supplies', sa.String(length=200), nullable=False),
    sa.Column('licence', sa.String(length=60), nullable=False),
    sa.Column('licence_until', sa.Date(), nullable=True),
    sa.Column('qualified_until', sa.Date(), nullable=True),
    sa.Column('score', sa.Numeric(precision=5, scale=2), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_supplier_id_unit_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_supplier_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_supplier')),
    sa.UniqueConstraint('unit_id', 'name', name=op.f('uq_store_supplier_unit_id_name'))
    )
    with op.batch_alter_table('store_supplier', schema=None) as batch_op:
        batch_op.create_index('ix_store_supplier_due', ['unit_id', 'qualified_until', 'id'], unique=False)
        batch_op.create_index('uq_store_supplier_uscc', ['unit_id', 'uscc'], unique=True, sqlite_where=sa.text("uscc <> ''"), postgresql_where=sa.text("uscc <> ''"))

    op.create_table('store_assessment',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('on', sa.Date(), nullable=False),
    sa.Column('quality', sa.Integer(), nullable=False),
    sa.Column('delivery', sa.Integer(), nullable=False),
    sa.Column('price', sa.Integer(), nullable=False),
    sa.Column('service', sa.Integer(), nullable=False),
    sa.Column('reputation', sa.Integer(), nullable=False),
    sa.Column('score', sa.Numeric(precision=5, scale=2), nullable=False),
    sa.Column('verdict', sa.String(length=12), nullable=False),
    sa.Column('valid_until', sa.Date(), nullable=True),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['by_id'], ['core_user.id'], name=op.f('fk_store_assessment_by_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_assessment_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_assessment_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_assessment'))
    )
    with op.batch_alter_table('store_assessment', schema=None) as batch_op:
        batch_op.create_index('ix_store_assessment_supplier', ['supplier_id', 'on', 'id'], unique=False)

    op.create_table('store_order',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('expected_on', sa.Date(), nullable=True),
    sa.Column('standard_met', sa.Boolean(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_order_id_unit_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_order_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_order_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_order'))
    )
    with op.batch_alter_table('store_order', schema=None) as batch_op:
        batch_op.create_index('ix_store_order_supplier', ['supplier_id', 'id'], unique=False)

    op.create_table('store_paper',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('release_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(length=12), nullable=False),
    sa.Column('number', sa.String(length=60), nullable=False),
    sa.Column('issuer', sa.String(length=120), nullable=False),
    sa.Column('valid_from', sa.Date(), nullable=True),
    sa.Column('valid_until', sa.Date(), nullable=True),
    sa.Column('file_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('struck_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['file_id'], ['core_attachment.id'], name=op.f('fk_store_paper_file_id')),
    sa.ForeignKeyConstraint(['release_id'], ['store_release.id'], name=op.f('fk_store_paper_release_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_paper_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_paper'))
    )
    with op.batch_alter_table('store_paper', schema=None) as batch_op:
        batch_op.create_index('ix_store_paper_release', ['release_id', 'id'], unique=False)
        batch_op.create_index('ix_store_paper_until', ['unit_id', 'valid_until', 'id'], unique=False)

    op.create_table('store_price',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('price', sa.Numeric(precision=12, scale=2), nullable=False),
    sa.Column('starts_on', sa.Date(), nullable=False),
    sa.Column('change_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('price > 0', name=op.f('ck_store_price_price')),
    sa.ForeignKeyConstraint(['change_id'], ['store_price_change.id'], name=op.f('fk_store_price_change_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_price_model_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_price_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_price')),
    sa.UniqueConstraint('change_id', 'model_id', name=op.f('uq_store_price_change_id_model_id'))
    )
    with op.batch_alter_table('store_price', schema=None) as batch_op:
        batch_op.create_index('ix_store_price_list', ['unit_id', 'id'], unique=False)
        batch_op.create_index('ix_store_price_model', ['unit_id', 'model_id', 'starts_on', 'id'], unique=False)

    op.create_table('store_price_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('change_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('before', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('price', sa.Numeric(precision=12, scale=2), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('price > 0', name=op.f('ck_store_price_line_price')),
    sa.ForeignKeyConstraint(['change_id'], ['store_price_change.id'], name=op.f('fk_store_price_line_change_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_price_line_model_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_price_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_price_line')),
    sa.UniqueConstraint('change_id', 'model_id', name=op.f('uq_store_price_line_change_id_model_id'))
    )
    op.create_table('store_product',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('barcode', sa.String(length=14), nullable=False),
    sa.Column('measure', sa.String(length=10), nullable=False),
    sa.Column('shelf_days', sa.Integer(), nullable=True),
    sa.Column('dated', sa.Boolean(), nullable=False),
    sa.Column('reorder_at', sa.Integer(), nullable=False),
    sa.Column('reorder_to', sa.Integer(), nullable=False),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('shelf_days IS NULL OR shelf_days > 0', name=op.f('ck_store_product_shelf')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_product_model_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_product_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_product_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_product')),
    sa.UniqueConstraint('unit_id', 'model_id', name=op.f('uq_store_product_unit_id_model_id'))
    )
    with op.batch_alter_table('store_product', schema=None) as batch_op:
        batch_op.create_index('ix_store_product_list', ['unit_id', 'id'], unique=False)
        batch_op.create_index('uq_store_product_barcode', ['unit_id', 'barcode'], unique=True, sqlite_where=sa.text("barcode <> ''"), postgresql_where=sa.text("barcode <> ''"))

    op.create_table('store_order_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('price', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('received', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_store_order_line_quantity')),
    sa.CheckConstraint('received >= 0', name=op.f('ck_store_order_line_received')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_order_line_model_id')),
    sa.ForeignKeyConstraint(['order_id'], ['store_order.id'], name=op.f('fk_store_order_line_order_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_order_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_order_line')),
    sa.UniqueConstraint('order_id', 'model_id', name=op.f('uq_store_order_line_order_id_model_id'))
    )
    with op.batch_alter_table('store_order_line', schema=None) as batch_op:
        batch_op.create_index('ix_store_order_line_model', ['unit_id', 'model_id'], unique=False)

    op.create_table('store_plan_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('plan_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('in_stock', sa.Integer(), nullable=False),
    sa.Column('on_order', sa.Integer(), nullable=False),
    sa.Column('sold', sa.Integer(), nullable=False),
    sa.Column('proposed', sa.Integer(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('note', sa.String(length=200), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity >= 0', name=op.f('ck_store_plan_line_quantity')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_plan_line_model_id')),
    sa.ForeignKeyConstraint(['order_id'], ['store_order.id'], name=op.f('fk_store_plan_line_order_id')),
    sa.ForeignKeyConstraint(['plan_id'], ['store_plan.id'], name=op.f('fk_store_plan_line_plan_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_plan_line_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_plan_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_plan_line')),
    sa.UniqueConstraint('plan_id', 'model_id', name=op.f('uq_store_plan_line_plan_id_model_id'))
    )
    op.create_table('store_receiving',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('delivery_note', sa.String(length=60), nullable=False),
    sa.Column('expected_on', sa.Date(), nullable=True),
    sa.Column('arrived_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('void', sa.Boolean(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['checked_by'], ['core_user.id'], name=op.f('fk_store_receiving_checked_by')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_receiving_id_unit_id')),
    sa.ForeignKeyConstraint(['order_id'], ['store_order.id'], name=op.f('fk_store_receiving_order_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_receiving_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_receiving_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_receiving'))
    )
    with op.batch_alter_table('store_receiving', schema=None) as batch_op:
        batch_op.create_index('ix_store_receiving_order', ['order_id'], unique=False)
        batch_op.create_index('uq_store_receiving_note', ['supplier_id', 'delivery_note'], unique=True, sqlite_where=sa.text("delivery_note <> '' AND void = 0"), postgresql_where=sa.text("delivery_note <> '' AND NOT void"))

    op.create_table('store_lot',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('batch_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('number', sa.String(length=40), nullable=False),
    sa.Column('made_on', sa.Date(), nullable=True),
    sa.Column('shelf_days', sa.Integer(), nullable=True),
    sa.Column('best_before', sa.Date(), nullable=True),
    sa.Column('last_day', sa.Date(), nullable=True),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('receiving_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('stock', sa.Integer(), nullable=False),
    sa.Column('held', sa.Integer(), nullable=False),
    sa.Column('on_sale_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('held >= 0 AND held <= stock', name=op.f('ck_store_lot_held')),
    sa.CheckConstraint('stock >= 0', name=op.f('ck_store_lot_stock')),
    sa.ForeignKeyConstraint(['batch_id'], ['products_batch.id'], name=op.f('fk_store_lot_batch_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_lot_model_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_store_lot_place_id')),
    sa.ForeignKeyConstraint(['receiving_id'], ['store_receiving.id'], name=op.f('fk_store_lot_receiving_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_lot_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_lot_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_lot'))
    )
    with op.batch_alter_table('store_lot', schema=None) as batch_op:
        batch_op.create_index('ix_store_lot_batch', ['batch_id', 'id'], unique=False)
        batch_op.create_index('ix_store_lot_model', ['unit_id', 'model_id', 'state', 'last_day', 'id'], unique=False)
        batch_op.create_index('ix_store_lot_place', ['place_id', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_store_lot_receiving_id'), ['receiving_id'], unique=False)
        batch_op.create_index('ix_store_lot_shelf', ['unit_id', 'state', 'last_day', 'id'], unique=False)
        batch_op.create_index('ix_store_lot_number', ['unit_id', 'number', 'id'], unique=False)
        batch_op.create_index('ix_store_lot_supplier', ['supplier_id', 'id'], unique=False)

    op.create_table('store_count_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('count_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('expected', sa.Integer(), nullable=False),
    sa.Column('counted', sa.Integer(), nullable=True),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('counted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('counted_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('reason', sa.String(length=200), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('counted IS NULL OR counted >= 0', name=op.f('ck_store_count_line_counted')),
    sa.ForeignKeyConstraint(['count_id'], ['store_count.id'], name=op.f('fk_store_count_line_count_id')),
    sa.ForeignKeyConstraint(['counted_by'], ['core_user.id'], name=op.f('fk_store_count_line_counted_by')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_count_line_lot_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_count_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_count_line')),
    sa.UniqueConstraint('count_id', 'lot_id', name=op.f('uq_store_count_line_count_id_lot_id'))
    )
    with op.batch_alter_table('store_count_line', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_store_count_line_lot_id'), ['lot_id'], unique=False)

    op.create_table('store_issue_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('issue_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('price', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('taken_back', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_store_issue_line_quantity')),
    sa.CheckConstraint('taken_back >= 0 AND taken_back <= quantity', name=op.f('ck_store_issue_line_taken_back')),
    sa.ForeignKeyConstraint(['issue_id'], ['store_issue.id'], name=op.f('fk_store_issue_line_issue_id')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_issue_line_lot_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_issue_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_issue_line'))
    )
    with op.batch_alter_table('store_issue_line', schema=None) as batch_op:
        batch_op.create_index('ix_store_issue_line', ['issue_id', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_store_issue_line_lot_id'), ['lot_id'], unique=False)

    op.create_table('store_movement',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('stock', sa.Integer(), nullable=False),
    sa.Column('customer_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('record_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity <> 0', name=op.f('ck_store_movement_quantity')),
    sa.ForeignKeyConstraint(['by_id'], ['core_user.id'], name=op.f('fk_store_movement_by_id')),
    sa.ForeignKeyConstraint(['customer_id'], ['core_customer.id'], name=op.f('fk_store_movement_customer_id')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_movement_lot_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_movement_model_id')),
    sa.ForeignKeyConstraint(['record_id'], ['core_record.id'], name=op.f('fk_store_movement_record_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_movement_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_movement')),
    sa.UniqueConstraint('lot_id', 'seq', name=op.f('uq_store_movement_lot_id_seq'))
    )
    with op.batch_alter_table('store_movement', schema=None) as batch_op:
        batch_op.create_index('ix_store_movement_customer', ['customer_id', 'at'], unique=False)
        batch_op.create_index('ix_store_movement_model', ['unit_id', 'model_id', 'kind', 'at'], unique=False)
        batch_op.create_index('ix_store_movement_record', ['record_id'], unique=False)

    op.create_table('store_receiving_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('receiving_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('expected', sa.Integer(), nullable=False),
    sa.Column('batch', sa.String(length=40), nullable=False),
    sa.Column('made_on', sa.Date(), nullable=True),
    sa.Column('shelf_days', sa.Integer(), nullable=True),
    sa.Column('best_before', sa.Date(), nullable=True),
    sa.Column('counted', sa.Integer(), nullable=True),
    sa.Column('accepted', sa.Integer(), nullable=True),
    sa.Column('refused', sa.Integer(), nullable=True),
    sa.Column('fault', sa.String(length=200), nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('accepted IS NULL OR (accepted >= 0 AND refused >= 0 AND accepted + refused = counted)', name=op.f('ck_store_receiving_line_sum')),
    sa.CheckConstraint('counted IS NULL OR counted >= 0', name=op.f('ck_store_receiving_line_counted')),
    sa.CheckConstraint('expected >= 0', name=op.f('ck_store_receiving_line_expected')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_receiving_line_lot_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_receiving_line_model_id')),
    sa.ForeignKeyConstraint(['receiving_id'], ['store_receiving.id'], name=op.f('fk_store_receiving_line_receiving_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_receiving_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_receiving_line'))
    )
    with op.batch_alter_table('store_receiving_line', schema=None) as batch_op:
        batch_op.create_index('ix_store_receiving_line', ['receiving_id', 'id'], unique=False)

    op.create_table('store_removal',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reason', sa.String(length=10), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('removed', sa.Integer(), nullable=True),
    sa.Column('removed_to', sa.String(length=10), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_removal_id_unit_id')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_removal_lot_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_removal_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_removal'))
    )
    with op.batch_alter_table('store_removal', schema=None) as batch_op:
        batch_op.create_index('ix_store_removal_lot', ['lot_id', 'id'], unique=False)
        batch_op.create_index('uq_store_removal_open', ['lot_id', 'reason'], unique=True, sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))

    op.create_table('store_objection',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('lot_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('receiving_line_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('supplier_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('model_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('found_at', sa.String(length=10), nullable=False),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('decision', sa.String(length=10), nullable=False),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_store_objection_quantity')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_store_objection_id_unit_id')),
    sa.ForeignKeyConstraint(['lot_id'], ['store_lot.id'], name=op.f('fk_store_objection_lot_id')),
    sa.ForeignKeyConstraint(['model_id'], ['products_model.id'], name=op.f('fk_store_objection_model_id')),
    sa.ForeignKeyConstraint(['receiving_line_id'], ['store_receiving_line.id'], name=op.f('fk_store_objection_receiving_line_id')),
    sa.ForeignKeyConstraint(['supplier_id'], ['store_supplier.id'], name=op.f('fk_store_objection_supplier_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_store_objection_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_store_objection')),
    sa.UniqueConstraint('receiving_line_id', name=op.f('uq_store_objection_receiving_line_id'))
    )
    with op.batch_alter_table('store_objection', schema=None) as batch_op:
        batch_op.create_index('ix_store_objection_lot', ['lot_id', 'id'], unique=False)
        batch_op.create_index('ix_store_objection_supplier', ['supplier_id', 'id'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('store_objection', schema=None) as batch_op:
        batch_op.drop_index('ix_store_objection_supplier')
        batch_op.drop_index('ix_store_objection_lot')

    op.drop_table('store_objection')
    with op.batch_alter_table('store_removal', schema=None) as batch_op:
        batch_op.drop_index('uq_store_removal_open', sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))
        batch_op.drop_index('ix_store_removal_lot')

    op.drop_table('store_removal')
    with op.batch_alter_table('store_receiving_line', schema=None) as batch_op:
        batch_op.drop_index('ix_store_receiving_line')

    op.drop_table('store_receiving_line')
    with op.batch_alter_table('store_movement', schema=None) as batch_op:
        batch_op.drop_index('ix_store_movement_record')
        batch_op.drop_index('ix_store_movement_model')
        batch_op.drop_index('ix_store_movement_customer')

    op.drop_table('store_movement')
    with op.batch_alter_table('store_issue_line', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_store_issue_line_lot_id'))
        batch_op.drop_index('ix_store_issue_line')

    op.drop_table('store_issue_line')
    with op.batch_alter_table('store_count_line', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_store_count_line_lot_id'))

    op.drop_table('store_count_line')
    with op.batch_alter_table('store_lot', schema=None) as batch_op:
        batch_op.drop_index('ix_store_lot_supplier')
        batch_op.drop_index('ix_store_lot_number')
        batch_op.drop_index('ix_store_lot_shelf')
        batch_op.drop_index(batch_op.f('ix_store_lot_receiving_id'))
        batch_op.drop_index('ix_store_lot_place')
        batch_op.drop_index('ix_store_lot_model')
        batch_op.drop_index('ix_store_lot_batch')

    op.drop_table('store_lot')
    with op.batch_alter_table('store_receiving', schema=None) as batch_op:
        batch_op.drop_index('uq_store_receiving_note', sqlite_where=sa.text("delivery_note <> '' AND void = 0"), postgresql_where=sa.text("delivery_note <> '' AND NOT void"))
        batch_op.drop_index('ix_store_receiving_order')

    op.drop_table('store_receiving')
    op.drop_table('store_plan_line')
    with op.batch_alter_table('store_order_line', schema=None) as batch_op:
        batch_op.drop_index('ix_store_order_line_model')

    op.drop_table('store_order_line')
    with op.batch_alter_table('store_product', schema=None) as batch_op:
        batch_op.drop_index('uq_store_product_barcode', sqlite_where=sa.text("barcode <> ''"), postgresql_where=sa.text("barcode <> ''"))
        batch_op.drop_index('ix_store_product_list')

    op.drop_table('store_product')
    op.drop_table('store_price_line')
    with op.batch_alter_table('store_price', schema=None) as batch_op:
        batch_op.drop_index('ix_store_price_model')
        batch_op.drop_index('ix_store_price_list')

    op.drop_table('store_price')
    with op.batch_alter_table('store_paper', schema=None) as batch_op:
        batch_op.drop_index('ix_store_paper_until')
        batch_op.drop_index('ix_store_paper_release')

    op.drop_table('store_paper')
    with op.batch_alter_table('store_order', schema=None) as batch_op:
        batch_op.drop_index('ix_store_order_supplier')

    op.drop_table('store_order')
    with op.batch_alter_table('store_assessment', schema=None) as batch_op:
        batch_op.drop_index('ix_store_assessment_supplier')

    op.drop_table('store_assessment')
    with op.batch_alter_table('store_supplier', schema=None) as batch_op:
        batch_op.drop_index('uq_store_supplier_uscc', sqlite_where=sa.text("uscc <> ''"), postgresql_where=sa.text("uscc <> ''"))
        batch_op.drop_index('ix_store_supplier_due')

    op.drop_table('store_supplier')
    with op.batch_alter_table('store_showroom', schema=None) as batch_op:
        batch_op.drop_index('ix_store_showroom_due')

    op.drop_table('store_showroom')
    with op.batch_alter_table('store_release', schema=None) as batch_op:
        batch_op.drop_index('uq_store_release_model', sqlite_where=sa.text('ended_at IS NULL'), postgresql_where=sa.text('ended_at IS NULL'))

    op.drop_table('store_release')
    op.drop_table('store_price_change')
    with op.batch_alter_table('store_plan', schema=None) as batch_op:
        batch_op.drop_index('ix_store_plan_month')

    op.drop_table('store_plan')
    op.drop_table('store_issue')
    op.drop_table('store_count')
