"""A model's folder: what its configuration files say, in the layout of sentence-transformers or of an ONNX export.

config.json                        architecture; `architectures` names a classifier for a cross-encoder
tokenizer.json                     the tokenizer
model.onnx or onnx/model.onnx      the network; else
model.safetensors                  weights of a BERT or RoBERTa network
modules.json, 1_Pooling/config.json, sentence_bert_config.json, config_sentence_transformers.json
                                   pooling, normalisation, longest input and prompts, where they are there
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEAN, CLS = "mean", "cls"
EMBEDS, RANKS = "embeds", "ranks"
_LONGEST = 8192
"""Most tokens of a text, whatever the configuration says: attention takes memory by their square."""
_MAX_CONFIG_BYTES = 4 * 1024 * 1024


class Unusable(Exception):
    """The folder cannot be used, for a reason that its operator can do something about."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The description of a model by its folder."""

    path: Path
    config: Mapping[str, Any]
    kind: str
    """`embeds`, or `ranks` for a cross-encoder."""
    max_tokens: int
    """Tokens of the longest input, special ones included."""
    pooling: str = MEAN
    normalised: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Texts that go before an input, by its use, such as query or document."""
    default_prompt: str = ""

    @property
    def onnx(self) -> Path | None:
        """The network's file; None: it is built from the weights."""
        places = (self.path / "model.onnx", self.path / "onnx" / "model.onnx")
        return next((each for each in places if each.is_file()), None)

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    def prompt(self, use: str) -> str:
        """The prompt of texts of this use; that of the default use where it is empty or unknown."""
        return self.prompts.get(use) or self.prompts.get(self.default_prompt) or ""


def read_folder(path: Path) -> ModelFolder:
    """Raises Unusable."""
    config = _read(path / "config.json")
    if not config:
        raise Unusable("its folder has no config.json")
    if not (path / "tokenizer.json").is_file():
        raise Unusable("its folder has no tokenizer.json")
    uses = _read(path / "config_sentence_transformers.json")
    kind = RANKS if _is_classifier(config) else EMBEDS
    folder = ModelFolder(
        path,
        config,
        kind,
        _max_tokens(path, config),
        _pooling(path) if kind == EMBEDS else CLS,
        _normalises(path),
        {name: text for name, text in (uses.get("prompts") or {}).items() if isinstance(text, str)},
        str(uses.get("default_prompt_name") or ""),
    )
    if folder.onnx is None and not folder.weights.is_file():
        raise Unusable("its folder has neither model.onnx nor model.safetensors")
    return folder


def _read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file."""
    if not path.is_file():
        return {}
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise Unusable(f"{path.name} is too large")
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Unusable(f"{path.name} cannot be read") from None
    if not isinstance(found, dict):
        raise Unusable(f"{path.name} is not an object")
    return found


def _is_classifier(config: Mapping[str, Any]) -> bool:
    return any("SequenceClassification" in str(each) for each in config.get("architectures") or ())


def _max_tokens(path: Path, config: Mapping[str, Any]) -> int:
    """The smallest of the limits that the files give. RoBERTa counts its positions from the padding id on."""
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and "roberta" in str(config.get("model_type")):
        positions -= int(config.get("pad_token_id") or 0) + 1
    limits = (
        positions,
        _read(path / "sentence_bert_config.json").get("max_seq_length"),
        _read(path / "tokenizer_config.json").get("model_max_length"),
        _LONGEST,
    )
    return int(min(each for each in limits if isinstance(each, int | float) and each >= 3))


def _modules(path: Path) -> list[Mapping[str, Any]]:
    """The modules of a sentence-transformers folder; none of another one."""
    file = path / "modules.json"
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Unusable("modules.json cannot be read") from None
    listed = found if isinstance(found, list) else []
    modules: list[Mapping[str, Any]] = [each for each in listed if isinstance(each, dict)]
    known = ("Transformer", "Pooling", "Normalize")
    for module in modules:
        if str(module.get("type", "")).rpartition(".")[2] not in known:
            raise Unusable(f"its module {str(module.get('type'))[:80]} is not supported: only {', '.join(known)} are")
    return modules


def _pooling(path: Path) -> str:
    for module in _modules(path):
        if not str(module.get("type", "")).endswith(".Pooling"):
            continue
        said = _read(path / Path(str(module.get("path") or "")).name / "config.json")
        modes = {name.removeprefix("pooling_mode_") for name, on in said.items() if name.startswith("pooling_") and on}
        if modes == {"cls_token"}:
            return CLS
        if modes != {"mean_tokens"}:
            raise Unusable(f"its pooling {', '.join(sorted(modes)) or '(none)'} is not supported: mean or CLS is")
    return MEAN


def _normalises(path: Path) -> bool:
    return any(str(module.get("type", "")).endswith(".Normalize") for module in _modules(path))
