"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = 'hotel0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('hotel_cleaning',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('hotel_day', sa.Date(), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('state', sa.String(length=8), nullable=False),
    sa.Column('assignee_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('begun_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('begun_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('skip', sa.String(length=10), nullable=False),
    sa.Column('note', sa.String(length=300), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['assignee_id'], ['core_user.id'], name=op.f('fk_hotel_cleaning_assignee_id')),
    sa.ForeignKeyConstraint(['begun_by'], ['core_user.id'], name=op.f('fk_hotel_cleaning_begun_by')),
    sa.ForeignKeyConstraint(['checked_by'], ['core_user.id'], name=op.f('fk_hotel_cleaning_checked_by')),
    sa.ForeignKeyConstraint(['done_by'], ['core_user.id'], name=op.f('fk_hotel_cleaning_done_by')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_cleaning_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_cleaning_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_cleaning')),
    sa.UniqueConstraint('place_id', 'hotel_day', 'kind', name=op.f('uq_hotel_cleaning_place_id_hotel_day_kind'))
    )
    with op.batch_alter_table('hotel_cleaning', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_cleaning_day', ['unit_id', 'hotel_day', 'state', 'place_id'], unique=False)
        batch_op.create_index('ix_hotel_cleaning_person', ['unit_id', 'assignee_id', 'hotel_day'], unique=False)

    op.create_table('hotel_facility',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('code', sa.String(length=40), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('maker', sa.String(length=80), nullable=False),
    sa.Column('serial', sa.String(length=60), nullable=False),
    sa.Column('contractor', sa.String(length=120), nullable=False),
    sa.Column('every_months', sa.Integer(), nullable=False),
    sa.Column('last_on', sa.Date(), nullable=True),
    sa.Column('next_on', sa.Date(), nullable=True),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_facility_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_facility_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_facility')),
    sa.UniqueConstraint('unit_id', 'code', name=op.f('uq_hotel_facility_unit_id_code'))
    )
    with op.batch_alter_table('hotel_facility', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_facility_due', ['unit_id', 'next_on', 'id'], unique=False)

    op.create_table('hotel_place',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('floor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('category', sa.String(length=14), nullable=False),
    sa.Column('room_type', sa.String(length=40), nullable=False),
    sa.Column('beds', sa.Integer(), nullable=False),
    sa.Column('occupied', sa.Boolean(), nullable=False),
    sa.Column('clean', sa.Boolean(), nullable=False),
    sa.Column('blocks', sa.Integer(), nullable=False),
    sa.Column('closed', sa.Boolean(), nullable=False),
    sa.Column('closed_reason', sa.String(length=200), nullable=False),
    sa.Column('closed_until', sa.Date(), nullable=True),
    sa.Column('state', sa.String(length=4), nullable=False),
    sa.Column('state_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('dnd_on', sa.Date(), nullable=True),
    sa.Column('cleaned_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deep_cleaned_on', sa.Date(), nullable=True),
    sa.Column('guest_code', sa.String(length=40), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['floor_id'], ['core_place.id'], name=op.f('fk_hotel_place_floor_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_place_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_place_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_place')),
    sa.UniqueConstraint('place_id', name=op.f('uq_hotel_place_place_id'))
    )
    with op.batch_alter_table('hotel_place', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_place_board', ['unit_id', 'category', 'floor_id', 'place_id'], unique=False)
        batch_op.create_index('ix_hotel_place_state', ['unit_id', 'category', 'state'], unique=False)
        batch_op.create_index('uq_hotel_place_code', ['guest_code'], unique=True, sqlite_where=sa.text("guest_code <> ''"), postgresql_where=sa.text("guest_code <> ''"))

    op.create_table('hotel_processing',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('hotel_day', sa.Date(), nullable=False),
    sa.Column('meal', sa.String(length=10), nullable=False),
    sa.Column('step', sa.String(length=10), nullable=False),
    sa.Column('dish', sa.String(length=80), nullable=False),
    sa.Column('degrees', sa.Numeric(precision=4, scale=1), nullable=True),
    sa.Column('fine', sa.Boolean(), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('note', sa.String(length=300), nullable=False),
    sa.Column('struck_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('struck_reason', sa.String(length=200), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['by_id'], ['core_user.id'], name=op.f('fk_hotel_processing_by_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_processing_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_processing_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_processing'))
    )
    with op.batch_alter_table('hotel_processing', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_processing_list', ['unit_id', 'at', 'id'], unique=False)

    op.create_table('hotel_sample',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('hotel_day', sa.Date(), nullable=False),
    sa.Column('meal', sa.String(length=10), nullable=False),
    sa.Column('dish', sa.String(length=80), nullable=False),
    sa.Column('grams', sa.Integer(), nullable=False),
    sa.Column('kept_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kept_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('keep_until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('disposed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('disposed_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('note', sa.String(length=200), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('grams > 0', name=op.f('ck_hotel_sample_grams')),
    sa.ForeignKeyConstraint(['disposed_by'], ['core_user.id'], name=op.f('fk_hotel_sample_disposed_by')),
    sa.ForeignKeyConstraint(['kept_by'], ['core_user.id'], name=op.f('fk_hotel_sample_kept_by')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_sample_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_sample_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_sample'))
    )
    with op.batch_alter_table('hotel_sample', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_sample_due', ['unit_id', 'keep_until'], unique=False, sqlite_where=sa.text('disposed_at IS NULL'), postgresql_where=sa.text('disposed_at IS NULL'))
        batch_op.create_index('ix_hotel_sample_list', ['unit_id', 'kept_at', 'id'], unique=False)

    op.create_table('hotel_stay',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('reference', sa.String(length=40), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('arrives_on', sa.Date(), nullable=False),
    sa.Column('departs_on', sa.Date(), nullable=False),
    sa.Column('guests', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=10), nullable=False),
    sa.Column('arrived_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('departed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('source', sa.String(length=10), nullable=False),
    sa.Column('note', sa.String(length=300), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('departs_on >= arrives_on', name=op.f('ck_hotel_stay_days')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_stay_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_stay_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_stay'))
    )
    with op.batch_alter_table('hotel_stay', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_stay_arrivals', ['unit_id', 'state', 'arrives_on', 'id'], unique=False)
        batch_op.create_index('ix_hotel_stay_place', ['place_id', 'arrives_on'], unique=False)
        batch_op.create_index('uq_hotel_stay_in_house', ['place_id'], unique=True, sqlite_where=sa.text("state = 'in_house'"), postgresql_where=sa.text("state = 'in_house'"))
        batch_op.create_index('uq_hotel_stay_reference', ['unit_id', 'reference'], unique=True, sqlite_where=sa.text("reference <> ''"), postgresql_where=sa.text("reference <> ''"))

    op.create_table('hotel_complaint',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('category', sa.String(length=14), nullable=False),
    sa.Column('channel', sa.String(length=10), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('contact', sa.String(length=80), nullable=False),
    sa.Column('cause', sa.String(length=10), nullable=False),
    sa.Column('reported_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('day_ends', sa.Integer(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('solution', sa.Text(), nullable=False),
    sa.Column('compensation', sa.String(length=10), nullable=False),
    sa.Column('amount', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('satisfied', sa.Boolean(), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('amount IS NULL OR amount >= 0', name=op.f('ck_hotel_complaint_amount')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_hotel_complaint_id_unit_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_complaint_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_complaint_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_complaint'))
    )
    with op.batch_alter_table('hotel_complaint', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_complaint_cause', ['unit_id', 'reported_at', 'cause'], unique=False)
        batch_op.create_index('ix_hotel_complaint_contact', ['unit_id', 'id'], unique=False, sqlite_where=sa.text("contact <> ''"), postgresql_where=sa.text("contact <> ''"))
        batch_op.create_index('ix_hotel_complaint_place', ['place_id', 'reported_at'], unique=False)

    op.create_table('hotel_event',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('hotel_day', sa.Date(), nullable=False),
    sa.Column('what', sa.String(length=12), nullable=False),
    sa.Column('before', sa.String(length=4), nullable=False),
    sa.Column('after', sa.String(length=4), nullable=False),
    sa.Column('actor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('record_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('note', sa.String(length=300), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['actor_id'], ['core_user.id'], name=op.f('fk_hotel_event_actor_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_event_place_id')),
    sa.ForeignKeyConstraint(['record_id'], ['core_record.id'], name=op.f('fk_hotel_event_record_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_event_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_event'))
    )
    with op.batch_alter_table('hotel_event', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_event_day', ['unit_id', 'hotel_day', 'id'], unique=False)
        batch_op.create_index('ix_hotel_event_place', ['place_id', 'at', 'id'], unique=False)

    op.create_table('hotel_facility_service',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('facility_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('on', sa.Date(), nullable=False),
    sa.Column('what', sa.String(length=300), nullable=False),
    sa.Column('cost', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('by_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['by_id'], ['core_user.id'], name=op.f('fk_hotel_facility_service_by_id')),
    sa.ForeignKeyConstraint(['facility_id'], ['hotel_facility.id'], name=op.f('fk_hotel_facility_service_facility_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_facility_service_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_facility_service'))
    )
    with op.batch_alter_table('hotel_facility_service', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_facility_service', ['facility_id', 'on', 'id'], unique=False)

    op.create_table('hotel_food',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('supplier', sa.String(length=120), nullable=False),
    sa.Column('delivery_note', sa.String(length=60), nullable=False),
    sa.Column('arrived_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_hotel_food_id_unit_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_food_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_food_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_food'))
    )
    with op.batch_alter_table('hotel_food', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_food_list', ['unit_id', 'arrived_at', 'id'], unique=False)

    op.create_table('hotel_shift',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('department', sa.String(length=14), nullable=False),
    sa.Column('shift', sa.String(length=8), nullable=False),
    sa.Column('hotel_day', sa.Date(), nullable=False),
    sa.Column('entries', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql'), nullable=False),
    sa.Column('giver_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('handed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('taker_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('taken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['giver_id'], ['core_user.id'], name=op.f('fk_hotel_shift_giver_id')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_hotel_shift_id_unit_id')),
    sa.ForeignKeyConstraint(['taker_id'], ['core_user.id'], name=op.f('fk_hotel_shift_taker_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_shift_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_shift')),
    sa.UniqueConstraint('unit_id', 'department', 'hotel_day', 'shift', name=op.f('uq_hotel_shift_unit_id_department_hotel_day_shift'))
    )
    with op.batch_alter_table('hotel_shift', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_shift_list', ['unit_id', 'hotel_day', 'id'], unique=False)

    op.create_table('hotel_food_line',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('food_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('item', sa.String(length=80), nullable=False),
    sa.Column('quantity', sa.Numeric(precision=12, scale=3), nullable=False),
    sa.Column('measure', sa.String(length=10), nullable=False),
    sa.Column('price', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('made_on', sa.Date(), nullable=True),
    sa.Column('expires_on', sa.Date(), nullable=True),
    sa.Column('storage', sa.String(length=8), nullable=False),
    sa.Column('degrees', sa.Numeric(precision=4, scale=1), nullable=True),
    sa.Column('papers', sa.Boolean(), nullable=False),
    sa.Column('looks_good', sa.Boolean(), nullable=False),
    sa.Column('verdict', sa.String(length=10), nullable=False),
    sa.Column('note', sa.String(length=200), nullable=False),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('quantity > 0', name=op.f('ck_hotel_food_line_quantity')),
    sa.ForeignKeyConstraint(['food_id'], ['hotel_food.id'], name=op.f('fk_hotel_food_line_food_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_food_line_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_food_line'))
    )
    with op.batch_alter_table('hotel_food_line', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_food_line_food', ['food_id', 'id'], unique=False)

    op.create_table('hotel_meeting',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('booked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('people', sa.Integer(), nullable=False),
    sa.Column('layout', sa.String(length=10), nullable=False),
    sa.Column('wishes', sa.Text(), nullable=False),
    sa.Column('inspection_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.CheckConstraint('ends_at > starts_at', name=op.f('ck_hotel_meeting_times')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_hotel_meeting_id_unit_id')),
    sa.ForeignKeyConstraint(['inspection_id'], ['core_inspection.id'], name=op.f('fk_hotel_meeting_inspection_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_meeting_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_meeting_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_meeting'))
    )
    with op.batch_alter_table('hotel_meeting', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_hotel_meeting_inspection_id'), ['inspection_id'], unique=False)
        batch_op.create_index('ix_hotel_meeting_list', ['unit_id', 'starts_at', 'id'], unique=False)
        batch_op.create_index('ix_hotel_meeting_place', ['place_id', 'starts_at'], unique=False)

    op.create_table('hotel_order',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=False, nullable=False),
    sa.Column('place_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('category', sa.String(length=14), nullable=False),
    sa.Column('source', sa.String(length=12), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('severity', sa.String(length=10), nullable=False),
    sa.Column('item_key', sa.String(length=40), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('blocks', sa.Boolean(), nullable=False),
    sa.Column('finding_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('complaint_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('reported_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('responded_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('done_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('result', sa.Text(), nullable=False),
    sa.Column('cost', sa.Numeric(precision=12, scale=2), nullable=True),
    sa.Column('redone', sa.Integer(), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_by', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('unit_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['checked_by'], ['core_user.id'], name=op.f('fk_hotel_order_checked_by')),
    sa.ForeignKeyConstraint(['complaint_id'], ['core_record.id'], name=op.f('fk_hotel_order_complaint_id')),
    sa.ForeignKeyConstraint(['done_by'], ['core_user.id'], name=op.f('fk_hotel_order_done_by')),
    sa.ForeignKeyConstraint(['finding_id'], ['core_finding.id'], name=op.f('fk_hotel_order_finding_id')),
    sa.ForeignKeyConstraint(['id', 'unit_id'], ['core_record.id', 'core_record.unit_id'], name=op.f('fk_hotel_order_id_unit_id')),
    sa.ForeignKeyConstraint(['place_id'], ['core_place.id'], name=op.f('fk_hotel_order_place_id')),
    sa.ForeignKeyConstraint(['unit_id'], ['core_unit.id'], name=op.f('fk_hotel_order_unit_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hotel_order')),
    sa.UniqueConstraint('finding_id', name=op.f('uq_hotel_order_finding_id'))
    )
    with op.batch_alter_table('hotel_order', schema=None) as batch_op:
        batch_op.create_index('ix_hotel_order_blocks', ['unit_id', 'place_id'], unique=False, sqlite_where=sa.text('blocks = 1'), postgresql_where=sa.text('blocks'))
        batch_op.create_index(batch_op.f('ix_hotel_order_complaint_id'), ['complaint_id'], unique=False)
        batch_op.create_index('ix_hotel_order_place', ['place_id', 'reported_at', 'id'], unique=False)
        batch_op.create_index('ix_hotel_order_repeat', ['unit_id', 'place_id', 'item_key', 'reported_at'], unique=False)
        batch_op.create_index('ix_hotel_order_time', ['unit_id', 'reported_at', 'id'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('hotel_order', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_order_time')
        batch_op.drop_index('ix_hotel_order_repeat')
        batch_op.drop_index('ix_hotel_order_place')
        batch_op.drop_index(batch_op.f('ix_hotel_order_complaint_id'))
        batch_op.drop_index('ix_hotel_order_blocks', sqlite_where=sa.text('blocks = 1'), postgresql_where=sa.text('blocks'))

    op.drop_table('hotel_order')
    with op.batch_alter_table('hotel_meeting', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_meeting_place')
        batch_op.drop_index('ix_hotel_meeting_list')
        batch_op.drop_index(batch_op.f('ix_hotel_meeting_inspection_id'))

    op.drop_table('hotel_meeting')
    with op.batch_alter_table('hotel_food_line', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_food_line_food')

    op.drop_table('hotel_food_line')
    with op.batch_alter_table('hotel_shift', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_shift_list')

    op.drop_table('hotel_shift')
    with op.batch_alter_table('hotel_food', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_food_list')

    op.drop_table('hotel_food')
    with op.batch_alter_table('hotel_facility_service', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_facility_service')

    op.drop_table('hotel_facility_service')
    with op.batch_alter_table('hotel_event', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_event_place')
        batch_op.drop_index('ix_hotel_event_day')

    op.drop_table('hotel_event')
    with op.batch_alter_table('hotel_complaint', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_complaint_place')
        batch_op.drop_index('ix_hotel_complaint_contact', sqlite_where=sa.text("contact <> ''"), postgresql_where=sa.text("contact <> ''"))
        batch_op.drop_index('ix_hotel_complaint_cause')

    op.drop_table('hotel_complaint')
    with op.batch_alter_table('hotel_stay', schema=None) as batch_op:
        batch_op.drop_index('uq_hotel_stay_reference', sqlite_where=sa.text("reference <> ''"), postgresql_where=sa.text("reference <> ''"))
        batch_op.drop_index('uq_hotel_stay_in_house', sqlite_where=sa.text("state = 'in_house'"), postgresql_where=sa.text("state = 'in_house'"))
        batch_op.drop_index('ix_hotel_stay_place')
        batch_op.drop_index('ix_hotel_stay_arrivals')

    op.drop_table('hotel_stay')
    with op.batch_alter_table('hotel_sample', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_sample_list')
        batch_op.drop_index('ix_hotel_sample_due', sqlite_where=sa.text('disposed_at IS NULL'), postgresql_where=sa.text('disposed_at IS NULL'))

    op.drop_table('hotel_sample')
    with op.batch_alter_table('hotel_processing', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_processing_list')

    op.drop_table('hotel_processing')
    with op.batch_alter_table('hotel_place', schema=None) as batch_op:
        batch_op.drop_index('uq_hotel_place_code', sqlite_where=sa.text("guest_code <> ''"), postgresql_where=sa.text("guest_code <> ''"))
        batch_op.drop_index('ix_hotel_place_state')
        batch_op.drop_index('ix_hotel_place_board')

    op.drop_table('hotel_place')
    with op.batch_alter_table('hotel_facility', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_facility_due')

    op.drop_table('hotel_facility')
    with op.batch_alter_table('hotel_cleaning', schema=None) as batch_op:
        batch_op.drop_index('ix_hotel_cleaning_person')
        batch_op.drop_index('ix_hotel_cleaning_day')

    op.drop_table('hotel_cleaning')
