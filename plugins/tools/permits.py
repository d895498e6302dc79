"""Who may use which kind of tool (R33-2.1), and who keeps special ones (R15-17)."""
