"""The configuration: a YAML file, validated by the models of this package and of the connectors it names."""

from cdc.config.editor_schema import json_schema
from cdc.config.installed import Connectors, installed
from cdc.config.loading import load
from cdc.config.model import (
    AdminConfig,
    Config,
    DeadLettersConfig,
    DynamoDBStateConfig,
    SchemaConfig,
    SqliteStateConfig,
    StateConfig,
)
from cdc.config.registry import ConfluentRegistryConfig, FilesRegistryConfig

__all__ = [
    "AdminConfig",
    "Config",
    "ConfluentRegistryConfig",
    "Connectors",
    "DeadLettersConfig",
    "DynamoDBStateConfig",
    "FilesRegistryConfig",
    "SchemaConfig",
    "SqliteStateConfig",
    "StateConfig",
    "installed",
    "json_schema",
    "load",
]
