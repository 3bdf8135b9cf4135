"""Turns the end of a document's command into its JSON result or into a named error. Calls no AWS API."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.instance.document_result import read_result
from lambdas.runtime.observability import entry_point


@entry_point
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes `{"document","invocation"}` with GetCommandInvocation's answer, gives the document's result."""
    return read_result(event["document"], event["invocation"])
