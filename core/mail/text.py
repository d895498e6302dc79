"""The words of a mail: charsets, encoded headers, HTML without anything active, quotes and signatures cut.

Everything here takes what anybody may have sent, never fails, and takes time in proportion to its length.
"""

from __future__ import annotations

import base64
import codecs
import html
import quopri
import re
import unicodedata

LONGEST_HEADER = 4000
LONGEST_TEXT = 1_000_000  # characters of HTML or text looked at; the mail itself keeps the rest
LOST = "□"

# --- charsets -------------------------------------------------------------------------------------

# What Chinese programs call by the name of the smaller set is written in the larger.
_LARGER = {
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "cp936", "ms936", "x-gbk", "chinese", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("euc-cn", "euccn", "eucgb2312-cn", "gb2312-80", "936", "csgb2312", "gb-2312"), "gb18030"),
}
_LATIN = frozenset({"iso8859-1", "latin-1", "latin1", "cp1252", "ascii"})
# Charsets of text; the names of other codecs (punycode, zip ...) cost time or make no text.
_TEXT = re.compile(r"(utf|gb|big5|hz|iso|cp\d|koi8|euc|shift|ascii|latin|tis|ks|johab|mac)")
_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xfe][\x40-\x7e\x80-\xfe])*")


def decode(raw: bytes, charset: str = "") -> str:
    """Return the text of bytes: as declared if that fits, else as it must be, else with marks for what is lost."""
    for name in _candidates(raw, charset):
        try:
            return raw.decode(name)
        except (UnicodeError, LookupError, ValueError):
            continue
    known = _known(charset)
    return raw.decode(known if known and known not in _LATIN else "utf-8", "replace").replace("\ufffd", LOST)


def _candidates(raw: bytes, charset: str) -> list[str]:
    declared = _known(charset)
    looks_chinese = not raw.isascii() and _PAIRS.fullmatch(raw) is not None
    if declared in _LATIN or not declared:
        # Whoever says "Latin" or nothing mostly did not mean it.
        return ["utf-8", *(["gb18030"] if looks_chinese else []), "cp1252", "latin-1"]
    return [declared, "utf-8", *(["gb18030"] if looks_chinese else [])]


def _known(charset: str) -> str:
    name = charset.strip(" \"'\t").lower()[:40]
    if name in _LARGER:
        return _LARGER[name]
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError, UnicodeError):
        return ""
    if found in ("gb2312", "gbk"):
        return "gb18030"
    return found if _TEXT.match(found) else ""


