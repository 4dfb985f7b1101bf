"""An ONNX network out of the weights of a BERT or RoBERTa model, with onnxruntime's fused operators."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors import SafetensorError
from safetensors.numpy import load_file

from services.inference.adapters.local.folder import RANKS, ModelFolder, Unusable

TYPES = ("bert", "roberta", "xlm-roberta")
_OPSET, _CONTRIB = 17, "com.microsoft"
_ACTIVATIONS = {"gelu": "BiasGelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu"}

Array = NDArray[Any]


def build(folder: ModelFolder) -> bytes:
    """The network as a serialised ONNX model.

    Inputs are `input_ids`, `attention_mask` and `token_type_ids`, int32 [batch, tokens]. The output is
    `last_hidden_state`, float [batch, tokens, hidden], or `logits`, float [batch, labels], of a cross-encoder. Raises
    Unusable for an architecture that this cannot build.
    """
    config = folder.config
    kind = str(config.get("model_type"))
    if kind not in TYPES or config.get("position_embedding_type", "absolute") != "absolute":
        raise Unusable(
            f"only weights of {', '.join(TYPES)} with absolute positions can be read, not of {kind}; export the model "
            "to ONNX, as model.onnx in its folder"
        )
    return _Network(config, _weights(folder.weights)).serialised(ranks=folder.kind == RANKS)


def _weights(path: Path) -> dict[str, Array]:
    """The tensors by name, as 32-bit floats, without the prefix of the network within a classifier."""
    try:
        found = load_file(path)
    except (SafetensorError, OSError, TypeError):  # TypeError: a type that numpy does not have
        raise Unusable("model.safetensors cannot be read: it must hold float32 or float16") from None
    plain = {}
    for name, tensor in found.items():
        for prefix in ("bert.", "roberta."):
            name = name.removeprefix(prefix)
        plain[name] = tensor.astype(np.float32) if tensor.dtype.kind == "f" else tensor
    return plain


class _Network:
    """Collects the nodes and constants of one network."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Array]) -> None:
        self._config = config
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        activation = str(config.get("hidden_act", "gelu"))
        if activation not in _ACTIVATIONS:
            raise Unusable(f"the activation {activation[:40]} is not supported: {', '.join(_ACTIVATIONS)} are")
        self._activation = _ACTIVATIONS[activation]

    def serialised(self, *, ranks: bool) -> bytes:
        hidden = self._embeddings()
        for layer in range(int(self._config["num_hidden_layers"])):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        output = self._classifier(hidden) if ranks else self._renamed(hidden, "last_hidden_state")
        shape = ["batch", "labels"] if ranks else ["batch", "tokens", "hidden"]
        inputs = ("input_ids", "attention_mask", "token_type_ids")
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT32, ["batch", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self._constants,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())

    def _embeddings(self) -> str:
        """The sum of the embeddings of words, positions and types, normalised."""
        ids = "input_ids"
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), ids)
        places = self._node("Gather", self._weight("embeddings.position_embeddings.weight"), self._positions())
        types = self._node("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        whole = self._node("Add", self._node("Add", words, types), places)
        scale, shift = self._norm("embeddings.LayerNorm")
        return self._node("LayerNormalization", whole, scale, shift, axis=-1, epsilon=self._epsilon)

    def _positions(self) -> str:
        """0, 1, 2, ... for BERT; RoBERTa begins after the padding id, and padding stays at it. A token's place is the
        number of tokens up to it, as padding stands on the right."""
        counted = self._node("CumSum", "attention_mask", self._constant(np.array(1, np.int64)))
        if self._config["model_type"] == "bert":
            return self._node("Sub", counted, self._constant(np.array(1, np.int32)))
        pad = self._constant(np.array(int(self._config.get("pad_token_id") or 0), np.int32))
        return self._node("Add", self._node("Mul", counted, "attention_mask"), pad)

    def _layer(self, hidden: str, name: str) -> str:
        parts = [f"{name}attention.self.{part}." for part in ("query", "key", "value")]
        joined = np.concatenate([self._array(part + "weight") for part in parts]).T
        bias = np.concatenate([self._array(part + "bias") for part in parts])
        attended = self._node(
            "Attention",
            hidden,
            self._constant(joined),
            self._constant(bias),
            "attention_mask",
            contrib=True,
            num_heads=int(self._config["num_attention_heads"]),
        )
        hidden = self._added(attended, hidden, f"{name}attention.output.")
        inner = self._node("MatMul", hidden, self._transposed(f"{name}intermediate.dense.weight"))
        inner = self._node(self._activation, inner, self._weight(f"{name}intermediate.dense.bias"), contrib=True)
        return self._added(inner, hidden, f"{name}output.")

    def _added(self, inner: str, hidden: str, name: str) -> str:
        """Through the dense layer, added to what went in, and normalised."""
        dense = self._node("MatMul", inner, self._transposed(f"{name}dense.weight"))
        scale, shift = self._norm(f"{name}LayerNorm")
        bias = self._weight(f"{name}dense.bias")
        return self._node(
            "SkipLayerNormalization", dense, hidden, scale, shift, bias, contrib=True, epsilon=self._epsilon
        )

    def _classifier(self, hidden: str) -> str:
        """The head of a cross-encoder, over the first token: BERT's pooler and classifier, or RoBERTa's two layers."""
        first = self._node("Gather", hidden, self._constant(np.array(0, np.int64)), axis=1)
        dense, out = ("pooler.dense", "classifier")
        if f"{dense}.weight" not in self._weights:
            dense, out = ("classifier.dense", "classifier.out_proj")
        pooled = self._node("Tanh", self._linear(first, dense))
        return self._renamed(self._linear(pooled, out), "logits")

    def _linear(self, value: str, name: str) -> str:
        return self._node("Gemm", value, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"), transB=1)

    def _renamed(self, value: str, name: str) -> str:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        return name

    def _node(self, operator: str, *inputs: str, contrib: bool = False, **attributes: Any) -> str:
        output = f"v{len(self._nodes)}"
        domain = _CONTRIB if contrib else ""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def _constant(self, value: Array, name: str = "") -> str:
        name = name or f"c{len(self._constants)}"
        if all(each.name != name for each in self._constants):
            self._constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def _norm(self, name: str) -> tuple[str, str]:
        return self._weight(f"{name}.weight"), self._weight(f"{name}.bias")

    def _weight(self, name: str) -> str:
        return self._constant(self._array(name), name)

    def _transposed(self, name: str) -> str:
        return self._constant(self._array(name).T, name)

    def _array(self, name: str) -> Array:
        found = self._weights.get(name)
        if found is None:
            raise Unusable(f"model.safetensors has no {name}")
        return found
