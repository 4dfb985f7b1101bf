"""Networks out of weights, against a plain implementation of BERT; folders of every kind that there is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.inference.adapters.local import bert
from services.inference.adapters.local.folder import CLS, MEAN, RANKS, Unusable, read_folder
from services.inference.adapters.local.network import Network
from tests.support.tiny_models import POSITIONS, TinyModel

TEXTS = ["the cat sat on the mat", "a dog ran", "the cat"]
IDS = [[2, 8, 5, 6, 7, 8, 9, 3], [2, 4, 10, 11, 3], [2, 8, 5, 3]]
POOLING = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}


def modules(*names: str) -> list[dict[str, Any]]:
    folders = {"Transformer": "", "Pooling": "1_Pooling"}
    return [
        {"idx": at, "path": folders.get(name, f"{at}_{name}"), "type": f"sentence_transformers.models.{name}"}
        for at, name in enumerate(names)
    ]


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path / "tiny")


def test_vectors_are_those_of_the_architecture(tiny: TinyModel) -> None:
    """Padding must not change a text's vector, nor the texts beside it."""
    network = Network(read_folder(tiny.folder))
    batch = network.embed(network.tokenize(TEXTS))
    expected = [tiny.hidden(ids).mean(0) for ids in IDS]
    np.testing.assert_allclose(batch.values, expected, atol=1e-4)
    assert batch.tokens == sum(map(len, IDS))


def test_the_first_token_is_the_vector_where_the_folder_says_so(tiny: TinyModel) -> None:
    tiny.write("modules.json", modules("Transformer", "Pooling", "Normalize"))
    tiny.write("1_Pooling/config.json", POOLING)
    folder = read_folder(tiny.folder)
    assert (folder.pooling, folder.normalised) == (CLS, True)
    network = Network(folder)
    vectors = network.embed(network.tokenize(TEXTS)).values
    first = np.array([tiny.hidden(ids)[0] for ids in IDS])
    np.testing.assert_allclose(vectors, first / np.linalg.norm(first, axis=1, keepdims=True), atol=1e-4)


def test_an_exported_network_gives_the_same(tiny: TinyModel) -> None:
    built = Network(read_folder(tiny.folder))
    (tiny.folder / "onnx").mkdir()
    (tiny.folder / "onnx" / "model.onnx").write_bytes(bert.build(read_folder(tiny.folder)))
    (tiny.folder / "model.safetensors").unlink()
    exported = Network(read_folder(tiny.folder))
    vectors = [each.embed(each.tokenize(TEXTS)).values for each in (built, exported)]
    np.testing.assert_array_equal(vectors[0], vectors[1])


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_a_cross_encoder_scores_pairs(tmp_path: Path, labels: int, prefix: str) -> None:
    tiny = TinyModel(tmp_path / "ranker", labels=labels, prefix=prefix)
    folder = read_folder(tiny.folder)
    assert folder.kind == RANKS
    network = Network(folder)
    encodings = network.tokenize_pairs("the cat", TEXTS)
    scores = network.score(encodings).values
    for score, encoding in zip(scores, encodings, strict=True):
        logits = tiny.logits(encoding.ids, encoding.type_ids)
        raw = logits[1] - logits[0] if labels == 2 else logits[0]
        assert score == pytest.approx(1 / (1 + np.exp(-raw)), abs=1e-4)
    assert len(set(scores.tolist())) == len(TEXTS)


def test_longer_texts_are_cut_and_it_is_known(tiny: TinyModel) -> None:
    network = Network(read_folder(tiny.folder))
    long, short = network.tokenize(["cat " * POSITIONS, "cat"])
    assert (len(long.ids), bool(long.overflowing)) == (POSITIONS, True)
    assert not short.overflowing


def test_prompts_and_the_longest_text_come_from_the_folder(tiny: TinyModel) -> None:
    tiny.write("sentence_bert_config.json", {"max_seq_length": 12})
    tiny.write(
        "config_sentence_transformers.json",
        {"prompts": {"query": "query: ", "document": "passage: "}, "default_prompt_name": "document"},
    )
    folder = read_folder(tiny.folder)
    assert folder.max_tokens == 12
    assert [folder.prompt(use) for use in ("query", "document", "", "other")] == [
        "query: ",
        "passage: ",
        "passage: ",
        "passage: ",
    ]
    assert folder.pooling == MEAN


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", None, "config.json"),
        ("config.json", "{", "cannot be read"),
        ("config.json", "[1]", "not an object"),
        ("tokenizer.json", None, "tokenizer.json"),
        ("tokenizer.json", "{}", "tokenizer.json cannot be read"),
        ("model.safetensors", None, "neither model.onnx nor model.safetensors"),
        ("model.safetensors", "junk", "model.safetensors cannot be read"),
        ("model.onnx", "junk", "cannot be loaded"),
        ("modules.json", json.dumps(modules("Transformer", "Dense")), "Dense"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(tiny: TinyModel, file: str, content: str | None, says: str) -> None:
    path = tiny.folder / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(Unusable, match=says):
        Network(read_folder(tiny.folder))


@pytest.mark.parametrize("config", [{"model_type": "gpt2"}, {"position_embedding_type": "relative_key"}])
def test_other_architectures_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    tiny = TinyModel(tmp_path / "other", **config)
    with pytest.raises(Unusable, match="export the model to ONNX"):
        Network(read_folder(tiny.folder))


def test_other_pooling_is_refused(tiny: TinyModel) -> None:
    tiny.write("modules.json", modules("Transformer", "Pooling"))
    tiny.write("1_Pooling/config.json", {"pooling_mode_max_tokens": True})
    with pytest.raises(Unusable, match="max_tokens"):
        read_folder(tiny.folder)
