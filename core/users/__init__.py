"""Users, positions, permissions and sign-in."""
