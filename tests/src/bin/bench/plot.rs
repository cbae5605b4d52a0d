//! Bars of a run's figures, as SVG.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::report::{CPU, Column, RATE, write};

const WIDTH: usize = 760;
const NAMES_WIDTH: usize = 190;
const BAR_HEIGHT: usize = 20;
const BAR_STEP: usize = 28;
const PANEL_HEAD: usize = 44;
const VALUE_WIDTH: usize = 80;

/// Bars of the worker, of the yardstick, and of all others.
const WORKER: &str = "#c2410c";
const YARDSTICK: &str = "#64748b";
const OTHERS: &str = "#94a3b8";

/// One bar.
struct Bar<'a> {
    name: &'a str,
    value: f64,
    fill: &'static str,
}

/// Draws the rate and the processor time of every row.
pub(crate) fn draw(document: &Value, path: &Path) -> Result<()> {
    let settings = &document["settings"];
    let machine = &document["machine"];
    let about = format!(
        "{} alerts waiting in RabbitMQ; {} cores for broker, stand-in and contender; {} build",
        settings["alerts"],
        machine["cores"],
        machine["profile"].as_str().unwrap_or_default()
    );
    let (rates, costs) = (bars(document, RATE)?, bars(document, CPU)?);
    write(
        path,
        svg(
            &about,
            &[
                ("alerts delivered a second, more is better", rates),
                ("CPU µs an alert, less is better", costs),
            ],
        )
        .as_bytes(),
    )
}

fn bars(document: &Value, column: Column) -> Result<Vec<Bar<'_>>> {
    let rows = document["rows"].as_array().context("rows of figures")?;
    let bars: Vec<Bar<'_>> = rows
        .iter()
        .filter_map(|row| {
            let value = row["figures"][column.key].as_f64()?;
            let name = row["name"].as_str()?;
            let fill = match (&row["yardstick"], name) {
                (Value::Null, _) => YARDSTICK,
                (_, crate::cases::deliver::WORKER) => WORKER,
                _ => OTHERS,
            };
            Some(Bar { name, value, fill })
        })
        .collect();
    ensure!(!bars.is_empty(), "no figures for {}", column.key);
    Ok(bars)
}

fn svg(about: &str, panels: &[(&str, Vec<Bar<'_>>)]) -> String {
    let mut body = String::new();
    let mut top = 0;
    for (title, bars) in panels {
        text(&mut body, 16, top + 30, "start", "font-weight=\"600\"", title);
        let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        let room = (WIDTH - NAMES_WIDTH - VALUE_WIDTH) as f64;
        for (index, bar) in bars.iter().enumerate() {
            let y = top + PANEL_HEAD + index * BAR_STEP;
            let width = (bar.value / most * room).max(1.0);
            text(&mut body, NAMES_WIDTH - 8, y + 15, "end", "", bar.name);
            let fill = bar.fill;
            writeln!(
                body,
                r#"<rect x="{NAMES_WIDTH}" y="{y}" width="{width:.1}" height="{BAR_HEIGHT}" rx="3" fill="{fill}"/>"#
            )
            .ok();
            let right = format!("{:.1}", NAMES_WIDTH as f64 + width + 6.0);
            text(&mut body, right, y + 15, "start", "", &grouped(bar.value));
        }
        top += PANEL_HEAD + bars.len() * BAR_STEP;
    }
    let height = top + 34;
    text(&mut body, 16, top + 20, "start", "fill=\"#475569\" font-size=\"11\"", about);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#0f172a\" role=\"img\">\n\
         <title>Alerts a second and CPU an alert</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn text(body: &mut String, x: impl std::fmt::Display, y: usize, anchor: &str, attributes: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(body, r#"<text x="{x}" y="{y}" text-anchor="{anchor}" {attributes}>{words}</text>"#).ok();
}

/// A whole number with its thousands set apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_contender_has_a_bar_in_both_panels() {
        let row = |name: &str, yardstick: Value, rate: f64| {
            json!({
                "name": name,
                "yardstick": yardstick,
                "figures": { "alerts_per_second": rate, "cpu_us_per_alert": 50.0 },
            })
        };
        let rows = [row("a & b", Value::Null, 12_345.0), row("nightbell run", json!("a & b"), 6_000.0)];
        let document = json!({ "settings": { "alerts": 7 }, "machine": { "cores": 2 }, "rows": rows });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures/deliver.svg");
        draw(&document, &path).unwrap();
        let drawn = std::fs::read_to_string(path).unwrap();
        assert_eq!(drawn.matches("rx=").count(), 4);
        assert!(
            drawn.contains(">12,345<") && drawn.contains("a &amp; b") && drawn.contains("490.0"),
            "{drawn}"
        );
    }
}
