"""DynamoDB values and changes as Avro: values, inference, evolution, envelopes, registries."""
