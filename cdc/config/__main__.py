"""`python -m cdc.config > schemas/config.schema.json`."""

import json
import sys

from cdc.config.editor_schema import json_schema

sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
