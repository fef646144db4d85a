//! A recorder of the `metrics` facade that keeps what it is given.
//!
//! That of metrics-util would bring second versions of rand, getrandom and hashbrown along.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering},
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
    atomics::AtomicU64,
};

/// By name and labels, as Prometheus writes them: `kvs_frames_total{stream="cam"}`.
#[derive(Default)]
pub(crate) struct Recorder {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Samples>>>,
    units: Mutex<BTreeMap<String, Option<Unit>>>,
}

#[derive(Default)]
pub(crate) struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

fn text(key: &Key) -> String {
    let label = |label: &metrics::Label| format!("{}={:?}", label.key(), label.value());
    let labels: Vec<_> = key.labels().map(label).collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

fn entry<T: Default>(map: &Mutex<BTreeMap<String, Arc<T>>>, key: &Key) -> Arc<T> {
    let mut map = map.lock().unwrap();
    Arc::clone(map.entry(text(key)).or_default())
}

impl Recorder {
    pub(crate) fn counter(&self, key: &str) -> u64 {
        self.counters.lock().unwrap()[key].load(Ordering::Acquire)
    }

    pub(crate) fn gauge(&self, key: &str) -> f64 {
        f64::from_bits(self.gauges.lock().unwrap()[key].load(Ordering::Acquire))
    }

    pub(crate) fn histogram(&self, key: &str) -> Vec<f64> {
        self.histograms.lock().unwrap()[key]
            .0
            .lock()
            .unwrap()
            .clone()
    }

    /// The name of each metric that was made, with its unit.
    pub(crate) fn names(&self) -> BTreeMap<String, Option<Unit>> {
        let keys = |map: Vec<String>| map.into_iter();
        let counters = keys(self.counters.lock().unwrap().keys().cloned().collect());
        let gauges = keys(self.gauges.lock().unwrap().keys().cloned().collect());
        let histograms = keys(self.histograms.lock().unwrap().keys().cloned().collect());
        let units = self.units.lock().unwrap();
        counters
            .chain(gauges)
            .chain(histograms)
            .map(|key| {
                let name = key.split('{').next().unwrap_or_default().to_owned();
                let unit = *units
                    .get(&name)
                    .unwrap_or_else(|| panic!("{name} is not described"));
                (name, unit)
            })
            .collect()
    }

    fn describe(&self, key: KeyName, unit: Option<Unit>) {
        let name = key.as_str().to_owned();
        self.units.lock().unwrap().insert(name, unit);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(entry(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(entry(&self.gauges, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(entry(&self.histograms, key))
    }
}
