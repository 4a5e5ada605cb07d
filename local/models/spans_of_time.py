"""How many days back the words of a message reach: "since Monday", "in March", "the last two weeks".

A span is counted back from now and includes today, for that is how list_transactions counts: of yesterday's payments
some are older than a day, so "yesterday" is 2. "Last week" and "last month" are the last 7 and 31 days.
"""

import math
import re
from datetime import date, timedelta

_NUMBERS = {
    word: number
    for number, words in enumerate(
        (
            *("a an one", "two couple", "three few", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
            *("twelve dozen", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        ),
        1,
    )
    for word in words.split()
} | {"half": 0.5, "half a": 0.5}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DAYS_OF = {"day": 1, "night": 1, "week": 7, "month": 31, "year": 365, "fortnight": 14, "quarter": 92}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, reverse=True))})(?:\s+of)?"
# "Forty-eight", "forty eight", as one dictates it.
_COMPOUND = re.compile(rf"\b(?P<tens>{'|'.join(_TENS)})(?:[\s-]+(?P<unit>{'|'.join(_UNITS)}))?\b")
_KIND_OF_DAY = r"(?:full|whole|entire|calendar|business|working|odd|or so|or more)"
_ISO_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
_DAY_OF_MONTH = re.compile(
    rf"\b(?:(?P<before>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH}|"
    rf"{_MONTH.replace('month', 'named')}\s+(?P<after>\d{{1,2}})(?:st|nd|rd|th)?)\b"
)
# "1 to 15 November": the month belongs to both days.
_DAYS_OF_MONTH = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th|\.)?(?=\s*(?:to|-|\u2013|and|until|till)\s*\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH})"
)
_IN_MONTH = re.compile(rf"\b(?:in|since|from|for|during|of|about|last|this)\s+(?:last\s+|this\s+)?{_MONTH}\b")
_COUNTED = re.compile(
    rf"\b{_NUMBER}[\s-]+(?:{_KIND_OF_DAY}\s+)?(?P<unit>hour|day|night|week|fortnight|month|quarter|year)s?\b(?P<ago>\s+ago)?"
)
_IN_FULL = (
    (re.compile(r"\b(\d{1,3})\s?(?:h|hrs?)\b"), r"\1 hours"),
    (re.compile(r"\b(\d{1,3})\s?d\b"), r"\1 days"),
    (re.compile(r"\b(\d{1,2})\s?w\b"), r"\1 weeks"),
    (re.compile(r"\bwe?k(s?)\b"), r"week\1"),
    (re.compile(r"\bmth?s?\b"), "months"),
    *(
        (re.compile(rf"\b{month[:3]}t?\.?(?=\s+\d)|(?<=\d\s){month[:3]}t?\b\.?"), month)  # "nov 1", "1 sept"
        for month in _MONTHS
    ),
)
# "Between Monday and today": the span ends now as every one does.
_UNTIL_NOW = re.compile(r"\b(?:and|to|until|till?|up\s+to|through)\s+(?:today|now|this\s+(?:morning|moment|minute))\b")
_FROM_THE_START = re.compile(
    r"\b(?:start|beginning|first(?:\s+day)?|1st)\s+of\s+(?:the|this)\s+(?:current\s+)?(?P<unit>week|month|year)\b"
)
_FROM_A_DAY = re.compile(r"\b(?:since|from|after|on)\s+the\s+(?:(?P<day>\d{1,2})(?:st|nd|rd|th)\b|first(?=\W*$))")
_WEEKDAY = re.compile(rf"\b(?P<last>last\s+)?(?P<day>{'|'.join(_WEEKDAYS)})\b")
_WEEKEND = re.compile(r"\b(?P<last>last\s+)?week-?\s?end\b")
_UNIT = re.compile(r"\b(?:last|past|previous|this|current|the)\s+(?P<unit>week|month|quarter|year|fortnight)\b")
_WORDS = (
    (re.compile(r"\bday before yesterday\b"), 3),
    (re.compile(r"\byesterday\b|\blast (?:night|evening)\b"), 2),
    (re.compile(r"\btoday\b|\bthis (?:morning|afternoon|evening)\b|\btonight\b|\bjust now\b"), 1),
)


