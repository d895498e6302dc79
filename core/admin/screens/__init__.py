"""Core's screens. Every module here with an ``admin_views()`` is registered at start."""
