"""Tables of users, their positions and their sign-ins."""

from __future__ import annotations

from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UtcDateTime
from core.kernel.i18n import current_locale


class User(Base):
    """A person who signs in. Holds positions in any number of units."""

    __tablename__ = "core_user"
    __global__ = "a user may belong to several units; lists show only users with a position in scope"
    __audited__ = True
    __audit_mask__ = frozenset({"password_hash", "totp_secret", "email", "phone"})
    __audit_skip__ = frozenset({"version", "totp_last_step", "last_unit_id", "session_version"})
    __audit_label__ = "username"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    username: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    email: Mapped[str] = mapped_column(String(200), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    locale: Mapped[str] = mapped_column(String(10), default="zh")
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    must_change_password: Mapped[bool] = mapped_column(default=False)
    session_version: Mapped[int] = mapped_column(default=1)
    totp_secret: Mapped[str] = mapped_column(String(200), default="")
    totp_last_step: Mapped[int] = mapped_column(default=0)
    last_unit_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"))
    active: Mapped[bool] = mapped_column(default=True)
    # The account of a program: it has no password and works through its API tokens only.
    integration: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=1)

    positions: Mapped[list[UserPosition]] = relationship(back_populates="user", foreign_keys="UserPosition.user_id")
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Position(Base):
    """A position (岗位) and the permissions it carries. ``below``: they also hold in child units."""

    __tablename__ = "core_position"
    __global__ = "one list of positions for the whole deployment"
    __audited__ = True
    __audit_label__ = "title"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(60))
    title_en: Mapped[str] = mapped_column(String(80), default="")
    permissions: Mapped[list[Any]] = mapped_column(Json, default=list)
    below: Mapped[bool] = mapped_column(default=False)
    requires_totp: Mapped[bool] = mapped_column(default=False)
    # Positions of one exclusion group are never held together by one person.
    exclusion_group: Mapped[str] = mapped_column(String(40), default="")
    sort: Mapped[int] = mapped_column(default=100)

    def __str__(self) -> str:
        return self.title_en if self.title_en and current_locale() == "en" else self.title


class UserPosition(Base):
    """A user's position in a unit, dated."""

    __tablename__ = "core_user_position"
    __global__ = "read to find the scope itself"
    __audited__ = True
    __table_args__ = (UniqueConstraint("user_id", "unit_id", "position_id", "valid_from"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), index=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), index=True)
    position_id: Mapped[int] = mapped_column(ForeignKey("core_position.id"))
    valid_from: Mapped[date] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()

    user: Mapped[User] = relationship(back_populates="positions", foreign_keys=user_id)
    position: Mapped[Position] = relationship()


class UserSession(Base):
    """One signed-in browser; shown to the user, who may end it."""

    __tablename__ = "core_user_session"
    __global__ = "belongs to a user, not to a unit; read before the scope is known"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(60), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A bearer token of the JSON API: its user's rights, narrowed by its scopes. Only its hash is kept."""

    __tablename__ = "core_api_token"
    __global__ = "belongs to a user, not to a unit; read before the scope is known"
    __audited__ = True
    __audit_mask__ = frozenset({"token_hash"})
    __audit_skip__ = frozenset({"last_used_at", "last_address"})
    __audit_label__ = "name"
    __audit_words__ = MappingProxyType(
        {
            "": _l("API token"),
            "name": _l("What it is for"),
            "hint": _l("Begins with"),
            "token_hash": _l("Token"),
            "scopes": _l("What it may do"),
            "unit_ids": _l("Only in these units"),
            "created_by": _l("Added by"),
            "expires_at": _l("Valid until"),
            "revoked_at": _l("Revoked at"),
        }
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    # The first characters, by which its owner recognises it.
    hint: Mapped[str] = mapped_column(String(12))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # What it may do (``case.read``, ``case.write``, ``*.read``); of integrations the units it is limited to.
    scopes: Mapped[list[Any]] = mapped_column(Json, default=list)
    unit_ids: Mapped[list[Any]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_address: Mapped[str] = mapped_column(String(60), default="")
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignInTry(Base):
    """Failed sign-ins, counted in the database so that a lock-out survives restarts and processes."""

    __tablename__ = "core_sign_in_try"
    __global__ = "written before anybody is known"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class UserPin(Base):
    """A person's PIN: they say yes with it on somebody else's device. It is no password and opens nothing."""

    __tablename__ = "core_user_pin"
    __global__ = "belongs to a user, not to a unit"

    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), primary_key=True, autoincrement=False)
    pin_hash: Mapped[str] = mapped_column(String(200))
    set_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SavedView(Base):
    """A saved set of list filters (常用筛选): personal, or shared with a unit."""

    __tablename__ = "core_saved_view"
    __global__ = "a user's own; the list service filters by user and unit"
    __table_args__ = (Index("ix_core_saved_view_lookup", "list_name", "user_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_name: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(40))
    query: Mapped[str] = mapped_column(String(1000))
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    shared_unit_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"))
    pinned: Mapped[bool] = mapped_column(default=False)
