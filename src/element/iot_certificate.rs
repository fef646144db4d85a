//! [`parse`]: the structure of the property `iot-certificate`.
//!
//! Belongs here: its fields, their types and units. Does not belong here: files and TLS (`net`).

use std::time::Duration;

use gst::glib;

use crate::{definition::Invalid, net::IotCertificate};

pub(super) const NAME: &str = "iot-certificate";

const FIELDS: [&str; 8] = [
    "endpoint",
    "cert-path",
    "key-path",
    "ca-path",
    "role-aliases",
    "iot-thing-name",
    "connection-timeout",
    "completion-timeout",
];
/// As of the properties of the same names.
const CONNECTION_TIMEOUT_S: u64 = 5;
const COMPLETION_TIMEOUT_S: u64 = 10;

/// Reads the fields. What may be missing is checked by the service's settings.
pub(super) fn parse(fields: &gst::StructureRef) -> Result<IotCertificate, Invalid> {
    let unknown = fields
        .fields()
        .find(|field| !FIELDS.contains(&field.as_str()));
    if let Some(unknown) = unknown {
        let reason = format!(
            "there is no field {unknown}; there are {}",
            FIELDS.join(", ")
        );
        return Err(Invalid::new(NAME, reason));
    }
    let optional = |field: &str| match fields.value(field) {
        Err(_) => Ok(None),
        Ok(value) => match value.get::<Option<String>>() {
            Ok(text) => Ok(text.filter(|text| !text.is_empty())),
            Err(_) => Err(Invalid::new(
                NAME,
                format!("the field {field} is to be a string"),
            )),
        },
    };
    let needed = |field: &str| Ok(optional(field)?.unwrap_or_default());
    let seconds = |field: &str, default: u64| match fields.value(field) {
        Err(_) => Ok(Duration::from_secs(default)),
        Ok(value) => number(value).map(Duration::from_secs).ok_or_else(|| {
            let reason = format!("the field {field} is to be a number of seconds from 1 on");
            Invalid::new(NAME, reason)
        }),
    };
    Ok(IotCertificate {
        endpoint: needed("endpoint")?,
        cert_path: needed("cert-path")?.into(),
        key_path: needed("key-path")?.into(),
        ca_path: optional("ca-path")?.map(Into::into),
        role_alias: needed("role-aliases")?,
        thing_name: optional("iot-thing-name")?,
        connection_timeout: seconds("connection-timeout", CONNECTION_TIMEOUT_S)?,
        completion_timeout: seconds("completion-timeout", COMPLETION_TIMEOUT_S)?,
    })
}

/// In a launch line a number is an `int`, unless it says otherwise; in code it may be anything. At most a day.
fn number(value: &glib::SendValue) -> Option<u64> {
    let number = value
        .get::<i32>()
        .ok()
        .and_then(|number| number.try_into().ok())
        .or_else(|| value.get::<u32>().ok().map(u64::from))
        .or_else(|| value.get::<u64>().ok())
        .or_else(|| {
            value
                .get::<i64>()
                .ok()
                .and_then(|number| number.try_into().ok())
        })
        .or_else(|| value.get::<&str>().ok()?.parse().ok());
    number.filter(|number| (1..=86_400).contains(number))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn parsed(text: &str) -> Result<IotCertificate, Invalid> {
        gst::init().unwrap();
        parse(&text.parse::<gst::Structure>().unwrap())
    }

    #[test]
    fn a_launch_line_of_the_cpp_element_is_understood() {
        let iot = parsed(
            "iot-certificate,endpoint=x.credentials.iot.eu-west-1.amazonaws.com,cert-path=/c/cert.pem,key-path=/c/key.pem,\
             ca-path=/c/ca.pem,role-aliases=cameras",
        );
        let expected = IotCertificate {
            endpoint: "x.credentials.iot.eu-west-1.amazonaws.com".into(),
            cert_path: "/c/cert.pem".into(),
            key_path: "/c/key.pem".into(),
            ca_path: Some("/c/ca.pem".into()),
            role_alias: "cameras".into(),
            thing_name: None,
            connection_timeout: Duration::from_secs(5),
            completion_timeout: Duration::from_secs(10),
        };
        assert_eq!(iot, Ok(expected));
    }

    #[test]
    fn the_other_fields_are_optional() {
        let iot = parsed(
            "iot-certificate,iot-thing-name=cam-7,connection-timeout=3,completion-timeout=(string)4",
        );
        let iot = iot.unwrap();
        assert_eq!(iot.thing_name.as_deref(), Some("cam-7"));
        assert_eq!(iot.connection_timeout, Duration::from_secs(3));
        assert_eq!(iot.completion_timeout, Duration::from_secs(4));
        assert_eq!(iot.ca_path, None);
    }

    #[test_case("iot-certificate,role-alias=cameras", "role-alias"; "a field of another name")]
    #[test_case("iot-certificate,endpoint=(int)7", "endpoint"; "a number for a text")]
    #[test_case("iot-certificate,connection-timeout=0", "connection-timeout"; "no time")]
    #[test_case("iot-certificate,connection-timeout=-3", "connection-timeout"; "negative time")]
    #[test_case("iot-certificate,completion-timeout=soon", "completion-timeout"; "no number")]
    fn a_wrong_field_is_named(text: &str, field: &str) {
        let invalid = parsed(text).unwrap_err();
        assert_eq!(invalid.setting, NAME);
        assert!(invalid.reason.contains(field), "{invalid}");
    }
}
