"""When two texts are the same schema."""

import hashlib
import json

from fastavro.schema import to_parsing_canonical_form


def same_json(schema: str) -> str:
    """Equal for texts that are the same JSON, properties included: what this side calls one schema.

    Raises:
        ValueError: `schema` is no JSON.
    """
    return json.dumps(json.loads(schema), sort_keys=True)


def fingerprint(schema: str) -> str:
    """SHA-256 of `same_json`, in hex."""
    return hashlib.sha256(same_json(schema).encode()).hexdigest()


def reader_fingerprint(schema: str) -> str:
    """SHA-256, in hex, of the Parsing Canonical Form (Avro specification): equal for all texts by which a reader reads
    the same data. A server may drop white space, documentation and properties of what it was given.

    Raises:
        ValueError: `schema` is no Avro schema.
    """
    try:
        canonical = to_parsing_canonical_form(json.loads(schema))
    except (KeyError, TypeError, AttributeError) as error:
        # fastavro looks into the JSON as if it were a schema.
        raise ValueError(f"not an Avro schema ({type(error).__name__})") from None
    return hashlib.sha256(canonical.encode()).hexdigest()
