"""The table of authority (权限表): posts of the unit, who holds them, what they may do and answer for."""

from __future__ import annotations

from flask import g
from flask_admin import expose
from flask_babel import lazy_gettext as _l

from core.admin.categories import RULES
from core.admin.clauses import VIEW, said
from core.admin.views import Answer, Screen, enabled_plugins
from core.kernel.extensions import AdminEntry
from core.rules.clauses import Clause
from core.rules.effective import effective
from core.rules.rulebook import current_rulebook
from core.users.authority import posts_of


class AuthorityScreen(Screen):
    """Read only: positions are granted and changed on their own screens."""

    permission = VIEW
    icon = "key"

    @expose("/")
    def index(self) -> Answer:
        """Show every post of the unit."""
        return self.render("admin/authority.html", posts=posts_of(g.unit.id), duties=_duties(g.unit.id), said=said)


def _duties(unit_id: int) -> dict[str, list[Clause]]:
    """Return the clauses that are on in the unit by the position that answers for them."""
    found: dict[str, list[Clause]] = {}
    for clause in current_rulebook().in_force(enabled_plugins()):
        if clause.responsible and effective(unit_id, clause).holds:
            found.setdefault(clause.responsible, []).append(clause)
    return found


def admin_views() -> list[AdminEntry]:
    """Return the screens of this module."""
    screen = AuthorityScreen(name=_l("Table of authority"), endpoint="authority", url="/admin/authority")
    return [AdminEntry(screen, RULES, 60)]
