//! The sheet an explanation is written on: rows of label, text and the place that says so.
//!
//! Refuses to know what is explained.

use std::fmt::Write;

/// Where a setting, or the first of a group's, was written, by its path of keys
/// (`upstreams.wordbee.allowances.hourly`); nothing when nobody wrote it.
pub(super) type Origin<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Rows in order.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: &'static str,
    text: String,
    from: Option<String>,
}

/// Characters of a text beyond which its place no longer lines up with the others.
const TEXT_WIDTH_MAX: usize = 68;
/// Characters of the longest label, and a gap.
const LABEL_WIDTH: usize = 12;

impl Sheet {
    /// A row that nothing but the program says.
    pub(super) fn say(&mut self, label: &'static str, text: impl Into<String>) {
        self.rows.push(Row { label, text: text.into(), from: None });
    }

    /// A row that the configuration says, and where.
    pub(super) fn cite(&mut self, label: &'static str, text: impl Into<String>, from: String) {
        self.rows.push(Row { label, text: text.into(), from: Some(from) });
    }
}

impl std::fmt::Display for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths = self.rows.iter().filter(|row| row.from.is_some());
        let width = lengths.map(|row| row.text.chars().count()).max().unwrap_or(0);
        let width = width.min(TEXT_WIDTH_MAX);
        let mut label = "";
        for row in &self.rows {
            let shown = if row.label == label { "" } else { row.label };
            label = row.label;
            let mut line = format!("{shown:<LABEL_WIDTH$}{}", row.text);
            if let Some(from) = &row.from {
                let pad = width.saturating_sub(row.text.chars().count());
                write!(line, "{:pad$}  {from}", "")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The first of these paths that was written, else the word for a built-in value.
pub(super) fn cited(origin: Origin<'_>, paths: &[String]) -> String {
    paths.iter().find_map(|path| origin(path)).unwrap_or_else(|| "(default)".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_line_up_and_labels_stand_once() {
        let mut sheet = Sheet::default();
        sheet.cite("route", "one", "f.yaml:3:1".into());
        sheet.cite("route", "three more", "f.yaml:9:1".into());
        sheet.say("client", "default");
        let expected = "\
route       one         f.yaml:3:1
            three more  f.yaml:9:1
client      default
";
        assert_eq!(sheet.to_string(), expected);
    }

    #[test]
    fn the_strongest_place_that_was_written_counts() {
        let origin = |path: &str| (path == "defaults.wait").then(|| "f.yaml:2:3".to_owned());
        let paths = |names: [&str; 2]| names.map(str::to_owned);
        assert_eq!(cited(&origin, &paths(["upstreams.a.wait", "defaults.wait"])), "f.yaml:2:3");
        assert_eq!(cited(&origin, &paths(["a", "b"])), "(default)");
    }
}
