//! An HTML page → what it says is wrong, and its visible text, without scripts, styles and
//! comments.
//!
//! Of title, headings and paragraphs the first counts that speaks of an error. What frameworks mark
//! as the error's message comes before them.

use serde_json::{Value, json};

use super::cut::prefix;
use super::entities;

/// Leading bytes in which a page is recognised.
const SNIFFED_BYTES: usize = 1024;
/// Bytes of a page that are searched for visible text.
const VISIBLE_BYTES_MAX: usize = 32 * 1024;

/// Elements that a page or a part of one begins with.
const ELEMENTS: [&str; 41] = [
    "html",
    "head",
    "body",
    "title",
    "meta",
    "link",
    "script",
    "style",
    "base",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "div",
    "span",
    "b",
    "i",
    "u",
    "br",
    "hr",
    "a",
    "em",
    "strong",
    "font",
    "center",
    "pre",
    "table",
    "ul",
    "ol",
    "li",
    "dl",
    "img",
    "form",
    "main",
    "section",
    "article",
    "header",
    "blockquote",
];

/// Elements of one name that are looked at.
const SAME_NAME_MAX: usize = 20;
/// Characters of a sentence; more are a text about something else.
const SENTENCE_CHARS_MAX: usize = 500;

/// Parts of the classes and ids under which frameworks show an error's message: Django, Werkzeug,
/// Symfony, Cloudflare.
const MESSAGE_CLASSES: [&str; 9] = [
    "exception_value",
    "exception-message",
    "exception_message",
    "errormsg",
    "error-message",
    "error_message",
    "errormessage",
    "error-description",
    "cf-subheadline",
];

/// What stands before the message on the pages of Tomcat and Jetty.
const MESSAGE_LABELS: [&str; 3] = ["<b>message</b>", "<b>message:</b>", "<th>message:</th>"];

/// Words by which a text speaks of an error.
const ERROR_WORDS: [&str; 44] = [
    "error",
    "exception",
    "not found",
    "forbidden",
    "denied",
    "unauthori",
    "unavailable",
    "timeout",
    "time-out",
    "timed out",
    "bad gateway",
    "bad request",
    "too many",
    "too large",
    "limit",
    "block",
    "fail",
    "invalid",
    "expired",
    "maintenance",
    "overload",
    "went wrong",
    "problem",
    "cannot",
    "can't",
    "can’t",
    "unable",
    "busy",
    "exceed",
    "refused",
    "required",
    "not allowed",
    "not permitted",
    "not valid",
    "n't exist",
    "not exist",
    "sorry",
    "unexpected",
    "throttl",
    "quota",
    "suspended",
    "disabled",
    "try again",
    "later",
];

/// Titles that only say that it is an error.
const GENERIC_TITLES: [&str; 14] = [
    "error",
    "an error occurred",
    "error page",
    "application error",
    "server error",
    "runtime error",
    "action controller: exception caught",
    "whoops, looks like something went wrong",
    "exception",
    "oops",
    "problem",
    "unexpected error",
    "whitelabel error page",
    "detailed error",
];

/// Whether a text is a page, by its elements and not by its media type alone.
pub(super) fn is_page(text: &str, media: &str) -> bool {
    let head = prefix(text, SNIFFED_BYTES).to_ascii_lowercase();
    if let Some(name) = first_element(&head) {
        let declared = head.starts_with("<?xml");
        return name == "html" || !declared && ELEMENTS.contains(&name);
    }
    let elements = ["<!doctype html", "<html", "<head>", "<body", "<title", "<h1", "<center>"];
    let looks = elements.iter().any(|element| head.contains(element));
    let fragment = ["<p", "<div", "<b>", "<h", "<br"].iter().any(|it| head.contains(it));
    looks || (media.contains("text/html") && fragment)
}

/// Whether a text is a page from its first tag to its last.
pub(super) fn is_whole(text: &str) -> bool {
    let head = prefix(text, SNIFFED_BYTES).to_ascii_lowercase();
    ["<!doctype html", "<html", "<body"].iter().any(|element| head.contains(element))
}