def plain(text: str) -> str:
    """Drop what is no text: control characters (NUL too), marks that turn the direction, halves of pairs."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffd", LOST)
    kept = (c if c in "\n\t" else " " if c in "\u2028\u2029\x0b\x0c" else c for c in text)
    kept = (c for c in kept if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return unicodedata.normalize("NFC", "".join(kept))


def one_line(text: str, most: int) -> str:
    """Return text as one line of at most ``most`` characters."""
    return " ".join(plain(text[: most * 4]).split())[:most]


# --- headers --------------------------------------------------------------------------------------

_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")


def header(value: str) -> str:
    """Decode a header as the parser gives it: encoded words, or bare bytes that an old program put there."""
    value = value[:LONGEST_HEADER].replace("\r", "").replace("\n", " ")
    parts: list[tuple[str, bytes]] = []  # charset, bytes; words of one charset are put together before decoding
    end = 0
    for found in _WORD.finditer(value):
        between = value[end : found.start()]
        if between.strip() or not parts:
            parts.append(("", _bytes(between)))
        charset = found.group(1).partition("*")[0].lower()
        word = _unpack(found.group(2).lower(), found.group(3))
        if parts[-1][0] == charset:
            parts[-1] = (charset, parts[-1][1] + word)
        else:
            parts.append((charset, word))
        end = found.end()
    parts.append(("", _bytes(value[end:])))
    return plain("".join(decode(raw, charset) for charset, raw in parts)).strip()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _unpack(kind: str, word: str) -> bytes:
    raw = _bytes(word)
    if kind == "q":
        return quopri.decodestring(raw.replace(b"_", b" "), header=True)
    return base64_bytes(raw)


def base64_bytes(raw: bytes) -> bytes:
    """Decode base64 as far as it goes, whatever stands between."""
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return base64.b64decode(letters + b"=" * (-len(letters) % 4))


# --- HTML -----------------------------------------------------------------------------------------

_DROPPED = ("script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe")
_BREAKS = frozenset("br p div tr li ul ol table h1 h2 h3 h4 h5 h6 hr section header footer pre dt dd".split())  # noqa: SIM905
_TAG = re.compile(r"/?([a-zA-Z][a-zA-Z0-9]*)")
_HREF = re.compile(r"""href\s*=\s*["']?(https?://[^\s"'<>]{1,300})""", re.I)
_QUOTE_MARK = re.compile(
    r"gmail_quote|divRplyFwdMsg|appendonsend|isReplyContent|includetail|foxmail.?quote|ntes.?quote|yahoo_quoted",
    re.I,
)
QUOTED_HERE = "\ue000"  # stands in the text of HTML where its quote begins


def from_html(source: str) -> str:
    """Return the words of HTML. Scripts, styles, frames and pictures are left out; links show where they lead."""
    source = source[:LONGEST_TEXT]
    lowered = source.lower()
    if len(lowered) != len(source):  # a few letters change their length
        lowered = "".join(c.lower() if c.isascii() else c for c in source)
    page = _Page()
    at = 0
    while at < len(source):
        start = source.find("<", at)
        if start < 0:
            page.say(source[at:])
            break
        page.say(source[at:start])
        if source.startswith("<!--", start):
            close = source.find("-->", start + 4)
            at = len(source) if close < 0 else close + 3
            continue
        close = source.find(">", start)
        if close < 0:
            break
        inside = source[start + 1 : close]
        at = close + 1
        found = _TAG.match(inside)
        name = found.group(1).lower() if found else ""
        if name in _DROPPED and not inside.startswith("/"):
            end = at if inside.endswith("/") else lowered.find(f"</{name}", at)
            at = len(source) if end < 0 else end
            continue
        page.tag(name, inside)
    text = plain_keeping(html.unescape("".join(page.out)))
    lines = [line.strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Page:
    """The words of a page as they are put together."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.fresh = True  # whether a line has just begun
        self.link = ""
        self.linked = 0  # where the words of the link begin

    def say(self, words: str) -> None:
        words = _flow(words)
        if words and not (self.fresh and not words.strip()):
            self.out.append(words)
            self.fresh = False

    def tag(self, name: str, inside: str) -> None:
        closes = inside.startswith("/")
        if name == "blockquote" or (name and "=" in inside and _QUOTE_MARK.search(inside[:500])):
            self._break()
            if not closes:
                self.out.append(f"{QUOTED_HERE}\n")
        elif name == "includetail":
            self._break()
        elif name == "br":
            self.out.append("\n")
            self.fresh = True
        elif name in _BREAKS:
            self._break()
        elif name in ("td", "th"):
            self.say(" ")
        elif name == "a":
            self._anchor(inside, closes)

    def _anchor(self, inside: str, closes: bool) -> None:
        if closes:
            shown = "".join(self.out[self.linked :][-20:])
            if self.link and self.link not in shown:
                self.out.append(f" <{self.link}>")
            self.link = ""
            return
        target = _HREF.search(inside[:1000])
        self.link = target.group(1) if target else ""
        self.linked = len(self.out)

    def _break(self) -> None:
        if not self.fresh:
            self.out.append("\n")
            self.fresh = True


def _flow(text: str) -> str:
    return re.sub(r"[ \t\r\n\f]+", " ", text.replace("&nbsp;", " ")).replace(QUOTED_HERE, "")


def plain_keeping(text: str) -> str:
    """As ``plain``, but the mark of where a quote begins stays."""
    return QUOTED_HERE.join(plain(part) for part in text.split(QUOTED_HERE))


# --- quotes and signatures ------------------------------------------------------------------------

_DASHES = r"[-－—_*=~\s]"
_FORWARDED = r"转发邮件|转发的邮件|轉寄郵件|Forwarded message|Begin forwarded message|Forwarded by"
_ORIGINAL = (
    r"原始邮件|原邮件|原始信息|原始郵件|回复的原邮件|回复的邮件|邮件原件|原文|Original(?: Message| Email)?|"
    r"Original-Nachricht|Reply Message"
)
_RULED = re.compile(rf"^{_DASHES}{{2,60}}(?:{_ORIGINAL}|{_FORWARDED})\s*[:：]?{_DASHES}{{0,60}}$", re.I)
_FORWARD_LINE = re.compile(rf"^{_DASHES}{{0,60}}(?:{_FORWARDED})", re.I)
_WROTE = re.compile(r"(?:写道|寫道|写到|wrote|schrieb|a écrit)\s*[:：]?\s*$", re.I)
# Who wrote when: somebody's "he wrote:" without a date or an address is the customer's own sentence.
_BY_WHOM = re.compile(r"\d{4}|\d{1,2}\s*月|\d{1,2}:\d{2}|@|^On\b|&lt;|<")
_FROM = re.compile(r"^[*\s]{0,4}(?:发件人|寄件人|寄件者|发自|From|Von)\s*[*]?\s*[:：]", re.I)
_BESIDE = re.compile(
    r"^[*\s]{0,4}(?:发送时间|发送日期|日期|时间|寄件日期|收件人|收件者|抄送|主题|主旨|Sent|Date|To|Cc|Subject)"
    r"\s*[*]?\s*[:：]",
    re.I,
)
_FROM_PHONE = re.compile(
    r"^(?:发自我的|来自我的|从我的.{1,20}发送|发送自|由.{1,20}发送$|从 ?Windows ?版邮件发送|获取 ?Outlook|"
    r"Sent from|Get Outlook for|通过.{1,20}(?:邮箱|客户端)发送)",
    re.I,
)
_RULE = re.compile(r"^[-_=－—*]{5,200}$")
_SHORT_SIGNATURE = 8  # lines; a "--" without its blank ends the text only before so few


def cut(text: str, *, is_reply: bool) -> tuple[str, str]:
    """Split a mail's text into what its writer says and the rest (quote, signature).

    In a reply lines that begin with ">" go wherever they stand. A mail that is nothing but a quote (a forwarded
    one) stays whole.
    """
    lines = text.split("\n")
    end = _quote_starts(lines)
    said, rest = lines[:end], lines[end:]
    if is_reply:
        said = [line for line in said if not line.lstrip().startswith((">", "＞"))]
    said, signature = _signed(said)
    words = _trimmed(said)
    if words or (is_reply and not _is_forward(rest)):
        return words, _trimmed([*signature, *rest])
    return _trimmed(lines), ""


def _quote_starts(lines: list[str]) -> int:
    for number, full in enumerate(lines):
        line = full.strip()[:400]
        if not line:
            continue
        if line.startswith(QUOTED_HERE):
            return _before(lines, number)
        if _RULED.match(line) or _is_head(lines, number):
            return number
        if _wrote(lines, number):
            return number
    return len(lines)


def _before(lines: list[str], number: int) -> int:
    """An HTML quote begins; the line that says who wrote it stands right above."""
    above = [n for n in range(max(0, number - 4), number) if _wrote(lines, n) or _is_head(lines, n)]
    return above[0] if above else number


def _is_head(lines: list[str], number: int) -> bool:
    """A block as Outlook puts it: from, and within a few lines a date, a receiver or a subject."""
    if not _FROM.match(lines[number].strip()[:400]):
        return False
    return any(_BESIDE.match(line.strip()[:200]) for line in lines[number + 1 : number + 6])


def _wrote(lines: list[str], number: int) -> bool:
    """ "On ... wrote:", in one line or broken over three."""
    joined = ""
    for line in lines[number : number + 3]:
        bare = line.strip().lstrip(">").strip()[:400]
        if not bare:
            return False
        joined = f"{joined} {bare}".strip()
        if _WROTE.search(joined[-40:]):
            return bool(_BY_WHOM.search(joined))
        if not (joined.startswith(("在", "On ", "于", "At ")) or re.match(r"^.{0,80}(?:于|@|<)", joined)):
            return False
    return False


def _is_forward(rest: list[str]) -> bool:
    return any(_FORWARD_LINE.match(line.strip()[:200]) for line in rest[:3])


def _signed(lines: list[str]) -> tuple[list[str], list[str]]:
    for number, line in enumerate(lines):
        exact = line.rstrip("\r\n") == "-- "
        if exact or (line.strip() == "--" and len(lines) - number <= _SHORT_SIGNATURE):
            return lines[:number], lines[number:]
    kept = list(lines)
    while kept and (not kept[-1].strip() or _FROM_PHONE.match(kept[-1].strip()[:60])):
        kept.pop()
    return kept, []


def _trimmed(lines: list[str]) -> str:
    kept = [line.replace(QUOTED_HERE, "").rstrip() for line in lines]
    while kept and (not kept[-1].strip() or _RULE.match(kept[-1].strip()[:201])):
        kept.pop()
    while kept and not kept[0].strip():
        kept.pop(0)
    return "\n".join(kept)
