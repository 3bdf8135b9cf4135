"""Turns the account's events into lines for a reader: which are told, by whom, and in which words."""

from lab.events import Event

# The account's name for a service → the storyteller on the timeline.
SPEAKERS = {"stepfunctions": "workflow", "cloudformation": "deploy", "cloudwatch": "alarm"}


def line_of(event: Event) -> tuple[str, str] | None:
    """(speaker, text), or None for what only repeats or prepares something else."""
    # "Prepare dump volume (wait)": the parts of a waiting loop; its first state says what is waited for.
    if event.source == "stepfunctions" and event.text.endswith(")"):
        return None
    # The upload of the stack's own assets, before anything happens.
    if event.source == "s3" and event.subject.startswith("cdk-"):
        return None
    if event.source == "lambda" and event.text == "started":
        return None
    return SPEAKERS.get(event.source, event.source), f"{event.subject}  {event.text}"
