"""The SSM documents as resources; ssm_documents.assemble assembles their content."""

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.settings import Settings
from ssm_documents import assemble


class Documents(Construct):
    """One SSM document per directory of ssm_documents."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._documents = {verb_phrase: self._document(verb_phrase, settings) for verb_phrase in assemble.DOCUMENTS}

    def _document(self, verb_phrase: str, settings: Settings) -> ssm.CfnDocument:
        return ssm.CfnDocument(
            self,
            verb_phrase,
            name=assemble.document_name(verb_phrase),
            content=assemble.assemble(verb_phrase, timeout_seconds=_longest_run_seconds(verb_phrase, settings)),
            document_format="JSON",
            document_type="Command",
            target_type="/AWS::EC2::Instance",
            # Replace, the default, would delete the document while an execution still uses it.
            update_method="NewVersion",
        )

    def name(self, verb_phrase: str) -> str:
        """The name for SendCommand; a reference, so that its user is deployed after the document."""
        return self._documents[verb_phrase].ref


def _longest_run_seconds(verb_phrase: str, settings: Settings) -> int:
    """The agent ends the script after this time; the workflows wait a little longer."""
    if verb_phrase == "upload_vmcore":
        return settings.upload_timeout_seconds
    if verb_phrase == "analyze_vmcore":
        return settings.analysis_timeout_seconds
    return settings.document_timeout_seconds
