"""One loaded model: texts to vectors, or a query and texts to scores. All of it is work for worker threads."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from services.inference.adapters.local import bert
from services.inference.adapters.local.folder import CLS, ModelFolder, Unusable

Floats = NDArray[np.float32]


class Batch(NamedTuple):
    """The results of some inputs, in their order, float32 [inputs, size] or [inputs], and the tokens that were read."""

    values: Floats
    tokens: int


class Network:
    """A model in memory. Safe to use in several threads at once; each call runs in the thread that makes it."""

    def __init__(self, folder: ModelFolder) -> None:
        """Load the model, in a second or so. Raises Unusable."""
        self.folder = folder
        self._tokenizer = _tokenizer(folder)
        self._session = _session(folder)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._types = {each.name: _INTEGERS.get(each.type, np.int64) for each in self._session.get_inputs()}
        self._outputs = [each.name for each in self._session.get_outputs()]

    def tokenize(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize what `embed` takes, cut to what the model reads."""
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        return encodings

    def tokenize_pairs(self, query: str, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize what `score` takes: the query with each of the texts."""
        encodings: list[Encoding] = self._tokenizer.encode_batch([(query, text) for text in texts])
        return encodings

    def embed(self, encodings: Sequence[Encoding]) -> Batch:
        """Vectors, pooled and normalised as the model's folder says. Best of inputs of about the same length."""
        mask, output = self._run(encodings, ("sentence_embedding", "last_hidden_state", "token_embeddings"))
        vectors = output if output.ndim == 2 else self._pooled(output, mask)
        if self.folder.normalised:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return Batch(vectors.astype(np.float32, copy=False), int(mask.sum()))

    def score(self, encodings: Sequence[Encoding]) -> Batch:
        """Relevances, 0 to 1: the sigmoid of the first label; of two labels, the probability of the second."""
        mask, logits = self._run(encodings, ("logits",))
        labels = logits.reshape(len(mask), -1).astype(np.float32, copy=False)
        raw = labels[:, 1] - labels[:, 0] if labels.shape[1] == 2 else labels[:, 0]
        return Batch((1 / (1 + np.exp(-raw))).astype(np.float32), int(mask.sum()))

    def _run(self, encodings: Sequence[Encoding], wanted: Sequence[str]) -> tuple[NDArray[np.int64], Floats]:
        width = max(len(each.ids) for each in encodings)
        arrays = {
            name: np.zeros((len(encodings), width), self._types[name])
            for name in ("input_ids", "attention_mask", "token_type_ids")
            if name in self._inputs
        }
        pad = self.folder.config.get("pad_token_id") or 0
        if pad and "input_ids" in arrays:
            arrays["input_ids"].fill(pad)
        fields = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        for name, array in arrays.items():
            for row, encoding in zip(array, encodings, strict=True):
                values = getattr(encoding, fields[name])
                row[: len(values)] = values
        name = next((each for each in wanted if each in self._outputs), self._outputs[0])
        (output,) = self._session.run([name], arrays)
        return arrays["attention_mask"].astype(np.int64, copy=False), output

    def _pooled(self, output: Floats, mask: NDArray[np.int64]) -> Floats:
        if self.folder.pooling == CLS:
            return output[:, 0]
        weights = mask.astype(np.float32)
        summed = np.einsum("bth,bt->bh", output, weights, optimize=True)
        return np.asarray(summed / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9))


_INTEGERS: dict[str, Any] = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}


def _tokenizer(folder: ModelFolder) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    except Exception:  # the library raises no class of its own
        raise Unusable("its tokenizer.json cannot be read") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(folder.max_tokens)
    return tokenizer


def _session(folder: ModelFolder) -> Any:
    """The network, ready to run. A call runs in its own thread alone: how many run at a time is the caller's matter."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it keeps the most that was ever used
    network = str(folder.onnx) if folder.onnx is not None else bert.build(folder)
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception:  # the library's own classes are made per error, below RuntimeException and others
        raise Unusable("its network cannot be loaded by onnxruntime") from None
