"""``flask serve``: the embedded server. ``flask up``: everything ``make run`` needs, then the server."""

from __future__ import annotations

import io
import signal
import socket
from types import FrameType
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from core.jobs.queue import attach
from core.jobs.runner import FINISH, LEAVE_OFF, Runner
from core.kernel import migrations
from core.kernel.database import db, system_scope, transaction
from core.kernel.migrations import MigrationError
from core.kernel.settings import Settings
from core.rules import official_table


@click.command("serve", help="Serve with the embedded server, background work included (jobs_in_server).")
@click.option("--host", help="Address to listen on; 0.0.0.0 for the local network (default: HOST).")
@click.option("--port", type=int, help="Port (default: PORT).")
@with_appcontext
def serve(host: str | None, port: int | None) -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    settings: Settings = app.extensions["settings"]
    _run(app, host or settings.host, port or settings.port, settings)


@click.command("up", help="Bring the database up to date, fill in the demo if it is empty, and serve.")
@click.option("--host")
@click.option("--port", type=int)
@click.pass_context
@with_appcontext
def up(context: click.Context, host: str | None, port: int | None) -> None:
    _step("database")
    try:
        migrations.upgrade(db.engine, current_app.extensions["rooms"], lambda line: click.echo(f"    {line}"))
    except MigrationError as error:
        raise click.ClickException(str(error)) from error
    with system_scope("start"), transaction():
        official_table.seed()
    demo = current_app.cli.commands.get("demo")  # type: ignore[attr-defined]
    if demo is not None:
        _step("demo")
        context.invoke(demo)
    context.invoke(serve, host=host, port=port)


def _step(name: str) -> None:
    click.secho(f"==> {name}", bold=True)


def _run(app: Flask, host: str, port: int, settings: Settings) -> None:
    from waitress.server import create_server

    try:
        server: Any = create_server(
            app,
            host=host,
            port=port,
            threads=settings.threads,
            # Well above the application's own limit, whose answer is a page in the user's language.
            max_request_body_size=4 * settings.max_upload_mb * 1024 * 1024,
            **_trusted(settings.proxies),
        )
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    _announce(host, port)
    runner = _start_jobs(app, settings)
    signal.signal(signal.SIGTERM, _leave)
    try:
        server.run()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        # Requests that run are finished, then the work in hand; what is left waits in the outbox.
        if runner is not None:
            runner.ask_to_stop()
        server.task_dispatcher.shutdown(timeout=30)
        server.close()
        if runner is not None:
            runner.stop(FINISH, LEAVE_OFF)
        click.echo("stopped")


def _trusted(proxies: int) -> dict[str, Any]:
    """With a proxy in front, waitress must leave its headers to the application, which counts the proxies."""
    return {"clear_untrusted_proxy_headers": not proxies}


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _start_jobs(app: Flask, settings: Settings) -> Runner | None:
    queue = attach(app)
    if not settings.jobs_in_server:
        click.echo("    background work is left to flask worker (jobs_in_server is off)")
        return None
    return Runner(app, queue=queue, threads=settings.job_threads).start()


def _announce(host: str, port: int) -> None:
    click.secho(f"==> http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}  (Ctrl+C stops)", bold=True)  # noqa: S104
    if host != "0.0.0.0":  # noqa: S104 - compared, not bound
        return
    address = f"http://{lan_address()}:{port}"
    click.echo(f"    on the local network: {address}")
    click.echo(qr_text(address))


def lan_address() -> str:
    """Return this machine's address on the local network (no packet is sent)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def qr_text(address: str) -> str:
    """Return a QR code of ``address`` as text, to be scanned from the terminal."""
    import segno

    out = io.StringIO()
    segno.make(address, micro=False).terminal(out, compact=True)
    return out.getvalue()
