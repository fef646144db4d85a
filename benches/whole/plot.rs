//! The plot `docs/performance.svg`: bars of CPU time, least and most as whiskers.

use std::fmt::Write;

use super::results::{Case, Results};
use super::task::Shape;

const WIDTH: f64 = 760.0;
/// Where bars begin.
const LEFT: f64 = 190.0;
/// What is left for the figure behind the longest bar.
const RIGHT: f64 = 150.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;

/// The plot.
pub(crate) fn svg(results: &Results) -> String {
    let bars: Vec<Case> = results
        .runs
        .keys()
        .copied()
        .filter(|case| case.shape != Shape::Fakesink)
        .collect();
    let mut body = String::new();
    let mut y = 10.0;
    for realtime in [false, true] {
        let of_kind: Vec<Case> = bars
            .iter()
            .copied()
            .filter(|case| case.realtime == realtime)
            .collect();
        let most = of_kind.iter().filter_map(|case| results.net_per_gb(*case));
        let most = most
            .map(|spread| spread.max)
            .fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LEFT - RIGHT) / most;
        y += 16.0;
        let kind = if realtime { "realtime" } else { "offline" };
        // A string takes everything.
        let _ = writeln!(
            body,
            "<text x='10' y='{y}' font-weight='bold'>CPU seconds for a GB, net of fakesink: {kind}</text>"
        );
        y += 10.0;
        let mut sinks = 0;
        for case in of_kind {
            if case.sinks != sinks {
                sinks = case.sinks;
                y += 16.0;
                let _ = writeln!(body, "<text x='10' y='{y}'>{sinks} sink(s)</text>");
                y += 6.0;
            }
            let Some(spread) = results.net_per_gb(case) else {
                continue;
            };
            let x = |value: f64| LEFT + value.max(0.0) * scale;
            let (end, middle) = (x(spread.median), y + BAR / 2.0);
            let _ = writeln!(
                body,
                "<text x='{}' y='{}' text-anchor='end'>{}</text>\
                 <rect x='{LEFT}' y='{y}' width='{:.1}' height='{BAR}' fill='{}'/>\
                 <path d='M{:.1} {middle}H{:.1}' stroke='#222'/>\
                 <text x='{:.1}' y='{}'>{:.2}</text>",
                LEFT - 6.0,
                y + BAR - 3.0,
                case.name(),
                end - LEFT,
                colour(case.shape),
                x(spread.min),
                x(spread.max),
                x(spread.max) + 6.0,
                y + BAR - 3.0,
                spread.median,
            );
            y += STEP;
        }
        y += 14.0;
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}' viewBox='0 0 {WIDTH} {y}' \
         font-family='sans-serif' font-size='13'>\n<rect width='100%' height='100%' fill='#fff'/>\n{body}</svg>\n"
    )
}

fn colour(shape: Shape) -> &'static str {
    match shape {
        Shape::Fakesink => "#888",
        Shape::Matroskamux => "#bbb",
        Shape::Tcp => "#8fbf8f",
        Shape::Upload => "#7aa6d6",
        Shape::Kvssink => "#e08a3c",
        Shape::Spool => "#a0522d",
    }
}