/// The name of the element that a lower-case text begins with, behind declarations and comments.
fn first_element(mut text: &str) -> Option<&str> {
    loop {
        text = text.trim_start().strip_prefix('<')?;
        if text.starts_with("!doctype html") {
            return Some("html");
        }
        let end = match text.get(..1)? {
            "?" => "?>",
            "!" if text.starts_with("!--") => "-->",
            "!" => ">",
            _ => {
                let name = text.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next();
                return name.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()));
            }
        };
        text = &text[text.find(end)? + end.len()..];
    }
}

/// What the page says is wrong, with Cloudflare's code of the error if it has one.
pub(super) fn tree(text: &str) -> Value {
    let page = Page::of(text);
    let Some(message) = page.message() else { return Value::Null };
    match page.cloudflare_code() {
        Some(code) => json!({ "message": message, "code": code }),
        None => Value::String(message),
    }
}

/// A page without what is not shown.
struct Page {
    text: String,
    lower: String,
}

impl Page {
    fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(open) = lower[at..].find('<') {
            let end = after_tag(&lower, at + open);
            let hidden = ["<script", "<style", "<!--"];
            let is_hidden = hidden.iter().any(|it| lower[at + open..].starts_with(it));
            shown.push_str(&text[at..if is_hidden { at + open } else { end }]);
            at = end;
        }
        shown.push_str(&text[at..]);
        Self { lower: shown.to_ascii_lowercase(), text: shown }
    }

    fn message(&self) -> Option<String> {
        let title = self.elements("title").next();
        let speaks = |text: &String| speaks_of_error(text);
        let headings = || ["h1", "h2", "h3", "h4"].iter().flat_map(|name| self.elements(name));
        let paragraphs = || ["p", "pre"].iter().flat_map(|name| self.elements(name));
        let specific = |text: &String| speaks(text) && !is_generic(text);
        // A title that also names the site says less than a heading (Cloudflare).
        let of_site = |title: &String| {
            title.contains(" | ") && !names_status(title) && headings().any(|text| specific(&text))
        };
        self.marked()
            .or_else(|| title.clone().filter(|title| specific(title) && !of_site(title)))
            .or_else(|| headings().find(specific))
            .or_else(|| paragraphs().find(specific))
            .or_else(|| title.clone().filter(speaks))
            .or_else(|| headings().find(speaks))
            .or_else(|| self.body().filter(speaks))
            .or(title)
            .or_else(|| headings().next())
    }

    /// The text of a page that is no more than a sentence.
    fn body(&self) -> Option<String> {
        let body = self.lower.find("<body").unwrap_or_default();
        sentence(&self.text[body..])
    }

    /// The message by the class of its element or by a label before it.
    fn marked(&self) -> Option<String> {
        let classes = MESSAGE_CLASSES.iter().filter_map(|class| {
            let at = self.lower.find(class)?;
            let open = self.lower[..at].rfind('<')?;
            let inside = at + self.lower[at..].find('>')? + 1;
            let name = self.lower[open + 1..].split(|c: char| !c.is_ascii_alphanumeric()).next()?;
            let end = inside + self.lower[inside..].find(&format!("</{name}"))?;
            // The class may stand in the text of a page that is about something else.
            let is_class = !self.lower[open..at].contains('>') && !name.is_empty();
            is_class.then(|| sentence(&self.text[inside..end])).flatten()
        });
        let labels = MESSAGE_LABELS.iter().filter_map(|label| {
            let start = self.lower.find(label)? + label.len();
            let end = ["</p", "</td", "<p", "<hr"].iter();
            let end = end.filter_map(|end| self.lower[start..].find(end)).min()?;
            sentence(&self.text[start..start + end])
        });
        classes.chain(labels).next()
    }

    /// The texts of the elements of a name.
    fn elements(&self, name: &str) -> impl Iterator<Item = String> {
        let (open, close) = (format!("<{name}"), format!("</{name}"));
        let mut at = 0;
        let all = std::iter::from_fn(move || {
            let start = at + self.lower[at..].find(&open)? + open.len();
            at = start;
            let whole = self.lower[start..].starts_with(['>', ' ', '\n', '\t', '\r']);
            let inside = start + self.lower[start..].find('>')? + 1;
            // A paragraph may end where the next one begins.
            let ends = [self.lower[inside..].find(&close), self.lower[inside..].find(&open)];
            let end = inside + ends.into_iter().flatten().min()?;
            Some(if whole { sentence(&self.text[inside..end]) } else { None })
        });
        all.take(SAME_NAME_MAX).flatten()
    }

    /// `1015` where Cloudflare says `Error 1015` or `Error code: 522`.
    fn cloudflare_code(&self) -> Option<String> {
        if !self.lower.contains("cloudflare") {
            return None;
        }
        let shown = visible(&self.text).to_ascii_lowercase();
        let codes = shown.match_indices("error").filter_map(|(at, word)| {
            let rest = shown[at + word.len()..].trim_start();
            let rest = rest.strip_prefix("code").unwrap_or(rest);
            let rest = rest.trim_start_matches([':', ' ']);
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let known = digits.len() == 4 && digits.starts_with('1') || digits.len() == 3;
            known.then_some(digits)
        });
        codes.take(SAME_NAME_MAX).next()
    }
}

