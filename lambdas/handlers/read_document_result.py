"""Turns how a document's command ended into its JSON result or into a named error. Reads nothing from AWS."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.instance.document_result import read_result
from lambdas.runtime.observability import entry_point


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"document","invocation"}`, gives the document's result; the latter is GetCommandInvocation's answer."""
    return read_result(event["document"], event["invocation"])
