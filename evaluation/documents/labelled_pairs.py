"""Pairs of a statement and a passage, each labelled supported or not.

texts/*.json: real texts in passages (public-domain works written down from memory, the Universal Declaration, two
documents of our own), each with statements that follow from it, written by hand: paraphrases, some with numbers and
names in another form. From these come the unsupported ones: each true statement with one thing made false
(``corruptions``), true statements set beside another passage of their text, and invented sentences.

Split by document, so that nothing about a text of the test half is known while thresholds are chosen.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation.documents.corruptions import CORRUPTIONS

TEXTS = Path(__file__).parent / "texts"
_SEED = 20_261_122
_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]{3,})(?: [A-Z][a-z]{3,})*\b")
_NOT_NAMES = {
    "Amendment",
    "Article",
    "Days",
    "December",
    "January",
    "March",
    "October",
    "Oh",
    "Person",
    "September",
    "Year",
    "Years",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the set: its passages, and the true statements of each."""

    name: str
    passages: tuple[str, ...]
    statements: tuple[tuple[str, ...], ...]
    invented: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Is ``statement`` supported by ``passage``? ``kind`` says how it came about; ``document`` holds all passages."""

    statement: str
    passage: str
    document: tuple[str, ...]
    supported: bool
    kind: str
    text: str


def load_texts() -> list[Text]:
    """The texts in the order of their names."""
    texts = []
    for path in sorted(TEXTS.glob("*.json")):
        said = json.loads(path.read_text())
        texts.append(
            Text(
                path.stem,
                tuple(passage["text"] for passage in said["passages"]),
                tuple(tuple(passage["true"]) for passage in said["passages"]),
                tuple(said["invented"]),
            )
        )
    return texts


def pairs_of(text: Text) -> Iterator[Pair]:
    """All pairs of one text; the same ones every time."""
    chance = random.Random(f"{_SEED}:{text.name}")  # noqa: S311 - repeatable, keeps no secret
    names = names_in(text)
    for number, (passage, statements) in enumerate(zip(text.passages, text.statements, strict=True)):
        others = [names_ for names_ in names if names_ not in passage]
        for statement in statements:
            yield Pair(statement, passage, text.passages, True, "paraphrase", text.name)
            kinds = [
                (kind, false)
                for kind, corrupt in CORRUPTIONS.items()
                if (false := corrupt(statement, others, chance)) and false != statement
            ]
            if kinds:
                kind, false = chance.choice(kinds)
                yield Pair(false, passage, text.passages, False, kind, text.name)
        elsewhere = text.statements[(number + 1) % len(text.passages)][0]
        yield Pair(elsewhere, passage, text.passages, False, "of another passage", text.name)
    for number, statement in enumerate(text.invented):
        yield Pair(statement, text.passages[number], text.passages, False, "invented", text.name)


def names_in(text: Text) -> list[str]:
    """What a text writes with a capital inside of its sentences: people, places, ships."""
    found = {match[0] for passage in text.passages for match in _NAME.finditer(passage)}
    return sorted(name for name in found if not set(name.split()) & _NOT_NAMES)


def halves() -> tuple[list[Pair], list[Pair]]:
    """The tuning half and the test half: texts in turn, by their names."""
    texts = load_texts()
    tuning = [pair for text in texts[0::2] for pair in pairs_of(text)]
    test = [pair for text in texts[1::2] for pair in pairs_of(text)]
    return tuning, test
