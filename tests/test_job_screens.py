"""The screens of background work: who sees what, progress, cancelling, files, dead letters, what recurs."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from core.kernel import clock, jobs, outbox
from core.kernel.audit import Audit
from core.kernel.database import transaction
from core.kernel.jobs import DONE, FAILED, RUNNING, Job, JobRun, Periodic, PeriodicRun
from core.kernel.outbox import DEAD, PENDING, Outbox
from tests.helpers import as_system, in_scope, login, make_unit, make_user


@pytest.fixture
def scene(sqlite_app, monkeypatch):
    """A unit with two people who start work, one who looks after it, and a stranger."""
    known = {
        "t.do": Job("t.do", "Export customers", lambda work: None),
        "t.recur": Periodic("t.recur", "Look into the mailbox", lambda unit_id: None),
    }
    monkeypatch.setitem(sqlite_app.extensions, "jobs", known)
    unit, other = make_unit(), make_unit()

    class Scene:
        app = sqlite_app
        starter, colleague = make_user(unit, locale="en"), make_user(unit, locale="en")
        keeper = make_user(unit, ["job.view"], locale="en")
        stranger = make_user(other, ["job.view"], locale="en")

        def client(self, user):
            return login(sqlite_app.test_client(), user)

        def start(self, **values):
            with in_scope(unit, actor=self.starter):
                run_id = jobs.start("t.do", unit.id, {}, "Customers of 2025").id
            with as_system() as work:
                run = work.get(JobRun, run_id)
                for name, value in values.items():
                    setattr(run, name, value)
            return run_id

    Scene.unit, Scene.other = unit, other
    return Scene()


def state_of(run_id):
    with as_system() as work:
        return work.get(JobRun, run_id).state


def test_work_shows_to_its_starter_and_to_whoever_looks_after_the_unit(scene):
    run_id = scene.start()
    for user, status in ((scene.starter, 200), (scene.keeper, 200), (scene.colleague, 404), (scene.stranger, 404)):
        client = scene.client(user)
        for page in ("run", "progress"):
            assert client.get(f"/admin/jobs/{page}/?id={run_id}").status_code == status
        assert ("Customers of 2025" in client.get("/admin/jobs/").text) == (user is scene.starter)
        whole = client.get("/admin/jobs-of-unit/")
        assert whole.status_code == (200 if user in (scene.keeper, scene.stranger) else 403)
        assert ("Customers of 2025" in whole.text) == (user is scene.keeper)
    assert scene.client(scene.starter).get("/admin/jobs/run/?id=%00").status_code == 404


def test_progress_is_told_and_work_can_be_cancelled(scene):
    run_id = scene.start()
    mine, colleague = scene.client(scene.starter), scene.client(scene.colleague)
    assert mine.get(f"/admin/jobs/progress/?id={run_id}").json["text"] == "Waiting for its turn …"
    with as_system() as work:
        work.get(JobRun, run_id).state = RUNNING
    with as_system():
        jobs.report_progress(run_id, jobs.Progress(3, 12, "3 of 12"))
    told = mine.get(f"/admin/jobs/progress/?id={run_id}").json
    assert (told["done"], told["total"], told["text"], told["finished"]) == (3, 12, "3 of 12", False)
    assert 'value="3" max="12"' in mine.get(f"/admin/jobs/run/?id={run_id}").text
    assert colleague.post("/admin/jobs/cancel/", data={"id": run_id}).status_code == 404
    assert mine.post("/admin/jobs/cancel/", data={"id": run_id}).status_code == 302
    assert "asked to stop" in mine.get(f"/admin/jobs/run/?id={run_id}").text
    with as_system() as work:
        assert jobs.is_cancel_asked(work.get(JobRun, run_id))
        jobs.forget_notes(run_id)
    waiting = scene.start(key="second")
    mine.post("/admin/jobs/cancel/", data={"id": waiting})
    assert state_of(waiting) == jobs.CANCELLED
    again = mine.post("/admin/jobs/cancel/", data={"id": waiting}, follow_redirects=True)
    assert "has ended already" in again.text


def test_the_file_goes_to_its_starter_and_never_to_another_place(scene):
    with scene.app.app_context():
        kept = jobs.keep_result("编号,客户\n".encode(), "客户<b>.csv")
    run_id = scene.start(state=DONE, result={**kept, "url": "//evil.example/x"}, finished_at=clock.now())
    mine = scene.client(scene.starter)
    page = mine.get(f"/admin/jobs/run/?id={run_id}").text
    assert "evil.example" not in page and "客户b.csv" in page
    answer = mine.get(f"/admin/jobs/file/?id={run_id}")
    assert answer.data == "编号,客户\n".encode()
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.mimetype == "application/octet-stream" and answer.headers["Cache-Control"] == "no-store"
    answer.close()
    # It was made with the starter's rights, which whoever looks after the work need not have.
    assert "/admin/jobs/file/" not in scene.client(scene.keeper).get(f"/admin/jobs/run/?id={run_id}").text
    for user in (scene.keeper, scene.colleague, scene.stranger):
        assert scene.client(user).get(f"/admin/jobs/file/?id={run_id}").status_code == 404
    # Who has left the unit sees that the work was done, and gets nothing out of the unit any more.
    mover = make_user(scene.other, locale="en")
    with as_system() as work:
        work.get(JobRun, run_id).actor_id = mover.id
    moved = scene.client(mover)
    assert "/admin/jobs/file/" not in moved.get(f"/admin/jobs/run/?id={run_id}").text
    assert moved.get(f"/admin/jobs/file/?id={run_id}").status_code == 404
    with as_system() as work:
        work.get(JobRun, run_id).actor_id = scene.starter.id
    with scene.app.app_context():
        (jobs._results() / kept["sha256"]).unlink()
    assert mine.get(f"/admin/jobs/file/?id={run_id}").status_code == 404
    assert "no longer kept" in mine.get(f"/admin/jobs/run/?id={run_id}").text


def letter(unit_id, error, run_id=None):
    with as_system() as work:
        payload = {"job": "t.do", "payload": {}, "actor": None, "locale": "zh"}
        one = Outbox(
            key=f"letter {error}",
            topic=jobs.WATCHED if run_id else jobs.TOPIC,
            unit_id=unit_id,
            payload={"job": "t.do", "run": run_id} if run_id else payload,
            created_at=clock.now(),
            next_try_at=clock.now(),
            state=DEAD,
            tries=8,
            error=error,
        )
        work.add(one)
    return one.id


def states():
    with as_system() as work:
        return {one.error or one.key: one.state for one in work.scalars(select(Outbox))}


def test_dead_letters_are_retried_or_given_up_and_both_is_audited(scene):
    run_id = scene.start(state=FAILED, error="no")
    first = letter(scene.unit.id, "no mail server", run_id)
    second, third = letter(scene.unit.id, "no table"), letter(scene.unit.id, "no port")
    foreign = letter(scene.other.id, "not mine")
    keeper = scene.client(scene.keeper)
    page = keeper.get("/admin/jobs-not-done/")
    assert all(text in page.text for text in ("no mail server", "no table", "Export customers"))
    assert "not mine" not in page.text
    assert '<b class="dot-count">3</b>' in keeper.get("/admin/jobs/").text
    assert '<b class="dot-count">' not in scene.client(scene.starter).get("/admin/jobs/").text
    action = "/admin/jobs-not-done/action/"
    keeper.post(action, data={"action": "retry", "id": [first, foreign]})
    keeper.post(action, data={"action": "drop", "id": second})
    found = states()
    assert found["letter no mail server"] == PENDING and state_of(run_id) == jobs.WAITING
    assert "no table" not in found and found["not mine"] == DEAD
    keeper.post("/admin/jobs-not-done/retry-all/")
    assert "no port" not in states() and states()["not mine"] == DEAD
    with as_system() as work:
        noted = work.execute(select(Audit.action, Audit.subject_id).where(Audit.subject_type == "core_outbox"))
        assert sorted(tuple(row) for row in noted) == sorted(
            [("job.retry", str(first)), ("job.drop", str(second)), ("job.retry", str(third))]
        )
    assert scene.client(scene.starter).post(action, data={"action": "drop", "id": third}).status_code == 403


def test_what_recurs_shows_its_last_failure(scene):
    with as_system() as work:
        work.add(PeriodicRun(unit_id=scene.unit.id, name="t.recur", taken_at=clock.now(), error="login refused"))
    page = scene.client(scene.keeper).get("/admin/jobs-recurring/").text
    assert "Look into the mailbox" in page and "login refused" in page and "every hour" in page
    assert "login refused" not in scene.client(scene.stranger).get("/admin/jobs-recurring/").text


def test_the_command_line_lists_retries_and_does_what_is_due(scene):
    first = letter(scene.unit.id, "no table")
    run = scene.app.test_cli_runner().invoke
    assert "no table" in run(args=["jobs", "dead"]).output
    assert '"dead": 1' in run(args=["jobs", "list", "--json"]).output
    assert run(args=["jobs", "retry"]).exit_code == 2
    assert "1 will" in run(args=["jobs", "retry", str(first)]).output
    with as_system(), transaction():
        outbox.publish("record.close", None, {}, "k")
    assert run(args=["jobs", "run-due"]).exit_code == 0
    assert set(states().values()) == {outbox.DONE}
