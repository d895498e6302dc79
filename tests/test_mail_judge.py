"""A mail judged by its bytes alone: what Chinese programs write, and what hostile hands do."""

# ruff: noqa: E501 - mails stand here as programs write them
from __future__ import annotations

import base64
import time
from datetime import UTC, datetime
from email.header import Header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.mail import text
from core.mail.judge import IGNORED, MOST_BYTES, QUARANTINED, TAKEN, Judged, judge, name_of

HEAD = (
    b"From: =?utf-8?B?5p2O5aic?= <li@qq.com>\r\nTo: service@example.cn\r\nSubject: x\r\nMessage-ID: <1@qq.com>\r\n"
)
REPLY = HEAD + b"In-Reply-To: <0@example.cn>\r\n"


def body(said: bytes, kind: str = "text/plain; charset=utf-8", head: bytes = HEAD, more: bytes = b"") -> bytes:
    return head + more + f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n".encode() + said


def said(words: str, head: bytes = REPLY) -> str:
    return judge(body(words.encode(), head=head)).said


# --- charsets -------------------------------------------------------------------------------------

CHINESE = "空调坏了，朱镕基路五号，请尽快联系"


@pytest.mark.parametrize(
    ("declared", "real"),
    [
        ("gb2312", "gbk"),  # signs outside the set it names
        ("GBK", "gb18030"),
        ("gb18030", "gb18030"),
        ("x-gbk", "gbk"),
        ("cp936", "gbk"),
        ("utf-8", "utf-8"),
        ("utf-8", "gbk"),  # a lie
        ("gb2312", "utf-8"),  # the other lie
        ("us-ascii", "gbk"),
        ("iso-8859-1", "gbk"),
        ("", "gbk"),
        ("no-such-charset", "utf-8"),
        ("punycode", "utf-8"),
        ("zlib_codec", "utf-8"),
        ("big5", "utf-8"),
    ],
)
def test_chinese_is_read_whatever_the_mail_says(declared: str, real: str) -> None:
    kind = f'text/plain; charset="{declared}"' if declared else "text/plain"
    raw = CHINESE.encode(real)
    if (declared, real) in (("gb2312", "utf-8"), ("big5", "utf-8")) and len(raw) % 2 == 0:
        raw += b"."
    assert judge(body(raw, kind)).said.startswith(CHINESE)
    packed = base64.encodebytes(raw)
    assert judge(body(packed, kind, more=b"Content-Transfer-Encoding: base64\r\n")).said.startswith(CHINESE)


def test_latin_stays_latin() -> None:
    assert judge(body("Café fermé".encode("latin-1"), "text/plain; charset=iso-8859-1")).said == "Café fermé"


@pytest.mark.parametrize(
    "subject",
    [
        b"=?gb2312?B?" + base64.b64encode(CHINESE.encode("gbk")) + b"?=",
        Header(CHINESE * 3, "utf-8").encode().encode(),
        # Words that end in the middle of a sign, as some programs cut them.
        b"=?utf-8?B?"
        + base64.b64encode(CHINESE.encode()[:10])
        + b"?=\r\n =?utf-8?B?"
        + base64.b64encode(CHINESE.encode()[10:])
        + b"?=",
        CHINESE.encode("gbk"),
        CHINESE.encode("utf-8"),
        b"=?GBK?Q?" + "".join(f"={one:02X}" for one in CHINESE.encode("gbk")).encode() + b"?=",
    ],
)
def test_subjects_of_all_kinds(subject: bytes) -> None:
    found = judge(b"From: a@b.cn\r\nSubject: " + subject + b"\r\n\r\nhi").subject
    assert found.startswith(CHINESE)


@pytest.mark.parametrize(
    ("given_from", "name", "address"),
    [
        (b'"=?gb2312?B?1cXI/Q==?=" <Zhang@QQ.com>', "张三", "zhang@qq.com"),
        ("张三 <a@b.cn>".encode("gbk"), "张三", "a@b.cn"),
        (b"a@b.cn", "", "a@b.cn"),
        (b"<a@b.cn> (x)", "", "a@b.cn"),
        (b'"boss@bank.cn" <x@evil.cn>', "boss@bank.cn", "x@evil.cn"),
        (b"nobody", "nobody", ""),
        (b"<@>", "", ""),
        (b"a@b.cn\r\n Bcc: all@b.cn", "", "a@b.cn"),
    ],
)
def test_who_writes(given_from: bytes, name: str, address: str) -> None:
    found = judge(b"From: " + given_from + b"\r\nSubject: x\r\n\r\nhi")
    assert (found.sender_name, found.sender) == (name, address)


