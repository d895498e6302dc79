"""The floor: the least Flask + SQLAlchemy app with customers, cases and events, and good indexes.

No sign-in, no permissions, no forms, no audit. What our suite costs on top is the price of those.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, Response, redirect, render_template_string, request
from sqlalchemy import ForeignKey, Index, String, create_engine, event, or_, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, sessionmaker

PAGE = """<!doctype html><meta charset=utf-8><title>Cases</title><table>
{% for c in cases %}<tr><td>{{ c.number }}<td>{{ c.title }}<td>{{ c.customer.name }}
<td>{{ c.state }}<td>{{ c.received_at }}</tr>
{% endfor %}</table>"""

FOUND = """<!doctype html><meta charset=utf-8><title>Customers</title><table>
{% for c in customers %}<tr><td>{{ c.number }}<td>{{ c.name }}<td>{{ c.phone }}</tr>
{% endfor %}</table>"""


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "floor_customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(120), index=True)
    phone: Mapped[str] = mapped_column(String(30), index=True)


class Case(Base):
    __tablename__ = "floor_case"
    __table_args__ = (
        Index(
            "ix_floor_open",
            "received_at",
            "id",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(40), unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("floor_customer.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(4000))
    state: Mapped[str] = mapped_column(String(20))
    received_at: Mapped[datetime] = mapped_column()
    customer: Mapped[Customer] = relationship()


class Event(Base):
    __tablename__ = "floor_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("floor_case.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column()


def create_floor(url: str) -> Flask:
    """Build the floor app on ``url``; it creates its own tables."""
    engine = create_engine(url, connect_args={"timeout": 15} if url.startswith("sqlite") else {})
    if url.startswith("sqlite"):

        @event.listens_for(engine, "connect")
        def _connect(dbapi, _record):  # type: ignore[no-untyped-def]
            dbapi.isolation_level = None
            for pragma in ("journal_mode=wal", "synchronous=normal", "foreign_keys=on"):
                dbapi.execute(f"pragma {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(conn):  # type: ignore[no-untyped-def]
            conn.exec_driver_sql("BEGIN" if request and request.method == "GET" else "BEGIN IMMEDIATE")

    make = sessionmaker(engine, expire_on_commit=False)
    Base.metadata.create_all(engine)
    app = Flask("floor")
    app.extensions["floor_engine"] = engine

    @app.post("/cases")
    def create() -> Response:
        with make() as work:
            _create(work)
            work.commit()
        return redirect("/cases", 303)

    def _create(work: Session) -> None:
        customer = work.scalars(select(Customer).where(Customer.id == int(request.form["customer_id"]))).one()
        moment = datetime.now(UTC).replace(tzinfo=None)
        case = Case(
            number=request.form["number"],
            customer_id=customer.id,
            title=request.form["description"][:80],
            description=request.form["description"],
            state="open",
            received_at=moment,
        )
        work.add(case)
        work.flush()
        work.add(Event(case_id=case.id, kind="registered", at=moment))

    @app.get("/cases")
    def newest() -> str:
        with make() as work:
            cases = work.scalars(
                select(Case)
                .options(joinedload(Case.customer))
                .where(Case.state == "open")
                .order_by(Case.received_at.desc(), Case.id.desc())
                .limit(50)
            ).all()
        return render_template_string(PAGE, cases=cases)

    @app.get("/customers")
    def search() -> str:
        words = f"%{request.args['q']}%"
        with make() as work:
            customers = work.scalars(
                select(Customer)
                .where(or_(Customer.name.like(words), Customer.phone.like(words)))
                .order_by(Customer.id.desc())
                .limit(50)
            ).all()
        return render_template_string(FOUND, customers=customers)

    return app
