"""Units: the organisation tree, plugin switches and unit settings."""
