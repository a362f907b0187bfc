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
    out: &'a mut (dyn Write + Send),
    scenes: Vec<Scene>,
}

impl<'a> Playbook<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, scenes: Vec::new() }
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
        writeln!(self.out, "{}", text.trim_end()).map_err(TourFault::Unprintable)?;
        self.out.flush().map_err(TourFault::Unprintable)
    }
}
