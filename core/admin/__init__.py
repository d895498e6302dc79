"""The admin frame: Flask-Admin at /admin with our layout, one list component and one menu."""

from .frame import init_app

__all__ = ["init_app"]
