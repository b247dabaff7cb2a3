//! Reads the deployed stack from the local CloudFormation.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::aws::{Aws, expect};
use crate::error::{Context, Result};
use crate::security::Parameters;
use crate::template::STACK;

/// The description of the stack, as CloudFormation's XML.
///
/// # Errors
/// When the stack does not exist, or the endpoints don't answer.
pub fn describe(aws: &Aws) -> Result<String> {
    ask(aws, "DescribeStacks", &[])
}

/// The physical name of each resource, by the resource's logical name in the template.
///
/// # Errors
/// As [`describe`].
pub fn physical_names(aws: &Aws) -> Result<BTreeMap<String, String>> {
    let listing = ask(aws, "DescribeStackResources", &[])?;
    Ok(names(&listing))
}

/// The template after the SAM transform.
///
/// # Errors
/// As [`describe`].
pub fn processed_template(aws: &Aws) -> Result<Value> {
    let answer = ask(aws, "GetTemplate", &[("TemplateStage", "Processed")])?;
    let body = element(&answer, "TemplateBody").unwrap_or_default();
    serde_json::from_str(&unescape(body)).context("the processed template is not JSON")
}

/// The values of the stack's parameters.
///
/// # Errors
/// As [`describe`].
pub fn parameters(aws: &Aws) -> Result<Parameters> {
    Ok(pairs(&describe(aws)?, "ParameterKey", "ParameterValue"))
}

fn ask(aws: &Aws, action: &str, more: &[(&str, &str)]) -> Result<String> {
    let mut fields = vec![
        ("Action", action),
        ("Version", "2010-05-15"),
        ("StackName", STACK),
    ];
    fields.extend_from_slice(more);
    let answer = aws.form("cloudformation", &fields)?;
    expect(&format!("{action} of the stack"), answer)
}

fn names(listing: &str) -> BTreeMap<String, String> {
    pairs(listing, "LogicalResourceId", "PhysicalResourceId")
}

/// Two elements of each member that has both elements.
fn pairs(listing: &str, key: &str, value: &str) -> BTreeMap<String, String> {
    let members = listing.split("<member>").skip(1);
    let pair = |member: &str| {
        let (key, value) = (element(member, key)?, element(member, value)?);
        Some((unescape(key), unescape(value)))
    };
    members.filter_map(pair).collect()
}

/// The text of the first element of this name.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

/// The value of one of the stack's outputs.
pub(crate) fn output_value<'a>(description: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = description.split_once(&format!("<OutputKey>{key}</OutputKey>"))?;
    element(rest, "OutputValue")
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        // Last, so that no decoded `&` is read as the start of another entity.
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text.to_owned(), |text, (entity, meant)| {
            text.replace(entity, meant)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_value_finds_an_output_by_its_key() {
        let xml = "<Outputs><member><OutputKey>A</OutputKey><OutputValue>1</OutputValue>\
            </member><member><OutputKey>B</OutputKey><OutputValue>2</OutputValue></member>\
            </Outputs><StackStatus> CREATE_COMPLETE </StackStatus>";
        assert_eq!(output_value(xml, "B"), Some("2"));
        assert_eq!(output_value(xml, "C"), None);
        assert_eq!(element(xml, "StackStatus"), Some("CREATE_COMPLETE"));
    }

    #[test]
    fn names_maps_logical_to_physical_names() {
        let xml = "<StackResources>\
            <member><LogicalResourceId>Rows</LogicalResourceId>\
            <PhysicalResourceId>x-rows</PhysicalResourceId></member>\
            <member><LogicalResourceId>Waits</LogicalResourceId></member>\
            <member><LogicalResourceId>Api</LogicalResourceId>\
            <PhysicalResourceId>0a&amp;1b</PhysicalResourceId></member></StackResources>";
        let names: Vec<(String, String)> = names(xml).into_iter().collect();
        let pairs = [("Api", "0a&1b"), ("Rows", "x-rows")];
        assert_eq!(names, pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn pairs_reads_parameters_and_ignores_outputs() {
        let xml = "<member><StackName>x</StackName><Parameters>\
            <member><ParameterKey>AuthMode</ParameterKey><ParameterValue>none</ParameterValue>\
            </member></Parameters><Outputs><member><OutputKey>A</OutputKey>\
            <OutputValue>1</OutputValue></member></Outputs></member>";
        let parameters = pairs(xml, "ParameterKey", "ParameterValue");
        let parameters: Vec<_> = parameters.into_iter().collect();
        assert_eq!(parameters, [("AuthMode".to_owned(), "none".to_owned())]);
    }

    #[test]
    fn entities_are_decoded_once() {
        assert_eq!(
            unescape("{&quot;a&quot;:&quot;&amp;lt;&quot;}"),
            r#"{"a":"&lt;"}"#
        );
    }
}
