//! A proposal as YAML with comments.

use std::fmt::Write as _;

use super::Proposal;
use super::places::{Children, Fact, Placed};
use super::reading::Reading;
use super::rules::{Applies, Condition, Consequence, ProposedRule};

/// Samples that a comment names; the others are counted.
const NAMES_MAX: usize = 3;
/// Characters of a name in a comment.
const NAME_CHARS_MAX: usize = 60;
/// The column of comments behind a line.
const COMMENT_COLUMN: usize = 48;

pub(super) fn write(proposal: &Proposal<'_>) -> String {
    let readings = proposal.readings;
    let mut text = format!(
        "# Proposed by `evenkeel learn` from {}. Review it before use: it shows what\n\
         # these samples have in common, not what the vendor promises.\n#\n# Read as:\n",
        counted(readings.len(), "sample")
    );
    for (number, reading) in readings.iter().enumerate() {
        let by = proposal
            .rules
            .iter()
            .find(|rule| rule.applies == Applies::Yes && rule.samples.contains(&number));
        let by_status = reading.by_status.as_ref().map(|said| said.code);
        let by = match by {
            Some(rule) => format!("rule {}", rule.name),
            None if by_status == Some(reading.classification.code) => "its status".to_owned(),
            None => "the usual signs".to_owned(),
        };
        let (name, status) = (comment(&reading.sample.name), reading.status());
        let code = reading.classification.code.as_str();
        let _ = writeln!(text, "#   {name}: {status} -> {code}, by {by}{}", wait(reading));
    }
    if !proposal.unsure.is_empty() {
        text += "#\n# Unsure:\n";
    }
    for doubt in &proposal.unsure {
        let _ = writeln!(text, "#   - {}", comment_line(doubt));
    }
    let _ = writeln!(text, "name: {}", scalar(proposal.name));
    line(&mut text, "guess: true", "what no place and no rule covers is read as by `auto`");
    extract(&mut text, proposal);
    rules(&mut text, proposal);
    text
}

fn wait(reading: &Reading<'_>) -> String {
    let wait = reading.classification.wait;
    wait.map(|wait| format!(", wait {} s", wait.span.as_secs_f64())).unwrap_or_default()
}

fn extract(text: &mut String, proposal: &Proposal<'_>) {
    if proposal.places.is_empty() && proposal.children.is_none() {
        return;
    }
    *text += "\nextract:\n";
    for (fact, placed) in &proposal.places {
        let places: Vec<String> = placed.iter().map(|it| scalar(&it.place)).collect();
        let said = support(*fact, placed, proposal.readings);
        line(text, &format!("  {}: [{}]", fact.key(), places.join(", ")), &said);
    }
    let Some(Children { list, message, code, pointer }) = &proposal.children else { return };
    let with = |it: &(usize, &Reading<'_>)| !it.1.facts.children.is_empty();
    let samples: Vec<usize> =
        proposal.readings.iter().enumerate().filter(with).map(|(number, _)| number).collect();
    line(text, &format!("  children: [{}]", scalar(list)), &names(proposal.readings, &samples));
    let members = [("message", message), ("code", code), ("pointer", pointer)];
    let members = members.into_iter().filter_map(|(key, place)| {
        let place = place.as_ref().filter(|place| !place.is_empty())?;
        Some(format!("{key}: [{}]", scalar(place)))
    });
    let members: Vec<String> = members.collect();
    if !members.is_empty() {
        let _ = writeln!(text, "  child: {{ {} }}", members.join(", "));
    }
}

/// The samples that support the places of a fact.
fn support(fact: Fact, placed: &[Placed], readings: &[Reading<'_>]) -> String {
    let with = (0..readings.len()).filter(|it| fact.of(&readings[*it].facts).is_some()).count();
    let each = placed.iter().map(|it| match it.samples.len() {
        count if count == readings.len() => "every sample".to_owned(),
        1 => format!("{} alone", names(readings, &it.samples)),
        _ => names(readings, &it.samples),
    });
    let each = each.collect::<Vec<_>>().join("; ");
    if with == readings.len() {
        each
    } else {
        format!("{each}; {with} of {} have it", readings.len())
    }
}

fn rules(text: &mut String, proposal: &Proposal<'_>) {
    let (applied, unsure): (Vec<_>, Vec<_>) =
        proposal.rules.iter().partition(|rule| rule.applies == Applies::Yes);
    if !applied.is_empty() {
        *text += "\nrules:\n";
    }
    for rule in applied {
        written(text, rule, proposal.readings, "  ");
    }
    if !unsure.is_empty() {
        *text += "\n# Unsure: as rules, these would let every method be sent again after the hold, POST too.\n\
                  # Until you move them below `rules:`, the usual signs decide, which do not.\n";
    }
    for rule in unsure {
        written(text, rule, proposal.readings, "#  ");
    }
}

fn written(text: &mut String, rule: &ProposedRule, readings: &[Reading<'_>], margin: &str) {
    let because = match &rule.condition {
        Condition::Codes(_) => String::new(),
        Condition::Words(_) => "; a guess: the words may vary".to_owned(),
    };
    let said = names(readings, &rule.samples) + &because;
    line(text, &format!("{margin}- name: {}", scalar(&rule.name)), &said);
    let condition = match &rule.condition {
        Condition::Codes(codes) => {
            let codes: Vec<String> = codes.iter().map(|code| scalar(code)).collect();
            format!("code: [{}]", codes.join(", "))
        }
        Condition::Words(words) => {
            format!("text: {}", scalar(&format!("(?i){}", regex::escape(words))))
        }
    };
    let _ = writeln!(text, "{margin}  when: {{ status: {}, {condition} }}", rule.status);
    let _ = writeln!(text, "{margin}  code: {}", rule.code.as_str());
    match rule.consequence {
        Consequence::Final => {}
        Consequence::Retry => {
            let _ = writeln!(text, "{margin}  retry: {{}}");
        }
        Consequence::Hold => {
            let stated = rule.waits.iter().max().map(|wait| wait.as_secs_f64());
            let said = stated.map_or_else(
                || "no sample states a wait; add `for:` if the documentation does".to_owned(),
                |seconds| format!("as long as the response states, here up to {seconds} s"),
            );
            line(text, &format!("{margin}  hold: {{}}"), &said);
        }
    }
}

/// A line with a comment behind it.
fn line(text: &mut String, content: &str, said: &str) {
    let _ = writeln!(text, "{content:COMMENT_COLUMN$} # {}", comment_line(said));
}

pub(super) fn names(readings: &[Reading<'_>], numbers: &[usize]) -> String {
    let named = numbers.iter().take(NAMES_MAX).map(|it| comment(&readings[*it].sample.name));
    let named = named.collect::<Vec<_>>().join(", ");
    match numbers.len().saturating_sub(NAMES_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A short text for a comment.
fn comment(text: &str) -> String {
    comment_line(text).chars().take(NAME_CHARS_MAX).collect()
}

/// A text that cannot end the comment it stands in.
fn comment_line(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if is_safe(c) { c } else { ' ' }).collect()
}

/// A YAML scalar that is read as this text.
fn scalar(text: &str) -> String {
    let first = text.chars().next();
    let is_plain = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    if is_plain {
        return text.to_owned();
    }
    if text
        .chars()
        .all(|c| !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'))
    {
        return format!("'{}'", text.replace('\'', "''"));
    }
    serde_json::Value::from(text).to_string()
}
