"""Users (用户), what they hold where, and positions (岗位)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import joinedload, selectinload

from core.admin.cases.words import unit_name
from core.admin.categories import SYSTEM
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering
from core.admin.views import Answer, UnitModelView, may_here, reason_text
from core.kernel import clock
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.kernel.ids import read_id
from core.units.models import Unit
from core.users import services, sign_in
from core.users.models import Position, User, UserPosition
from core.users.permissions import all_permissions, units_where
from core.users.positions import title_of


def _visible() -> Select[Any]:
    """Users with a position in a unit the actor administers, and those who have none yet."""
    any_held = exists().where(UserPosition.user_id == User.id)
    here = any_held.where(UserPosition.unit_id.in_(units_where("user.admin")))
    positions = selectinload(User.positions).joinedload(UserPosition.position)
    return select(User).where(or_(here, ~any_held)).options(positions)


def _find(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(
        or_(User.username.contains(text.casefold(), autoescape=True), User.name.contains(text, autoescape=True))
    )


def _state(row: User) -> tuple[Any, str]:
    return (_("Active"), "good") if row.active else (_("Left"), "neutral")


def _held_now(row: User) -> str:
    """Say what a user holds today in the units the actor administers: "Customer service (Store)"."""
    if "user_units" not in g:
        found = session().scalars(select(Unit).where(Unit.id.in_(units_where("user.admin"))))
        g.user_units = {unit.id: unit_name(unit) for unit in found}
    today = _today()
    held = (
        _("%(position)s (%(unit)s)", position=title_of(one.position), unit=g.user_units[one.unit_id])
        for one in row.positions
        if one.unit_id in g.user_units
        and one.valid_from <= today
        and (one.valid_to is None or one.valid_to >= today)
    )
    return _(", ").join(held)


USERS = ListSpec(
    name="users",
    title=_l("Users"),
    model=User,
    base=_visible,
    columns=(
        ListColumn("name", _l("Full name"), lambda u: u.name, link=lambda u: _user_url(u), card="title"),
        ListColumn("username", _l("User name"), lambda u: u.username, "code"),
        ListColumn("positions", _l("Positions"), _held_now),
        ListColumn("active", _l("State"), _state, "badge", card="badge"),
        ListColumn("totp", _l("One-time codes"), lambda u: bool(u.totp_secret), "bool"),
        ListColumn("email", _l("E-mail"), lambda u: u.email),
        ListColumn("phone", _l("Phone"), lambda u: u.phone, "code"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (User.id,)),
        Ordering("name", _l("By user name"), (User.username, User.id), descending=False),
    ),
    filters=(Filter("active", _l("May sign in"), "bool", lambda s, v, _c: s.where(User.active.is_(v))),),
    search=_find,
    search_hint=_l("Name or user name"),
)


def _user_url(row: User) -> str:
    from core.admin.urls import page_url

    return page_url("users.details_view", id=row.id)


class UserScreen(UnitModelView):
    """Users whom the actor administers."""

    title = _l("Users")
    icon = "users"
    permission = "user.admin"
    create_permission = "user.admin"
    edit_permission = "user.admin"
    create_label = _l("New user")
    details_template = "admin/user.html"

    def list_spec(self) -> ListSpec:
        return USERS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return services.USER_FIELDS

    def get_one(self, id: Any) -> Any:
        key = read_id(id)
        row = session().scalars(_visible().where(User.id == key)).first() if key else None
        if row is None:
            raise NotFound()
        return row

    def update(self, row: User, values: dict[str, Any]) -> None:
        services.update_user(row.id, values)

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Add a user; the first password is shown once, on the next page."""
        self.need(self.create_permission)
        form = form_from_fields(services.USER_FIELDS, timezone=g.unit.timezone)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    user, password = services.create_user(form.cleaned)
            except InvalidData as bad:
                form.show(bad)
            else:
                return self._password_page(user, password)
        return self._form_page(form, None)

    def _password_page(self, user: User, password: str) -> Answer:
        return self.render("admin/user_password.html", row=user, password=password, back=self.row_url(user))

    def details(self, row: User) -> dict[str, Any]:
        held = (
            select(UserPosition, Unit.name)
            .join(Unit, Unit.id == UserPosition.unit_id)
            .where(UserPosition.user_id == row.id)
            .options(joinedload(UserPosition.position))
            .order_by(UserPosition.valid_from.desc(), UserPosition.id.desc())
        )
        return {
            "facts": [
                (_("User name"), row.username),
                (_("Full name"), row.name),
                (_("E-mail"), row.email),
                (_("Phone"), row.phone),
                (_("Language"), label_of(services.LOCALES, row.locale)),
                (_("State"), _state(row)[0]),
                (_("One-time codes"), _("Yes") if row.totp_secret else _("No")),
            ],
            "held": [(one, title_of(one.position), unit) for one, unit in session().execute(held)],
            "today": _today(),
            "may_end": units_where("user.admin"),
            "may_recover": may_here("security.admin"),
            "locked_until": sign_in.locked_until(row.username),
        }

    # positions of a user

    @expose("/grant/", methods=("GET", "POST"))
    def grant_view(self) -> Answer:
        """Give a user a position."""
        user = self.get_one(request.args.get("id"))
        form = form_from_fields(_grant_fields(), {"unit_id": g.unit.id, "valid_from": _today()})
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    services.grant_position(
                        user.id,
                        int(form.cleaned["unit_id"]),
                        int(form.cleaned["position_id"]),
                        form.cleaned["valid_from"],
                        form.cleaned["valid_to"],
                    )
            except AppError as bad:
                form.show(bad)
            else:
                flash(_("Saved."), "good")
                return redirect(self.row_url(user))
        return self._grant_page(form, user)

    def _grant_page(self, form: FieldsForm, user: User) -> Answer:
        page = self.render("admin/user_grant.html", form=form, row=user, version="", back=self.row_url(user))
        return (page, 422) if request.method == "POST" else page

    @expose("/end/", methods=("POST",))
    def end_view(self) -> Answer:
        """Take a position away, from now on."""
        row = fetch(UserPosition, request.form.get("position"))
        user = self.get_one(row.user_id)
        return self._do(user, lambda: services.end_position(row.id, _today() - timedelta(days=1)), _("Ended."))

    # recovery

    @expose("/password/", methods=("POST",))
    def password_view(self) -> Answer:
        """Give a new temporary password; it is shown once."""
        user = self.get_one(request.form.get("id"))
        try:
            with transaction():
                password = services.reset_password(user.id)
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(self.row_url(user))
        sign_in.unlock(user.username)
        return self._password_page(user, password)

    @expose("/codes/", methods=("POST",))
    def codes_view(self) -> Answer:
        """Switch one-time codes off for somebody who lost the phone."""
        user = self.get_one(request.form.get("id"))
        return self._do(user, lambda: services.reset_totp(user.id), _("One-time codes are switched off."))

    @expose("/sessions/", methods=("POST",))
    def sessions_view(self) -> Answer:
        """Sign a user out everywhere."""
        user = self.get_one(request.form.get("id"))
        return self._do(user, lambda: services.force_sign_out(user.id), _("Ended."))

    @expose("/unlock/", methods=("POST",))
    def unlock_view(self) -> Answer:
        """Forget an account's failed sign-ins."""
        user = self.get_one(request.form.get("id"))
        answer = self._do(user, lambda: services.note_unlock(user.id), _("The account is unlocked."))
        if may_here("security.admin"):
            sign_in.unlock(user.username)
        return answer

    def _do(self, user: User, service: Callable[[], object], said: str) -> Answer:
        try:
            with transaction():
                service()
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(said, "good")
        return redirect(self.row_url(user))