def test_date_and_ids() -> None:
    found = judge(
        b"From: a@b.cn\r\nDate: Fri, 20 Nov 2026 10:30:00 +0800\r\nMessage-ID: <" + b"x" * 500 + b"@b.cn>\r\n"
        b"References: <1@b.cn>\r\n <2@b.cn>\r\nIn-Reply-To: <3@b.cn>\r\n\r\nhi"
    )
    assert found.sent_at == datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
    assert found.references == ("1@b.cn", "2@b.cn", "3@b.cn") and len(found.message_id) < 255
    for bad in (b"yesterday", b"Fri, 99 Nov 2026 10:30:00 +0800", b"1 Jan 1066 00:00:00 +2300", b""):
        assert judge(b"From: a@b.cn\r\nDate: " + bad + b"\r\n\r\nhi").sent_at is None
    assert judge(b"From: a@b.cn\r\n\r\nhi").message_id == name_of(b"From: a@b.cn\r\n\r\nhi")


# --- quotes ---------------------------------------------------------------------------------------

ANSWER = "好的，明天下午三点可以。\n电话 13112355344"
QUOTES = {
    "qq": '------------------ 原始邮件 ------------------\n发件人: "客服" <s@e.cn>;\n发送时间: 2026年11月20日\n\n您好',
    "qq phone": "---原始邮件---\n发件人: 客服<s@e.cn>\n发送时间: 2026年11月20日(周五) 上午10:30\n收件人: 李娜",
    "qq new": "------------------&nbsp;原始邮件&nbsp;------------------\n发件人: x".replace("&nbsp;", "\u00a0"),
    "163": '在 2026-11-20 10:30:00，"客服" <s@e.cn> 写道：\n您好',
    "163 en": 'At 2026-11-20 10:30:00, "客服" <s@e.cn> wrote:\n您好',
    "163 app": "---- 回复的原邮件 ----\n| 发件人 | 客服<s@e.cn> |\n| 日期 | 2026年11月20日 |",
    "foxmail": "发件人： 客服\n发送时间： 2026-11-20 10:30\n收件人： 李娜\n主题： 空调\n您好",
    "outlook": "________________________________\n发件人: 客服 <s@e.cn>\n发送时间: 2026年11月20日 10:30\n收件人: 李娜\n主题: 空调",
    "outlook en": "From: Service <s@e.cn>\nSent: Friday, November 20, 2026 10:30 AM\nTo: Li\nSubject: x\n\nHello",
    "outlook old": "-----Original Message-----\nFrom: Service\nHello",
    "gmail": "客服 <s@e.cn> 于2026年11月20日周五 10:30写道：\n\n> 您好\n> 请问",
    "gmail broken": "某某售后服务有限公司客服中心 <service@example.cn>\n于2026年11月20日周五 10:30写道：\n> 您好",
    "gmail en": "On Fri, Nov 20, 2026 at 10:30 AM Service <s@e.cn>\nwrote:\n\n> Hello\n>> more",
    "apple": "> 在 2026年11月20日，10:30，客服 <s@e.cn> 写道：\n> \n> 您好",
    "apple new": "2026年11月20日 上午10:30，客服 <s@e.cn> 写道：\n您好",
    "phone": "发自我的iPhone\n\n在 2026年11月20日，10:30，客服 <s@e.cn> 写道：\n您好",
    "plain": "> 您好，什么时候方便？\n> 客服",
    "signed": "-- \n李娜\n盟新科技有限公司\n13800000000",
    "signed short": "--\n李娜",
    "huawei": "发自我的华为手机\n-------- 原始邮件 --------\n发件人：客服\n日期：2026年11月20日\n收件人：李娜",
    "aliyun": "------------------------------------------------------------------\n发件人：客服 <s@e.cn>\n"
    "发送时间：2026年11月20日(星期五) 10:30\n收件人：李娜\n主　题：空调",
    "traditional": "-------- 原始郵件 --------\n寄件者: 客服\n寄件日期: 2026年",
}


