"""CloudFormation's templates, with the values of their parameters put in, as far as that is known before a deployment.

What AWS makes (``!Ref`` of a resource, ``!GetAtt``) stands as ``<Name>`` or ``<Name.Attribute>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from infra.lambda_deploy import TEMPLATES

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "orders",
}
NOTHING = object()
"""What ``AWS::NoValue`` leaves out."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads the short forms of CloudFormation's functions."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _function)


@cache
def template(path: Path) -> dict[str, Any]:
    """Read a template, with each function in its long form."""
    read: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return read


class Stack:
    """What a template makes, given the values of its parameters."""

    def __init__(self, given: Mapping[str, Any], path: Path = TEMPLATES / "template.yaml") -> None:
        self.template = template(path)
        self.parameters: dict[str, dict[str, Any]] = self.template["Parameters"]
        defaults = {name: each["Default"] for name, each in self.parameters.items() if "Default" in each}
        self.given = dict(given)
        self.values = {name: self._read(name, value) for name, value in (defaults | self.given).items()}

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """What it makes, by name."""
        return {
            name: self._known(each)
            for name, each in self.template["Resources"].items()
            if "Condition" not in each or self._holds(each["Condition"])
        }

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the properties of the resources of a kind, such as ``AWS::IAM::Role``."""
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] == kind}

    @cached_property
    def nested(self) -> dict[str, Stack]:
        """The stacks that it includes."""
        included = self.of("AWS::CloudFormation::Stack")
        return {name: Stack(each["Parameters"], TEMPLATES / each["TemplateURL"]) for name, each in included.items()}

    @property
    def all(self) -> list[Stack]:
        """This one, and those that it includes."""
        return [self, *self.nested.values()]

    @property
    def objections(self) -> list[str]:
        """What its rules have against the values."""
        return [
            each["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if self._known(rule["RuleCondition"])
            for each in rule["Assertions"]
            if not self._known(each["Assert"])
        ]

    @property
    def unusable(self) -> list[str]:
        """The parameters that CloudFormation would refuse: unknown ones, missing ones, values that are not allowed."""
        missing = [name for name in self.parameters if name not in self.values]
        return sorted({*missing, *(set(self.given) - set(self.parameters)), *self._refused()})

    def _refused(self) -> Iterator[str]:
        for name, each in self.parameters.items():
            value = str(self.given.get(name, each.get("Default", "")))
            if value.startswith("<"):
                continue
            allowed = [str(one) for one in each.get("AllowedValues", [value])]
            is_number = each["Type"] == "Number"
            if (
                value not in allowed
                or not re.search(each.get("AllowedPattern", ""), value)
                or (is_number and not each.get("MinValue", 0) <= int(value) <= each.get("MaxValue", 10**6))
            ):
                yield name

    def _read(self, name: str, value: Any) -> Any:
        kind = self.parameters.get(name, {}).get("Type", "")
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        return str(value).split(",") if is_list else value

    def _holds(self, condition: str) -> bool:
        return bool(self._known(self.template["Conditions"][condition]))

    def _known(self, part: Any) -> Any:
        if isinstance(part, list):
            return [known for each in part if (known := self._known(each)) is not NOTHING]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((name, value),) = part.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._called(name.removeprefix("Fn::"), value)
        return {name: known for name, each in part.items() if (known := self._known(each)) is not NOTHING}

    def _called(self, name: str, value: Any) -> Any:
        if name == "Condition":
            return self._holds(value) if value in self.template.get("Conditions", {}) else {name: self._known(value)}
        if name == "If":
            return self._known(value[1 if self._holds(value[0]) else 2])
        if name == "Ref":
            return self._named(value)
        if name == "Sub":
            return self._substituted(value)
        return _FUNCTIONS[name](self, *(self._known(value)))

    def _named(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        return PSEUDO.get(name, self.values.get(name, f"<{name}>"))

    def _substituted(self, value: Any) -> str:
        text, more = value if isinstance(value, list) else (value, {})
        more = self._known(more)
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(more.get(found[1], self._named(found[1]))), text)


_FUNCTIONS: dict[str, Any] = {
    "And": lambda _stack, *each: all(each),
    "Equals": lambda _stack, one, other: str(one) == str(other),
    "FindInMap": lambda stack, name, key, second: stack.template["Mappings"][name][key][second],
    "GetAtt": lambda _stack, name, attribute: f"<{name}.{attribute}>",
    "Join": lambda _stack, between, each: between.join(each),
    "Not": lambda _stack, each: not each,
    "Or": lambda _stack, *each: any(each),
    "Select": lambda _stack, index, each: each[int(index)] if int(index) < len(each) else f"<{each[0]}>",
    "Split": lambda _stack, at, text: text.split(at),
}
