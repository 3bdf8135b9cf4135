"""Before anything is built: are there credentials, a Region, a bootstrapped account, and a stack that can be changed?

`python -m infra.check_account deploy` is the first step of `make deploy`; bootstrap and destroy ask for less.
"""

import os
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

from analysis.command_line import UserError, run
from lambdas.runtime.stack_parameter import BOOTSTRAP_PARAMETER, BOOTSTRAP_VERSION
from lambdas.runtime.tags import STACK

# What an update refuses, and the way out.
_STUCK = {
    "ROLLBACK_COMPLETE": "Its first deployment failed. Run `make destroy`, then `make deploy` again.",
    "ROLLBACK_FAILED": "Its first deployment failed, its removal too. Run `make destroy`, then `make deploy` again.",
    "DELETE_FAILED": "Its removal failed. Run `make destroy` again, then `make deploy`.",
    "UPDATE_ROLLBACK_FAILED": "An update failed, and so did its rollback. Run `aws cloudformation "
    f"continue-update-rollback --stack-name {STACK}`, then `make deploy` again.",
}


class CannotDeploy(UserError):
    """The message says what is missing and the next command."""


def main() -> None:
    """Prints where the command would go. Raises CannotDeploy, ClientError and BotoCoreError."""
    command = sys.argv[1]
    again = f"then run `make {command}` again"
    # The CDK's order; boto3 alone knows only the second and the profile's.
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if region is None:
        raise CannotDeploy(f"No Region is set. Set one, for example `export AWS_REGION=eu-central-1`, {again}.")
    session = boto3.Session(region_name=region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except NoCredentialsError as error:
        raise CannotDeploy(
            f"There are no AWS credentials. Set AWS_PROFILE or log in with `aws sso login`, {again}."
        ) from error
    except ClientError as error:
        raise CannotDeploy(f"AWS refuses the credentials: {error}. Log in with `aws sso login`, {again}.") from error
    where = f"account {account}, Region {region}"
    if command == "deploy":
        _require_bootstrap(session, where)
        _require_stack_that_can_change(session, where)
    print(f"make {command}: {where}", flush=True)


def _require_bootstrap(session: Any, where: str) -> None:
    try:
        version = int(session.client("ssm").get_parameter(Name=BOOTSTRAP_PARAMETER)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        raise CannotDeploy(
            f"The CDK is not bootstrapped in {where}. Run `make bootstrap` once, then `make deploy` again."
        ) from error
    if version < BOOTSTRAP_VERSION:
        raise CannotDeploy(
            f"The CDK's bootstrap in {where} has version {version}; {BOOTSTRAP_VERSION} or newer is needed. "
            "Run `make bootstrap`, then `make deploy` again."
        )


def _require_stack_that_can_change(session: Any, where: str) -> None:
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    except ClientError as error:
        # "Stack with id Hangdump does not exist": the first deployment.
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return
    status = stack["StackStatus"]
    if status in _STUCK:
        raise CannotDeploy(f"The stack {STACK} in {where} is {status}. {_STUCK[status]}")
    # REVIEW_IN_PROGRESS: a change set that was never executed; the CDK replaces it.
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise CannotDeploy(
            f"The stack {STACK} in {where} is {status}: another deployment runs. Wait for its end, then try again."
        )


if __name__ == "__main__":
    sys.exit(run(main))
