"""The SSM documents as resources; ssm_documents.assemble assembles their content."""

import re

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.foundation.vmcore_bucket import VmcoreBucket
from infra.settings import Settings
from lambdas.incident.object_keys import MANIFESTS
from ssm_documents import assemble


class Documents(Construct):
    """One SSM document per directory of ssm_documents."""

    def __init__(self, scope: Construct, construct_id: str, *, vmcores: VmcoreBucket, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._manifest_url = _manifest_url(vmcores, settings)
        self._documents = {verb_phrase: self._document(verb_phrase, settings) for verb_phrase in assemble.DOCUMENTS}

    def _document(self, verb_phrase: str, settings: Settings) -> ssm.CfnDocument:
        content = assemble.assemble(verb_phrase, timeout_seconds=_longest_run_seconds(verb_phrase, settings))
        if "manifestUrl" in content.get("parameters", {}):
            content["parameters"]["manifestUrl"]["allowedPattern"] = self._manifest_url
        return ssm.CfnDocument(
            self,
            verb_phrase,
            name=assemble.document_name(verb_phrase),
            content=content,
            document_format="JSON",
            document_type="Command",
            target_type="/AWS::EC2::Instance",
            # Replace, the default, would delete the document while an execution still uses it.
            update_method="NewVersion",
        )

    def name(self, verb_phrase: str) -> str:
        """The name for SendCommand; a reference, so that its user is deployed after the document."""
        return self._documents[verb_phrase].ref


def _manifest_url(vmcores: VmcoreBucket, settings: Settings) -> str:
    """The pattern of a URL that plan_upload or plan_analysis signs.

    A manifest says where a vmcore is sent. IAM cannot limit the parameters of a command: without this, whoever may send
    the document could have memory sent to anywhere.
    """
    bucket = vmcores.bucket.bucket_name
    endpoint = (
        f"{re.escape(settings.upload_endpoint_url.rstrip('/'))}/{bucket}"
        if settings.upload_endpoint_url
        # The dots of the suffix stand for any character, which makes no other name that resolves.
        else f"https://{bucket}\\.s3\\.{cdk.Aws.REGION}\\.{cdk.Aws.URL_SUFFIX}"
    )
    return f"^(none|{endpoint}/{MANIFESTS}[A-Za-z0-9%&=._~/?+:-]+)$"


def _longest_run_seconds(verb_phrase: str, settings: Settings) -> int:
    """The agent ends the script after this time; the workflows wait a little longer."""
    if verb_phrase == "upload_vmcore":
        return settings.upload_timeout_seconds
    if verb_phrase == "analyze_vmcore":
        return settings.analysis_timeout_seconds
    return settings.document_timeout_seconds
