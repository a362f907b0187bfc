//! The rows of an explanation: label, text and, where the configuration decides, its place there.

use std::fmt::Write;

/// Where a setting, or the first of a group, was written, by its path of keys
/// (`upstreams.wordbee.allowances.hourly`); `None` for a default.
pub(super) type Origin<'a> = &'a dyn Fn(&str) -> Option<String>;

#[derive(Debug, Default)]
pub(super) struct Rows(Vec<Row>);

#[derive(Debug)]
struct Row {
    label: &'static str,
    text: String,
    origin: Option<String>,
}

/// The place of a setting that was not written.
pub(super) const DEFAULT: &str = "(default)";
/// The widest text up to which places are aligned.
const TEXT_WIDTH_MAX: usize = 68;
/// The longest label, and a gap.
const LABEL_WIDTH: usize = 12;

impl Rows {
    /// A row that no setting decides.
    pub(super) fn push(&mut self, label: &'static str, text: impl Into<String>) {
        self.0.push(Row { label, text: text.into(), origin: None });
    }

    /// A row that the setting at `origin` decides.
    pub(super) fn push_from(
        &mut self,
        label: &'static str,
        text: impl Into<String>,
        origin: String,
    ) {
        self.0.push(Row { label, text: text.into(), origin: Some(origin) });
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lengths = self.0.iter().filter(|row| row.origin.is_some());
        let width = lengths.map(|row| row.text.chars().count()).max().unwrap_or(0);
        let width = width.min(TEXT_WIDTH_MAX);
        let mut label = "";
        for row in &self.0 {
            let shown = if row.label == label { "" } else { row.label };
            label = row.label;
            let mut line = format!("{shown:<LABEL_WIDTH$}{}", row.text);
            if let Some(origin) = &row.origin {
                let pad = width.saturating_sub(row.text.chars().count());
                write!(line, "{:pad$}  {origin}", "")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The place of the first of these paths that was written, else the mark of a default.
pub(super) fn first_origin(origin: Origin<'_>, paths: &[String]) -> String {
    paths.iter().find_map(|path| origin(path)).unwrap_or_else(|| DEFAULT.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_aligned_and_labels_are_not_repeated() {
        let mut rows = Rows::default();
        rows.push_from("route", "one", "f.yaml:3:1".into());
        rows.push_from("route", "three more", "f.yaml:9:1".into());
        rows.push("client", "default");
        let expected = "\
route       one         f.yaml:3:1
            three more  f.yaml:9:1
client      default
";
        assert_eq!(rows.to_string(), expected);
    }

    #[test]
    fn the_first_path_that_was_written_counts() {
        let origin = |path: &str| (path == "defaults.wait").then(|| "f.yaml:2:3".to_owned());
        let paths = |names: [&str; 2]| names.map(str::to_owned);
        assert_eq!(
            first_origin(&origin, &paths(["upstreams.a.wait", "defaults.wait"])),
            "f.yaml:2:3"
        );
        assert_eq!(first_origin(&origin, &paths(["a", "b"])), "(default)");
    }
}
