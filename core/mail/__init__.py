"""E-mail: mailboxes of units that become cases and replies."""
