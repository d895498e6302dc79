"""Records: number, state, timeline of facts, and ``perform``, the one way to change state."""
