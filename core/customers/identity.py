"""Identity numbers: checking, encryption under a key per customer, masking, erasure.

The number is encrypted with AES-GCM under a key made for this customer alone, which is stored wrapped by the
deployment's key (``data_key`` of the settings). Destroying the wrapped key makes the number unreadable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from datetime import date
from typing import TYPE_CHECKING, Any

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.fields import normalise

from .models import Customer, CustomerKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# Province codes of resident identity numbers; 81, 82, 83: permits of Hong Kong, Macau and Taiwan residents.
_PROVINCES = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_NONCE = 12

BAD_RESIDENT_ID = _l("This is not a valid identity number")
BAD_COMPANY_CODE = _l("This is not a valid unified social credit code")


# --- checking --------------------------------------------------------------------------------


def read_resident_id(text: str) -> str:
    """Check an 18-character resident identity number; return it in plain upper case.

    Format, known province (never the county: districts come and go), real birth date and check digit.

    Raises:
        InvalidData: under ``identity``.
    """
    number = re.sub(r"[\s-]", "", normalise(text)).upper()
    if not (number.isascii() and re.fullmatch(r"\d{17}[\dX]", number)) or not _PROVINCES.match(number):
        raise InvalidData({"identity": BAD_RESIDENT_ID})
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    if _CHECKS[total % 11] != number[17] or not _born(number[6:14]):
        raise InvalidData({"identity": BAD_RESIDENT_ID})
    return number


def _born(text: str) -> bool:
    try:
        born = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return date(1850, 1, 1) <= born <= clock.now().date()


def read_company_code(text: str) -> str:
    """Check an 18-character unified social credit code; return it in plain upper case.

    Raises:
        InvalidData: under ``company_code``.
    """
    from stdnum.cn import uscc
    from stdnum.exceptions import ValidationError

    try:
        return str(uscc.validate(re.sub(r"[\s-]", "", normalise(text)).upper()))
    except ValidationError:
        raise InvalidData({"company_code": BAD_COMPANY_CODE}) from None


# --- masking ---------------------------------------------------------------------------------


def mask_phone(text: str) -> str:
    """Hide the middle of a number: 138****5678; short ones keep their last two digits."""
    digits = re.sub(r"\D", "", text)
    if len(digits) < 7:
        return "*" * max(0, len(digits) - 2) + digits[-2:]
    return f"{digits[:3]}****{digits[-4:]}"


def mask_address(text: str, keep: int = 6) -> str:
    """Keep the region at the start, hide the rest."""
    return text if len(text) <= keep else text[:keep] + "****"


def mask_name(name: str) -> str:
    """Keep the family name: 张**."""
    return name[:1] + "*" * max(0, len(name) - 1)


# --- encryption ------------------------------------------------------------------------------


def store_identity(customer: Customer, number: str) -> None:
    """Encrypt a checked identity number under the customer's own key; '' removes it. The caller flushes."""
    if not number:
        customer.identity_cipher = None
        return
    nonce = secrets.token_bytes(_NONCE)
    sealed = _cipher(_data_key(customer, create=True)).encrypt(nonce, number.encode(), _bound_to(customer))
    customer.identity_cipher = nonce + sealed


def open_identity(customer: Customer) -> str:
    """Decrypt the identity number; '' if there is none or its key was destroyed. Callers log the look-up."""
    from cryptography.exceptions import InvalidTag

    key = _data_key(customer, create=False)
    sealed = customer.identity_cipher
    if key is None or not sealed:
        return ""
    try:
        return _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(customer)).decode()
    except InvalidTag:
        raise RuntimeError("the identity number cannot be decrypted: wrong or changed SHOUHOU_DATA_KEY") from None


def destroy_key(customer: Customer) -> None:
    """Destroy the customer's key and what it encrypted."""
    customer.identity_cipher = None
    row = _key_row(customer)
    if row is not None:
        session().delete(row)
    record_audit("customer.key_destroyed", customer)


def _data_key(customer: Customer, *, create: bool) -> Any:
    row = _key_row(customer)
    if row is not None:
        sealed = row.wrapped_key
        return _cipher(_deployment_key()).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(customer))
    if not create:
        return None
    key, nonce = secrets.token_bytes(32), secrets.token_bytes(_NONCE)
    wrapped = nonce + _cipher(_deployment_key()).encrypt(nonce, key, _bound_to(customer))
    session().add(CustomerKey(customer_id=customer.id, unit_id=customer.unit_id, wrapped_key=wrapped))
    return key


def _key_row(customer: Customer) -> CustomerKey | None:
    return session().scalars(select(CustomerKey).where(CustomerKey.customer_id == customer.id)).first()


def _bound_to(customer: Customer) -> bytes:
    """Tie cipher texts to their customer, so that one cannot be copied under another."""
    return customer.uid.bytes


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _deployment_key() -> bytes:
    """Return the deployment's 32 bytes: base64 as our own key maker writes it, else a digest of the text given."""
    given = current_app.extensions["settings"].data_key
    try:
        key = base64.urlsafe_b64decode(given)
    except (binascii.Error, ValueError):
        key = b""
    return key if len(key) == 32 else hashlib.sha256(str(given).encode()).digest()
