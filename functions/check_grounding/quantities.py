"""Numbers, amounts, percentages and dates in a text, however they are written.

1,200 = 1200 = twelve hundred = 1.2 thousand; $5 = USD 5 = 5 dollars; 8% = 8 percent; 1 March 2026 = March 1st, 2026 =
2026-03-01. Plain "one" is left out, for it mostly is no number ("one of them").
"""

import re
from dataclasses import dataclass

_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "k": 1e3,
    "million": 1e6,
    "mn": 1e6,
    "m": 1e6,
    "billion": 1e9,
    "bn": 1e9,
    "trillion": 1e12,
    "dozen": 12.0,
    "score": 20.0,
}
_CURRENCIES = {
    "$": "USD",
    "us$": "USD",
    "usd": "USD",
    "dollar": "USD",
    "dollars": "USD",
    "€": "EUR",
    "eur": "EUR",
    "euro": "EUR",
    "euros": "EUR",
    "£": "GBP",
    "gbp": "GBP",
    "pound": "GBP",
    "pounds": "GBP",
    "chf": "CHF",
    "francs": "CHF",
    "¥": "JPY",
    "jpy": "JPY",
    "yen": "JPY",
}
_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL_WORDS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_UNITS, _TENS = _UNIT_WORDS.split(), _TEN_WORDS.split()
_WORDS = {word: float(value) for value, word in enumerate(_UNITS)} | {
    word: 10.0 * value for value, word in enumerate(_TENS, 2)
}
_WORDS |= {word: float(value) for value, word in enumerate(_ORDINAL_WORDS.split(), 3)}
_MONTH_WORDS = "january february march april may june july august september october november december"
_MONTHS = _MONTH_WORDS.split()
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)
_MONTH_NUMBERS = {month[:3]: number for number, month in enumerate(_MONTHS, 1)}
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|d)?(?:\s+day)?"
_DATES = [
    re.compile(r"\b(?P<year>[12]\d{3})-(?P<number>[01]\d)-(?P<day>[0-3]\d)\b"),
    re.compile(rf"\b{_DAY}\s+(?:of\s+)?(?P<month>{_MONTH})\b\.?,?(?:\s+(?P<year>[12]\d{{3}})\b)?", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\b\.?\s+{_DAY}\b(?!\d)(?:,?\s+(?P<year>[12]\d{{3}})\b)?", re.IGNORECASE),
    re.compile(rf"\b(?P<month>{_MONTH})\b\.?,?\s+(?P<year>[12]\d{{3}})\b", re.IGNORECASE),
]
_NUMERAL = r"\d{1,3}(?:[,\u00a0' ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_NUMBER_WORD = "|".join(
    [*sorted(_WORDS, key=len, reverse=True), "hundred", "thousand", "million", "billion", "dozen", "score"]
)
_SPELLED = rf"(?:{_NUMBER_WORD})(?:(?:[\s-]+(?:and[\s-]+)?)(?:{_NUMBER_WORD}))*"
_QUANTITY = re.compile(
    rf"(?P<before>us\$|[$€£¥]|\b(?:usd|eur|gbp|chf|jpy)\b)?\s?"
    rf"(?:(?<![\w.])(?P<numeral>{_NUMERAL})(?:st|nd|rd|th)?(?![\w]*\d)|\b(?P<spelled>{_SPELLED})\b)"
    rf"(?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|bn|mn|k|m)\b)?"
    rf"(?P<percent>\s?%|\s+per\s?cent\b)?"
    rf"(?:\s?(?P<after>[€£$]|(?:usd|eur|gbp|chf|jpy|dollars?|euros?|pounds?|francs|yen)\b))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number: ``written`` as in the text; ``precision`` is half of the last digit that was written with a scale."""

    written: str
    value: float
    precision: float
    currency: str | None
    is_percentage: bool


@dataclass(frozen=True, slots=True)
class Date:
    """A date or a part of one."""

    written: str
    year: int | None
    month: int
    day: int | None


def missing(statement: str, source: str) -> list[str]:
    """What numbers, amounts, percentages and dates of ``statement`` are not in ``source``, a sentence each."""
    source_dates, source_rest = _dates(source)
    dates, rest = _dates(statement)
    known = _quantities(source_rest) + _parts(source_dates)
    problems = [f"the date {date.written} is not there" for date in dates if not _is_known(date, source_dates)]
    for quantity in _quantities(rest):
        same = [other for other in known if _same_value(quantity, other)]
        if not same:
            problems.append(f"the {_kind(quantity)} {quantity.written} is not there")
        elif quantity.is_percentage and not any(other.is_percentage for other in same):
            problems.append(f"{quantity.written} is no percentage there")
        elif quantity.currency and not _in_currency(quantity.currency, same, source):
            problems.append(f"the amount {quantity.written} is not in {quantity.currency} there")
    return problems


def _kind(quantity: Quantity) -> str:
    if quantity.is_percentage:
        return "percentage"
    return "amount" if quantity.currency else "number"


def _same_value(stated: Quantity, known: Quantity) -> bool:
    return abs(stated.value - known.value) <= max(stated.precision, 1e-12 * abs(known.value))


def _in_currency(currency: str, same: list[Quantity], source: str) -> bool:
    """Whether one of ``same`` is in ``currency``, or has none written at it and the source names it elsewhere."""
    if any(other.currency == currency for other in same):
        return True
    named = {_CURRENCIES[sign] for sign in re.findall(r"us\$|[$€£¥]|[a-z]+", source.lower()) if sign in _CURRENCIES}
    return currency in named and any(other.currency is None for other in same)


def _is_known(date: Date, known: list[Date]) -> bool:
    return any(
        date.month == other.month and date.year in (None, other.year) and date.day in (None, other.day)
        for other in known
    )


def _parts(dates: list[Date]) -> list[Quantity]:
    """A date's year and day, which a statement may name alone."""
    numbers = [number for date in dates for number in (date.year, date.day) if number is not None]
    return [Quantity(str(number), float(number), 0.0, None, False) for number in numbers]


def _dates(text: str) -> tuple[list[Date], str]:
    """The dates in a text, and the text without them."""
    found: list[Date] = []
    for pattern in _DATES:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            month = int(parts["number"]) if parts.get("number") else _MONTH_NUMBERS[parts["month"][:3].lower()]
            year, day = parts.get("year"), parts.get("day")
            found.append(Date(match[0].strip(" ,."), int(year) if year else None, month, int(day) if day else None))
        text = pattern.sub(" ; ", text)
    return found, text


def _quantities(text: str) -> list[Quantity]:
    found = []
    for match in _QUANTITY.finditer(text):
        parts = match.groupdict()
        scale = _SCALES[parts["scale"].lower()] if parts["scale"] else 1.0
        if parts["numeral"]:
            numeral = re.sub(r"[^\d.]", "", parts["numeral"])
            value, decimals = float(numeral) * scale, len(numeral.partition(".")[2])
            precision = 0.5 * scale * 10.0**-decimals if scale > 1 and decimals else 0.0
        else:
            value, precision = _spelled(parts["spelled"]) * scale, 0.0
            if parts["spelled"].lower() == "one" and not (parts["scale"] or parts["percent"]):
                continue
        sign = parts["before"] or parts["after"]
        currency = _CURRENCIES[sign.lower()] if sign else None
        found.append(Quantity(match[0].strip(), value, precision, currency, bool(parts["percent"])))
    return found


def _spelled(text: str) -> float:
    """The value of "two hundred and twenty-five", "four score and seven" and the like."""
    total = current = 0.0
    for word in re.split(r"[\s-]+", text.lower()):
        if word == "and":
            continue
        if word not in _SCALES:
            current += _WORDS[word]
        elif _SCALES[word] >= 1e3:
            total, current = total + (current or 1.0) * _SCALES[word], 0.0
        else:
            current = (current or 1.0) * _SCALES[word]
    return total + current