@pytest.mark.parametrize("style", QUOTES)
def test_quotes_are_cut(style: str) -> None:
    assert said(f"{ANSWER}\n\n{QUOTES[style]}\n") == ANSWER


def test_answers_between_the_lines_stay() -> None:
    assert said("> 什么时候方便？\n明天\n> 几点？\n三点") == "明天\n三点"


@pytest.mark.parametrize(
    "words",
    [
        "他在信里写道：已经修好了，可是没有。\n请再来",
        "发件人：我们公司门卫\n地址是文三路1号",
        "温度 > 50 度就报警\n-----\n请看照片",
        "From: the beginning it was loud.\nIt still is.",
        "维修记录\n--\n第一次：换了电容\n第二次：换了压缩机\n第三次：加氟\n第四次\n第五次\n第六次\n第七次\n第八次\n第九次",
    ],
)
def test_what_looks_like_a_quote_and_is_none_stays(words: str) -> None:
    assert said(words) == words


def test_a_forwarded_mail_stays_whole() -> None:
    words = "---------- 转发邮件 ----------\n发件人：王工 <w@e.cn>\n日期：2026年11月20日\n\n我家空调坏了"
    assert "我家空调坏了" in said(words, HEAD)
    assert (
        "我家空调坏了"
        in judge(body(words.encode(), head=HEAD.replace(b"Subject: x", "Subject: 转发: x".encode()))).said
    )
    # An empty answer is empty; its quote is not what the customer says.
    assert said("\n" + QUOTES["163"]) == ""


def test_html_becomes_words_and_nothing_else() -> None:
    page = """<html><head><title>t</title><style>p{color:red}</style><script>alert(1)</script></head><body>
    <p>空调&nbsp;坏了&lt;b&gt;</p><div>第二行<br>第三行</div><img src="http://x/track.gif" onerror="alert(1)">
    <a href="https://example.com/v?id=1&amp;x=2">视频</a> <a href="javascript:alert(1)">点我</a>
    <iframe src="https://evil.cn">内嵌</iframe><!-- 注释 <p>藏</p> --><svg><script>alert(2)</script></svg></body></html>"""
    shown = judge(body(page.encode(), "text/html; charset=utf-8")).said
    assert shown.split("\n")[0] == "空调 坏了<b>"
    assert "第二行\n第三行" in shown and "<https://example.com/v?id=1&x=2>" in shown
    assert not any(word in shown for word in ("alert", "javascript", "track.gif", "color", "内嵌", "藏"))


@pytest.mark.parametrize(
    "quote",
    [
        '<div class="gmail_quote"><div dir="ltr">客服 于2026年11月20日写道：</div><blockquote>您好</blockquote></div>',
        '<div id="isReplyContent">在 2026-11-20，客服写道：<blockquote id="isReplyContent">您好</blockquote></div>',
        "<includetail><div>------------------ 原始邮件 ------------------</div>您好</includetail>",
        '<hr><div id="divRplyFwdMsg"><b>发件人:</b> 客服<br><b>发送时间:</b> 2026</div>您好',
        "<blockquote type=cite>您好</blockquote>",
    ],
)
def test_quotes_in_html(quote: str) -> None:
    raw = body(f"<div>好的</div><div>明天</div>{quote}".encode(), "text/html; charset=utf-8", REPLY)
    assert judge(raw).said == "好的\n明天"


# --- parts ----------------------------------------------------------------------------------------


def mixed(*parts: bytes, kind: str = "mixed", head: bytes = HEAD) -> bytes:
    inside = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return (
        head
        + f"MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary=b\r\n\r\n".encode()
        + inside
        + b"--b--\r\n"
    )


