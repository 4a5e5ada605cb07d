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
        ("a an one", "two couple", "three few", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"), 1
    )
    for word in words.split()
}
_DAYS_OF = {"day": 1, "week": 7, "month": 31, "year": 365, "fortnight": 14}
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
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(_NUMBERS)})(?:\s+of)?"
_ISO_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
_DAY_OF_MONTH = re.compile(
    rf"\b(?:(?P<before>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTH}|"
    rf"{_MONTH.replace('month', 'named')}\s+(?P<after>\d{{1,2}})(?:st|nd|rd|th)?)\b"
)
_IN_MONTH = re.compile(rf"\b(?:in|since|from|for|during|of|last|this)\s+(?:last\s+|this\s+)?{_MONTH}\b")
_COUNTED = re.compile(rf"\b{_NUMBER}\s+(?P<unit>hour|day|week|month|year)s?\b(?P<ago>\s+ago)?")
_WEEKDAY = re.compile(rf"\b(?P<last>last\s+)?(?P<day>{'|'.join(_WEEKDAYS)})\b")
_WEEKEND = re.compile(r"\b(?P<last>last\s+)?week-?\s?end\b")
_UNIT = re.compile(r"\b(?:last|past|previous|this|current|the)\s+(?P<unit>week|month|year|fortnight)\b")
_WORDS = (
    (re.compile(r"\bday before yesterday\b"), 3),
    (re.compile(r"\byesterday\b|\blast (?:night|evening)\b"), 2),
    (re.compile(r"\btoday\b|\bthis (?:morning|afternoon|evening)\b|\btonight\b|\bjust now\b"), 1),
)


def days_back(text: str, today: date) -> int | None:
    """The days, today included, that ``text`` asks for; None where it names no time."""
    said = text.lower()
    named = _from_a_date(said, today)
    if named is not None:
        return named
    for words, days in _WORDS:
        if words.search(said):
            return days
    return _counted(said) or _from_a_weekday(said, today) or _of_a_unit(said, today)


def _from_a_date(said: str, today: date) -> int | None:
    iso = _ISO_DATE.search(said)
    if iso:
        return _since(_date(*(int(part) for part in iso[1].split("-"))), today)
    day = _DAY_OF_MONTH.search(said)
    if day:
        month = _MONTHS.index(day["month"] or day["named"]) + 1
        return _since(_latest(month, int(day["before"] or day["after"]), today), today)
    month_named = _IN_MONTH.search(said)
    return _since(_latest(_MONTHS.index(month_named["month"]) + 1, 1, today), today) if month_named else None


def _counted(said: str) -> int | None:
    found = _COUNTED.search(said)
    if not found:
        return None
    number = int(found["number"]) if found["number"].isdecimal() else _NUMBERS[found["number"]]
    if found["unit"] == "hour":
        return max(1, math.ceil(number / 24))
    days = number * _DAYS_OF[found["unit"]]
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
