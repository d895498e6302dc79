"""Assembly of the application, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Flask
from flask_babel import lazy_gettext as _l
from jinja2 import ChoiceLoader, FileSystemLoader
from sqlalchemy.orm import configure_mappers

from core import admin, api, cli, hookspecs, models, web
from core.admin import export
from core.admin.cases import case_file as case_file_words
from core.cases import history, silence
from core.cases.rules import RULES as CASE_RULES
from core.cases.rules.places import PLACES
from core.cases.services import CASE, INTAKE_FIELDS
from core.customers.importing import CustomerImporter
from core.customers.services import CUSTOMER_FIELDS
from core.documents import batch, case_file, erasing
from core.documents import forms as print_forms
from core.documents import inspections as inspection_forms
from core.inspections import plans as inspection_plans
from core.inspections import uses as inspection_uses
from core.inspections.services import INSPECTION
from core.kernel import health, i18n, importing, jobs, loader, migrations, outbox, switches
from core.kernel.database import db, prepare_engine
from core.kernel.loader import Installed
from core.kernel.manifest import PluginError
from core.kernel.settings import ROOT, Settings, engine_options, load_settings
from core.mail import erasing as _mails_erased  # noqa: F401 - says what is erased with a customer
from core.mail import fetching, outgoing
from core.notices import wiring as notices
from core.places.importing import PlaceImporter
from core.records import switching
from core.records.types import record_type, register_extensions, register_type
from core.reports import own as own_reports
from core.reports import schedules as report_schedules
from core.rules import coverage, profiles, registry, rulebook, schedules, ticks, wiring
from core.tasks import rules as task_rules
from core.tasks.services import TASK, create_task
from core.units import settings as unit_settings
from core.units import switches as unit_switches
from core.users import permissions
from core.webhooks import sending as webhooks


def create_app(overrides: dict[str, Any] | None = None) -> Flask:
    """Build the application: settings, database, languages, plugins, doors.

    ``overrides`` replaces single settings (names as in ``Settings``); tests use it.

    Raises:
        SettingsError: the configuration cannot be used.
        PluginError: the plugins cannot be started, with every reason.
    """
    app = bare_app(load_settings(overrides=overrides))
    installed = _load_plugins(app)
    models.load()
    configure_mappers()
    _declare(app, installed)
    importing.register(app, [CustomerImporter(), history.ServiceLogImporter(), PlaceImporter()])
    for plugin, one in installed.registry.ask_once("importers"):
        importing.register(app, [one], plugin)
    app.extensions["search_sources"] = installed.registry.ask_once("search_sources")
    _declare_services(app, installed)
    health.init_app(app)
    web.init_app(app)
    admin.init_app(app, _entries(installed))
    api.init_app(app)
    cli.init_app(app)
    _mount(app, installed)
    return app


def bare_app(settings: Settings) -> Flask:
    """Build an application with settings, database and languages, but no plugins and no pages."""
    app = Flask("core", root_path=str(ROOT / "core"), template_folder=str(ROOT / "templates"))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app.extensions["settings"] = settings
    app.config.update(
        SECRET_KEY=settings.secret_key,
        TESTING=settings.environment == "testing",
        MAX_CONTENT_LENGTH=settings.max_upload_mb * 1024 * 1024,
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SQLALCHEMY_DATABASE_URI=settings.database,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database, settings.pool_size),
    )
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    i18n.init_app(app, ROOT / "core" / "translations", settings.default_locale)
    return app


def _load_plugins(app: Flask) -> Installed:
    settings: Settings = app.extensions["settings"]
    with app.app_context():
        try:
            installed = loader.load(settings.plugin_folders, settings.plugins, hookspecs)
            app.extensions[rulebook.EXTENSION] = rulebook.load(installed)
        except PluginError as error:
            # Spoken here, where the language is known; the traceback is printed where it is not.
            raise PluginError([str(one) for one in error.problems]) from error
    app.extensions["plugins"] = installed
    app.extensions["rooms"] = [migrations.CORE, *installed.rooms()]
    i18n.add_folders(app, (one.folder / "translations" for one in installed.plugins))
    return installed


def _declare(app: Flask, installed: Installed) -> None:
    """Register what plugins declare once: permissions, record types, workflow extensions, rules."""
    ask = installed.registry.ask_once
    permissions.register(one for _, one in ask("permissions"))
    unit_settings.declare(replace(one, plugin=plugin) for plugin, one in ask("settings"))
    register_type(CASE)
    register_type(TASK)
    register_type(INSPECTION)
    for plugin, kind in ask("record_types"):
        owned = replace(kind, plugin=plugin)
        if record_type(owned.code) != owned:
            register_type(owned)
    register_extensions(ask("workflow_extensions"))
    inspection_uses.register(app, (replace(one, plugin=plugin) for plugin, one in ask("inspection_uses")))
    declared = [*(("", one) for one in (*CASE_RULES, *task_rules.SCHEDULES)), *ask("rules")]
    declared += task_rules.limits(declared)
    app.extensions[registry.EXTENSION] = registry.build(declared, app.extensions[rulebook.EXTENSION])
    app.extensions[profiles.EXTENSION] = profiles.load(app.extensions[rulebook.EXTENSION])
    wiring.attach()
    notices.attach()
    schedules.maker[:] = [lambda wanted: create_task(wanted).id]
    ticks.add(ticks.Work("silence", silence.confirm_all, ticks.A_WHILE))
    ticks.add(inspection_plans.WORK)
    coverage.register_form("case.register", (CASE.title, _l("Register a case")), INTAKE_FIELDS)
    coverage.register_form("customer", (_l("Customers"), _l("Edit")), CUSTOMER_FIELDS)
    coverage.register_places("cases", PLACES)
    unit_switches.blocker_sources[:] = [switching.blockers]


def _declare_services(app: Flask, installed: Installed) -> None:
    """Register what is done outside the screens: jobs, print forms, reports, collections of the API."""
    ask = installed.registry.ask_once
    jobs.register(app, webhooks.JOBS)
    jobs.register(app, report_schedules.JOBS)
    jobs.register(app, [*importing.declared_jobs(), *export.declared_jobs()])
    jobs.register(app, notices.JOBS)
    jobs.register(app, [*fetching.JOBS, *outgoing.JOBS])
    jobs.register(app, [batch.PRINT_MANY, erasing.DROP_FILES, case_file.MAKE])
    jobs.register(app, [replace(one, plugin=plugin) for plugin, one in ask("jobs")])
    if webhooks.on_event not in outbox.listeners:
        outbox.listeners.append(webhooks.on_event)
    app.extensions["print_forms"] = [*print_forms.core_forms(), case_file_words.FORM, inspection_forms.FORM]
    app.extensions["print_forms"] += [replace(one, plugin=plugin) for plugin, one in ask("print_forms")]
    app.extensions["reports"] = [*own_reports.REPORTS]
    app.extensions["reports"] += [replace(one, plugin=plugin) for plugin, one in ask("reports")]
    app.extensions["api_resources"] = [replace(one, plugin=plugin) for plugin, one in ask("api_resources")]


def _entries(installed: Installed) -> list[tuple[str, list[Any]]]:
    """Return the plugins' screens, plugin by plugin."""
    entries = installed.registry.ask_once("admin_views")
    return [(one.name, [entry for plugin, entry in entries if plugin == one.name]) for one in installed.plugins]


def _mount(app: Flask, installed: Installed) -> None:
    """Give plugins their pages, templates and commands."""
    folders = [FileSystemLoader(str(one.folder / "templates")) for one in installed.plugins]
    app.jinja_loader = ChoiceLoader([FileSystemLoader(str(ROOT / "templates")), *folders])
    blueprints = installed.registry.ask_once("blueprints")
    for one in installed.plugins:
        switches.mount(app, one, [blueprint for plugin, blueprint in blueprints if plugin == one.name])