/// The visible text, if there is one and it is short enough for a sentence.
fn sentence(text: &str) -> Option<String> {
    let text = visible(text);
    let fits = !text.is_empty() && text.chars().count() <= SENTENCE_CHARS_MAX;
    fits.then_some(text)
}

fn speaks_of_error(text: &str) -> bool {
    let lower = text.to_lowercase();
    names_status(text) || ERROR_WORDS.iter().any(|word| lower.contains(word))
}

fn names_status(text: &str) -> bool {
    let is_status = |word: &str| word.len() == 3 && word.starts_with(['4', '5']);
    text.split(|c: char| !c.is_ascii_digit()).any(is_status)
}

/// Whether a text says no more than that something is wrong.
fn is_generic(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words = lower.trim_end_matches(['.', '!', ':', '…']);
    let detailed = lower.starts_with("iis ") && lower.contains("detailed error");
    // `Error 1015`, `Error code: 522`.
    let numbered = words.strip_prefix("error").is_some_and(|rest| {
        let rest = rest.trim_start().strip_prefix("code").unwrap_or(rest);
        rest.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | ':' | '#'))
    });
    GENERIC_TITLES.contains(&words) || detailed || numbered
}

/// The text between the tags, in one line, with its entities resolved.
pub(super) fn visible(text: &str) -> String {
    let text = prefix(text, VISIBLE_BYTES_MAX);
    let lower = text.to_ascii_lowercase();
    let mut shown = String::new();
    let mut at = 0;
    while let Some(open) = lower[at..].find('<') {
        shown.push_str(&text[at..at + open]);
        shown.push(' ');
        at = after_tag(&lower, at + open);
    }
    shown.push_str(&text[at..]);
    let shown = entities::resolved(&shown, entities::named);
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The position after a tag, and after the content of scripts, styles and comments.
fn after_tag(lower: &str, open: usize) -> usize {
    let rest = &lower[open..];
    let hidden = [("<script", "</script"), ("<style", "</style"), ("<!--", "-->")];
    for (start, end) in hidden {
        if rest.starts_with(start) {
            let close = rest.find(end).map_or(rest.len(), |close| close + end.len());
            let tail = &rest[close..];
            let bracket = if start == "<!--" { Some(0) } else { tail.find('>').map(|it| it + 1) };
            return open + close + bracket.unwrap_or(tail.len());
        }
    }
    if let Some(data) = rest.strip_prefix("<![cdata[") {
        return open + rest.len() - data.len();
    }
    rest.find('>').map_or(lower.len(), |close| open + close + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_says(page: &str, expected: Option<&str>) {
        assert_eq!(tree(page).as_str(), expected, "{page}");
    }

    #[test]
    fn title_or_heading_whichever_speaks_of_an_error() {
        let rows = [
            (
                "<html><head><title>502 Bad Gateway</title></head><body><h1>x</h1>",
                Some("502 Bad Gateway"),
            ),
            ("<HTML><TITLE lang=en>\n A &amp;\n B </TITLE>", Some("A & B")),
            ("<html><title></title><body><h1>Service <b>down</b></h1>", Some("Service down")),
            ("<h2><script>evil()</script>Down</h2>", Some("Down")),
            ("<html><title>never ends", None),
            ("<p>nothing</p>", None),
            ("<title>Depot</title><h1>Depot is unavailable</h1>", Some("Depot is unavailable")),
            (
                "<title>Depot</title><h1>Hello</h1><p>Too many calls.<p>x</p>",
                Some("Too many calls."),
            ),
            ("<title>Error</title><h1>The slot is blocked</h1>", Some("The slot is blocked")),
            ("<title>Error</title><pre>Cannot GET /x</pre>", Some("Cannot GET /x")),
            ("<title>Error</title><h1>Hello</h1>", Some("Error")),
            (
                "<html><body>Rate limit exceeded.<br>Wait 9 s.</body>",
                Some("Rate limit exceeded. Wait 9 s."),
            ),
            ("<html><body>Hello, world.</body>", None),
            (
                "<title>Access denied | a.example</title><h1>Error 1015</h1><h2>You are rate limited</h2>",
                Some("You are rate limited"),
            ),
            (
                "<title>Access denied | a.example</title><h1>Error 9</h1>",
                Some("Access denied | a.example"),
            ),
            ("<title>502 Bad Gateway</title><h1>Sorry, it is down</h1>", Some("502 Bad Gateway")),
            (
                "<title>Depot</title><p>&Uuml;ber&shy;last&nbsp;&ndash; error</p>",
                Some("Über\u{ad}last – error"),
            ),
        ];
        for (page, expected) in rows {
            assert_says(page, expected);
        }
    }

    #[test]
    fn pages_of_frameworks_give_their_sentence() {
        let rows = [
            (
                "<title>DoesNotExist at /x</title><h1>DoesNotExist at /x</h1>\
                <pre class=\"exception_value\">Book does not exist.</pre><pre>Traceback</pre>",
                "Book does not exist.",
            ),
            (
                "<title>Action Controller: Exception caught</title><h1>NoMethodError in \
                Books#show</h1>\
                <h2>undefined method `a'</h2>",
                "NoMethodError in Books#show",
            ),
            (
                "<title>HTTP Status 500 – Internal Server Error</title><p><b>Type</b> Report</p>\
                <p><b>Message</b> The depot is closed.</p><p><b>Description</b> x</p>",
                "The depot is closed.",
            ),
            (
                "<title>IIS 10.0 Detailed Error - 404.0 - Not Found</title>\
                <h3>HTTP Error 404.0 - Not Found</h3><h4>The resource has been removed.</h4>",
                "HTTP Error 404.0 - Not Found",
            ),
            (
                "<title>Error 404 Not Found</title><table><tr>\
                <th>MESSAGE:</th><td>No such slot</td></tr>",
                "No such slot",
            ),
            (
                "<h1>Whitelabel Error Page</h1><p>There was an unexpected error (status=404).</p>",
                "There was an unexpected error (status=404).",
            ),
        ];
        for (page, expected) in rows {
            assert_says(page, Some(expected));
        }
    }

    #[test]
    fn cloudflare_states_a_code() {
        let page = "<title>Access denied | a.example used Cloudflare to restrict access</title>\
            <h1><span>Error</span> <span>1015</span></h1>\
            <h2 class=\"cf-subheadline\">You are being rate limited</h2>";
        let expected = json!({ "message": "You are being rate limited", "code": "1015" });
        assert_eq!(tree(page), expected);
    }

    #[test]
    fn scripts_styles_and_comments_are_not_text() {
        let page = "a<script>if (1<2) b</script>c<style>d</style><!-- e > f -->g<br>h <script>i";
        assert_eq!(visible(page), "a c g h");
        assert_eq!(visible("<a><![CDATA[x]]></a>"), "x]]>");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[<>a-z!\\-/ ß&;=]{0,80}", any in "(?s:.{0,80})") {
            let _ = (tree(&text), visible(&text), tree(&any), visible(&any), is_page(&any, ""));
        }
    }
}
