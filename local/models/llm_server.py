"""A language model on this machine's processors, behind the OpenAI protocol: llama.cpp's own server, by xllamacpp.

``python -m local.models.llm_server FILE`` loads the weights in FILE, prints ``listening on PORT`` and serves until its
standard input closes. What does not fit into the context is refused with 400, never cut. Everything that llama.cpp
says goes to standard error. https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

import os
import sys
from urllib.parse import urlsplit

import xllamacpp

# The longest text of the flows, combine_summaries' 60,000 characters, is some 20,000 tokens with its ids; then the
# answer. Each 1,000 tokens of context take 28 MB.
CONTEXT_TOKENS = 24_576
_REMEMBERED_PROMPTS_MIB = 256  # of computed prompts, for one that begins as an earlier one did


def settings(file: str) -> xllamacpp.CommonParams:
    """llama.cpp's settings for one answer at a time: on processors, two at once would take twice as long each."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = file
    chosen.n_ctx = CONTEXT_TOKENS
    chosen.n_parallel = 1
    chosen.cache_ram_mib = _REMEMBERED_PROMPTS_MIB
    chosen.n_gpu_layers = 0  # the same answers on every machine
    chosen.cpuparams_batch.n_threads = processors()
    # To write a token the threads meet some hundred times, and on a busy machine one of them is always late: with one
    # processor left to others, two wrote 9 tokens a second instead of 2. Reading has long ways between the meetings.
    chosen.cpuparams.n_threads = max(1, processors() - 1)
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = 0
    chosen.ui = False
    chosen.endpoint_slots = False
    chosen.cpuparams.poll = 0  # waiting threads sleep: this machine has other things to do
    return chosen


def processors() -> int:
    """How many there are to compute with: half of eight or more, which are mostly two to a core, else all of them."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count // 2 if count >= 8 else count


def main() -> None:
    greeting = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server = xllamacpp.Server(settings(sys.argv[1]))
    greeting.write(f"listening on {urlsplit(server.listening_address).port}\n")
    greeting.flush()
    sys.stdin.read()
    os._exit(0)  # at once: an orderly end would finish the answer at work first, for nobody


if __name__ == "__main__":
    main()
