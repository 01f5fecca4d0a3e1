"""The registry of embedding networks: what records state of a network, and which networks are refused."""

from dataclasses import replace
from unittest import mock

import pytest
from tiny import INCEPTION, python

from pipeline.config.schema import Config, Embedding
from pipeline.core.errors import InputError
from pipeline.embedding import recipe, registry

MINE = replace(
    INCEPTION, name="mine", recorded="", label="Mine", side=32, outputs={"embedding": (24,), "map": (8, 8, 4)}
)


@pytest.fixture
def mine():
    with mock.patch.dict(registry.ENTRIES):
        registry.register(MINE)
        yield


def test_records_of_the_papers_network_never_change():
    preprocessing = (
        "L alone through CIE Lab to gray sRGB 0..255, bilinear to 299x299, three equal channels, x / 127.5 - 1 "
        "(Keras' preprocess_input)"
    )
    assert recipe.settings(Embedding(network=INCEPTION.name), 64) == {
        "network": "InceptionResNetV2", "weights": "imagenet", "md5": "e693bd0210a403b3192acc6073ad2e96",
        "activation": "logits", "precision": "float32", "batch_size": 16, "images_per_shard": 64,
        "preprocessing": preprocessing,
    }  # fmt: skip
    assert recipe.recognition(Embedding(network=INCEPTION.name))["preprocessing"] == (
        "sRGB 0..255, bilinear to 299x299, x / 127.5 - 1 (Keras' preprocess_input)"
    )
    (array,) = INCEPTION.layout().arrays
    assert (array.name, array.row, array.dtype) == ("embedding", (1000,), "float32")


def test_records_of_another_network_name_it_and_its_stored_outputs(mine):
    embedding = Embedding(network="mine", weights="random")
    assert Config(embedding=embedding).model_dump()["embedding"]["network"] == "mine"
    made = recipe.settings(embedding, 64)
    assert made["network"] == "mine" and "32x32" in made["preprocessing"] and "outputs" not in made
    assert recipe.settings(embedding, 64, ("embedding", "map"))["outputs"] == ["embedding", "map"]
    assert recipe.label(made).startswith("Mine, RANDOM")
    assert registry.of_record(made) is MINE
    assert recipe.weights(embedding) != recipe.weights(Embedding(weights="random"))  # the same seed
    arrays = {array.name: (array.row, array.dtype) for array in MINE.layout(("embedding", "map")).arrays}
    assert arrays == {"embedding": ((24,), "float32"), "map": ((8, 8, 4), "float16")}
    assert (MINE.bytes_per_image(), MINE.bytes_per_image(("map",))) == (96, 512)


def test_an_unknown_network_is_refused_with_the_known_ones(mine):
    with pytest.raises(InputError, match=r"embedding\.network: .*inception_resnet_v2, .*mine.*'other'"):
        recipe.settings(Embedding(network="other", weights="random"), 64)
    with pytest.raises(InputError, match=r"InceptionResNetV2, .*mine.*DEEPCOLOR_PLUGINS"):
        registry.of_record({"network": "other"})


@pytest.mark.parametrize(
    "changes",
    [{"side": 33}, {"name": "yours", "recorded": "InceptionResNetV2"}, {"name": "yours", "outputs": {"map": (8, 8, 4)}},
     {"name": "yours", "outputs": {"embedding": (8, 8, 4)}}],
)  # fmt: skip
def test_a_taken_name_and_outputs_without_a_vector_are_refused(mine, changes):
    with pytest.raises(InputError, match=r"embedding network (mine|yours)"):
        registry.register(replace(MINE, **changes))
    registry.register(MINE)  # again, without effect


def test_official_weights_are_refused_if_there_are_none(mine):
    registry.ENTRIES["mine"] = replace(MINE, weights_file="", weights_digest=None)
    with pytest.raises(InputError, match=r"embedding\.weights"):
        recipe.weights(Embedding(network="mine", weights="imagenet"))


def test_the_registry_and_the_recipe_never_import_keras():
    done = python("-c", "import sys, pipeline.embedding.recipe; sys.exit('keras' in sys.modules)")
    assert done.returncode == 0, done.stderr
