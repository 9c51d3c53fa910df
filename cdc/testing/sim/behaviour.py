"""How the simulated service behaves: what is fixed about the real one, and how far it may go where it is not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Seconds, bytes, counts, and chances from 0 to 1. The defaults are the real service's, at its most agreeable."""

    partitions: int = 1
    """Shards that a new stream begins with."""
    stream_seconds: float = 0.0
    """A stream is ENABLING, or DISABLING, for so long."""
    retention_seconds: float = 24 * 3600.0
    trim_late_seconds: float = 0.0
    """Records are trimmed up to so long after their time; never before (Developer Guide: "at any time" after it)."""
    rollover_seconds: float = 4 * 3600.0
    """An open shard is closed after about so long, and has one child; 0: never."""
    rollover_spread: float = 0.1
    """Of `rollover_seconds`, on either side."""
    rollover_records: int = 0
    """A shard is closed after so many records, too; 0: never."""
    publication_seconds: float = 0.0
    """A record can be read up to so long after the write was answered."""
    listing_late_seconds: float = 0.0
    """A new shard is listed up to so late."""
    closing_late_seconds: float = 0.0
    """A closed shard is listed as open for up to so long; its children may be listed already."""
    gone_early: float = 0.0
    """Chance that a closed shard leaves the listing as soon as its last record is trimmed, before its children do."""
    empty_page: float = 0.0
    """Chance that a page in mid-shard is empty, and has a next iterator; never more than three in a row."""
    ends_with_records: float = 0.5
    """Chance that a shard's last records come without a next iterator; else an empty page follows that has none."""
    latest_slack_records: int = 0
    """LATEST may point up to so many records before the end."""
    iterator_seconds: float = 15 * 60.0
    page_records: int = 1000
    page_bytes: int = 1024 * 1024
    listing_shards: int = 100
    """Shards in one page of a listing, at most."""
    filters_shards: bool = True
    """`ShardFilter` is known; else it is ignored."""
    stale_read_seconds: float = 0.0
    """A read or scan that is not consistent may see items as they were up to so long ago."""
    table_seconds: float = 0.0
    """A table is CREATING, UPDATING or DELETING for so long."""
    unprocessed: float = 0.0
    """Chance that an entry of a batch is handed back unprocessed; never all of them."""
    transactions_out_of_order: float = 0.0
    """Chance that a transaction's records are not in the order of its request."""
