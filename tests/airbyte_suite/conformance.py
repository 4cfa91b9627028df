"""Load each message of a file as Airbyte's own serializer does, and print how many there are of each type."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from airbyte_cdk.models import AirbyteMessageSerializer


def without_none(value: Any) -> Any:
    """Return JSON without what is null, which the serializer leaves out wherever it stands."""
    if isinstance(value, dict):
        return {name: without_none(part) for name, part in value.items() if part is not None}
    return [without_none(part) for part in value] if isinstance(value, list) else value


counts: Counter[str] = Counter()
for line in Path(sys.argv[1]).read_bytes().splitlines():
    written = json.loads(line)
    # What the serializer does not know, it would have left out.
    dumped = AirbyteMessageSerializer.dump(AirbyteMessageSerializer.load(written))
    assert without_none(dumped) == without_none(written), line
    counts[dumped["type"]] += 1
sys.stdout.write(json.dumps(counts))