def _today() -> date:
    return clock.day_in(g.unit.timezone)


def _unit_choices() -> list[tuple[str, str]]:
    held = units_where("user.admin")
    return [(str(u.id), u.name) for u in g.actor.tree if u.id in held]


def _position_choices() -> list[tuple[str, str]]:
    rows = session().scalars(select(Position).order_by(Position.sort, Position.id))
    return [(str(row.id), title_of(row)) for row in rows]


def _grant_fields() -> Sequence[Field]:
    return (
        Field("unit_id", "choice", _l("Unit"), required=True, choices=_unit_choices),
        Field("position_id", "choice", _l("Position"), required=True, choices=_position_choices),
        Field("valid_from", "date", _l("First day"), required=True),
        Field("valid_to", "date", _l("Last day"), help=_l("Leave empty if there is no end")),
    )


# --- positions -------------------------------------------------------------------------------

POSITIONS = ListSpec(
    name="positions",
    title=_l("Positions"),
    model=Position,
    columns=(
        ListColumn("title", _l("Position"), title_of, link=lambda p: _position_url(p), card="title"),
        ListColumn("code", _l("Code"), lambda p: p.code, "code"),
        ListColumn("count", _l("Permissions"), lambda p: len(p.permissions), "number"),
        ListColumn("below", _l("Also in units below"), lambda p: p.below, "bool"),
        ListColumn("totp", _l("Asks for one-time codes"), lambda p: p.requires_totp, "bool"),
        ListColumn("apart", _l("Never together"), lambda p: bool(p.exclusion_group), "bool"),
    ),
    orderings=(Ordering("sort", _l("Usual order"), (Position.sort, Position.id), descending=False),),
)


def _position_url(row: Position) -> str:
    from core.admin.urls import page_url

    return page_url("positions.edit_view", id=row.id)


def _permission_choices() -> list[tuple[str, str]]:
    return [(p.code, str(p.label)) for p in all_permissions()]


def _permission_groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return what the form shows under one heading each, in the order the groups first appear."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for one in all_permissions():
        groups.setdefault(str(one.group), []).append((one.code, str(one.label)))
    return list(groups.items())


class PositionScreen(UnitModelView):
    """Positions and what they carry, for the whole deployment."""

    title = _l("Positions")
    icon = "key"
    permission = "position.admin"
    edit_permission = "position.admin"

    def list_spec(self) -> ListSpec:
        return POSITIONS

    def row_url(self, row: Position) -> str:
        return str(self.get_url(".index_view"))

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return (
            Field("title", "text", _l("Title"), required=True, max_length=60),
            Field("title_en", "text", _l("Title in English"), max_length=80),
            Field("below", "bool", _l("Also in units below")),
            Field("requires_totp", "bool", _l("Asks for one-time codes")),
            Field(
                "permissions",
                "many",
                _l("Permissions"),
                choices=_permission_choices,
                options={"groups": _permission_groups},
            ),
        )

    def update(self, row: Position, values: dict[str, Any]) -> None:
        kept = [c for c in row.permissions if c not in dict(_permission_choices())]
        try:
            services.update_position(
                row.id,
                values["title"],
                values["title_en"] or "",
                [*(values["permissions"] or []), *kept],
                values["below"],
                values["requires_totp"],
            )
        except InvalidData:
            raise
        except AppError as bad:
            raise InvalidData({"": reason_text(bad)}) from bad


def admin_views() -> list[AdminEntry]:
    """Return the screens of this module."""
    return [
        AdminEntry(UserScreen(User, endpoint="users"), SYSTEM, 40),
        AdminEntry(PositionScreen(Position, endpoint="positions"), SYSTEM, 41),
    ]
