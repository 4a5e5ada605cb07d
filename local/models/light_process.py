"""The process of the light server, which makes the embeddings in every profile."""

from pathlib import Path

from local.models.model_process import ModelProcess


class LightProcess(ModelProcess):
    """The light server; its log is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__("local.models.light_server", folder / "light-model.log")
