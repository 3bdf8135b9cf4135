"""DynamoDB's items as plain values. boto3 has it; botocore, which is all that we install, does not."""

from collections.abc import Mapping
from typing import Any


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """{"name": {"S": "x"}} → {"name": "x"}"""
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "M":
        return {name: _plain(each) for name, each in content.items()}
    if kind == "L":
        return [_plain(each) for each in content]
    if kind == "N":
        return float(content) if "." in content else int(content)
    return None if kind == "NULL" else content
