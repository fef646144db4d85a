//! What the element says of itself: to the registry, and in the README.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use gst::{glib, prelude::*};

use super::support::{
    init,
    scripts::{Process, plugin_file, root, with_plugin},
};

/// The registry knows the element as a network sink that nobody picks by itself, under both of its names.
#[test]
fn the_registry_knows_a_network_sink() {
    init();
    for name in ["kvssink", "rskvssink"] {
        let factory = gst::ElementFactory::find(name).unwrap();
        assert_eq!(factory.metadata("klass").unwrap(), "Sink/Network");
        assert_eq!(factory.rank(), gst::Rank::NONE);
        for field in ["long-name", "description", "author"] {
            assert!(!factory.metadata(field).unwrap().is_empty(), "{field}");
        }
        assert_eq!(factory.plugin().unwrap().license(), "Apache 2.0");
        let element = factory.create().build().unwrap();
        assert!(element.is::<gst_base::BaseSink>());
    }
}

/// Live sources pace themselves and files go as fast as they can: no clock, no preroll, no quality of service; and no
/// buffer is kept.
#[test]
fn the_defaults_of_the_base_class_are_those_of_a_file_sink() {
    let element = element();
    for name in ["sync", "async", "enable-last-sample", "qos"] {
        assert!(!element.property::<bool>(name), "{name}");
    }
}

/// The README's table has each property, and no other, with its default; a new element has that value.
#[test]
fn the_readme_names_each_property_with_its_default() {
    let element = element();
    let documented = documented();
    let names: Vec<_> = own_properties(&element)
        .iter()
        .map(|property| property.name().to_owned())
        .collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, documented.keys().cloned().collect::<Vec<_>>());
    for property in own_properties(&element) {
        let row = &documented[property.name()];
        if let Default::ReadOnly = row.default {
            assert_eq!(property.flags() & ACCESS, glib::ParamFlags::READABLE);
            continue;
        }
        let default = text(property.default_value());
        match &row.default {
            Default::Value(value) => assert_eq!(default.as_ref(), Some(value), "{row:?}"),
            _ => assert_eq!(default, None, "{row:?}"),
        }
        assert!(property.flags().contains(glib::ParamFlags::WRITABLE));
        if property.flags().contains(glib::ParamFlags::READABLE) {
            let value = text(&element.property_value(property.name()));
            assert_eq!(value, default, "{row:?}");
        }
    }
}

/// Each property has a name for people and a sentence; a number has its unit in both, the README and the sentence. All
/// but `stats` can be changed until READY, as GStreamer says it.
#[test]
fn each_property_explains_itself() {
    let element = element();
    let documented = documented();
    let units = [
        ("h", "hours"),
        ("ms", "milliseconds"),
        ("s", "seconds"),
        ("MiB", "MiB"),
        ("fps", "frames"),
        ("bit/s", "bits"),
    ];
    for property in own_properties(&element) {
        let name = property.name();
        let blurb = property.blurb().unwrap_or_default();
        assert!(blurb.len() > 10, "{name}: {blurb:?}");
        assert!(
            !property.nick().is_empty() && property.nick() != name,
            "{name}"
        );
        let writable = property.flags().contains(glib::ParamFlags::WRITABLE);
        assert_eq!(
            property.flags().contains(gst::PARAM_FLAG_MUTABLE_READY),
            writable,
            "{name}"
        );
        if property.value_type() == u32::static_type() {
            let unit = documented[name].unit.as_deref();
            let word = units.iter().find(|(short, _)| unit == Some(short));
            let (_, word) = word.unwrap_or_else(|| panic!("{name}: {unit:?} is no unit"));
            let words: Vec<_> = blurb.split(|c: char| !c.is_alphanumeric()).collect();
            assert!(words.contains(word), "{name}: no {word} in {blurb:?}");
        }
    }
}

/// Whatever is a secret can be set and not be read, and nothing else is like that.
#[test]
fn secrets_cannot_be_read_back() {
    let element = element();
    let properties = own_properties(&element);
    let mut write_only: Vec<_> = properties
        .iter()
        .filter(|property| property.flags() & ACCESS == glib::ParamFlags::WRITABLE)
        .map(|property| property.name())
        .collect();
    write_only.sort_unstable();
    assert_eq!(
        write_only,
        ["access-key", "proxy", "secret-key", "session-token"]
    );
}

