"""Which shards a decision is about."""

import pytest

from cdc.errors import ConfigError
from cdc.model import Shard, ShardKey, after
from cdc.ports import Saved, SavedCursor, SavedGap
from cdc.runtime.positions import _chosen

ORDERS, PARCELS = ShardKey("arn:orders", "shardId-1"), ShardKey("arn:parcels", "shardId-1")
TABLES = {"arn:orders": "orders", "arn:parcels": "parcels"}
SAVED = Saved(
    [SavedCursor("dr", key, after("1"), TABLES[key.stream], False, 1.0) for key in (ORDERS, PARCELS)],
    gaps=[
        SavedGap("dr", ORDERS, "orders", 1.0, "expired"),
        SavedGap("dr", PARCELS, "parcels", 1.0, "expired"),
    ],
)
LISTED = {key: Shard(key, None) for key in (ORDERS, PARCELS)}


def test_a_shard_that_two_streams_have_is_not_guessed() -> None:
    with pytest.raises(ConfigError, match="several streams") as refusal:
        _chosen(SAVED, LISTED, "dr", "shardId-1", None, TABLES)
    assert "--table" in refusal.value.remedy
    assert _chosen(SAVED, LISTED, "dr", "shardId-1", "parcels", TABLES) == [PARCELS]


def test_without_a_shard_it_is_all_that_wait_for_a_decision() -> None:
    assert _chosen(SAVED, LISTED, "dr", None, None, TABLES) == [ORDERS, PARCELS]
    assert _chosen(SAVED, LISTED, "dr", None, "orders", TABLES) == [ORDERS]


def test_nothing_to_decide_is_said() -> None:
    with pytest.raises(ConfigError, match="no shard of sink bus"):
        _chosen(SAVED, LISTED, "bus", None, None, TABLES)
    with pytest.raises(ConfigError, match="no shard shardId-2"):
        _chosen(SAVED, LISTED, "dr", "shardId-2", None, TABLES)
