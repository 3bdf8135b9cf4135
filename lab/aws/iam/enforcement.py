"""Lets a call of a role pass only if the account's policies do; keeps what was asked and which grant allowed it.

The caller is a role of the stack: a function's, a state machine's, or an assumed one with its session policy.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from lab.aws.eventbridge import PRINCIPAL as EVENTBRIDGE
from lab.aws.iam.account_facts import DEFAULT, AccountFacts, Variant
from lab.aws.iam.actions import facts_that_aws_sends
from lab.aws.iam.policy import Caller, Denied, Policies, Request, Use, as_list, decide
from lab.aws.iam.requests import Asked, asked
from lab.aws.state import AccountState

# The error code and HTTP status of a denial, as each service answers it.
_CODES = {
    "autoscaling": ("AccessDenied", 403),
    "cloudformation": ("AccessDenied", 403),
    "cloudwatch": ("AccessDenied", 403),
    "dynamodb": ("AccessDeniedException", 400),
    "dynamodbstreams": ("AccessDeniedException", 400),
    "ec2": ("UnauthorizedOperation", 403),
    "events": ("AccessDeniedException", 400),
    "iam": ("AccessDenied", 403),
    "lambda": ("AccessDeniedException", 403),
    "s3": ("AccessDenied", 403),
    "service-quotas": ("AccessDeniedException", 400),
    "sns": ("AuthorizationError", 403),
    "ssm": ("AccessDeniedException", 400),
    "stepfunctions": ("AccessDeniedException", 400),
    "sts": ("AccessDenied", 403),
}


@dataclass(frozen=True)
class Decision:
    """One request of a caller and what the policies said; enough to decide it again with other policies."""

    caller: Caller
    request: Request
    policies: Policies
    denied: Denied | None
    # Which (role, policy, statement, action) allowed it.
    uses: frozenset[tuple[str, int, int, str]]

    def without(self, place: int, number: int, action: str) -> Denied | None:
        """What is said when a statement of the identity policies no longer grants an action."""
        documents = [dict(each) for each in self.policies.identity]
        statements = [dict(each) for each in as_list(documents[place]["Statement"])]
        statements[number]["Action"] = [each for each in as_list(statements[number]["Action"]) if each != action]
        documents[place]["Statement"] = statements
        return decide(self.request, replace(self.policies, identity=documents))


class Permissions:
    """`decisions` has every request once."""

    def __init__(self, state: AccountState, variant: Variant = DEFAULT) -> None:
        self._state = state
        self._facts = AccountFacts(state, variant)
        self.decisions: dict[str, Decision] = {}
        self.calls = 0

    def move_to(self, variant: Variant) -> None:
        """The account is of another kind from now on."""
        self._facts = AccountFacts(self._state, variant)

    def roles(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Name, ARN and policies of each role of the stack."""
        return self._facts.roles()

    def call(
        self, caller: Caller, service: str, operation: str, parameters: Mapping[str, Any], forward: Callable[[], Any]
    ) -> Any:
        """Forwards the call if it is allowed; otherwise raises ClientError as the service does."""
        self.calls += 1
        wanted = asked(service, operation, parameters, self._facts)
        for each in wanted:
            if not each.is_later:
                self._require(caller, each, service, operation)
        try:
            answer = forward()
        except ClientError as error:
            self._hide_what_is_missing(caller, service, operation, parameters, error)
            raise
        for each in wanted:
            if each.is_later and self._decide(caller, each) is not None:
                self._undo(operation, answer)
                break
        return answer

    def denied_to_publish(self, principal: str, source_arn: str, topic_arn: str) -> str | None:
        """Why a service (cloudwatch.amazonaws.com), or Lambda in a function's role, may not publish for that source."""
        is_role = principal.startswith("arn:")
        facts = self._facts
        context = {"aws:SecureTransport": "true"}
        # EventBridge sends neither to SNS nor to KMS: a condition on them lets nothing pass.
        if principal != EVENTBRIDGE:
            context |= {"aws:SourceArn": source_arn, "aws:SourceAccount": facts.account_id}
        context |= {"aws:PrincipalArn": principal} if is_role else {"aws:SourceOwner": facts.account_id}
        identity = facts.policies_of(principal) if is_role else []
        asked_of = [("sns:Publish", topic_arn, facts.topic_policy(topic_arn))]
        if key := facts.key_of_topic(topic_arn):
            policy = facts.key_policy(key)
            asked_of += [("kms:GenerateDataKey", key, policy), ("kms:Decrypt", key, policy)]
        for action, resource, policy in asked_of:
            needs_resource = not is_role or action.startswith("kms:")
            policies = Policies(identity=identity, resource=policy, must_resource_agree=needs_resource)
            denied = decide(Request(action, resource, context, principal), policies)
            if denied is not None:
                return f"{action} on {resource} {denied.reason}"
        return None

    def _hide_what_is_missing(
        self, caller: Caller, service: str, operation: str, parameters: Mapping[str, Any], error: ClientError
    ) -> None:
        """S3 says that an object is not there only to those who may list the bucket."""
        if service == "s3" and error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            bucket = Asked("s3:ListBucket", f"arn:aws:s3:::{parameters['Bucket']}", "bucket")
            self._require(caller, bucket, service, operation)

    def _undo(self, operation: str, answer: Mapping[str, Any]) -> None:
        """EC2 answers before it uses a key. Without the right to it, what the call made disappears."""
        if operation != "CreateVolume":
            raise NotImplementedError(f"{operation} without the right to a key")
        self._facts.remove_volume(answer["VolumeId"])

    def _require(self, caller: Caller, wanted: Asked, service: str, operation: str) -> None:
        denied = self._decide(caller, wanted)
        if denied is not None:
            self._state.events.emit("iam", caller.name, f"denied: {wanted.action} on {wanted.resource} {denied.reason}")
            raise refusal(caller, wanted, denied, service, operation)

    def _decide(self, caller: Caller, wanted: Asked) -> Denied | None:
        context = {
            **facts_that_aws_sends(wanted),
            "aws:PrincipalArn": caller.role_arn,
            "aws:PrincipalAccount": self._facts.account_id,
            "aws:RequestedRegion": self._facts.region,
            "aws:SecureTransport": "true",
        }
        request = Request(wanted.action, wanted.resource, context, caller.role_arn)
        policies = self._policies_for(caller, wanted)
        use = Use()
        denied = decide(request, policies, use)
        uses = frozenset((caller.role_arn, *each) for each in use.allowed)
        name = f"{caller.name} {request} {sorted(context.items())}"
        self.decisions.setdefault(name, Decision(caller, request, policies, denied, uses))
        return denied

    def _policies_for(self, caller: Caller, wanted: Asked) -> Policies:
        resource, is_cross_account = None, False
        service, account = wanted.resource.split(":")[2:5:2] if wanted.resource != "*" else ("", "")
        if service == "kms":
            resource, is_cross_account = self._facts.key_policy(wanted.resource), account != self._facts.account_id
        elif wanted.action == "sts:AssumeRole":
            resource = self._facts.trust_policy(wanted.resource)
        elif service == "s3":
            resource = self._facts.bucket_policy(wanted.resource.split(":::")[1].split("/")[0])
        return Policies(
            identity=self._facts.policies_of(caller.role_arn),
            session=caller.session_policy,
            resource=resource,
            is_cross_account=is_cross_account,
            must_resource_agree=service == "kms" or wanted.action == "sts:AssumeRole",
        )


def refusal(caller: Caller, wanted: Asked, denied: Denied, service: str, operation: str) -> ClientError:
    """The service's own answer to a call that is not allowed."""
    code, status = _CODES[service]
    if service == "s3" and operation in ("HeadBucket", "HeadObject"):
        # The answer to HEAD has no body, so the SDK knows only the status.
        code = "403"
    if service == "sns" and wanted.action.startswith("kms:"):
        code = "KMSAccessDenied"
    message = (
        f"User: {caller.role_arn} is not authorized to perform: {wanted.action} on resource: {wanted.resource} "
        f"{denied.reason}"
    )
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "RequestId": "denied"},
    }
    return ClientError(answer, operation)
