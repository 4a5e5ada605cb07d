"""The model as Amazon SageMaker's XGBoost container (3.0-5) takes it: one file ``xgboost-model`` in a model.tar.gz.

In algorithm mode the container unpacks the archive, first tries to unpickle the one file in it and then, as here,
loads it with ``xgboost.Booster.load_model`` (aws/sagemaker-xgboost-container, algorithm_mode/serve_utils.py). The
file is xgboost's own UBJSON, saved by the xgboost version that this container runs. Neither packing nor deploying it
needs xgboost: ``python -m models.fraud`` leaves the file beside this module.
"""

import gzip
import io
import tarfile
from pathlib import Path

MODEL_FILE_NAME = "xgboost-model"
TRAINED_MODEL = Path(__file__).with_name(MODEL_FILE_NAME)


def write_model_archive(archive: Path, model: Path = TRAINED_MODEL) -> Path:
    """Write model.tar.gz to ``archive`` and return its path; the same model gives the same bytes.

    FileNotFoundError where the model was not trained yet.
    """
    content = model.read_bytes()
    member = tarfile.TarInfo(MODEL_FILE_NAME)
    member.size = len(content)
    member.mode = 0o644
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(mode="w", fileobj=zipped, format=tarfile.USTAR_FORMAT) as tar,
    ):
        tar.addfile(member, io.BytesIO(content))
    return archive
