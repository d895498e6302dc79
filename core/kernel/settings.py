"""The deployment's settings: one TOML file, a few overrides from the environment, secrets apart."""

from __future__ import annotations

import base64
import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = "shouhou.db"
DEFAULT_FILE = ROOT / "deployments" / "demo.toml"
ENVIRONMENTS = ("development", "testing", "production")


class SettingsError(Exception):
    """The configuration cannot be used; the text says what to change. Stops the start."""


@dataclass(frozen=True)
class Settings:
    """What one deployment is made of. Paths are absolute; ``database`` is an SQLAlchemy URL."""

    environment: str = "development"
    plugins: tuple[str, ...] = ()
    plugin_folders: tuple[Path, ...] = (ROOT / "plugins",)
    # Empty: an SQLite file in ``data_dir``.
    database: str = ""
    data_dir: Path = ROOT / "var"
    default_locale: str = "zh"
    # How many reverse proxies stand in front (their X-Forwarded headers are then believed).
    proxies: int = 0
    # Cookies only over https; off by default because a shop's own server often speaks plain http.
    secure_cookies: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 8
    pool_size: int = 10
    max_upload_mb: int = 64
    # Where the queue of background work lies: empty for an SQLite file in ``data_dir``, redis://... or postgresql://...
    jobs_store: str = ""
    job_threads: int = 2
    # Whether ``flask serve`` does background work itself; off where ``flask worker`` runs beside it.
    jobs_in_server: bool = True
    # The address people reach us under (https://service.example.cn), for links in mails and on labels.
    base_url: str = ""
    # smtp://user:password@host:port?from=address, smtps:// or smtp+starttls://; empty: no mail is sent.
    smtp: str = ""
    # Inner hosts and networks that webhooks, robots and mailboxes may reach all the same (10.1.0.0/16, mail.lan).
    outgoing_allow: tuple[str, ...] = ()
    # A font file or folder to print with instead of the installed Noto Sans SC.
    print_fonts: str = ""
    # The plugin whose cast alone plays in the demonstration (``flask demo``); empty: the group, and every plugin's.
    demo: str = ""
    secret_key: str = ""
    data_key: str = ""
    file: Path | None = None

    @property
    def production(self) -> bool:
        return self.environment == "production"


def load_settings(environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the TOML file named by SHOUHOU_CONFIG (default: the demo), then the environment, then ``overrides``.

    Environment: DATABASE_URL, SECRET_KEY, SHOUHOU_DATA_KEY, SHOUHOU_ENV, SHOUHOU_DATA_DIR, HOST, PORT,
    SHOUHOU_JOBS_STORE, SHOUHOU_BASE_URL, SMTP_URL.

    Raises:
        SettingsError: unreadable file, unknown or ill-typed setting, or a secret missing in production.
    """
    env = os.environ if environ is None else environ
    path = Path(env.get("SHOUHOU_CONFIG") or DEFAULT_FILE)
    given = _read_file(path)
    for variable, name in _FROM_ENVIRONMENT.items():
        if env.get(variable):
            given[name] = env[variable]
    given.update(overrides or {})
    settings = _build(given, path)
    return _with_secrets(settings)


_FROM_ENVIRONMENT = {
    "DATABASE_URL": "database",
    "SECRET_KEY": "secret_key",
    "SHOUHOU_DATA_KEY": "data_key",
    "SHOUHOU_ENV": "environment",
    "SHOUHOU_DATA_DIR": "data_dir",
    "HOST": "host",
    "PORT": "port",
    "SHOUHOU_JOBS_STORE": "jobs_store",
    "SHOUHOU_BASE_URL": "base_url",
    "SMTP_URL": "smtp",
}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"configuration file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"configuration file {path} is not valid TOML: {error}") from error


def _build(given: dict[str, Any], path: Path) -> Settings:
    known = {f.name for f in fields(Settings)} - {"file"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise SettingsError(f"{path}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values: dict[str, Any] = {name: _typed(name, value, path) for name, value in given.items()}
    settings = Settings(**values, file=path)
    if settings.environment not in ENVIRONMENTS:
        raise SettingsError(f"{path}: environment must be one of {', '.join(ENVIRONMENTS)}")
    return replace(settings, database=_database_url(settings.database or f"sqlite:///{settings.data_dir / FILE}"))


def _typed(name: str, value: Any, path: Path) -> Any:
    default = getattr(Settings, name)
    if name == "data_dir":
        return ROOT / Path(str(value)).expanduser()
    if name == "plugin_folders":
        return tuple(ROOT / Path(str(item)).expanduser() for item in value)
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise SettingsError(f"{path}: {name} must be a list of names")
        return tuple(value)
    if isinstance(default, int) and not isinstance(default, bool):
        if not str(value).isdigit():
            raise SettingsError(f"{path}: {name} must be a whole number, not {value!r}")
        return int(value)
    if not isinstance(value, type(default)):
        raise SettingsError(f"{path}: {name} must be a {type(default).__name__}, not {value!r}")
    return value


def _database_url(url: str) -> str:
    """Anchor a relative SQLite path at the project and name the PostgreSQL driver we pin."""
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        return f"sqlite:///{ROOT / url.removeprefix('sqlite:///')}"
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            return "postgresql+psycopg://" + url.removeprefix(short)
    return url


def _with_secrets(settings: Settings) -> Settings:
    makers = {
        "secret_key": ("SECRET_KEY", lambda: secrets.token_urlsafe(48)),
        "data_key": ("SHOUHOU_DATA_KEY", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
    }
    found: dict[str, Any] = {}
    for name, (variable, make) in makers.items():
        if getattr(settings, name):
            continue
        if settings.production:
            raise SettingsError(
                f"{variable} is not set. In production it must come from the environment: make one with "
                "`head -c 32 /dev/urandom | base64 | tr '+/' '-_'` and keep it safe."
            )
        found[name] = _kept_secret(settings.data_dir / name, make)
    return replace(settings, **found)


def _kept_secret(path: Path, make: Any) -> str:
    """Read the development secret, or make it once, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(make())
    except FileExistsError:
        pass
    return path.read_text().strip()


def engine_options(url: str, pool_size: int = 10) -> dict[str, Any]:
    """Return the keyword arguments every engine of ours is made with."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 15}, "pool_size": pool_size, "max_overflow": 20}
    return {
        # As on SQLite: whoever waits longer for somebody else's lock is told that the database is busy.
        "connect_args": {"options": "-c lock_timeout=15000"},
        "pool_size": pool_size,
        "max_overflow": 5,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
    }
