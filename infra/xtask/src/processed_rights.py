"""Checks the functions' roles in a template as SAM processes it.

SAM attaches managed policies of AWS to roles for some events. The policies hold for all of an account's
resources, so that they undo what the template itself grants by name.

Usage: python processed_rights.py template.yaml…
"""

import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

# For logs, traces and network interfaces, which have no resource to name.
EXPECTED = {
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaVPCAccessExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
}
SOURCES = {
    "AWS::Serverless::Function": ["CodeUri"],
    "AWS::Serverless::LayerVersion": ["ContentUri"],
}
# Fewer roles mean that the template was not read as it should be.
ROLES = {"template.yaml": 20}


def main(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # A template is processed after its upload, when the code and nested templates are in S3.
    for resource in template["Resources"].values():
        for name in SOURCES.get(resource["Type"], ()):
            resource["Properties"][name] = "s3://bucket/code"
    parameters = {
        name: parameter["Default"]
        for name, parameter in template["Parameters"].items()
        if "Default" in parameter
    }
    parameters["AWS::Region"] = "us-east-1"
    processed = Translator({}, Parser()).translate(template, parameters)
    roles = of_type(processed, "AWS::IAM::Role")
    own = of_type(processed, "AWS::IAM::ManagedPolicy")
    if len(roles) < ROLES.get(path, 1):
        return [f"only {len(roles)} roles in {path}"]
    wrong = []
    for name, properties in roles.items():
        for policy in choices(properties.get("ManagedPolicyArns", [])):
            if not is_own(policy, own) and name_of(policy) not in EXPECTED:
                wrong.append(f"{name} has {policy}")
    for name, properties in (roles | own).items():
        for policy in [*properties.get("Policies", []), properties]:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                if "*" in (statement.get("Resource"), statement.get("Action")):
                    wrong.append(f"{name} may do {statement}")
    return wrong


def choices(policies):
    """All policies of a list, or of both lists of a condition."""
    if isinstance(policies, dict):
        return [policy for branch in policies["Fn::If"][1:] for policy in branch]
    return policies


def name_of(policy):
    """The name of a managed policy of AWS."""
    arn = policy.get("Fn::Sub", policy) if isinstance(policy, dict) else policy
    return str(arn).rpartition("/")[2]


def is_own(policy, own):
    """Whether a policy, or each policy of a condition, is one of the template's."""
    if not isinstance(policy, dict):
        return False
    if "Fn::If" in policy:
        return all(is_own(choice, own) for choice in policy["Fn::If"][1:])
    return policy.get("Ref") in {*own, "AWS::NoValue"}


def of_type(template, kind):
    """The properties of the resources of a type, by name."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


if __name__ == "__main__":
    found = [line for path in sys.argv[1:] for line in main(path)]
    sys.exit("\n".join(found) or None)
