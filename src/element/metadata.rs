//! Events from upstream that become metadata of fragments, and events that make the service act.
//!
//! In: custom events, TAG events. Out: calls of the producer; what cannot be sent is a WARNING that says why.
//! Does not belong here: limits and bytes (`session`, `mkv`).

use gst::prelude::*;

use super::{KvsSink, imp::CAT, report};
use crate::{
    producer::Stream,
    session::{EventMetadata, InvalidMetadata},
};

/// `name`, `value` (strings), `persist` (boolean, false): as the C++ element has it.
pub(super) const ADD_METADATA: &str = "kvs-add-metadata";
/// `image-generation`, `notification` (booleans), `image-prefix` (string), `pairs` (structure of strings).
pub(super) const ADD_EVENT: &str = "kvs-add-event";

/// Whether a custom event is one of these; then it was done, or a WARNING says why not.
pub(super) fn custom(element: &KvsSink, stream: &Stream, structure: &gst::StructureRef) -> bool {
    let done = match structure.name().as_str() {
        ADD_METADATA => add_metadata(stream, structure),
        ADD_EVENT => add_event(stream, structure),
        _ => return false,
    };
    if let Err(reason) = done {
        report::post_metadata_refused(element, structure.name(), &reason);
    }
    true
}

fn add_metadata(stream: &Stream, structure: &gst::StructureRef) -> Result<(), String> {
    let name: String = field(structure, "name")?.ok_or("it has no field name")?;
    let value: String = field(structure, "value")?.unwrap_or_default();
    let persist = truth(structure, "persist")?;
    stream
        .put_fragment_metadata(&name, &value, persist)
        .map_err(|error| error.to_string())
}

fn add_event(stream: &Stream, structure: &gst::StructureRef) -> Result<(), String> {
    let pairs: Option<gst::Structure> = field(structure, "pairs")?;
    let pairs = pairs.iter().flat_map(|pairs| pairs.iter());
    let event = EventMetadata {
        image: truth(structure, "image-generation")?,
        notification: truth(structure, "notification")?,
        image_prefix: field(structure, "image-prefix")?,
        pairs: pairs
            .map(|(name, value)| Ok((name.to_string(), text(name, value)?)))
            .collect::<Result<_, String>>()?,
    };
    stream
        .put_event_metadata(event)
        .map_err(|error| error.to_string())
}

/// The field, if it is there; and why it cannot be what it should. A NULL string is as no field.
fn field<T>(structure: &gst::StructureRef, name: &str) -> Result<Option<T>, String>
where
    T: for<'v> gst::glib::value::FromValue<'v> + StaticType,
    Option<T>: for<'v> gst::glib::value::FromValue<'v>,
{
    let Ok(value) = structure.value(name) else {
        return Ok(None);
    };
    value.get::<Option<T>>().map_err(|_| {
        let (has, wanted) = (value.type_(), T::static_type());
        format!("its field {name} is a {has}, not a {wanted}")
    })
}

/// False where it is not there.
fn truth(structure: &gst::StructureRef, name: &str) -> Result<bool, String> {
    let Ok(value) = structure.value(name) else {
        return Ok(false);
    };
    let wrong = |_| format!("its field {name} is a {}, not a boolean", value.type_());
    value.get().map_err(wrong)
}

fn text(name: &str, value: &gst::glib::SendValue) -> Result<String, String> {
    value
        .transform::<String>()
        .ok()
        .and_then(|text| text.get().ok().flatten())
        .ok_or_else(|| {
            format!(
                "the value of {name} is a {}, which is no text",
                value.type_()
            )
        })
}

/// Those of the tags that the application wants become metadata of each fragment from here on; the others stay behind.
pub(super) fn tags(element: &KvsSink, stream: &Stream, list: &gst::TagListRef, wanted: &[String]) {
    for name in wanted {
        let Some(value) = list.generic(name.as_str()) else {
            continue;
        };
        let put = text(name, &value).and_then(|text| {
            let put = stream.put_fragment_metadata(name, &text, true);
            put.map_err(|error: InvalidMetadata| error.to_string())
        });
        match put {
            Ok(()) => gst::debug!(CAT, obj = element, "tag {name} becomes metadata"),
            Err(reason) => report::post_metadata_refused(element, name, &reason),
        }
    }
}
