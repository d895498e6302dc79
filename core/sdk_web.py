"""The public face of the core for plugins' screens: base views, lists, forms, and the present unit."""

from core.admin.cases.words import state_badge
from core.admin.forms import FieldsForm, form_from_fields, went_through
from core.admin.listing import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
)
from core.admin.marks import badges_of
from core.admin.screens.labels import label_action
from core.admin.urls import back_to, page_url
from core.admin.views import Gated, ListScreen, Screen, UnitModelView, check_version, form_key, may_here
from core.kernel.extensions import AdminEntry
from core.kernel.switches import is_enabled
from core.users.shared import by_pin
from core.web.open_pages import Limits, open_page

__all__ = [
    "AdminEntry",
    "BulkAction",
    "FieldsForm",
    "Filter",
    "Gated",
    "Limits",
    "ListColumn",
    "ListContext",
    "ListScreen",
    "ListSpec",
    "Ordering",
    "QuickFilter",
    "Screen",
    "UnitModelView",
    "among",
    "back_to",
    "badges_of",
    "between",
    "by_pin",
    "check_version",
    "form_from_fields",
    "form_key",
    "is_enabled",
    "label_action",
    "may_here",
    "open_page",
    "page_url",
    "state_badge",
    "went_through",
]
