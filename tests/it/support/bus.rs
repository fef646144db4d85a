//! Everything that a pipeline says, whole: who said it, with details, until after NULL.

use std::{fmt, time::Duration};

use gst::prelude::*;

use super::{PATIENCE, Pipeline};

/// Messages in order. The bus keeps what comes after NULL, too.
#[derive(Default)]
pub(crate) struct Heard(pub(crate) Vec<gst::Message>);

impl Heard {
    /// Begins to listen: before the pipeline starts.
    pub(crate) fn of(pipeline: &Pipeline) -> Self {
        pipeline.0.set_auto_flush_bus(false);
        Self::default()
    }

    /// Listens until the first message for which `done` says so, and gives it.
    pub(crate) fn until(
        &mut self,
        pipeline: &Pipeline,
        done: impl FnMut(&gst::Message) -> bool,
    ) -> gst::Message {
        self.until_within(PATIENCE, pipeline, done)
    }

    /// The same, where a message may be so long in coming.
    pub(crate) fn until_within(
        &mut self,
        patience: Duration,
        pipeline: &Pipeline,
        mut done: impl FnMut(&gst::Message) -> bool,
    ) -> gst::Message {
        let bus = pipeline.0.bus().unwrap();
        loop {
            let message = bus
                .timed_pop(gst::ClockTime::from_seconds(patience.as_secs()))
                .unwrap_or_else(|| panic!("nothing more on the bus: {self:#?}"));
            self.0.push(message.clone());
            if done(&message) {
                return message;
            }
        }
    }

    /// Sets NULL, and hears what was said until then.
    pub(crate) fn stop(&mut self, pipeline: &Pipeline) {
        pipeline.0.set_state(gst::State::Null).unwrap();
        self.0.extend(pipeline.0.bus().unwrap().iter());
    }

    /// The errors of the element of this name. A source that is told to stop posts one of its own.
    pub(crate) fn errors(&self, name: &str) -> Vec<&gst::message::Error> {
        self.said_by(name)
            .into_iter()
            .filter_map(|message| match message.view() {
                gst::MessageView::Error(error) => Some(error),
                _ => None,
            })
            .collect()
    }

    /// The one error of the element of this name.
    pub(crate) fn the_error(&self, name: &str) -> &gst::message::Error {
        match self.errors(name)[..] {
            [error] => error,
            _ => panic!("not one error: {self:#?}"),
        }
    }

    /// The warnings of the element of this name.
    pub(crate) fn warnings(&self, name: &str) -> Vec<&gst::message::Warning> {
        self.said_by(name)
            .into_iter()
            .filter_map(|message| match message.view() {
                gst::MessageView::Warning(warning) => Some(warning),
                _ => None,
            })
            .collect()
    }

    /// Element messages with a structure of this name.
    pub(crate) fn told(&self, structure: &str) -> Vec<&gst::StructureRef> {
        self.0
            .iter()
            .filter_map(|message| message.structure())
            .filter(|said| said.name() == structure)
            .collect()
    }

    /// Dropped frames that were told, for this reason.
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        self.told("kvs-frames-dropped")
            .iter()
            .filter(|told| told.get::<&str>("reason").unwrap() == reason)
            .map(|told| told.get::<u64>("frames").unwrap())
            .sum()
    }

    pub(crate) fn eos(&self) -> bool {
        self.0
            .iter()
            .any(|message| message.type_() == gst::MessageType::Eos)
    }

    fn said_by(&self, name: &str) -> Vec<&gst::Message> {
        self.0
            .iter()
            .filter(|message| message.src().is_some_and(|src| src.name() == name))
            .collect()
    }
}

/// Changes of state, and what else any pipeline says, would hide what matters.
impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use gst::MessageType;
        let matter = [
            MessageType::Error,
            MessageType::Warning,
            MessageType::Element,
            MessageType::Eos,
        ];
        let lines = self
            .0
            .iter()
            .filter(|message| matter.contains(&message.type_()))
            .map(|message| text(message));
        f.debug_list().entries(lines).finish()
    }
}

/// `message` is an ERROR of the element of this name.
pub(crate) fn is_error(message: &gst::Message, name: &str) -> bool {
    message.type_() == gst::MessageType::Error
        && message.src().is_some_and(|src| src.name() == name)
}

/// `message` is a WARNING.
pub(crate) fn is_warning(message: &gst::Message) -> bool {
    message.type_() == gst::MessageType::Warning
}

/// `message` is an element message with a structure of this name.
pub(crate) fn tells(message: &gst::Message, structure: &str) -> bool {
    message
        .structure()
        .is_some_and(|said| said.name() == structure)
}

/// `message` is the EOS of the pipeline.
pub(crate) fn is_eos(message: &gst::Message) -> bool {
    message.type_() == gst::MessageType::Eos
}

/// Everything that a message says, as text, for a search.
pub(crate) fn text(message: &gst::MessageRef) -> String {
    let said = match message.view() {
        gst::MessageView::Error(error) => {
            format!(
                "{} {:?} {:?}",
                error.error(),
                error.debug(),
                error.details()
            )
        }
        gst::MessageView::Warning(warning) => format!(
            "{} {:?} {:?}",
            warning.error(),
            warning.debug(),
            warning.details()
        ),
        _ => String::new(),
    };
    let from = message.src().map(|src| src.name().to_string());
    format!(
        "{:?} of {from:?}: {said} {:?}",
        message.type_(),
        message.structure()
    )
}
