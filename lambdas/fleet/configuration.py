"""The id of the settings that reach an instance: whoever was made ready with other ones has drifted. Pure."""

import hashlib
import json

from lambdas.runtime.document_settings import DocumentSettings
from lambdas.runtime.stack_parameter import DumpVolumePlace


def configuration_id(settings: DocumentSettings, *, dump_volume: DumpVolumePlace = "attached", **others: int) -> str:
    """Of the documents' settings, defaults included, and others that an instance or its alarm is made with."""
    values = settings.document_settings().model_dump(mode="json")
    # Left out where it is attached: the fleets of before it could be parked have not drifted.
    place = {} if dump_volume == "attached" else {"dump_volume": dump_volume}
    text = json.dumps({**values, **place, **others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
