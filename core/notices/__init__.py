"""Notices: inbox, e-mail, robots; who wants what, when; what was sent to whom."""
