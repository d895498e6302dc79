"""Carries messages to group robots: apprise composes and signs them, our own careful ``post`` takes them there.

apprise alone takes every answer of status 200 for success, but these robots answer 200 to a wrong key, a missing
keyword or too many messages, and say so in the text. It would also follow redirects. So its ``requests`` is ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask_babel import lazy_gettext as _l

from core.kernel import clock, outgoing
from core.kernel.errors import AppError, InvalidData

WECOM, DINGTALK, FEISHU, WEBHOOK = "wecom", "dingtalk", "feishu", "webhook"
KINDS: Mapping[str, Any] = {
    WECOM: _l("WeCom group robot"),
    DINGTALK: _l("DingTalk group robot"),
    FEISHU: _l("Feishu group robot"),
    WEBHOOK: _l("Web address (JSON)"),
}
_HOSTS = {WECOM: "qyapi.weixin.qq.com", DINGTALK: "oapi.dingtalk.com", FEISHU: "open.feishu.cn"}
_PLAIN = re.compile(r"[A-Za-z0-9_-]{8,200}")
TIMEOUT = 8.0
# The answer to the message that is being sent, or what kept it from arriving.
_heard: ContextVar[outgoing.Answer | AppError | None] = ContextVar("shouhou_robot_answer", default=None)
_feishu_secret: ContextVar[str] = ContextVar("shouhou_feishu_secret", default="")


class NotTaken(AppError):
    """A robot did not take a message."""

    status = 502
    code = "robot_refused"
    title = _l("The robot did not take the message")


@dataclass(frozen=True)
class Address:
    """Where a robot is: its key or token, or a whole address; and the secret that signs, if it has one."""

    url: str
    token: str = ""
    secret: str = ""


def read_address(kind: str, url: str, secret: str = "") -> Address:
    """Read the address that the group's settings show for a robot.

    Raises:
        InvalidData: not an address of this kind of robot, or one that leads to an inner network.
    """
    secret = secret.strip()
    if secret and kind not in (DINGTALK, FEISHU):
        raise InvalidData({"secret": _l("Only DingTalk and Feishu robots have a signing secret")})
    if secret and not (_PLAIN.fullmatch(secret) and (kind == FEISHU or secret.isalnum())):
        raise InvalidData({"secret": _l("This is not a signing secret")})
    if kind == WEBHOOK:
        outgoing.check_address(url, "url")
        return Address(url)
    token = _token(kind, url)
    if token is None:
        text = _l("Please paste the whole address that the group shows for its robot (%(host)s)", host=_HOSTS[kind])
        raise InvalidData({"url": text})
    return Address(url, token, secret)


def _token(kind: str, url: str) -> str | None:
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return None
    if parts.scheme != "https" or parts.netloc != _HOSTS[kind]:
        return None
    if kind == FEISHU:
        found = parts.path.rstrip("/").removeprefix("/open-apis/bot/v2/hook/")
    else:
        found = query.get("key" if kind == WECOM else "access_token", [""])[0]
    good = found.isalnum() if kind == DINGTALK else True
    return found if good and _PLAIN.fullmatch(found) else None


def send(kind: str, address: Address, text: str, data: Mapping[str, Any]) -> None:
    """Send one message to a robot: ``text`` to a group, ``data`` as JSON to a web address.

    Call it outside ``transaction()``: it waits for the other side.

    Raises:
        NotTaken: the other side refused it, with its words.
        Unreachable, InvalidData: it cannot be called.
    """
    if kind == WEBHOOK:
        body = json.dumps(data, ensure_ascii=False).encode()
        answer = outgoing.post(address.url, body, {"Content-Type": "application/json; charset=utf-8"}, TIMEOUT)
        _check(answer, strict=False)
        return
    heard, secret = _heard.set(None), _feishu_secret.set(address.secret if kind == FEISHU else "")
    try:
        _robot(kind, address).send(body=text, title="")
        answered = _heard.get()
    finally:
        _heard.reset(heard)
        _feishu_secret.reset(secret)
    if isinstance(answered, AppError):
        raise answered
    if answered is None:
        raise NotTaken()
    _check(answered, strict=True)


def _check(answer: outgoing.Answer, strict: bool) -> None:
    """Pass if the message was taken; ``strict``: the text must say so, too."""
    if not answer.good:
        raise NotTaken(f"{answer.status} {answer.text}"[:300])
    if not strict:
        return
    try:
        said = json.loads(answer.text)
        code = said.get("errcode", said.get("code", said.get("StatusCode")))
    except (ValueError, AttributeError):
        code = None
    if code != 0:
        raise NotTaken(answer.text[:300])


def _robot(kind: str, address: Address) -> Any:
    made = _plugins()
    if kind == WECOM:
        return made.wecom(key=address.token)
    if kind == DINGTALK:
        return made.dingtalk(token=address.token, secret=address.secret or None)
    return made.feishu(token=address.token)


@lru_cache(maxsize=1)
def _plugins() -> SimpleNamespace:
    """Load apprise's robots (slow at first) and put our wire under them."""
    from apprise.plugins import dingtalk, feishu, wecombot

    for module in (dingtalk, feishu, wecombot):
        module.requests = _Wire()
    return SimpleNamespace(
        wecom=wecombot.NotifyWeComBot, dingtalk=dingtalk.NotifyDingTalk, feishu=feishu.NotifyFeishu
    )


class _Wire:
    """What apprise's robots use of ``requests``."""

    codes = SimpleNamespace(ok=200)

    class RequestException(Exception):
        """Never raised: the caller reads what was heard."""

    def post(
        self,
        url: str,
        data: bytes | str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        **_options: Any,
    ) -> Any:
        """Send it by the careful way and keep the answer for ``send``."""
        body = data.encode() if isinstance(data, str) else data
        if secret := _feishu_secret.get():
            body = json.dumps(json.loads(body) | _feishu_signature(secret)).encode()
        if params:
            # apprise has quoted the signature already.
            url += "&" + "&".join(f"{name}={value}" for name, value in params.items())
        try:
            answer = outgoing.post(url.rstrip("/"), body, headers, TIMEOUT)
        except AppError as error:
            _heard.set(error)
            return SimpleNamespace(status_code=0, content=b"")
        _heard.set(answer)
        return SimpleNamespace(status_code=answer.status, content=answer.text.encode())


def _feishu_signature(secret: str) -> dict[str, str]:
    """Sign as Feishu asks for; apprise does not know how."""
    stamp = str(int(clock.now().timestamp()))
    code = hmac.new(f"{stamp}\n{secret}".encode(), digestmod=hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(code).decode()}
