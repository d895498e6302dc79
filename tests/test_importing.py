"""Importing customers: look first, confirm once, get the rejected rows back."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import python_calamine
from flask import Flask
from sqlalchemy import func, select

from core.customers import services
from core.customers.importing import CustomerImporter
from core.customers.models import Customer, CustomerAddress, CustomerContact, CustomerPhone
from core.jobs.runner import run_once
from core.kernel import importing
from core.kernel.audit import Audit
from core.kernel.database import ScopedSession, current_scope, opened_scope, release, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.importing import ImportRun, Plan
from core.units.models import Unit
from tests.helpers import in_scope, make_unit

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data"
MAY = {"customer.import", "customer.view", "customer.create", "customer.edit", "customer.merge", "customer.pii"}
HEAD = "客户编号,客户名称,类型,联系人,电话,地址,邮箱\n"


@contextmanager
def desk(unit: Unit, permissions: set[str] | None = None) -> Iterator[ScopedSession]:
    with in_scope(unit, MAY if permissions is None else permissions) as work:
        yield work


def staged(unit: Unit, content: str | Path, name: str = "客户.csv") -> ImportRun:
    source = content.read_bytes() if isinstance(content, Path) else content.encode()
    with transaction():
        return importing.stage("customers", unit.id, io.BytesIO(source), name)


def imported(unit: Unit, content: str | Path, default: str | None = None) -> ImportRun:
    run = staged(unit, content)
    if default:
        with transaction():
            importing.set_choices(run, default=default)
    return importing.confirm(run.id)


def count(model: Any) -> int:
    return session().scalar(select(func.count()).select_from(model)) or 0


def customer(number: str) -> Customer:
    session().expire_all()
    return session().scalars(select(Customer).where(Customer.number == number)).one()


def report(run: ImportRun) -> list[list[Any]]:
    path = importing.rejected_file(run)
    assert path is not None
    return python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()


def test_the_office_file_is_previewed_then_confirmed(app: Flask) -> None:
    unit = make_unit(region_code="330100")
    with desk(unit):
        run = staged(unit, DATA / "customers_small.xlsx")
        counts = importing.check(run)
        assert {k: counts[k] for k in ("rows", "create", "error", "duplicate")} == {
            "rows": 14,
            "create": 9,
            "error": 3,
            "duplicate": 2,
        }
        assert count(Customer) == 0
        bad = importing.preview_rows(run, "error")
        assert [(row.line, row.errors[0][0]) for row in bad] == [(9, "phone"), (10, "phone"), (11, "phone")]
        same = importing.preview_rows(run, "duplicate")
        assert [row.matches[0]["line"] for row in same] == [13, 14]
        done = importing.confirm(run.id)
        assert (done.state, count(Customer), count(CustomerContact)) == ("done", 9, 9)
        wide = customer("C00013")
        assert wide.phones[0].digits == "13077711888"
        assert "city_elsewhere" in customer("C00001").warnings
        assert customer("C00001").addresses[0].distance_km is not None
        rows = report(done)
        assert [row[0] for row in rows[1:]] == [9, 10, 11, 15, 16]
        assert all(row[1] for row in rows[1:])
        assert [r["number"] for r in services.lookup(frozenset({unit.id}), "滕颖")] == ["C00005"]


def test_a_second_confirm_writes_nothing(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        run = staged(unit, HEAD + ",张三,个人,,13812345678,,\n")
        importing.confirm(run.id)
        again = importing.confirm(run.id)
        assert (again.state, count(Customer)) == ("done", 1)
        with pytest.raises(Conflict), transaction():
            importing.cancel(again)
        assert len(session().scalars(select(Audit).where(Audit.action == "import.done")).all()) == 1


def test_two_confirms_at_the_same_time_import_once(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        run_id = staged(unit, HEAD + "".join(f",客户{n},个人,,1381234{n:04d},,\n" for n in range(200))).id
        scope = current_scope()

    def confirm() -> None:
        with app.app_context(), opened_scope(scope):
            importing.confirm(run_id)

    threads = [threading.Thread(target=confirm) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with desk(unit):
        assert count(Customer) == 200


def test_an_existing_number_updates_and_empty_cells_change_nothing(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        imported(unit, HEAD + "C00007,张三,个人,李四,13812345678,浙江省杭州市西湖区文三路1号,a@example.com\n")
        shown = customer("C00007").version
        run = staged(unit, HEAD + "C00007,张三,个人,李四,13812345678,浙江省杭州市西湖区文三路1号,a@example.com\n")
        assert importing.check(run)["same"] == 1
        done = imported(unit, HEAD + "c00007,张三丰,个人,,13900001111,,\n")
        assert done.counts["update"] == 1
        held = customer("C00007")
        assert (held.name, held.email, held.version > shown) == ("张三丰", "a@example.com", True)
        assert [p.digits for p in held.phones] == ["13812345678", "13900001111"]
        assert (len(held.addresses), len(held.contacts)) == (1, 1)
        assert [r["name"] for r in services.lookup(frozenset({unit.id}), "张三丰")] == ["张三丰"]


def test_drawn_numbers_follow_those_of_the_file(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        imported(unit, HEAD + ",无号,个人,,13812345678,,\nC00041,有号,个人,,13900001111,,\n")
        assert sorted(session().scalars(select(Customer.number))) == ["C00041", "C00042"]


def test_every_kind_of_bad_row_is_named(app: Flask) -> None:
    unit = make_unit()
    lines = (
        "C1,,个人,,13812345678,,",
        "C2,甲,个人,,12345,,",
        "C3,乙,机构,,13812345679,,",
        "C4,丙,个人,,13812345670,,nobody",
        f"C5,{'长' * 130},个人,,13812345671,,",
        "C6,丁,个人,,13812345672,,",
        "C6,戊,个人,,13812345673,,",
    )
    with desk(unit):
        run = staged(unit, HEAD + "\n".join(lines))
        importing.check(run)
        bad = importing.preview_rows(run, "error")
        assert [(row.line, row.errors[0][0]) for row in bad] == [
            (2, "name"),
            (3, "phone"),
            (4, "kind"),
            (5, "email"),
            (6, "name"),
            (8, "number"),
        ]
        assert importing.preview_rows(run, "error", start=1, limit=2) == bad[1:3]


@pytest.mark.parametrize(("choice", "customers", "phones"), [("skip", 1, 1), ("create", 3, 4), ("merge", 1, 2)])
def test_duplicates_do_as_chosen(app: Flask, choice: str, customers: int, phones: int) -> None:
    """Row 2 repeats an existing customer, row 3 repeats row 2 only by its second phone."""
    unit = make_unit()
    with desk(unit):
        imported(unit, HEAD + ",张三,个人,,13812345678,,\n")
        run = imported(unit, HEAD + ",张先生,个人,,13812345678/13900001111,,\n,老张,个人,,13900001111,,\n", choice)
        assert run.counts[f"duplicate_{choice}"] == 2
        assert (count(Customer), count(CustomerPhone)) == (customers, phones)


def test_one_row_may_be_decided_apart_and_only_into_what_was_offered(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(other):
        imported(other, HEAD + ",别家,个人,,13900001111,,\n")
        foreign = customer("C00001").id
    with desk(unit):
        imported(unit, HEAD + ",张三,个人,,13812345678,,\n")
        mine = session().scalars(select(Customer)).one().id
        run = staged(unit, HEAD + ",甲,个人,,13812345678,,a@example.com\n,乙,个人,,13812345678,,b@example.com\n")
        importing.check(run)
        with transaction():
            importing.set_choices(run, default="create", lines={2: f"merge:{mine}", 3: f"merge:{foreign}"})
        done = importing.confirm(run.id)
        assert (done.counts["duplicate_merge"], done.counts["duplicate_skip"], count(Customer)) == (1, 1, 1)
        assert customer("C00001").email == "a@example.com"
        with pytest.raises(InvalidData), transaction():
            importing.set_choices(staged(unit, HEAD + ",丙,,,,,\n"), default="drop table")


def test_a_crash_leaves_nothing_and_the_import_can_be_repeated(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = make_unit()
    monkeypatch.setattr(importing, "BATCH", 10)
    whole = CustomerImporter.apply_rows
    calls: list[int] = []

    def failing(self: CustomerImporter, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        calls.append(len(plans))
        if len(calls) == 3:
            raise RuntimeError("power cut")
        whole(self, unit_id, plans, memory)

    with desk(unit):
        run = staged(unit, HEAD + "".join(f",客户{n},个人,,1381234{n:04d},浙江省杭州市,\n" for n in range(35)))
        monkeypatch.setattr(CustomerImporter, "apply_rows", failing)
        with pytest.raises(RuntimeError):
            importing.confirm(run.id)
        assert [count(m) for m in (Customer, CustomerPhone, CustomerAddress)] == [0, 0, 0]
        assert services.lookup(frozenset({unit.id}), "客户") == []
        monkeypatch.setattr(CustomerImporter, "apply_rows", whole)
        seen: list[tuple[str, int, int]] = []
        importing.confirm(run.id, lambda *step: seen.append(step))
        assert count(Customer) == 35
        assert seen[0] == ("check", 10, 0) and seen[-1] == ("write", 35, 35)


def test_columns_may_be_chosen_and_are_remembered(app: Flask) -> None:
    unit = make_unit()
    content = "客户名称,电话,座机\n张三,13812345678,021-52487747\n"
    with desk(unit):
        run = staged(unit, content)
        assert run.mapping == {"name": 0, "phone": 1}
        for bad in (
            {"name": None, "phone": 1},
            {"name": 0, "phone": 9},
            {"name": 0, "phone": 0},
            {"name": 0, "x": 1},
        ):
            with pytest.raises(InvalidData), transaction():
                importing.set_mapping(run, bad)
        with transaction():
            importing.set_mapping(run, {"name": 0, "phone": 2})
        importing.confirm(run.id)
        assert session().scalars(select(CustomerPhone.digits)).all() == ["02152487747"]
        assert staged(unit, content).mapping == {"name": 0, "phone": 2}


def test_permission_and_unit_are_needed(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(unit):
        run_id = staged(unit, HEAD + ",张三,个人,,13812345678,,\n").id
    with desk(unit, {"customer.view"}):
        with pytest.raises(NotAllowed):
            importing.confirm(run_id)
        with pytest.raises(NotAllowed):
            staged(unit, HEAD)
    with desk(other), pytest.raises(NotFound):
        importing.confirm(run_id)
    with desk(unit):
        assert count(Customer) == 0


def test_the_background_import_tells_how_far_it_is(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        run = staged(unit, HEAD + ",张三,个人,,13812345678,,\n")
        assert importing.progress_of(run)["state"] == "idle"
        made = importing.start(run.id)
        assert importing.start(run.id, "check").id == made.id, "one work at a time"
        assert importing.progress_of(run)["state"] == "running"
        release()
        run_once(app)
        assert importing.progress_of(run)["state"] == "done"
        assert count(Customer) == 1


def test_from_the_command_line(app: Flask, tmp_path: Path) -> None:
    unit = make_unit("CLI")
    make_unit("OTHER")
    runner = app.test_cli_runner()
    file, out = str(DATA / "customers_small.xlsx"), tmp_path / "bad.xlsx"
    assert runner.invoke(args=["import", "customers", file]).exit_code != 0
    asked = runner.invoke(args=["import", "customers", file, "--unit", "CLI"], input="n\n")
    dry = runner.invoke(args=["import", "customers", file, "--unit", "CLI", "--dry-run"])
    assert (asked.exit_code, dry.exit_code) == (0, 0) and "9" in dry.output
    with desk(unit):
        assert count(Customer) == 0
    done = runner.invoke(args=["import", "customers", file, "--unit", "CLI", "--yes", "--rejected", str(out)])
    assert done.exit_code == 0, done.output
    assert out.exists()
    with desk(unit):
        assert count(Customer) == 9
        number = str(session().scalars(select(ImportRun.id).where(ImportRun.state == "done")).one())
    assert number in done.output
    undone = runner.invoke(args=["import", "undo", number, "--yes"])
    assert undone.exit_code == 0, undone.output
    with desk(unit):
        assert count(Customer) == 0


@pytest.mark.skipif(not SHARED.exists(), reason="the full sample files are not beside this repository")
def test_the_whole_sample_files(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        first = imported(unit, SHARED / "customers_gb18030.csv")
        assert (first.counts["rows"], first.counts["create"], first.counts["error"]) == (500, 497, 3)
        whole = imported(unit, SHARED / "customers.xlsx", "merge")
        assert (whole.counts["rows"], whole.counts["same"], whole.counts["error"]) == (2040, 497, 17)
        assert count(Customer) == 497 + whole.counts["create"] == 1984
