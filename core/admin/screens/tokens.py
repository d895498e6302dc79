"""API tokens: one's own, and the accounts of programs (integrations) with theirs. A secret is shown once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.cases.words import unit_name
from core.admin.categories import CONNECTIONS, WORK
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.views import Answer, Screen
from core.kernel import clock
from core.kernel.database import transaction
from core.kernel.errors import AppError, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices
from core.users import tokens
from core.users.models import ApiToken, User
from core.users.permissions import units_where


def _units() -> Choices:
    """Return the actor's units where there are several to choose from."""
    found = [(str(unit.id), unit_name(unit)) for unit in g.actor.tree]
    return found if len(found) > 1 else ()


def _state(row: ApiToken) -> tuple[Any, str]:
    if row.expires_at is not None and row.expires_at <= clock.now():
        return _("Expired"), "neutral"
    return _("In use"), "good"


def _scope_words(row: ApiToken) -> list[str]:
    words = dict(tokens.scope_choices())
    return [str(words.get(code, code)) for code in row.scopes]


def _shown(rows: Any) -> list[tuple[ApiToken, tuple[Any, str], list[str]]]:
    return [(row, _state(row), _scope_words(row)) for row in rows]


def _tried(form: FieldsForm, call: Callable[[], Any]) -> Any:
    """Run one service in one transaction; what goes wrong lands in the form, and None is returned."""
    if not form.validate_on_submit():
        return None
    try:
        with transaction():
            return call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return None


class TokenScreen(Screen):
    """The signed-in person's own tokens; reached from their account."""

    icon = "key"

    def is_visible(self) -> bool:
        """Keep it out of the menu: it belongs to the account."""
        return False

    @expose("/")
    def index(self) -> Answer:
        """List one's tokens, with the form of a new one."""
        return self._page(form_from_fields(tokens.token_fields(_units())))

    def _page(self, form: FieldsForm, status: int = 200) -> Answer:
        rows = _shown(tokens.tokens_of(g.actor.id))
        page = self.render("admin/tokens.html", form=form, rows=rows, revoke=self.get_url(".revoke"), owner=None)
        return (page, status) if status != 200 else page

    @expose("/make", methods=("POST",))
    def make(self) -> Answer:
        """Make a token and show its secret, once."""
        form = form_from_fields(tokens.token_fields(_units()))
        made = _tried(form, lambda: tokens.make_token(form.raw(), _units()))
        if made is None:
            return self._page(form, 422)
        return self.render(
            "admin/token_secret.html", secret=made[1], title=made[0].name, back=self.get_url(".index")
        )

    @expose("/revoke", methods=("POST",))
    def revoke(self) -> Answer:
        """Revoke one of one's own tokens."""
        with transaction():
            tokens.revoke_own(request.form.get("id"))
        flash(_("The token is revoked."), "good")
        return redirect(self.get_url(".index"))


class IntegrationScreen(Screen):
    """Accounts of programs, for whoever administers users."""

    permission = tokens.ADMIN
    icon = "key"

    @expose("/")
    def index(self) -> Answer:
        """List the programs."""
        return self.render("admin/integrations.html", rows=tokens.integrations())

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> Answer:
        """Make a program's account with its first token."""
        units = tokens.unit_choices(units_where(tokens.ADMIN))
        positions = tokens.position_choices()
        form = form_from_fields(tokens.integration_fields(units, positions), {"unit_id": str(g.unit.id)})
        back = self.get_url(".index")
        if request.method == "POST":
            made = _tried(form, lambda: tokens.make_integration(form.raw(), units, positions))
            if made is not None:
                return self.render(
                    "admin/token_secret.html",
                    secret=made[1],
                    title=made[0].name,
                    back=self.get_url(".one", user_id=made[0].id),
                )
        page = self.render("admin/integration_new.html", form=form, back=back)
        return (page, 422) if request.method == "POST" else page

    @expose("/<user_id>", methods=("GET", "POST"))
    def one(self, user_id: str) -> Answer:
        """Show a program's tokens, or make a further one."""
        user = tokens.integration(user_id)
        units = tokens.unit_choices(units_where(tokens.ADMIN))
        form = form_from_fields(tokens.token_fields(units if len(units) > 1 else ()))
        if request.method != "POST":
            return self._page(user, form)
        made = _tried(form, lambda: tokens.make_integration_token(user.id, form.raw(), units))
        if made is None:
            return self._page(user, form), 422
        here = self.get_url(".one", user_id=user.id)
        return self.render("admin/token_secret.html", secret=made[1], title=made[0].name, back=here)

    def _page(self, user: User, form: FieldsForm) -> str:
        rows = _shown(tokens.tokens_of(user.id))
        revoke = self.get_url(".revoke", user_id=user.id)
        return str(self.render("admin/tokens.html", form=form, rows=rows, revoke=revoke, owner=user))

    @expose("/<user_id>/revoke", methods=("POST",))
    def revoke(self, user_id: str) -> Answer:
        """Revoke one token of a program."""
        user = tokens.integration(user_id)
        with transaction():
            tokens.revoke_of(user, request.form.get("id"))
        flash(_("The token is revoked."), "good")
        return redirect(self.get_url(".one", user_id=user.id))

    @expose("/<user_id>/end", methods=("POST",))
    def end(self, user_id: str) -> Answer:
        """Close a program's account for good."""
        with transaction():
            tokens.end_integration(user_id)
        flash(_("The account is closed; its tokens hold no more."), "good")
        return redirect(self.get_url(".index"))


def admin_views() -> list[AdminEntry]:
    """Return the screens of this module."""
    own = TokenScreen(name=_l("API tokens"), endpoint="tokens", url="/admin/tokens")
    programs = IntegrationScreen(name=_l("Integrations"), endpoint="integrations", url="/admin/integrations")
    return [AdminEntry(own, WORK, 99), AdminEntry(programs, CONNECTIONS, 50)]