def test_files_and_what_is_no_file() -> None:
    found = judge(
        mixed(
            b"Content-Type: text/plain\r\n\r\nhi",
            b'Content-Type: application/pdf; name="=?gb2312?B?'
            + base64.b64encode("报告.pdf".encode("gbk"))
            + b'?="\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK',
            b"Content-Type: image/png\r\nContent-Disposition: attachment; filename*=utf-8''%E9%93%AD%E7%89%8C.png\r\n\r\nx",
            b'Content-Type: image/jpeg; name="../../a\x00b.jpg"\r\n\r\nx',
            "Content-Type: text/plain; name=日志.txt\r\n\r\nlog".encode("gbk"),
            b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx",
            b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR",
            b"Content-Type: image/gif\r\nContent-ID: <logo>\r\n\r\nGIF89a",
            b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.cn\r\nMessage-ID: <inner@y.cn>\r\n\r\nforwarded",
        )
    )
    assert found.verdict == TAKEN and found.said == "hi"
    assert [one.name for one in found.files] == ["报告.pdf", "铭牌.png", "../../ab.jpg", "日志.txt"]
    assert found.files[0].content == b"%PDF-1.4\n"
    assert found.left_out == ("winmail.dat", "text/calendar", "image/gif", "message/rfc822")


def test_the_plain_words_are_taken_of_two_versions() -> None:
    plain, marked = b"Content-Type: text/plain\r\n\r\nplain", b"Content-Type: text/html\r\n\r\n<p>marked</p>"
    assert judge(mixed(plain, marked, kind="alternative")).said == "plain"
    assert judge(mixed(b"Content-Type: text/plain\r\n\r\n \r\n", marked, kind="alternative")).said == "marked"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (b"Auto-Submitted: auto-generated", "auto_reply"),
        (b"X-Autoreply: yes", "auto_reply"),
        (b"Return-Path: <>", "auto_reply"),
        (b"Precedence: auto_reply", "auto_reply"),
        (b"Precedence: bulk", "bulk"),
        (b"X-Failed-Recipients: a@b.cn", "bounce"),
        (b"X-Shouhou: us", "own"),
    ],
)
def test_machines_are_known(headers: bytes, reason: str) -> None:
    found = judge(body(b"hi", more=headers + b"\r\n"), own="us")
    assert (found.verdict, found.reason) == (IGNORED, reason)


def test_people_are_no_machines() -> None:
    for headers in (
        b"Auto-Submitted: no",
        b"X-Auto-Response-Suppress: OOF",
        b"X-Shouhou: others",
        b"List-Id: <a.b>",
    ):
        assert judge(body(b"hi", more=headers + b"\r\n"), own="us").verdict == TAKEN
    assert judge(body(b"hi", more=b"X-Auto-Response-Suppress: All\r\n")).no_answer
    for subject, verdict in (
        ("自动回复: 您好", IGNORED),
        ("自动回复功能坏了", TAKEN),
        ("Automatic reply: x", IGNORED),
        ("【自动回复】收到", IGNORED),
        ("退信怎么办", TAKEN),
        ("Out of Office", IGNORED),
    ):
        assert judge(f"From: a@b.cn\r\nSubject: {subject}\r\n\r\nx".encode()).verdict == verdict, subject
    for sender in ("noreply@b.cn", "no-reply+1@b.cn", "MAILER-DAEMON@b.cn"):
        assert judge(f"From: {sender}\r\nSubject: x\r\n\r\nx".encode()).verdict == IGNORED


def test_some_are_looked_at() -> None:
    def reason(raw: bytes) -> tuple[str, str]:
        found = judge(raw)
        return found.verdict, found.reason

    assert reason(b"Subject: x\r\n\r\nhi") == (QUARANTINED, "no_sender")
    assert reason(b"From: a@b.cn\r\n\r\n\r\n") == (QUARANTINED, "empty")
    forged = b"Authentication-Results: mx; spf=pass; dmarc=fail (p=none)\r\n"
    assert reason(forged + HEAD + b"\r\nhi") == (QUARANTINED, "forged")
    assert reason(mixed(b"\r\nx", kind="encrypted")) == (QUARANTINED, "encrypted")


