"""The audit trail in words: actions, what they were done to, and the columns they changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import Table

from core.admin.format import moment_text
from core.kernel.database import Base
from core.kernel.i18n import current_locale
from core.kernel.importing import importers
from core.users.permissions import all_permissions

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$")
ACTIONS = {
    "create": _l("Added"),
    "change": _l("Changed"),
    "delete": _l("Deleted"),
    "sign_in": _l("Signed in"),
    "sign_out": _l("Signed out"),
    "sign_in.refused": _l("Sign-in refused"),
    "sign_in.code_refused": _l("One-time code refused"),
    "sign_in.unlock": _l("Account unlocked"),
    "password.change": _l("Password changed"),
    "password.reset": _l("Password reset"),
    "totp.enrol": _l("One-time codes switched on"),
    "totp.remove": _l("One-time codes switched off"),
    "totp.reset": _l("One-time codes reset"),
    "sessions.end": _l("Sessions ended"),
    "device.begun": _l("Began to work on a shared device"),
    "device.done": _l("Said to be done on a shared device"),
    "export": _l("Exported"),
    "notice.defaults": _l("Changed how a position is told"),
    "import.done": _l("Imported"),
    "import.undone": _l("Import undone"),
    "history.taken_over": _l("Case history imported"),
    "case.contact_revealed": _l("Contact data of a case looked up"),
    "customer.identity_revealed": _l("Identity number looked up"),
    "customer.merged": _l("Customers merged"),
    "customer.erased": _l("Personal data erased"),
    "customer.key_destroyed": _l("Key of personal data destroyed"),
    "document.previewed": _l("Form with personal data looked at"),
    "document.issued": _l("Document issued"),
    "job.retry": _l("Background work retried"),
    "job.drop": _l("Background work given up"),
    "audit.verify": _l("Audit trail verified"),
    "calendar.official": _l("Official days of a year replaced"),
}
SUBJECTS = {
    "core_robot": _l("Group robot"),
    "core_seal_use": _l("Use of a seal"),
    "core_user": _l("User"),
    "core_user_position": _l("Position of a user"),
    "core_position": _l("Position"),
    "core_unit": _l("Unit"),
    "core_unit_plugin": _l("Plugin switch"),
    "core_setting": _l("Setting"),
    "core_stage": _l("Stage"),
    "core_customer": _l("Customer"),
    "core_customer_phone": _l("Phone of a customer"),
    "core_customer_address": _l("Address of a customer"),
    "core_customer_contact": _l("Contact of a customer"),
    "core_case": _l("Case"),
    "case": _l("Case"),
    "core_import": _l("Import"),
    "core_outbox": _l("Background work that failed"),
    "core_calendar": _l("Working calendar"),
    "core_calendar_override": _l("Own hours on dates"),
    "core_calendar_day": _l("Official day"),
    "core_calendar_year": _l("Official days of a year"),
    "list": _l("List"),
}
# Columns mean the same wherever they stand, so one list does for all tables.
COLUMNS = {
    "active": _l("In use"),
    "address": _l("Address"),
    "below": _l("Also in units below"),
    "calendar_id": _l("Working calendar"),
    "changed_at": _l("Changed at"),
    "first_on_at": _l("First switched on"),
    "changed_by": _l("Changed by"),
    "city": _l("City"),
    "code": _l("Code"),
    "company_code": _l("Credit code"),
    "county": _l("County"),
    "created_at": _l("Added at"),
    "customer_id": _l("Customer"),
    "day": _l("Date"),
    "detail": _l("Details"),
    "digits": _l("Phone"),
    "display": _l("Phone as shown"),
    "distance_km": _l("Distance (km)"),
    "email": _l("E-mail"),
    "enabled": _l("Switch on"),
    "exclusion_group": _l("Never together"),
    "final": _l("Notice published"),
    "first_day": _l("From"),
    "hours": _l("Hours"),
    "id": _l("Serial"),
    "identity_cipher": _l("Identity number"),
    "key": _l("Setting"),
    "integration": _l("Account of a program"),
    "kind": _l("Kind"),
    "label": _l("Label"),
    "last_day": _l("Until"),
    "last_unit_id": _l("Unit last worked in"),
    "latitude": _l("Latitude"),
    "locale": _l("Language"),
    "longitude": _l("Longitude"),
    "makeup": _l("Make-up working day"),
    "merged_into_id": _l("Merged into"),
    "must_change_password": _l("Password must be changed"),
    "name": _l("Name"),
    "name_en": _l("English name"),
    "note": _l("Note"),
    "service_plan": _l("Service plan"),
    "number": _l("Customer number"),
    "official": _l("Official holidays"),
    "parent_id": _l("Belongs to"),
    "password_hash": _l("Password"),
    "path": _l("Place in the tree"),
    "pauses_clock": _l("Pauses the clock"),
    "permissions": _l("Permissions"),
    "phone": _l("Phone"),
    "plugin": _l("Plugins"),
    "position_id": _l("Position"),
    "postcode": _l("Postcode"),
    "province": _l("Province"),
    "record_type": _l("Kind of record"),
    "region_code": _l("Region code"),
    "requires_totp": _l("Asks for one-time codes"),
    "role": _l("Role"),
    "room": _l("Kind of setting"),
    "sort": _l("Usual order"),
    "state": _l("State"),
    "timezone": _l("Time zone"),
    "title": _l("Title"),
    "title_en": _l("Title in English"),
    "totp_secret": _l("One-time codes"),
    "uid": _l("Permanent number"),
    "unit_id": _l("Unit"),
    "user_id": _l("User"),
    "username": _l("User name"),
    "usual": _l("The usual calendar of this unit"),
    "valid_from": _l("First day"),
    "valid_to": _l("Last day"),
    "value": _l("Set value"),
    "version": _l("Version"),
    "warnings": _l("To check"),
    "wechat": _l("WeChat"),
    "weekly": _l("Hours of the week"),
    "year": _l("Year"),
}


# What an entry tells beside columns.
DETAILS = {
    "create": _l("New"),
    "duplicate": _l("Possible duplicates"),
    "duplicate_create": _l("Duplicates added as new"),
    "duplicate_merge": _l("Duplicates that updated an existing one"),
    "duplicate_skip": _l("Duplicates left out"),
    "error": _l("Errors"),
    "filters": _l("Filter"),
    "from": _l("Merged number"),
    "head": _l("Digest of the chain"),
    "importer": _l("What was imported"),
    "known": _l("The account exists"),
    "moved": _l("Entries moved"),
    "ok": _l("The trail is whole"),
    "purpose": _l("Purpose"),
    "reason": _l("Reason"),
    "rows": _l("Rows"),
    "same": _l("Unchanged"),
    "seals": _l("Seals"),
    "session": _l("Session"),
    "update": _l("Updates"),
    "warning": _l("Warnings"),
}


def action_label(code: str) -> Any:
    """Name an action; one without words shows its code."""
    return ACTIONS.get(code, code)


def subject_label(kind: str) -> Any:
    """Name what an entry is about: by the model's own words, else a plugin's table goes by the plugin's title."""
    if kind in SUBJECTS:
        return SUBJECTS[kind]
    if label := _words(kind).get(""):
        return label
    owners = {one.name: one for one in current_app.extensions["plugins"].plugins}
    owner = owners.get(kind.partition("_")[0])
    return owner.title(current_locale()) if owner else kind


