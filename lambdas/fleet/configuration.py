"""The id of the settings that reach an instance: whoever was made ready with other ones has drifted. Pure."""

import hashlib
import json

from lambdas.runtime.document_settings import DocumentSettings


def configuration_id(settings: DocumentSettings, **others: int) -> str:
    """Of the documents' settings, defaults included, and others that an instance or its alarm is made with."""
    values = settings.document_settings().model_dump(mode="json")
    text = json.dumps({**values, **others}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
