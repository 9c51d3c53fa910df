"""The expressions of DynamoDB's requests: conditions, filters, updates, projections.

Developer Guide, "Using expressions in DynamoDB". A text is parsed once and remembered; what a request adds to it
(names, values) is bound to it for that request alone.
"""