/// The README's table of `stats` has each of its fields, and no other.
#[test]
fn the_readme_names_each_number_of_the_stats() {
    let stats: gst::Structure = element().property("stats");
    let text = readme();
    let (_, table) = text.split_once("`application/x-kvssink-stats`").unwrap();
    assert_eq!(stats.name(), "application/x-kvssink-stats");
    let documented: BTreeSet<_> = rows(table).flatten().flat_map(quoted).collect();
    let fields: BTreeSet<_> = stats.fields().map(|field| field.to_string()).collect();
    assert_eq!(fields, documented);
}

/// The plugin as a file is one: GStreamer knows its licence (of one that it does not know it warns), and shows the
/// element with all that it says of its properties.
#[test]
fn gst_inspect_shows_the_plugin_file() {
    let inspect = |argument: &str| {
        let mut command = Command::new("gst-inspect-1.0");
        command.arg(argument);
        let mut command = with_plugin(command);
        command.env("GST_DEBUG", "GST_PLUGIN_LOADING:2");
        let ended = Process::start(command).end();
        ended.assert_success();
        assert!(!ended.stderr.contains("kvssink"), "{}", ended.stderr);
        ended.stdout
    };
    let plugin = inspect(plugin_file().to_str().unwrap());
    for line in ["Apache 2.0", "kvssink: Amazon", "rskvssink: Amazon"] {
        assert!(plugin.contains(line), "{plugin}");
    }
    let shown = inspect("kvssink");
    for line in ["none (0)", "Sink/Network", "Apache 2.0", "+----GstBaseSink"] {
        assert!(shown.contains(line), "{shown}");
    }
    for property in own_properties(&element()) {
        let line = format!("  {:<20}: {}", property.name(), property.blurb().unwrap());
        assert!(shown.contains(&line), "no {line:?} in {shown}");
    }
}

const ACCESS: glib::ParamFlags = glib::ParamFlags::READWRITE;

fn element() -> gst::Element {
    init();
    gst::ElementFactory::make("kvssink").build().unwrap()
}

/// The properties that are not the base class's.
fn own_properties(element: &gst::Element) -> Vec<glib::ParamSpec> {
    let own = |property: &glib::ParamSpec| property.owner_type() == element.type_();
    let properties = element.list_properties();
    properties.iter().filter(|p| own(p)).cloned().collect()
}

/// A value as the README writes it; none for one that is not set.
fn text(value: &glib::Value) -> Option<String> {
    if let Ok(text) = value.get::<Option<String>>() {
        return text;
    }
    if let Ok(structure) = value.get::<Option<gst::Structure>>() {
        return structure.map(|structure| structure.to_string());
    }
    if let Ok(number) = value.get::<u32>() {
        return Some(number.to_string());
    }
    if let Ok(number) = value.get::<u64>() {
        return Some(number.to_string());
    }
    if let Ok(truth) = value.get::<bool>() {
        return Some(truth.to_string());
    }
    let (_, value) = glib::EnumValue::from_value(value)
        .unwrap_or_else(|| panic!("what is the text of {value:?}?"));
    Some(value.nick().to_owned())
}

#[derive(Debug)]
struct Row {
    unit: Option<String>,
    default: Default,
}

#[derive(Debug)]
enum Default {
    Value(String),
    None,
    ReadOnly,
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The README's table of properties: `name`s | unit, `default`s | meaning.
fn documented() -> BTreeMap<String, Row> {
    let text = readme();
    let (_, section) = text.split_once("\n## Properties\n").unwrap();
    let mut documented = BTreeMap::new();
    for [names, unit_and_default, meaning] in rows(section) {
        let names = quoted(names);
        let defaults = quoted(unit_and_default);
        assert!(!meaning.trim().is_empty(), "{names:?}");
        let said = unit_and_default.trim();
        let unit = said.split_once(',').map(|(unit, _)| unit.to_owned());
        for (index, name) in names.iter().enumerate() {
            let default = match defaults.get(index) {
                Some(value) => Default::Value(value.clone()),
                None if said == "our name and version" => {
                    Default::Value(concat!("kvssink/", env!("CARGO_PKG_VERSION")).to_owned())
                }
                None if said == "read-only" => Default::ReadOnly,
                None => {
                    assert!(said.ends_with("none"), "{name}: {said}");
                    Default::None
                }
            };
            let unit = unit.clone();
            let before = documented.insert(name.clone(), Row { unit, default });
            assert!(before.is_none(), "{name} is there twice");
        }
    }
    documented
}

/// The rows of the first table, without its head; two columns have an empty third one.
fn rows(text: &str) -> impl Iterator<Item = [&str; 3]> {
    text.lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        })
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}