# --- hostile --------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return HEAD + b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(depth))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (nested(100), "too_deep"),
        (nested(2000), "too_deep"),
        (nested(10_000), "too_many_parts"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 4000, "too_many_parts"),
        (HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 400_000, "too_many_parts"),
        (mixed(*[b"Content-Type: image/png\r\nContent-Disposition: attachment\r\n\r\nx"] * 40), "too_many_files"),
        (HEAD + b"\r\n" + b"x" * (MOST_BYTES + 1), "too_large"),
    ],
)
def test_too_much_is_put_aside_in_no_time(raw: bytes, reason: str) -> None:
    begun = time.process_time()
    found = judge(raw)
    assert (found.verdict, found.reason, found.message_id) == (QUARANTINED, reason, "1@qq.com")
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "raw",
    [
        body(b"<a " * 400_000, "text/html"),
        body(b"<script" * 200_000, "text/html"),
        body(b"<!--" * 300_000, "text/html"),
        body(b"<blockquote>" * 100_000, "text/html"),
        body(b"&#" * 500_000, "text/html"),
        body("在".encode() * 500_000),
        body(b"From:\n" * 200_000, head=REPLY),
        body("在 a@b 2026\n".encode() * 100_000, head=REPLY),
        body(b"-" * 1_000_000, head=REPLY),
        body(b"> " * 500_000, head=REPLY),
        b"From: " + b"a" * 500_000 + b"<" * 500_000 + b"@b\r\nReferences: " + b"<a " * 500_000 + b"\r\n\r\nx",
        b"From: a@b.cn\r\nSubject: " + b"=?utf-8?B?" * 100_000 + b"\r\n\r\nx",
        b"".join(b"X-%d: y\r\n" % n for n in range(50_000)) + b"\r\nx",
        b"From: a@b.cn\r\nContent-Type: text/plain" + b"; a=b" * 100_000 + b"\r\n\r\nx",
    ],
    ids=range(14),
)
def test_nothing_takes_long(raw: bytes) -> None:
    begun = time.process_time()
    assert judge(raw).verdict in (TAKEN, QUARANTINED)
    assert time.process_time() - begun < 5


def test_a_mail_of_25_mb_is_taken() -> None:
    photo = base64.encodebytes(b"\xff\xd8\xff" + b"x" * 18_000_000)
    raw = mixed(
        b"Content-Type: text/plain\r\n\r\nhi",
        b"Content-Type: image/jpeg; name=a.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n" + photo,
    )
    found = judge(raw)
    assert found.verdict == TAKEN and len(found.files[0].content) == 18_000_003


def test_no_control_character_gets_through() -> None:
    raw = body("空\x00调\u202e坏\x1b[31m了\ud800".encode("utf-8", "surrogatepass"))
    found = judge(raw.replace(b"Subject: x", b"Subject: =?utf-8?B?AGEKQmNjOiB4QHkuY24=?="))
    assert found.said.startswith("空调坏[31m了") and "\x00" not in found.said
    assert found.subject == "a Bcc: x@y.cn"


def clean(found: Judged) -> bool:
    shown = [found.subject, found.said, found.quoted, found.sender, found.sender_name, found.message_id]
    shown += [*found.references, *found.recipients, *(one.name for one in found.files)]
    return all("\x00" not in one and "\ufffd" not in one and one.encode("utf-8") is not None for one in shown)


PIECES = st.sampled_from(
    [b"From: ", b"a@b.cn", b"\r\n", b"\n\n", b"Content-Type: ", b"multipart/mixed; boundary=b", b"text/html", b"--b", b"--",
     b"charset=", b"gb2312", b"utf-7", b"=?gbk?B?", b"?=", b"base64", b"Content-Transfer-Encoding: ", b"<blockquote>", b"<",
     b">", b"\x00", b"\xff\xfe", b"\x81", "写道：".encode(), "在 2026".encode(), b"References: <", b"message/rfc822", b"filename*0*=",
     b"Content-Disposition: attachment; ", b"Subject: ", b"Date: ", b"quoted-printable", b"=3D=", b";", b'"', b"begin 644 x\n"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300), st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=60).map(b"".join)
    )
)
def test_any_bytes_are_judged(raw: bytes) -> None:
    found = judge(raw, "us", ("a@b.cn",))
    assert found.verdict in (TAKEN, IGNORED, QUARANTINED) and found.message_id and clean(found)
    assert (found.verdict == TAKEN) == (not found.reason)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.booleans())
def test_cutting_loses_no_answer(words: str, is_reply: bool) -> None:
    """What stays is made of the lines that were there; of a mail that is no answer something always stays."""
    shown = text.plain(words)
    kept, _rest = text.cut(shown, is_reply=is_reply)
    assert set(kept.split("\n")) - {""} <= {line.rstrip() for line in shown.split("\n")}
    if not is_reply and not all(text._RULE.match(line.strip()) for line in shown.split("\n") if line.strip()):
        assert kept
