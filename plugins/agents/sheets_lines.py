"""The lines of a statement as a spreadsheet, both ways: given out, filled in by the agent, taken in again."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    InvalidData,
    Refusal,
    Refused,
    SheetColumn,
    current_locale,
    exporting,
    fetch,
    label_of,
    may,
    money_math,
    normalise,
    read_id,
    session,
    sheets,
    transaction,
)

from . import statements, values
from .models import Statement, StatementLine
from .rights import SETTLE

CONFIRM, DISPUTE = "confirm", "dispute"
WORDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("确认", "確認", "确认无误", "无异议", "同意", "认可", "confirm", "confirmed", "yes", "ok"), CONFIRM
    ),
    **dict.fromkeys(("异议", "異議", "有异议", "不同意", "不认可", "dispute", "disputed", "no"), DISPUTE),
}
# A plain number: no exponents, no group marks of other languages.
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,10})?")
_MONEY_MARKS = str.maketrans({"．": ".", ",": None, "，": None, "¥": None, "￥": None, "元": None, " ": None})
PAGE = 500
MOST_FILE = 8 * 1024 * 1024
MOST_REASON = next(one.max_length for one in statements.ANSWER_FIELDS if one.name == "dispute")
_LINE, _AMOUNT, _ANSWER = _l("Line no."), _l("Amount (yuan)"), _l("Answer (confirm or dispute)")
_CLAIMED, _REASON = _l("Amount by your account"), _l("Why you dispute it")
COLUMNS = (
    SheetColumn("line", _LINE, ("明细编号", "明细", "行号"), required=True),
    SheetColumn("amount", _AMOUNT, ("金额（元）", "金额"), required=True),
    SheetColumn("answer", _ANSWER, ("答复（确认或异议）", "答复", "answer"), required=True),
    SheetColumn("claimed", _CLAIMED, ("贵方认可金额", "认可金额")),
    SheetColumn("reason", _REASON, ("异议理由", "理由", "原因")),
)


# Who owes, as the agent reads it.
YOUR_SIDE = ((values.OWED_TO_US, _l("You owe us")), (values.OWED_BY_US, _l("We owe you")))


@dataclass
class RowResult:
    """What a row of an uploaded sheet says. ``action`` '' answers nothing: the row is left as it is."""

    row: int
    line_id: int | None = None
    label: str = ""
    action: str = ""
    claimed: Decimal | None = None
    reason: str = ""
    errors: list[Any] = field(default_factory=list)

    def raw(self) -> dict[str, Any]:
        """Return the answer as ``statements.answer_line`` takes it."""
        return {"answer": self.action, "claimed": self.claimed, "dispute": self.reason}


# --- giving out ----------------------------------------------------------------------------------


def workbook(statement_id: object) -> bytes:
    """Return the lines of a statement as .xlsx, with columns to answer in.

    Raises:
        NotFound: not in the unit, or another agent's.
    """
    statement = _visible(statement_id)
    target = io.BytesIO()
    kinds = {"amount": "money", "claimed": "money"}
    heads = [
        exporting.ExportColumn(label, kinds.get(name, "text"), width)
        for name, label, width in (
            ("line", _LINE, 10),
            ("case", _l("Case"), 20),
            ("clause", _l("Clause"), 14),
            ("label", _l("Fee item"), 28),
            ("direction", _l("Who owes"), 12),
            ("amount", _AMOUNT, 14),
            ("checks", _l("Checks"), 36),
            ("answer", _ANSWER, 22),
            ("claimed", _CLAIMED, 16),
            ("reason", _REASON, 40),
        )
    ]
    # The numbers behind the checks may be of other agents' cases.
    inside = may(SETTLE, statement.unit_id)
    rows = (_row_of(one, inside) for one in counted(statement.id))
    exporting.write(heads, rows, exporting.XLSX, target, name=statement.period)
    return target.getvalue()


def counted(statement_id: int) -> Iterator[StatementLine]:
    """Yield the lines of a statement that count, by id; those moved away are left out."""
    after = 0
    while page := statements.lines_of(statement_id, after, PAGE):
        yield from (one for one in page if not one.released)
        after = page[-1].id


def _row_of(line: StatementLine, inside: bool) -> list[Any]:
    given = {values.CONFIRMED: _("confirm"), values.DISPUTED: _("dispute")}.get(line.state, "")
    return [
        str(line.id),
        line.record.number,
        line.clause,
        label_text(line),
        str(label_of(values.DIRECTIONS if inside else YOUR_SIDE, line.direction)),
        line.amount,
        checks_text(line, details=inside),
        given,
        line.claimed,
        line.dispute,
    ]


def label_text(line: StatementLine) -> str:
    """Return what a line is for, in the language of whoever reads."""
    return (line.label_en if current_locale() == "en" else "") or line.label


def checks_text(line: StatementLine, *, details: bool = True) -> str:
    """Return what the automatic checks found, in words; ``details``: with the cases behind it, for our staff."""
    parts = []
    for code, label in values.CHECKS:
        found = line.checks.get(code)
        if found:
            result, detail = found[0], found[1] if details and len(found) > 1 else ""
            words = (str(label), _(": "), str(label_of(values.RESULTS, result)), " ", detail)
            parts.append("".join(words).strip())
    return _("; ").join(parts)


# --- taking in -----------------------------------------------------------------------------------


def read_answers(statement_id: object, source: IO[bytes]) -> list[RowResult]:
    """Judge an uploaded sheet row by row; nothing is written.

    Raises:
        NotFound. InvalidData: under ``file``: no sheet, or not one of ours. Refused: it is not to be answered now.
    """
    statement = _visible(statement_id)
    if statement.record.state != statements.SENT:
        raise Refused([Refusal("not_sent", _l("Lines are answered while the statement is with the agent"))])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sheet"
        path.write_bytes(source.read(MOST_FILE + 1))
        sheet, header = sheets.find_table(sheets.open_sheet(path, MOST_FILE), COLUMNS)
        missing = [str(one.label) for one in COLUMNS if one.required and one.name not in header.mapping]
        if missing:
            text = _l("A column is missing: %(names)s", names=_(", ").join(missing))
            raise InvalidData({"file": text})
        formulas = sheets.formula_rows(sheet)
        lines = {one.id: one for one in counted(statement.id)}
        found, seen = [], set()
        for row, cells in sheets.data_rows(sheet, header):
            given = {name: cells[at] if at < len(cells) else "" for name, at in header.mapping.items()}
            one = _judge(row, given, lines, row in formulas)
            if one.line_id is not None and one.line_id in seen:
                one.errors.append(_l("This line stands in the file twice"))
            seen.add(one.line_id)
            found.append(one)
    if not found:
        raise InvalidData({"file": sheets.EMPTY})
    return found


def _judge(row: int, given: Mapping[str, str], lines: Mapping[int, StatementLine], formula: bool) -> RowResult:
    found = RowResult(row)
    if formula or any(_shown(text).startswith("=") for text in given.values()):
        found.errors.append(_l("This row holds a formula; please enter plain values"))
        return found
    line = lines.get(read_id(_whole(given["line"])) or 0)
    if line is None:
        found.errors.append(_l("There is no such line on this statement"))
        return found
    found.line_id, found.label = line.id, f"{line.record.number} · {label_text(line)}"
    if _amount(given["amount"]) != line.amount:
        found.errors.append(_l("The amount is not that of the line; please download the sheet again"))
    _read_answer(found, given, line)
    return found


def _read_answer(found: RowResult, given: Mapping[str, str], line: StatementLine) -> None:
    word = "".join(normalise(given["answer"]).lower().split()).rstrip("。.!,，")
    claimed, reason = given.get("claimed", "").strip(), _shown(given.get("reason", ""))
    if not word:
        if (claimed or reason) and line.state not in (values.ALLOWED, values.REJECTED):
            found.errors.append(_l("Please answer with confirm or dispute"))
        return
    action = WORDS.get(word)
    if action is None:
        found.errors.append(_l("This answer is not known; please use confirm or dispute"))
        return
    if line.state in (values.ALLOWED, values.CARRIED):
        found.errors.append(_l("This line is decided already"))
        return
    if action == DISPUTE:
        _read_dispute(found, claimed, reason, line)
    if not found.errors and not _is_as_before(line, action, found):
        found.action = action


def _read_dispute(found: RowResult, claimed: str, reason: str, line: StatementLine) -> None:
    if not reason:
        found.errors.append(_l("Please say why the line is disputed"))
    if len(reason) > MOST_REASON:
        found.errors.append(_l("At most %(count)d characters", count=MOST_REASON))
    found.reason = reason
    if not claimed:
        return
    amount = _amount(claimed)
    if amount is None:
        found.errors.append(_l("The amount by your account cannot be read"))
    elif _is_more(line, amount):
        found.errors.append(_l("The amount by your account is above that of the line"))
    found.claimed = amount


def _is_more(line: StatementLine, amount: Decimal) -> bool:
    """Tell whether somebody would own up to more than is asked of them; what they ask of us may well be more."""
    return line.direction == values.OWED_TO_US and amount > line.amount


def _is_as_before(line: StatementLine, action: str, found: RowResult) -> bool:
    if action == CONFIRM:
        return line.state == values.CONFIRMED
    return line.state == values.DISPUTED and (line.dispute, line.claimed) == (found.reason, found.claimed)


def _shown(text: str) -> str:
    """Return a text without the mark that kept it from becoming a formula."""
    shown = text.strip()
    return shown[1:] if shown.startswith("'") else shown


def _whole(text: str) -> str:
    return normalise(_shown(text))


def _amount(text: str) -> Decimal | None:
    """Read an amount as offices write it (¥1,234.50); None: no plain amount in whole cents."""
    plain = normalise(_shown(text)).translate(_MONEY_MARKS)
    if not _NUMBER.fullmatch(plain):
        return None
    try:
        return money_math.exact(plain)
    except InvalidData:
        return None


def apply_answers(statement_id: object, source: IO[bytes]) -> int:
    """Take the answers of a sheet over, all or none; return how many lines were answered.

    Raises:
        As ``read_answers``. InvalidData: under ``file``: a row has an error, or nothing is answered.
    """
    with transaction():
        rows = read_answers(statement_id, source)
        bad = [one for one in rows if one.errors]
        if bad:
            text = _l("%(count)d rows have errors; nothing was taken over", count=len(bad))
            raise InvalidData({"file": text})
        answered = [one for one in rows if one.action]
        if not answered:
            raise InvalidData({"file": _l("No line is answered in this file")})
        statements.answer_lines(statement_id, {one.line_id: one.raw() for one in answered if one.line_id})
        return len(answered)


def _visible(statement_id: object) -> Statement:
    """Return a statement for our staff on the agent's word, or for the agent's own people."""
    statement = fetch(Statement, statement_id)
    statements.require_side(statement)
    session().refresh(statement)
    return statement
