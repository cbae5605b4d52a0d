//! One table and one JSON file for a run.

use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table};
use serde_json::{Map, Value, json};

use crate::options::Options;

/// What is measured of every contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its name in the JSON file.
    pub(crate) key: &'static str,
    /// Its name in the table, with the unit.
    pub(crate) title: &'static str,
    /// The decimals in the table.
    pub(crate) digits: usize,
    pub(crate) fold: Fold,
    /// Whether the table shows the ratio to the yardstick.
    pub(crate) compared: bool,
}

/// How the rounds become one figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fold {
    Median,
    Most,
}

/// Alerts a second.
pub(crate) const RATE: Column =
    Column { key: "alerts_per_second", title: "alerts/s", digits: 0, fold: Fold::Median, compared: true };

/// Processor time of the contender's processes for one alert.
pub(crate) const CPU: Column =
    Column { key: "cpu_us_per_alert", title: "CPU µs/alert", digits: 0, fold: Fold::Median, compared: true };

/// The most memory that was resident.
pub(crate) const RESIDENT: Column =
    Column { key: "resident_mib", title: "resident MiB, most", digits: 1, fold: Fold::Most, compared: false };

/// A run's figures.
#[derive(Debug)]
pub(crate) struct Report {
    case: &'static str,
    settings: Value,
    columns: Vec<Column>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One contender, or one size.
#[derive(Debug)]
struct Row {
    name: String,
    /// The row that it is compared with.
    yardstick: Option<String>,
    /// One figure for each column; NaN where there is none.
    rounds: Vec<Vec<f64>>,
}

impl Report {
    pub(crate) fn new(case: &'static str, settings: Value, columns: &[Column]) -> Self {
        Self { case, settings, columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a round to the row of this name.
    pub(crate) fn round(&mut self, name: &str, yardstick: Option<&str>, figures: &[f64]) {
        let row = match self.rows.iter_mut().position(|row| row.name == name) {
            Some(known) => &mut self.rows[known],
            None => {
                let yardstick = yardstick.map(str::to_owned);
                self.rows.push(Row { name: name.to_owned(), yardstick, rounds: Vec::new() });
                let last = self.rows.len() - 1;
                &mut self.rows[last]
            }
        };
        row.rounds.push(figures.to_vec());
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// Writes the file and prints the table. Gives what was written.
    pub(crate) fn finish(&self, options: &Options) -> Result<Value> {
        let document = self.document();
        let path = options.out.join(format!("{}.json", self.case));
        write(&path, &serde_json::to_vec_pretty(&document)?)?;
        println!("{}", self.table());
        for note in &self.notes {
            println!("{note}");
        }
        let rounds = self.rows.iter().map(|row| row.rounds.len()).max().unwrap_or_default();
        println!("{}: medians of {rounds} rounds; figures in {}", self.case, path.display());
        Ok(document)
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        let titles = self.columns.iter().map(|column| column.title.to_owned());
        table.set_header(std::iter::once(self.case.to_owned()).chain(titles));
        for row in &self.rows {
            let cells = self.columns.iter().enumerate().map(|(index, column)| {
                let ratio = if column.compared { self.ratio(row, index) } else { None };
                cell(self.figure(row, index), ratio, column.digits)
            });
            table.add_row(std::iter::once(row.name.clone()).chain(cells));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn document(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                let fold = match column.fold {
                    Fold::Median => "median",
                    Fold::Most => "most",
                };
                json!({ "key": column.key, "title": column.title, "of_rounds": fold })
            })
            .collect();
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row(row)).collect();
        json!({
            "case": self.case,
            "machine": machine(),
            "settings": self.settings,
            "columns": columns,
            "rows": rows,
            "notes": self.notes,
        })
    }

    fn row(&self, row: &Row) -> Value {
        let keyed = |figure: &dyn Fn(usize) -> f64| -> Map<String, Value> {
            let columns = self.columns.iter().enumerate();
            columns.map(|(index, column)| (column.key.to_owned(), json!(figure(index)))).collect()
        };
        let rounds: Vec<_> = row
            .rounds
            .iter()
            .map(|round| keyed(&|index| round.get(index).copied().unwrap_or(f64::NAN)))
            .collect();
        let ratios =
            row.yardstick.as_ref().map(|_| keyed(&|index| self.ratio(row, index).unwrap_or(f64::NAN)));
        json!({
            "name": row.name,
            "yardstick": row.yardstick,
            "figures": keyed(&|index| self.figure(row, index)),
            "ratios": ratios,
            "rounds": rounds,
        })
    }

    fn figure(&self, row: &Row, index: usize) -> f64 {
        let figures = row.rounds.iter().filter_map(|round| round.get(index).copied());
        match self.columns[index].fold {
            Fold::Median => median(figures),
            Fold::Most => figures.fold(f64::NAN, f64::max),
        }
    }

    fn ratio(&self, row: &Row, index: usize) -> Option<f64> {
        let yardstick = self.rows.iter().find(|other| Some(&other.name) == row.yardstick.as_ref())?;
        let ratio = self.figure(row, index) / self.figure(yardstick, index);
        ratio.is_finite().then_some(ratio)
    }
}

/// The middle of several figures; NaN if there is none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().filter(|figure| !figure.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Writes a file, and the folder that it is in.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

fn cell(figure: f64, ratio: Option<f64>, digits: usize) -> String {
    if figure.is_nan() {
        return "–".to_owned();
    }
    let text = format!("{figure:.digits$}");
    match ratio {
        Some(ratio) => format!("{text} (× {ratio:.2})"),
        None => text,
    }
}

/// What the figures were measured on.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    json!({
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "processor": processor,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "version": env!("CARGO_PKG_VERSION"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_name_become_one_figure_beside_their_yardstick() {
        let mut report = Report::new("case", json!({}), &[RATE, RESIDENT]);
        for (bare, worker) in [(100.0, 90.0), (300.0, 60.0), (200.0, 80.0)] {
            report.round("bare", None, &[bare, f64::NAN]);
            report.round("worker", Some("bare"), &[worker, worker]);
        }
        let document = report.document();
        assert_eq!(document["rows"][0]["figures"]["alerts_per_second"], 200.0);
        assert_eq!(document["rows"][0]["ratios"], Value::Null);
        assert_eq!(document["rows"][0]["figures"]["resident_mib"], Value::Null);
        assert_eq!(document["rows"][1]["figures"]["resident_mib"], 90.0);
        assert_eq!(document["rows"][1]["ratios"]["alerts_per_second"], 0.4);
        assert_eq!(document["rows"][1]["rounds"][2]["alerts_per_second"], 80.0);
        assert!(report.table().to_string().contains("80 (× 0.40)"));
    }
}
