//! The story of the tour as it is printed, and the claims it makes.
//!
//! Refuses to know what is claimed: a claim is a sentence, and whether it holds.

use std::fmt::Display;
use std::io::Write;

use super::visitor::TourFault;

/// Columns of a row: what was done, what the client saw, what the vendor saw.
const COLUMNS: (usize, usize) = (22, 34);

/// One claim, and whether the logs bear it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// In words, with its figures.
    pub claim: String,
    /// Whether it is so.
    pub holds: bool,
}

/// One part of the story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// What it shows.
    pub title: &'static str,
    /// What it claims.
    pub checks: Vec<Check>,
}

/// What the tour found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TourVerdict {
    /// In the order played.
    pub scenes: Vec<Scene>,
}

impl TourVerdict {
    /// Whether every claim of every scene holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.scenes.is_empty() && self.failed().next().is_none()
    }

    /// The claims that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.scenes.iter().flat_map(|scene| &scene.checks).filter(|check| !check.holds)
    }
}

/// The printed story and the claims made so far.
pub(super) struct Playbook<'a> {
    screen: Screen<'a>,
    scenes: Vec<Scene>,
    /// A line that moves stands on the screen.
    moving: bool,
}

/// Where the story is printed.
pub struct Screen<'a> {
    /// What takes the lines.
    pub out: &'a mut (dyn Write + Send),
    /// Whether a line can be written over.
    pub kind: ScreenKind,
}

impl std::fmt::Debug for Screen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What kind of screen it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenKind {
    /// A terminal: a line that moves is written over.
    Terminal,
    /// A file or a pipe: it is another line each time.
    Plain,
}

/// Back to the first column, and the line is empty.
const CLEAR_LINE: &str = "\r\x1b[K";

impl<'a> Playbook<'a> {
    pub(super) fn new(screen: Screen<'a>) -> Self {
        Self { screen, scenes: Vec::new(), moving: false }
    }

    /// A sign of life: what is going on right now.
    pub(super) fn now(&mut self, text: impl Display) -> Result<(), TourFault> {
        match self.screen.kind {
            ScreenKind::Plain => self.say(format!("… {text}")),
            ScreenKind::Terminal => {
                self.moving = true;
                self.print(&format!("{CLEAR_LINE}   … {text}"))
            }
        }
    }

    /// What precedes the first scene.
    pub(super) fn foreword(&mut self, text: &str) -> Result<(), TourFault> {
        self.line(text)
    }

    pub(super) fn open(&mut self, title: &'static str) -> Result<(), TourFault> {
        self.scenes.push(Scene { title, checks: Vec::new() });
        let number = self.scenes.len();
        self.line(format!("\n{number}  {title}"))
    }

    pub(super) fn say(&mut self, text: impl Display) -> Result<(), TourFault> {
        self.line(format!("   {text}"))
    }

    pub(super) fn columns(&mut self) -> Result<(), TourFault> {
        self.say("")?;
        self.row("", "the client saw", "the vendor saw")
    }

    pub(super) fn row(
        &mut self,
        what: &str,
        client: impl Display,
        vendor: impl Display,
    ) -> Result<(), TourFault> {
        let (first, second) = COLUMNS;
        self.say(format!("{what:first$}{:second$}{vendor}", client.to_string()))
    }

    pub(super) fn claim(&mut self, holds: bool, claim: impl Into<String>) -> Result<(), TourFault> {
        let claim = claim.into();
        self.say(format!("{}   {claim}", if holds { "ok  " } else { "FAIL" }))?;
        let scene = self.scenes.last_mut().expect("a scene is opened before it claims anything");
        scene.checks.push(Check { claim, holds });
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<TourVerdict, TourFault> {
        let verdict = TourVerdict { scenes: std::mem::take(&mut self.scenes) };
        let made: usize = verdict.scenes.iter().map(|scene| scene.checks.len()).sum();
        let held = made - verdict.failed().count();
        self.line(format!("\n{held} of {made} claims hold"))?;
        Ok(verdict)
    }

    /// Trailing blanks help nobody.
    fn line(&mut self, text: impl Display) -> Result<(), TourFault> {
        let text = text.to_string();
        let clear = if std::mem::take(&mut self.moving) { CLEAR_LINE } else { "" };
        self.print(&format!("{clear}{}\n", text.trim_end()))
    }

    fn print(&mut self, text: &str) -> Result<(), TourFault> {
        let out = &mut self.screen.out;
        let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        printed.map_err(TourFault::Unprintable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kind: ScreenKind) -> String {
        let mut out = Vec::new();
        let mut book = Playbook::new(Screen { out: &mut out, kind });
        book.now("12 calls wait").unwrap();
        book.now("11 calls wait").unwrap();
        book.say("all served").unwrap();
        book.say("the end").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_terminal_shows_one_line_that_moves_and_a_file_plain_ones() {
        let plain = "   … 12 calls wait\n   … 11 calls wait\n   all served\n   the end\n";
        assert_eq!(printed(ScreenKind::Plain), plain);
        let moving = "\r\x1b[K   … 12 calls wait\r\x1b[K   … 11 calls wait\r\x1b[K   all served\n   \
                      the end\n";
        assert_eq!(printed(ScreenKind::Terminal), moving);
    }
}
