//! An HTML page → its title and its visible text, without scripts, styles and comments.

use super::cut::prefix;

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

/// The usual entities; `&amp;` comes last, so that nothing is decoded twice.
const ENTITIES: [(&str, &str); 7] = [
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
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

/// The title, else the first heading.
pub(super) fn title(text: &str) -> Option<String> {
    // A title that a script writes is not the page's.
    let lower = text.to_ascii_lowercase();
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(open) = lower[at..].find("<script") {
        kept.push_str(&text[at..at + open]);
        at = after_tag(&lower, at + open);
    }
    kept.push_str(&text[at..]);
    let lower = kept.to_ascii_lowercase();
    ["title", "h1", "h2", "h3"].iter().find_map(|name| element(&kept, &lower, name))
}

fn element(text: &str, lower: &str, name: &str) -> Option<String> {
    let open = lower.find(&format!("<{name}"))?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find(&format!("</{name}"))?;
    let content = visible(&text[start..end]);
    (!content.is_empty()).then_some(content)
}

/// The text between the tags, in one line, with the usual entities decoded.
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
    if shown.contains('&') {
        for (entity, character) in ENTITIES {
            shown = shown.replace(entity, character);
        }
    }
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

    #[test]
    fn title_or_first_heading_without_scripts() {
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
        ];
        for (page, expected) in rows {
            assert_eq!(title(page).as_deref(), expected, "{page}");
        }
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
            let _ = (title(&text), visible(&text), title(&any), visible(&any), is_page(&any, ""));
        }
    }
}
