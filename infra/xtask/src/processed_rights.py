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
    roles = {
        name: resource["Properties"]
        for name, resource in processed["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role"
    }
    if len(roles) < 20:
        return [f"only {len(roles)} roles"]
    wrong = []
    for name, properties in roles.items():
        for policy in properties.get("ManagedPolicyArns", []):
            if str(policy).rpartition("/")[2] not in EXPECTED:
                wrong.append(f"{name} has {policy}")
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if "*" in (statement.get("Resource"), statement.get("Action")):
                    wrong.append(f"{name} may do {statement}")
    return wrong


if __name__ == "__main__":
    found = main(sys.argv[1])
    sys.exit("\n".join(found) or None)