def column_label(name: str, kind: str = "") -> Any:
    """Name a column or detail of an entry about ``kind``; one without words shows its own name."""
    return _known(name, kind) or name


def column_cell(name: str, kind: str = "") -> Any:
    """Name a column in a page: one without words stands there as the code it is."""
    return _known(name, kind) or Markup("<code>{}</code>").format(name)


def value_text(value: Any, name: str = "", kind: str = "") -> str:
    """Say a stored value: by the model's words for it, yes and no, lists with commas, a dash for nothing."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, list):
        return _(", ").join(value_text(one, name, kind) for one in value) or "—"
    return _choice(value, name, kind) or _moment(value) or str(value)


def _words(kind: str) -> Mapping[str, Any]:
    """Return what the model behind a table says about its words."""
    found: dict[str, Mapping[str, Any]] = current_app.extensions.setdefault("audit_words", {})
    if not found:
        tables = ((mapper.local_table, mapper.class_) for mapper in Base.registry.mappers)
        found.update({table.name: one.__audit_words__ for table, one in tables if isinstance(table, Table)})
    return found.get(kind, {})


def _known(name: str, kind: str) -> Any:
    own = _words(kind).get(name)
    if own is not None:
        return own[0] if isinstance(own, tuple) else own
    if name.startswith("note:"):
        return _note_label(name.removeprefix("note:"))
    return COLUMNS.get(name) or DETAILS.get(name)


def _note_label(code: str) -> Any:
    return next((one.note_labels[code] for one in importers().values() if code in one.note_labels), None)


def _choice(value: Any, name: str, kind: str) -> str:
    if name == "permissions":
        known = (one for one in all_permissions() if one.code == value)
        return next((f"{one.group} · {one.label}" for one in known), "")
    if name == "importer":
        known_importer = importers().get(value)
        return str(known_importer.title) if known_importer else ""
    own = _words(kind).get(name)
    return str(dict(own[1]).get(value, "")) if isinstance(own, tuple) else ""


def _moment(value: Any) -> str:
    """Show a stored moment in the unit's zone; '' for anything else."""
    if not (isinstance(value, str) and _MOMENT.match(value)):
        return ""
    return moment_text(datetime.fromisoformat(value))
