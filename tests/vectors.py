"""A small store of random embeddings."""

import numpy as np
from tiny import INCEPTION

MADE = {"settings": {"seed": 1, "network": {"weights": "random"}}, "versions": {}}
ROWS = 19  # two shards of 8 and one of 3
VALUES = np.random.default_rng(0).normal(size=(64, 1000)).astype(np.float32)

VECTORS = INCEPTION.layout()


def fill(store, shards=None, **facts):
    for shard in range(store.shard_count()) if shards is None else shards:
        store.write_shard(shard, {"embedding": VALUES[slice(*store.span(shard))]}, **facts)
