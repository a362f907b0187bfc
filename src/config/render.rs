//! Diagnostics as people and programs read them: with excerpts of the file, as rustc shows its own,
//! or as JSON objects with stable members.
//!
//! A text that may be a secret is masked before anything is rendered.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::tree::Location;

/// Diagnostics that are shown to people; the first ones need attention first.
const SHOWN_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    Plain,
    Ansi,
}

impl Diagnostics {
    /// All diagnostics for people, and the summary.
    #[must_use]
    pub fn render(&self, colours: Colours) -> String {
        let renderer = match colours {
            Colours::Plain => Renderer::plain(),
            Colours::Ansi => Renderer::styled(),
        };
        let texts = self.masked();
        let shown = self.list.iter().take(SHOWN_MAX);
        let mut out: Vec<String> = shown
            .map(|diagnostic| renderer.render(&[self.group(diagnostic, &texts)]) + "\n")
            .collect();
        if self.list.len() > SHOWN_MAX {
            out.push(format!("… and {} more\n", self.list.len() - SHOWN_MAX));
        }
        out.push(self.summary().join("\n"));
        out.join("\n") + "\n"
    }

    /// All diagnostics with their codes, one line each, without excerpts.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let line = |diagnostic: &Diagnostic| {
            let at = self.position(diagnostic).map(|at| format!("{at}: ")).unwrap_or_default();
            let accepted = diagnostic.accepted.as_ref();
            let accepted = accepted.map(|it| format!("; accepted: {it}")).unwrap_or_default();
            (diagnostic.code.name(), format!("{at}{}{accepted}", diagnostic.message))
        };
        self.list.iter().take(SHOWN_MAX).map(line).collect()
    }

    /// All diagnostics for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let object = |diagnostic: &Diagnostic| {
            let position = self.position(diagnostic);
            let position = position.as_ref();
            json!({
                "code": diagnostic.code.name(),
                "message": diagnostic.message,
                "key": Some(&diagnostic.key).filter(|key| !key.is_empty()),
                "layer": position.map(|at| at.layer()),
                "source": position.map(|at| at.source()),
                "line": position.and_then(|at| at.line()),
                "column": position.and_then(|at| at.column()),
                "found": diagnostic.found,
                "accepted": diagnostic.accepted,
                "nearest": diagnostic.nearest,
            })
        };
        self.list.iter().map(object).collect()
    }

    /// The texts with asterisks in place of what may be a secret; the other bytes do not move.
    fn masked(&self) -> Vec<String> {
        let mut texts: Vec<String> =
            self.sources.all().iter().map(|source| source.text.clone()).collect();
        for at in &self.hidden {
            let text = &mut texts[at.source];
            let range = on_characters(text, at.start..at.end);
            let stars = |c: char| if c == '\n' { "\n".into() } else { "*".repeat(c.len_utf8()) };
            let stars: String = text[range.clone()].chars().map(stars).collect();
            text.replace_range(range, &stars);
        }
        texts
    }

    fn group<'t>(&self, diagnostic: &'t Diagnostic, texts: &'t [String]) -> Group<'t> {
        let title =
            Level::ERROR.primary_title(visible(&diagnostic.message)).id(diagnostic.code.name());
        let mut group = title.elements(self.places(diagnostic, texts));
        let key = Some(&diagnostic.key).filter(|key| key.contains('.'));
        if let Some(key) = key {
            let note = format!("the key is `{}`", visible(key));
            group = group.element(Level::NOTE.message(note));
        }
        if let Some(accepted) = &diagnostic.accepted {
            group = group.element(Level::HELP.message(format!("accepted: {accepted}")));
        }
        if let Some(nearest) = diagnostic.nearest.as_ref().filter(|_| !self.in_text(diagnostic.at))
        {
            group = group.element(Level::HELP.message(did_you_mean(nearest)));
        }
        group
    }

    fn places<'t>(&self, diagnostic: &'t Diagnostic, texts: &'t [String]) -> Vec<Element<'t>> {
        let Some(at) = diagnostic.at else { return Vec::new() };
        if !self.in_text(diagnostic.at) {
            return vec![Origin::path(visible(&self.sources.of(at).name.to_string())).into()];
        }
        let label = diagnostic.nearest.as_deref().map(did_you_mean);
        let mut marks = vec![(AnnotationKind::Primary, at, label.map(Cow::Owned))];
        let related = diagnostic.related.filter(|(related, _)| self.in_text(Some(*related)));
        let Some((related, role)) = related else { return vec![self.snippet(&marks, texts)] };
        let mark = (AnnotationKind::Context, related, Some(Cow::Borrowed(role)));
        if related.source == at.source {
            marks.push(mark);
            return vec![self.snippet(&marks, texts)];
        }
        vec![self.snippet(&marks, texts), self.snippet(&[mark], texts)]
    }

    /// The marked lines and those between them.
    fn snippet<'t>(&self, marks: &[Mark<'t>], texts: &'t [String]) -> Element<'t> {
        let source = marks[0].1.source;
        let text = texts[source].as_str();
        let first = marks.iter().map(|(_, at, _)| line(text, *at)).min_by_key(|line| line.start);
        let first = first.unwrap_or(0..0).start;
        let last = marks.iter().map(|(_, at, _)| line(text, *at).end).max().unwrap_or(first);
        let number = marks.iter().map(|(_, at, _)| at.line).min().unwrap_or(1);
        let annotations = marks.iter().map(|(kind, at, label)| {
            let end = at.end.min(line(text, *at).end).max(at.start);
            let span = on_characters(text, at.start..end);
            kind.span(span.start - first..span.end - first).label(label.clone())
        });
        let name = visible(&self.sources.all()[source].name.to_string());
        let snippet = Snippet::source(&text[first..last]).line_start(number).path(name);
        snippet.annotations(annotations).into()
    }

    fn in_text(&self, at: Option<Location>) -> bool {
        at.is_some_and(|at| at.line > 0 && self.sources.of(at).name.has_lines())
    }
}

type Mark<'t> = (AnnotationKind, Location, Option<Cow<'t, str>>);

fn did_you_mean(nearest: &str) -> String {
    format!("did you mean `{}`?", visible(nearest))
}

/// Text for a terminal: control characters become visible.
fn visible(text: &str) -> String {
    normalize_untrusted_str(text)
}

/// The line of a location, without its line end.
fn line(text: &str, at: Location) -> Range<usize> {
    let place = on_characters(text, at.start..at.start).start;
    let start = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[place..].find('\n').map_or(text.len(), |newline| place + newline);
    start..end
}

/// The range, widened to whole characters and cut to the text.
fn on_characters(text: &str, range: Range<usize>) -> Range<usize> {
    let boundary = |byte: &usize| text.is_char_boundary(*byte);
    let end = (range.end.min(text.len())..=text.len()).find(boundary).unwrap_or(text.len());
    let start = (0..=range.start.min(end)).rev().find(boundary).unwrap_or(0);
    start..end
}
