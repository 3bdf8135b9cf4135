"""The stack's own advice, with the command of hangdump where there is one. Pure."""

from lambdas.runtime import refusal_advice

_COMMANDS = (
    ("Run ProvisionDumpVolume for the instance", "Run `hangdump enrol {}`"),
    ("Run ProvisionDumpVolume again", "Run `hangdump enrol {}` again"),
    ("run ProvisionDumpVolume again", "run `hangdump enrol {}` again"),
    ("tag it hangdump:enrolled=true", "run `hangdump enrol {}`"),
    ("start CollectVmcore with interrupt: true", "run `hangdump interrupt {}`"),
    ("set the parameter to on (Operate in the README)", "run `hangdump interrupts on`"),
)


def by_command(text: str, instance_id: str) -> str:
    """Notifications and reports say it without the command line, which not everybody has."""
    for words, command in _COMMANDS:
        text = text.replace(words, command.format(instance_id))
    return text


def next_step(reason: str, instance_id: str) -> str:
    """What to do about a refusal."""
    return by_command(refusal_advice.next_step(reason), instance_id)
