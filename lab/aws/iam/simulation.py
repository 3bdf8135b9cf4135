"""IAM's policy simulator, as far as it concerns a role of the account: by the same evaluation as every call here."""

from typing import Any

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from lab.aws.iam.account_facts import DEFAULT, AccountFacts
from lab.aws.iam.policy import Policies, Request, decide
from lab.aws.patches import Patches
from lab.aws.state import AccountState


def install(patches: Patches, state: AccountState) -> None:
    """Real: resource policies, boundaries and organisation too. moto: has no simulator."""

    def simulate_principal_policy(response: IamResponse) -> ActionResult:
        given = response.params if isinstance(response.params, dict) else {}
        facts = AccountFacts(state, DEFAULT)
        source, policies = str(given["PolicySourceArn"]), Policies()
        if ":role/" in source:
            policies = Policies(identity=facts.policies_of(source))
        context = {each["ContextKeyName"]: tuple(each["ContextKeyValues"]) for each in given.get("ContextEntries", [])}
        # One value is a text, as a request has it; only aws:TagKeys is a list of its own.
        plain: dict[str, Any] = {k: v if k == "aws:TagKeys" else v[0] for k, v in context.items()}
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "implicitDeny"
                if decide(Request(action, resource, plain, source), policies)
                else "allowed",
            }
            for action in given["ActionNames"]
            for resource in given.get("ResourceArns", ["*"])
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    patches.add(IamResponse, "simulate_principal_policy", simulate_principal_policy)
