"""Names of an execution of Step Functions. Pure."""

import hashlib


def execution_arn(machine_arn: str, name: str) -> str:
    """The ARN, which is also the context's Execution.Id."""
    return f"{machine_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"


def client_token(execution_id: str) -> str:
    """For what the execution creates in EC2: the same token for each attempt; EC2 takes at most 64 ASCII characters.

    EC2 shows it on an instance, and nobody can change it.
    """
    return f"hangdump-{hashlib.sha256(execution_id.encode()).hexdigest()[:48]}"
