"""Which tool a sentence asks for: its embedding and words, compared with example utterances of every tool.

Kernel ridge regression (Saunders et al. 1998) over the examples of ``tool_examples.json``: the kernel is a power of the
mean of two cosines, of the sentences' embeddings by all-MiniLM-L6-v2 and, counting less, of their weighted words. The
power makes near examples count. The solution is closed, so a router is trained at once for just the tools that a
request offers. What was looked at of the development sets (tests/local/tool_router_dev*.json) stands among the
examples; the halves that were not say how good it is. Of a tool without examples, the description is the example.
Beside the tools stand the kinds of talk that need none: greetings, what is not served, what is not to be done. The
network reads English; other languages reach a tool by a few words ("cues") only.
"""

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from local.models.conversation_ids import ids_in_text
from local.models.embeddings import LazyEmbeddingModel, normalised
from local.models.offered_tools import OfferedTool, examples, known_tools
from local.models.pointing import plainly_pointed
from local.models.sentences import split_sentences

_WORDS_SHARE = 0.2  # of the words' cosine beside the embeddings'
_POWER = 4
_RIDGE = 0.1
_CUE = 0.25  # what a word that names a tool adds to its score
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\?")
_PLACEHOLDERS = {"card": "this card", "transaction": "this transaction", "customer": "another customer"}
UNSUPPORTED = "unsupported"
_NOT_SERVED = (UNSUPPORTED, "out_of_scope")
_SERVED = 0.45  # cosine of an example and a description from which they are about the same

type Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Router:
    """``scores`` of a sentence for every tool (by its name) and kind of talk: about 1 is certain, about 0 is not."""

    kinds: tuple[str, ...]
    kernel: Callable[[str], Rows]
    weights: Rows
    cues: Mapping[str, re.Pattern[str]]

    def scores(self, sentence: str) -> dict[str, float]:
        row = (self.kernel(sentence) @ self.weights)[0]
        return {
            kind: float(score) + (_CUE if self.is_named(kind, sentence) else 0)
            for kind, score in zip(self.kinds, row, strict=True)
        }

    def is_named(self, kind: str, sentence: str) -> bool:
        """Whether a word of ``sentence`` names what the tool ``kind`` is for."""
        return kind in self.cues and self.cues[kind].search(sentence) is not None


@functools.lru_cache(maxsize=8)
def router_for(tools: tuple[OfferedTool, ...], model: LazyEmbeddingModel) -> Router:
    """The router that tells ``tools`` and the other kinds of talk from each other."""
    labelled = _without_what_is_served(_labelled(tools), tools, model)
    sentences, kinds = [sentence for sentence, _ in labelled], tuple(dict.fromkeys(kind for _, kind in labelled))
    vector_of = _vectors_of(sentences, model)
    known = vector_of(sentences)
    wanted = np.array([[float(kind == one) for one in kinds] for _, kind in labelled])
    weights = np.linalg.solve(_kernel(known, known) + _RIDGE * np.eye(len(sentences)), wanted)
    cues = {tool.name: cue for tool in tools if (cue := _cue(tool))}
    return Router(kinds, lambda sentence: _kernel(vector_of([sentence]), known), weights, cues)


def _kernel(some: Rows, others: Rows) -> Rows:
    """How much alike each row of ``some`` is to each of ``others``; with 1 for what all sentences share."""
    alike: Rows = 1 + 2 * ((1 + some @ others.T) / 2) ** _POWER
    return alike


def _labelled(tools: Sequence[OfferedTool]) -> list[tuple[str, str]]:
    """Every example with the tool's name or the kind of talk that it stands for."""
    offered = {tool.bare_name: tool.name for tool in tools}
    labelled = [
        (example, offered.get(name, UNSUPPORTED))
        for name, tool in known_tools().items()
        for example in tool["examples"]
    ]
    labelled += [(example, kind) for kind, talk in examples()["other"].items() for example in talk]
    for tool in tools:
        if tool.bare_name not in known_tools():
            said = [tool.bare_name.replace("_", " "), *split_sentences(tool.description)]
            labelled += [(sentence, tool.name) for sentence in said]
    return labelled


def _without_what_is_served(
    labelled: Sequence[tuple[str, str]], tools: Sequence[OfferedTool], model: LazyEmbeddingModel
) -> list[tuple[str, str]]:
    """``labelled`` without examples of what is not served that a tool of the request does serve, by its description."""
    described = [tool.description for tool in tools if tool.bare_name not in known_tools() and tool.description]
    if not described:
        return list(labelled)
    talk = [example for example, kind in labelled if kind in _NOT_SERVED]
    alike = normalised(model.get().embed(talk)) @ normalised(model.get().embed(described)).T
    served = {example for example, near in zip(talk, alike.max(axis=1), strict=True) if near > _SERVED}
    return [(example, kind) for example, kind in labelled if example not in served or kind not in _NOT_SERVED]


def _vectors_of(known: Sequence[str], model: LazyEmbeddingModel) -> Callable[[Sequence[str]], Rows]:
    """Vectors of length 1 at most: embeddings beside words, rare words of ``known`` weighing more."""
    counted = Counter(word for one in known for word in set(_words(one)))
    weight = {word: math.log(len(known) / count) for word, count in counted.items()}
    column = {word: number for number, word in enumerate(sorted(weight))}

    def vectors_of(sentences: Sequence[str]) -> Rows:
        words = np.zeros((len(sentences), len(column)), dtype=np.float32)
        for row, sentence in enumerate(sentences):
            for word in set(_words(sentence)) & column.keys():
                words[row, column[word]] = weight[word]
        embedded = normalised(model.get().embed([without_ids(sentence) for sentence in sentences]))
        both = np.hstack([embedded, math.sqrt(_WORDS_SHARE) * normalised(words)]).astype(np.float64)
        rows: Rows = both / math.sqrt(1 + _WORDS_SHARE)
        return rows

    return vectors_of


def _words(sentence: str) -> list[str]:
    words = _WORD.findall(without_ids(sentence).lower())
    return [
        *words,
        *(f"{one} {next_}" for one, next_ in itertools.pairwise(words)),
        *(f"^{word}" for word in words[:1]),
    ]


def without_ids(sentence: str) -> str:
    """``sentence`` with words in the place of its ids: their digits mean nothing and weigh as much as words."""
    for found in ids_in_text(sentence):
        place = re.compile(rf"(?:\b(?:card|transaction|payment|customer)\s+)?{re.escape(found.text)}", re.IGNORECASE)
        sentence = place.sub(_PLACEHOLDERS.get(found.kind, "this one"), sentence)
    return plainly_pointed(sentence)


def _cue(tool: OfferedTool) -> re.Pattern[str] | None:
    pattern = known_tools().get(tool.bare_name, {}).get("cues")
    return re.compile(pattern, re.IGNORECASE) if pattern else None
