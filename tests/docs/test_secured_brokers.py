"""The ACLs that the guide asks for are those under which the contract tests run, and no others."""

from __future__ import annotations

import re

from confluent_kafka.admin import AclOperation, ResourceType

from tests.docs.pages import page
from tests.secured import OPERATOR_NEEDS

FLAGS = {"--group": ResourceType.GROUP, "--topic": ResourceType.TOPIC, "--cluster": ResourceType.BROKER}
OPERATIONS = {
    "Describe": AclOperation.DESCRIBE, "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
}  # fmt: skip
FOR_QUOTAS = {(ResourceType.BROKER, AclOperation.DESCRIBE_CONFIGS), (ResourceType.BROKER, AclOperation.ALTER_CONFIGS)}


def test_the_guide_asks_for_the_acls_that_the_tests_give() -> None:
    commands = "".join(page("docs/guides/secured-brokers.md").blocks("")).split("kafka-acls ")
    asked = {
        (FLAGS[flag], OPERATIONS[operation])
        for command in commands
        for flag in re.findall(r"--(?:group|topic|cluster)\b", command)
        for operation in re.findall(r"--operation (\w+)", command)
    }
    assert asked == {(kind, operation) for kind, _, operation in OPERATOR_NEEDS} | FOR_QUOTAS
