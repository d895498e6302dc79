"""The fixtures live in ``fixtures.py``, where the root conftest shares them with plugins' tests too."""
