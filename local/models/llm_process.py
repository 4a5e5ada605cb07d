"""The process of the profile ``local-llm``: the language model, whose weights are looked for before it is started."""

from pathlib import Path

from local.models.model_process import ModelProcess, Running
from local.models.openai_client import AwayError
from local.models.weights import Weights, why_not_ready


class LlmProcess(ModelProcess):
    """The server of a language model; its log is in ``folder``. Some 2.5 GB of memory, and seconds to start."""

    def __init__(self, folder: Path, weights: Weights, file: Path) -> None:
        super().__init__("local.models.llm_server", folder / "language-model.log", [str(file)])
        self._weights = weights
        self._file = file

    def start(self) -> Running:
        """As any model's; raises AwayError with what to do where the weights were removed, or what runs them."""
        lacking = why_not_ready(self._file, self._weights)
        if lacking:
            raise AwayError(lacking)
        return super().start()
