"""Extractive summaries: the sentences of a text that say most of what it says, as they stand there.

A sentence is worth what it shares with the whole (the cosine of its embedding and the mean of all), and a little for
its place: texts say early what they are about, paragraphs in their first sentence. Sentences are taken one by one, each
the best that is not yet said (maximal marginal relevance, Carbonell and Goldstein 1998), and told in the text's order.
Headers, boilerplate, questions and orders to the reader (``local.models.directives``) are not sentences of a summary.
"""

import html
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from local.models.directives import is_directed_at_the_reader
from local.models.sentences import split_sentences

_PASSAGE = re.compile(r'<passage id="([^"]*)">(.*?)</passage>', re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_BOILERPLATE = re.compile(
    r"all rights reserved|copyright|\u00a9|table of contents|\.{4,}|\bpage \d+( of \d+)?\b|https?://|\bISBN\b|\bcookies?\b",
    re.IGNORECASE,
)
_SHORTEST, _LONGEST = 5, 70  # words
_MOST_CHARACTERS = 500
_MOST_EMBEDDED = 40  # sentences; of more, those whose words the text uses most
_SHARE = 0.15  # of the sentences that could be told
_FEWEST = 3
_FIRST_IN_TEXT, _FIRST_IN_PASSAGE = 0.15, 0.05
_RELEVANCE = 0.7  # against novelty
_SAME = 0.92  # cosine from which two sentences say the same

type Summary = dict[str, Any]
type Embed = Callable[[Sequence[str]], np.ndarray[tuple[int, int], np.dtype[np.float32]]]


class NothingToSummariseError(Exception):
    """The text has no sentence that a summary could tell; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage; ``place`` counts the text's sentences from 0, ``leads``: it opens the passage."""

    text: str
    passage: str
    place: int
    leads: bool


def asks_for_summary(schema: Mapping[str, Any]) -> bool:
    """Whether the JSON Schema ``schema`` is that of ``write_summary``: sentences, each with its text and passages."""
    items = _at(schema, "properties", "sentences", "items")
    return (
        set(schema.get("required", ())) == {"sentences"}
        and _at(schema, "properties", "sentences").get("type") == "array"
        and set(items.get("required", ())) == {"text", "passages"}
        and _at(items, "properties", "text").get("type") == "string"
        and _at(items, "properties", "passages").get("type") == "array"
    )


def summarise(
    text: str, schema: Mapping[str, Any], embed: Embed, fits: Callable[[Summary], bool] = lambda _: True
) -> Summary:
    """What ``write_summary`` asks for, from the ``<passage id="...">`` blocks of ``text``, which hold escaped text.

    As many sentences as are a sensible share of the text, within the schema's minItems and maxItems, each with the one
    passage that it stands in; the least of them go until the whole ``fits``, but never below minItems. ``embed`` gives
    vectors of length 1. Raises NothingToSummariseError.
    """
    listed = _at(schema, "properties", "sentences")
    known = _at(listed, "items", "properties", "passages", "items").get("enum")
    candidates = _candidates([sentence for sentence in _sentences(text) if known is None or sentence.passage in known])
    fewest = max(1, listed.get("minItems", 1))
    count = max(fewest, _FEWEST, math.ceil(_SHARE * len(candidates)))
    chosen = _choose(_most_central(candidates), min(count, listed.get("maxItems", count)), embed)
    while len(chosen) > fewest and not fits(_told(chosen)):
        chosen.pop()
    return _told(chosen)


def _told(chosen: Sequence[Sentence]) -> Summary:
    in_order = sorted(chosen, key=lambda sentence: sentence.place)
    return {"sentences": [{"text": sentence.text, "passages": [sentence.passage]} for sentence in in_order]}


def _sentences(text: str) -> list[Sentence]:
    found: list[Sentence] = []
    for passage, escaped in _PASSAGE.findall(text):
        # A passage's line ends are its document's: headings and rows of tables stand alone.
        parts = [part for line in html.unescape(escaped).splitlines() for part in split_sentences(line)]
        found += [Sentence(part, passage, len(found) + place, place == 0) for place, part in enumerate(parts)]
    return found


def _candidates(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Those that a summary could tell; of a text that has none (a list, a table), whatever has a few words."""
    tellable = [
        sentence
        for sentence in sentences
        if len(sentence.text) <= _MOST_CHARACTERS and not is_directed_at_the_reader(sentence.text)
    ]
    candidates = [sentence for sentence in tellable if _is_prose(sentence.text)]
    candidates = candidates or [sentence for sentence in tellable if len(_WORD.findall(sentence.text)) > 1]
    if not candidates:
        raise NothingToSummariseError(f'Of {len(sentences)} sentences in <passage id="..."> blocks none can be told.')
    return candidates


def _is_prose(text: str) -> bool:
    words = text.split()
    letters = sum(character.isalpha() for character in text)
    return (
        _SHORTEST <= len(words) <= _LONGEST
        and text.rstrip("\"')]\u2019\u201d\u00bb").endswith((".", "!", "\u2026", ";", ":"))
        and letters >= 0.6 * len(text.replace(" ", ""))
        and not text.isupper()
        and not _BOILERPLATE.search(text)
    )


def _most_central(candidates: Sequence[Sentence]) -> list[Sentence]:
    """At most ``_MOST_EMBEDDED``, for embedding is what takes time: those whose words the most sentences share."""
    if len(candidates) <= _MOST_EMBEDDED:
        return list(candidates)
    words = [frozenset(word.lower() for word in _WORD.findall(sentence.text)) for sentence in candidates]
    sharing = Counter(word for of_one in words for word in of_one)
    # A word of every sentence (a stop word) and a word of one sentence weigh nothing.
    weight = {word: math.log(count) * math.log(len(candidates) / count) for word, count in sharing.items()}
    worth = [
        (1 + _place_worth(sentence)) * sum(weight[word] for word in of_one) / math.sqrt(len(of_one) or 1)
        for sentence, of_one in zip(candidates, words, strict=True)
    ]
    best = sorted(range(len(candidates)), key=lambda index: -worth[index])[:_MOST_EMBEDDED]
    return [candidates[index] for index in sorted(best)]


def _choose(candidates: Sequence[Sentence], count: int, embed: Embed) -> list[Sentence]:
    """At most ``count`` of ``candidates``, the best first."""
    vectors = embed([sentence.text for sentence in candidates])
    centre = vectors.mean(axis=0)
    worth = vectors @ (centre / (np.linalg.norm(centre) or 1)) + [_place_worth(sentence) for sentence in candidates]
    alike = vectors @ vectors.T
    said = np.zeros(len(candidates))  # how much of each the chosen ones say already
    chosen: list[int] = []
    while len(chosen) < count:
        left = [index for index in range(len(candidates)) if index not in chosen and said[index] < _SAME]
        if not left:
            break
        best = max(left, key=lambda index: _RELEVANCE * worth[index] - (1 - _RELEVANCE) * said[index])
        chosen.append(best)
        said = np.maximum(said, alike[best])
    return [candidates[index] for index in chosen]


def _place_worth(sentence: Sentence) -> float:
    return _FIRST_IN_TEXT / math.sqrt(1 + sentence.place) + _FIRST_IN_PASSAGE * sentence.leads


def _at(schema: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        schema = schema.get(name) or {}
    return schema