def days_back(text: str, today: date) -> int | None:
    """The days, today included, that ``text`` asks for; None where it names no time."""
    said = _UNTIL_NOW.sub(" ", text.lower())
    for short, full in _IN_FULL:
        said = short.sub(full, said)
    said = _COMPOUND.sub(_in_digits, said)
    named = _from_a_date(said, today)
    if named is not None:
        return named
    from_a_start = _from_a_start(said, today)
    if from_a_start:
        return from_a_start
    told = [days for words, days in _WORDS if words.search(said)]
    told += [days for days in (_counted(said), _from_a_weekday(said, today)) if days]
    return max(told, default=None) or _of_a_unit(said, today)  # "yesterday and the last three days": all of it


def _in_digits(number: re.Match[str]) -> str:
    units = _UNITS.index(number["unit"]) + 1 if number["unit"] else 0
    return str(_TENS[number["tens"]] + units)


def _from_a_date(said: str, today: date) -> int | None:
    iso = _ISO_DATE.search(said)
    if iso:
        return _since(_date(*(int(part) for part in iso[1].split("-"))), today)
    said = _DAYS_OF_MONTH.sub(r"\1 \g<month>", said)
    dates = [
        _latest(_MONTHS.index(day["month"] or day["named"]) + 1, int(day["before"] or day["after"]), today)
        for day in _DAY_OF_MONTH.finditer(said)
    ]
    if dates:
        return max((days for days in (_since(one, today) for one in dates) if days), default=None)
    month_named = _IN_MONTH.search(said)
    return _since(_latest(_MONTHS.index(month_named["month"]) + 1, 1, today), today) if month_named else None


def _from_a_start(said: str, today: date) -> int | None:
    """From the start of this week, month or year, or from a day of the month: "since the 10th"."""
    start = _FROM_THE_START.search(said)
    if start:
        passed = {"week": today.weekday() + 1, "month": today.day, "year": today.timetuple().tm_yday}
        return passed[start["unit"]]
    day = _FROM_A_DAY.search(said)
    if not day:
        return None
    number = int(day["day"] or 1)
    month = today.month if number <= today.day else (today.month - 2) % 12 + 1
    return _since(_latest(month, number, today), today)


def _counted(said: str) -> int | None:
    found = _COUNTED.search(said)
    if not found:
        return None
    number = int(found["number"]) if found["number"].isdecimal() else _NUMBERS[found["number"]]
    if found["unit"] == "hour":
        return max(1, math.ceil(number / 24))
    days = math.ceil(number * _DAYS_OF[found["unit"]])
    return days + 1 if found["ago"] else max(1, days)


def _from_a_weekday(said: str, today: date) -> int | None:
    weekend = _WEEKEND.search(said)
    if weekend:
        since = (today.weekday() - _WEEKDAYS.index("saturday")) % 7
        return since + 1 + (7 if weekend["last"] and since < 2 else 0)
    day = _WEEKDAY.search(said)
    if not day:
        return None
    since = (today.weekday() - _WEEKDAYS.index(day["day"])) % 7
    return since + 1 + (7 if day["last"] and since == 0 else 0)


def _of_a_unit(said: str, today: date) -> int | None:
    found = _UNIT.search(said)
    if not found:
        return None
    if re.search(r"\b(?:this|current)\s+month\b", said):
        return today.day
    if re.search(r"\b(?:this|current)\s+year\b", said):
        return today.timetuple().tm_yday
    return _DAYS_OF[found["unit"]]


def _latest(month: int, day: int, today: date) -> date | None:
    """The latest such day that is not in the future; None where there is no such day."""
    this_year = _date(today.year, month, day)
    if this_year is None or this_year <= today:
        return this_year
    return _date(today.year - 1, month, day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _since(first: date | None, today: date) -> int | None:
    if first is None or first > today:
        return None
    return (today - first) // timedelta(days=1) + 1
