"""Why a mail was ignored, quarantined or not sent, in words. Stored is the code, with a detail behind a colon."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

REASONS: dict[str, Any] = {
    "unreadable": _l("It cannot be read"),
    "too_large": _l("It is too large"),
    "too_many_parts": _l("It has too many parts"),
    "too_deep": _l("It is packed too deep"),
    "too_many_files": _l("It has too many files"),
    "encrypted": _l("It is encrypted"),
    "no_sender": _l("It does not say who sent it"),
    "forged": _l("The mail server found that the sender is not genuine"),
    "empty": _l("There is nothing in it"),
    "own": _l("Our own mail came back"),
    "bounce": _l("A notice that a mail could not be delivered"),
    "auto_reply": _l("An automatic reply"),
    "bulk": _l("A mail to many"),
    "machine": _l("Sent by a machine"),
    "too_many": _l("Too many mails from this sender in an hour"),
    "flood": _l("Too many mails in this mailbox in an hour"),
    "stranger": _l("It names a record whose customer does not write from this address"),
    "stranger_thread": _l("It answers a conversation that the sender was not part of"),
    "refused": _l("It could not be taken over"),
    "failed": _l("It could not be taken over because of a fault"),
    "head_only": _l("It is too large; only its head was fetched, the rest is on the mail server"),
    "automatic": _l("Acknowledged by machine"),
    "by_hand": _l("Put aside by hand"),
    "returned": _l("It came back undelivered"),
    "not_sent": _l("The mail server did not take it"),
}


def reason_words(reason: str) -> str:
    """Return the words for a stored reason."""
    code, _colon, detail = reason.partition(":")
    label = REASONS.get(code)
    if label is None:
        return reason
    return f"{label} ({detail.strip()})" if detail.strip() else str(label)
