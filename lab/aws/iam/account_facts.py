"""What requests.py has to know of the emulated account: tags, keys, ARNs. Reads moto's objects."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.backends import get_backend
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from lab.aws.state import AccountState
from lambdas.runtime.tags import STACK

CENTRAL_ACCOUNT = "999988887777"


@dataclass(frozen=True)
class Variant:
    """A kind of account: whose key encrypts its volumes by default, and whose its subnets are."""

    name: str = "default"
    # Empty: AWS's own key, which everybody of the account may use.
    ebs_key_account: str = ""
    # Whether the policy of that key lets this account in.
    is_ebs_key_open: bool = True
    # Empty: the account itself; otherwise the owner of a VPC that it shares by RAM.
    network_account: str = ""


DEFAULT = Variant()


class AccountFacts:
    """Implements requests.Account for a lab account."""

    def __init__(self, state: AccountState, variant: Variant) -> None:
        self._state = state
        self._variant = variant
        self.account_id, self.region = state.account_id, state.region

    def arn(self, resource: str) -> str:
        service, _, rest = resource.partition(":")
        is_network = service == "ec2" and rest.split("/")[0] in ("subnet", "security-group")
        owner = self._variant.network_account if is_network else ""
        return f"arn:aws:{service}:{self.region}:{owner or self.account_id}:{rest}"

    def tags(self, resource_id: str) -> Mapping[str, str]:
        ec2 = self._state.backend("ec2")
        if resource_id.startswith("i-"):
            found = ec2.get_instance_by_id(resource_id)
        elif resource_id.startswith("vol-"):
            found = ec2.volumes.get(resource_id)
        elif resource_id.startswith("snap-"):
            found = ec2.snapshots.get(resource_id)
        else:
            group = self._group(resource_id)
            return {tag["Key"]: tag["Value"] for tag in group.tags} if group else {}
        return {tag["key"]: tag["value"] for tag in found.get_tags()} if found else {}

    def default_ebs_key(self) -> str:
        owner = self._variant.ebs_key_account
        return f"arn:aws:kms:{self.region}:{owner}:key/0e11e0bf-0000-4000-8000-00000000eb50" if owner else ""

    def key_of_volume(self, resource_id: str) -> str:
        ec2 = self._state.backend("ec2")
        found: Any = (ec2.volumes if resource_id.startswith("vol-") else ec2.snapshots).get(resource_id)
        return self.default_ebs_key() if found is not None and found.encrypted else ""

    def volumes_of(self, instance_id: str) -> list[str]:
        instance = self._state.backend("ec2").get_instance(instance_id)
        return [mapping.volume_id for _, mapping in instance.get_block_device_mapping]

    def key_of_bucket(self, bucket: str) -> str:
        configured: Any = self._bucket(bucket).encryption
        if not configured:
            return ""
        return str(configured["Rule"]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID", ""))

    def bucket_policy(self, bucket: str) -> dict[str, Any] | None:
        """The bucket's policy; None: it has none."""
        policy = self._bucket(bucket).policy
        return _document(policy) if policy else None

    def key_of_topic(self, topic_arn: str) -> str:
        topic = self._state.backend("sns").topics.get(topic_arn)
        key = str(topic.kms_master_key_id or "") if topic else ""
        # AWS's own key lets everybody of the account use it through SNS.
        return "" if key.endswith("alias/aws/sns") else key

    def topic_policy(self, topic_arn: str) -> dict[str, Any]:
        """The topic's policy; without one of its own it has AWS's default, for what the account's services send."""
        return _parsed(self._state.backend("sns").topics[topic_arn].policy)

    def group_arn(self, name: str) -> str:
        group = self._group(name)
        tail = f"autoScalingGroup:*:autoScalingGroupName/{name}"
        return str(group.arn) if group else f"arn:aws:autoscaling:{self.region}:{self.account_id}:{tail}"

    def function_arn(self, name_or_arn: str) -> str:
        return name_or_arn if ":" in name_or_arn else self.arn(f"lambda:function:{name_or_arn}")

    def role_of_profile(self, profile_arn: str) -> str:
        profiles = self._iam().instance_profiles.values()
        return next(str(each.roles[0].arn) for each in profiles if each.arn == profile_arn)

    def policies_of(self, role_arn: str) -> list[dict[str, Any]]:
        """The inline policies of a role of this account, and the account's own among the attached ones."""
        role = self._role(role_arn)
        attached = [
            next(version.document for version in policy.versions if version.version_id == policy.default_version_id)
            for arn, policy in role.managed_policies.items()
            if f"::{self.account_id}:policy/" in arn
        ]
        return [_document(each) for each in (*role.policies.values(), *attached)]

    def trust_policy(self, role_arn: str) -> dict[str, Any]:
        """Who may assume a role of this account."""
        return _document(self._role(role_arn).assume_role_policy_document)

    def remove_volume(self, volume_id: str) -> None:
        """It is gone, as if it had never been."""
        self._state.backend("ec2").delete_volume(volume_id)

    def roles(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """The function or state machine of each role (or its own name), its ARN and its policies."""
        functions = self._state.backend("lambda").list_functions()
        machines = stepfunctions_parser_backends[self.account_id][self.region].state_machines
        users = {each.role: each.function_name.removeprefix(f"{STACK}-") for each in functions}
        users |= {each.roleArn: each.name for each in machines}
        for role in self._iam().roles.values():
            policies = [_document(each) for each in role.policies.values()]
            yield users.get(role.arn, role.name), role.arn, policies

    def key_policy(self, key_arn: str) -> dict[str, Any]:
        """A customer key's policy: ours as deployed; another account's as its owner writes it for this account."""
        key = self._state.backend("kms").keys.get(key_arn.rsplit("/", 1)[1])
        if key is not None and key.policy:
            return _document(key.policy)
        accounts = {key_arn.split(":")[4], *([self.account_id] if self._variant.is_ebs_key_open else [])}
        principals = {"AWS": [f"arn:aws:iam::{each}:root" for each in sorted(accounts)]}
        return {"Statement": [{"Effect": "Allow", "Principal": principals, "Action": "kms:*", "Resource": "*"}]}

    def _bucket(self, name: str) -> Any:
        return get_backend("s3")[self.account_id]["aws"].get_bucket(name)

    def _role(self, arn: str) -> Any:
        found = next((each for each in self._iam().roles.values() if each.arn == arn), None)
        if found is None:
            raise NotImplementedError(f"what {arn} may do: it is no role of this account")
        return found

    def _iam(self) -> Any:
        return get_backend("iam")[self.account_id]["aws"]

    def _group(self, name: str) -> Any:
        return self._state.backend("autoscaling").autoscaling_groups.get(name)


def _document(policy: Any) -> dict[str, Any]:
    return dict(policy) if isinstance(policy, Mapping) else _parsed(policy)


@cache
def _parsed(policy: str) -> dict[str, Any]:
    """By its text and not by its role, whose policies an update exchanges."""
    parsed: dict[str, Any] = json.loads(policy)
    return parsed
