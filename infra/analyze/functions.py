"""The functions of AnalyzeVmcore, with their environment and permissions, and the role that signs the host's URLs."""

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.foundation import grants
from infra.foundation.acknowledgements import acknowledge
from infra.foundation.functions import Function, FunctionConfig
from infra.foundation.vmcore_bucket import (
    bucket_environment,
    bucket_name,
    list_objects,
    named_objects,
    named_objects_acknowledged,
    use_key,
    write_with_key,
)
from infra.parts import Parts
from infra.settings import Settings
from lambdas.incident.object_keys import ANALYSIS, MANIFESTS, VMCORES, keys
from lambdas.runtime import environment

_VMCORE = keys(f"{VMCORES}*/")["vmcore"]
_RESULT = f"{VMCORES}*/{ANALYSIS}"
_OF_ANALYSES = [f"{MANIFESTS}*/analysis.*"]


class AnalyzeFunctions:
    """Composes the functions into the scope of their workflow; no construct of its own."""

    def __init__(self, scope: Construct, *, parts: Parts, settings: Settings) -> None:
        self._scope = scope
        self._parts = parts
        self._settings = settings
        self.plan_twin = self._plan_twin()
        self.plan_analysis = self._plan_analysis()
        self._let_it_sign()

    def _plan_twin(self) -> Function:
        parts = self._parts
        return Function(
            self._scope,
            "plan_twin",
            shared=parts.shared,
            config=FunctionConfig(
                environment=[
                    parts.incidents.records,
                    bucket_name(parts.vmcores),
                    environment.TwinTypes.of(self._settings),
                    environment.RescueInstancePlace.of(self._settings),
                ],
                statements=[
                    grants.amend_incidents(parts.incidents.table),
                    grants.read("ec2:DescribeImages", "ec2:DescribeInstances"),
                    list_objects(parts.vmcores),
                ],
            ),
        )

    def _plan_analysis(self) -> Function:
        vmcores = self._parts.vmcores
        return Function(
            self._scope,
            "plan_analysis",
            shared=self._parts.shared,
            config=FunctionConfig(
                environment=[
                    self._parts.incidents.records,
                    bucket_environment(vmcores, upload_endpoint_url=self._settings.upload_endpoint_url),
                ],
                statements=[
                    grants.read_incidents(self._parts.incidents.table),
                    grants.read("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
                    named_objects(vmcores, _OF_ANALYSES, "s3:PutObject"),
                    list_objects(vmcores),
                    write_with_key(vmcores),
                ],
                acknowledged=named_objects_acknowledged(vmcores, _OF_ANALYSES),
            ),
        )

    def _let_it_sign(self) -> None:
        """Adds the role that signs. A presigned URL has its signer's rights, so the role has no others."""
        vmcores, planner = self._parts.vmcores, self.plan_analysis.role
        assert planner is not None  # noqa: S101 - Function always has one
        role = iam.Role(
            self._scope,
            "reader_role",
            description="Signs the URLs with which an analysis host reads one vmcore",
            assumed_by=iam.ArnPrincipal(planner.role_arn),
        )
        role.add_to_policy(named_objects(vmcores, [_VMCORE, *_OF_ANALYSES], "s3:GetObject"))
        role.add_to_policy(named_objects(vmcores, [_RESULT], "s3:PutObject"))
        role.add_to_policy(use_key(vmcores))
        acknowledge(role, named_objects_acknowledged(vmcores, [_VMCORE, *_OF_ANALYSES, _RESULT]))
        planner.add_to_principal_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[role.role_arn]))
        self.plan_analysis.add_variables(environment.ReaderRole(reader_role_arn=role.role_arn))
