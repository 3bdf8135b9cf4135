"""The keys of what is kept of drills in the incident table. Pure.

- drill#<execution name>: the record of one drill: its twin, and whether the one interrupt of it was claimed.
- drill-of#<subject>: the drill that runs of an instance or image, and when the last one hung its twin.
- drill-budget#<start of the window>: how many drills were begun in it.
- proof#<image>#<type family>#<kernel>#<configuration id>: the last dump that a drill proved for this combination.
"""

DRILL_PREFIX = "drill#"
OF_PREFIX = "drill-of#"
BUDGET_PREFIX = "drill-budget#"
PROOF_PREFIX = "proof#"
# For IAM, which limits a grant to keys.
DRILL_KEYS = tuple(f"{each}*" for each in (DRILL_PREFIX, OF_PREFIX, BUDGET_PREFIX, PROOF_PREFIX))
# The fields of a drill's record that the state machine writes, and that the claim of an interrupt reads.
TWIN_ID = "twinId"
HUNG_AT = "hungAt"


def drill_key(name: str) -> str:
    """drill#6b1f… of the execution's name."""
    return f"{DRILL_PREFIX}{name}"


def proof_key(*, image_id: str, instance_type: str, kernel: str, configuration_id: str) -> str:
    """proof#ami-0123456789abcdef0#m5#6.1.0-28-cloud-amd64#0123456789abcdef"""
    return f"{PROOF_PREFIX}{image_id}#{instance_type.partition('.')[0]}#{kernel}#{configuration_id}"
