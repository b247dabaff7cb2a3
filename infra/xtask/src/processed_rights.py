"""Checks the functions' roles in a template as SAM processes it.

SAM attaches managed policies of AWS to roles for some events. The policies hold for all of an account's
resources, so that they undo what the template itself grants by name.

Usage: python processed_rights.py template.yaml
"""

import sys

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

# For logs and traces, which have no resource to name.
EXPECTED = {"AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess", "AWSXrayWriteOnlyAccess"}


def main(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # A template is processed after its upload, when the code and nested templates are in S3.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    parameters = {
        name: parameter["Default"]
        for name, parameter in template["Parameters"].items()
        if "Default" in parameter
    }
    parameters["AWS::Region"] = "us-east-1"
    processed = Translator({}, Parser()).translate(template, parameters)
    roles = of_type(processed, "AWS::IAM::Role")
    own = of_type(processed, "AWS::IAM::ManagedPolicy")
    if len(roles) < 20:
        return [f"only {len(roles)} roles"]
    wrong = []
    for name, properties in roles.items():
        for policy in properties.get("ManagedPolicyArns", []):
            if not is_own(policy, own) and str(policy).rpartition("/")[2] not in EXPECTED:
                wrong.append(f"{name} has {policy}")
    for name, properties in (roles | own).items():
        for policy in [*properties.get("Policies", []), properties]:
            for statement in policy.get("PolicyDocument", {}).get("Statement", []):
                if "*" in (statement.get("Resource"), statement.get("Action")):
                    wrong.append(f"{name} may do {statement}")
    return wrong


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
    found = main(sys.argv[1])
    sys.exit("\n".join(found) or None)
