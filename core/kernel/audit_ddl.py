"""Triggers that keep the audit trail append-only, for both databases. Called by the first core migration."""

from __future__ import annotations

from sqlalchemy import Connection, text

_COLUMNS = (
    *("id", "unit_id", "at", "actor_id", "action", "subject_type", "subject_id", "label"),
    *("before", "after", "detail", "address", "reason"),
)
_UNCHANGED = " AND ".join(f"OLD.{c} IS NEW.{c}" for c in _COLUMNS)
_TABLES = ("core_audit", "core_audit_seal")
_REFUSAL = "the audit trail is append-only"


def _sqlite() -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    made = [
        "CREATE TRIGGER core_audit_keep_row BEFORE UPDATE ON core_audit WHEN NOT "
        f"(OLD.seal_id IS NULL AND NEW.seal_id IS NOT NULL AND {_UNCHANGED}) {refuse}",
        f"CREATE TRIGGER core_audit_seal_keep_row BEFORE UPDATE ON core_audit_seal {refuse}",
    ]
    for table in _TABLES:
        made.append(f"CREATE TRIGGER {table}_never_delete BEFORE DELETE ON {table} {refuse}")
        # INSERT OR REPLACE deletes without firing the delete trigger.
        made.append(
            f"CREATE TRIGGER {table}_never_replace BEFORE INSERT ON {table} "  # noqa: S608 - constants
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id) {refuse}"
        )
    return made


def _postgresql() -> list[str]:
    made = [
        f"""CREATE OR REPLACE FUNCTION core_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'core_audit' THEN
                IF OLD.seal_id IS NULL AND NEW.seal_id IS NOT NULL
                   AND to_jsonb(NEW) - 'seal_id' = to_jsonb(OLD) - 'seal_id' THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION '{_REFUSAL}';
        END $$"""
    ]
    for table in _TABLES:
        made.append(
            f"CREATE TRIGGER {table}_keep_row BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION core_audit_guard()"
        )
        made.append(
            f"CREATE TRIGGER {table}_never_empty BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION core_audit_guard()"
        )
    return made


def create(connection: Connection) -> None:
    """Put the triggers on the existing tables ``core_audit`` and ``core_audit_seal``."""
    for statement in _sqlite() if connection.dialect.name == "sqlite" else _postgresql():
        connection.execute(text(statement))


def drop(connection: Connection) -> None:
    """Take the triggers away, before the tables are dropped by a downgrade."""
    if connection.dialect.name == "sqlite":
        for table in _TABLES:
            for rule in ("keep_row", "never_delete", "never_replace"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_{rule}"))
        return
    for table in _TABLES:
        for rule in ("keep_row", "never_empty"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_{rule} ON {table}"))
    connection.execute(text("DROP FUNCTION IF EXISTS core_audit_guard()"))
