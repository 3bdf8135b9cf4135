"""Turns the account's events into lines for a reader: which are told, by whom, and in which words."""

from lab.events import Event

# The account's name for a service → the storyteller on the timeline.
SPEAKERS = {"stepfunctions": "workflow", "cloudformation": "deploy", "cloudwatch": "alarm"}


class Teller:
    """Leaves out what only repeats or prepares something else."""

    def __init__(self) -> None:
        self._last_state: dict[str, str] = {}

    def line_of(self, event: Event) -> tuple[str, str] | None:
        """(speaker, text), or None for an event that is not worth a line."""
        if event.source == "stepfunctions":
            # "Prepare dump volume (wait)" is a part of a waiting loop, whose first state says what is waited for.
            if event.text.endswith(")") or self._last_state.get(event.subject) == event.text:
                return None
            self._last_state[event.subject] = event.text
        # The upload of the stack's own assets, before anything happens.
        if event.source == "s3" and event.subject.startswith("cdk-"):
            return None
        # A function's state stands there already; only its failure is news.
        if event.source == "lambda" and event.text in ("started", "succeeded") and "respond" not in event.subject:
            return None
        return SPEAKERS.get(event.source, event.source), f"{event.subject}  {event.text}"
