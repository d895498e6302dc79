"""The configuration: one file, few overrides, and no start with a secret missing in production."""

from __future__ import annotations

import stat

import pytest

from core.kernel.settings import ROOT, SettingsError, load_settings


def written(tmp_path, text, **environ):
    path = tmp_path / "deployment.toml"
    path.write_text(text, "utf-8")
    return load_settings({"SHOUHOU_CONFIG": str(path), "SHOUHOU_DATA_DIR": str(tmp_path / "var"), **environ})


def test_the_file_then_the_environment_then_overrides(tmp_path):
    settings = written(tmp_path, 'plugins = ["a", "b"]\nport = 81', PORT="82", DATABASE_URL="postgresql://u@h/d")
    assert settings.plugins == ("a", "b")
    assert settings.port == 82
    assert settings.database == "postgresql+psycopg://u@h/d"


def test_a_relative_database_lies_in_the_project(tmp_path):
    assert written(tmp_path, 'database = "sqlite:///var/x.db"').database == f"sqlite:///{ROOT}/var/x.db"


def test_development_makes_its_secrets_once_for_its_owner_only(tmp_path):
    first, second = written(tmp_path, ""), written(tmp_path, "")
    assert first.secret_key == second.secret_key
    assert first.data_key == second.data_key
    assert len(first.secret_key) >= 32
    for name in ("secret_key", "data_key"):
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("given", [{}, {"SECRET_KEY": "s" * 40}, {"SHOUHOU_DATA_KEY": "k" * 44}])
def test_production_does_not_start_without_its_secrets(tmp_path, given):
    missing = "SHOUHOU_DATA_KEY" if "SECRET_KEY" in given else "SECRET_KEY"
    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        written(tmp_path, 'environment = "production"', **given)
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plugins = [", "not valid TOML"),
        ("colour = 1", "unknown setting colour"),
        ('plugins = "products"', "plugins must be a list of names"),
        ("plugins = [1]", "plugins must be a list of names"),
        ('port = "x"', "port must be a whole number"),
        ("database = 1", "database must be a str"),
        ('environment = "moon"', "environment must be one of"),
        ('secure_cookies = "yes"', "secure_cookies must be a bool"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, expected):
    with pytest.raises(SettingsError, match=expected):
        written(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        load_settings({"SHOUHOU_CONFIG": str(tmp_path / "nowhere.toml")})


@pytest.mark.parametrize("path", sorted((ROOT / "deployments").glob("*.toml")), ids=lambda p: p.stem)
def test_every_deployment_file_can_be_used(path, tmp_path):
    secrets = {"SECRET_KEY": "s" * 40, "SHOUHOU_DATA_KEY": "k" * 44}
    settings = load_settings({"SHOUHOU_CONFIG": str(path), "SHOUHOU_DATA_DIR": str(tmp_path), **secrets})
    assert settings.file == path
    assert settings.production == (path.stem == "production")


def test_branches_tried_on_one_machine_share_nothing():
    branches = ("headquarters", "factory", "store", "hotel", "bank")
    files = [ROOT / "deployments" / f"{name}.toml" for name in branches]
    secrets = {"SECRET_KEY": "s" * 40, "SHOUHOU_DATA_KEY": "k" * 44}
    found = [load_settings({"SHOUHOU_CONFIG": str(path), **secrets}) for path in files]
    assert len({one.database for one in found}) == len({one.data_dir for one in found}) == len(files)
