"""What is left out of an assembled script, and what must not be."""

import pytest

from ssm_documents.unused_functions import without_unused_functions


def _kept(script: str) -> str:
    return "\n".join(without_unused_functions(script.strip().splitlines()))


def test_function_that_nothing_names_is_left_out_with_what_only_it_names() -> None:
    script = """
find_it() {
  look_for_it
}
look_for_it() { find_it; }
main() {
  echo
}
main
"""
    assert _kept(script) == "main() {\n  echo\n}\nmain"


@pytest.mark.parametrize(
    "call",
    ["used", 'x="$(used)"', "trap used EXIT", "export -f used", "xargs bash -c 'used'", "$(list | used | sort)"],
)
def test_function_that_is_named_in_any_way_stays(call: str) -> None:
    script = f"used() {{ echo; }}\nmain() {{\n  {call}\n}}\nmain"
    assert _kept(script) == script


def test_verbs_of_a_family_stay_for_each_family_where_something_asks_for_them() -> None:
    script = """
debian_is_this_host() { true; }
debian_dump_level() { echo 31; }
debian_install_kdump() { apt-get; }
suse_is_this_host() { true; }
suse_dump_level() { suse_setting; }
suse_setting() { echo; }
suse_install_kdump() { zypper; }
level="$(family dump_level)"
"""
    kept = _kept(script)
    assert "install" not in kept
    assert [line.split("(")[0] for line in kept.splitlines()[:-1]] == [
        "debian_is_this_host",
        "debian_dump_level",
        "suse_is_this_host",
        "suse_dump_level",
        "suse_setting",
    ]


def test_everything_between_functions_stays() -> None:
    script = "set -eu\n\nused() { echo; }\nunused() {\n  echo\n}\n# shellcheck disable=SC2034\nused"
    assert _kept(script) == "set -eu\n\nused() { echo; }\n# shellcheck disable=SC2034\nused"


def test_constant_goes_with_the_functions_that_read_it() -> None:
    script = 'FILE=/etc/x\nOTHER="a b"\nLIST=(a\n b)\nunused() { cat "$FILE"; }\nused() { echo "$OTHER"; }\nused'
    assert _kept(script) == 'OTHER="a b"\nLIST=(a\n b)\nused() { echo "$OTHER"; }\nused'


def test_verb_stays_when_the_function_that_asks_for_it_has_the_verbs_name() -> None:
    script = """
debian_is_this_host() { true; }
debian_load_crash_kernel() { kdump-config load; }
load_crash_kernel() {
  family load_crash_kernel
}
load_crash_kernel
"""
    assert _kept(script) == script.strip()
