"""Rehearsals: a scenario file run through the public services against a throw-away database, with its own clock."""
