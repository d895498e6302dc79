"""The resources of the core, a module for each kind."""
