"""Tools in the demonstration."""
