"""Tiny BERT models with random weights, as folders on disk, and what a plain implementation says of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[np.float32]

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 16, 2, 4, 32, 24
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "sat", "on", "the", "mat", "dog", "ran"]


class TinyModel:
    """A model in `folder`. `labels` makes it a cross-encoder."""

    def __init__(self, folder: Path, *, labels: int = 0, prefix: str = "", **config: Any) -> None:
        self.folder = folder
        self.labels = labels
        folder.mkdir(parents=True)
        random = np.random.default_rng(7)
        self.weights = {
            name: random.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in _shapes(labels).items()
        }
        self.config = {
            "model_type": "bert",
            "architectures": ["BertForSequenceClassification" if labels else "BertModel"],
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "max_position_embeddings": POSITIONS,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "pad_token_id": 0,
            **config,
        }
        save_file(
            {f"{'' if 'classifier' in k else prefix}{k}": v for k, v in self.weights.items()},
            folder / "model.safetensors",
        )
        self.write("config.json", self.config)
        self.write("tokenizer.json", _tokenizer())

    def write(self, name: str, content: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    def hidden(self, ids: list[int], types: list[int] | None = None) -> Array:
        """The last hidden state of one input, [tokens, hidden], in plain numpy."""
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(
            x + w["embeddings.token_type_embeddings.weight"][types or [0] * len(ids)], "embeddings.LayerNorm"
        )
        for layer in range(LAYERS):
            name = f"encoder.layer.{layer}."
            q, k, v = (self._heads(x, f"{name}attention.self.{part}") for part in ("query", "key", "value"))
            scores = q @ k.transpose(0, 2, 1) / np.sqrt(HIDDEN // HEADS)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = (weights / weights.sum(-1, keepdims=True)) @ v
            attended = mixed.transpose(1, 0, 2).reshape(len(ids), HIDDEN)
            x = self._norm(
                self._dense(attended, f"{name}attention.output.dense") + x, f"{name}attention.output.LayerNorm"
            )
            inner = self._gelu(self._dense(x, f"{name}intermediate.dense"))
            x = self._norm(self._dense(inner, f"{name}output.dense") + x, f"{name}output.LayerNorm")
        return np.asarray(x)

    def logits(self, ids: list[int], types: list[int]) -> Array:
        pooled = np.tanh(self._dense(self.hidden(ids, types)[:1], "pooler.dense"))
        return np.asarray(self._dense(pooled, "classifier")[0])

    def _dense(self, x: Any, name: str) -> Any:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _heads(self, x: Any, name: str) -> Any:
        return self._dense(x, name).reshape(-1, HEADS, HIDDEN // HEADS).transpose(1, 0, 2)

    def _norm(self, x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    @staticmethod
    def _gelu(x: Any) -> Any:
        from math import erf

        return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def _shapes(labels: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    dense: dict[str, tuple[int, int]] = {}
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        norms += [f"{name}attention.output.LayerNorm", f"{name}output.LayerNorm"]
        dense |= {f"{name}attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        dense |= {f"{name}attention.output.dense": (HIDDEN, HIDDEN)}
        dense |= {f"{name}intermediate.dense": (INNER, HIDDEN), f"{name}output.dense": (HIDDEN, INNER)}
    if labels:
        dense |= {"pooler.dense": (HIDDEN, HIDDEN), "classifier": (labels, HIDDEN)}
    for name in norms:
        shapes |= {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
    for name, (rows, columns) in dense.items():
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    return shapes


def _tokenizer() -> dict[str, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {word: at for at, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made: dict[str, Any] = json.loads(tokenizer.to_str())
    return made
