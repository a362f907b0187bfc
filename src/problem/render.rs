//! Pages of the contract as plain text, Markdown and HTML.

use std::fmt::Write as _;

use super::page::{Block, Page};
use crate::outcome::Code;

/// The stylesheet of the HTML pages: dark or light, as the reader's system is set.
pub const STYLESHEET: &str = include_str!("page.css");

/// Where the links of a page lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// To pages beside this one, as the admin listener serves them.
    Pages,
    /// To places in one document that holds all pages.
    Anchors,
}

/// The width of a line of text.
const COLUMNS: usize = 78;

impl Page {
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Heading(heading) => text += &heading.to_uppercase(),
                Block::Paragraph(paragraph) => wrap(&mut text, paragraph),
                Block::Facts(facts) => {
                    for (name, value) in facts {
                        let _ = writeln!(text, "  {name:10} {value}");
                    }
                }
                Block::Codes(codes) => codes.iter().for_each(|code| {
                    let (name, status) = (code.as_str(), code.status().as_u16());
                    let _ = writeln!(text, "  {name:28} {status}  {}", code.title());
                }),
                Block::Json(json) => json.lines().for_each(|line| {
                    let _ = writeln!(text, "  {line}");
                }),
            }
            if matches!(block, Block::Heading(_)) {
                text.push('\n');
            }
        }
        text
    }

    /// `level` is that of the title.
    #[must_use]
    pub fn to_markdown(&self, level: usize) -> String {
        let mut text = format!("{} {}\n", "#".repeat(level), self.title);
        for block in &self.blocks {
            text.push('\n');
            let _ = match block {
                Block::Heading(heading) => writeln!(text, "{} {heading}", "#".repeat(level + 1)),
                Block::Paragraph(paragraph) => writeln!(text, "{paragraph}"),
                Block::Facts(facts) => {
                    text += "| | |\n| --- | --- |\n";
                    facts.iter().try_for_each(|(name, value)| {
                        writeln!(text, "| {name} | {} |", marked(name, value))
                    })
                }
                Block::Codes(codes) => {
                    text += "| code | status | title |\n| --- | --- | --- |\n";
                    codes.iter().try_for_each(|code| {
                        let (name, status) = (code.as_str(), code.status().as_u16());
                        writeln!(text, "| [`{name}`](#{name}) | {status} | {} |", code.title())
                    })
                }
                Block::Json(json) => writeln!(text, "```json\n{json}\n```"),
            };
        }
        text
    }

    /// The page as an element of a document.
    #[must_use]
    pub fn to_html(&self, links: Links) -> String {
        let title = escaped(&self.title);
        let mut html = format!("<article id=\"{title}\">\n<h1>{title}</h1>\n");
        for block in &self.blocks {
            let _ = match block {
                Block::Heading(heading) => writeln!(html, "<h2>{}</h2>", escaped(heading)),
                Block::Paragraph(paragraph) => writeln!(html, "<p>{}</p>", with_code(paragraph)),
                Block::Facts(facts) => {
                    html += "<dl>\n";
                    for (name, value) in facts {
                        let value = with_code(&marked(name, value));
                        let _ = writeln!(html, "<dt>{name}</dt><dd>{value}</dd>");
                    }
                    writeln!(html, "</dl>")
                }
                Block::Codes(codes) => {
                    html += "<table>\n<tr><th>code</th><th>status</th><th>title</th></tr>\n";
                    codes.iter().for_each(|code| html_row(&mut html, *code, links));
                    writeln!(html, "</table>")
                }
                Block::Json(json) => writeln!(html, "<pre><code>{}</code></pre>", escaped(json)),
            };
        }
        html + "</article>\n"
    }
}

fn html_row(html: &mut String, code: Code, links: Links) {
    let (name, status, title) = (code.as_str(), code.status().as_u16(), escaped(code.title()));
    let href = link(links, name);
    let _ = writeln!(
        html,
        "<tr><td><a href=\"{href}\"><code>{name}</code></a></td><td>{status}</td><td>{title}</td></tr>"
    );
}

fn link(links: Links, name: &str) -> String {
    match links {
        Links::Pages => name.to_owned(),
        Links::Anchors => ["#", name].concat(),
    }
}

/// Leads from a page to those beside it.
const NAVIGATION: &str = "<nav><a href=\"./\">Problems</a> <a href=\"schema.json\">JSON Schema</a> \
                          <a href=\"openapi.json\">OpenAPI</a></nav>\n";

/// A document of this page for the admin listener; its stylesheet and the other pages stand
/// beside it.
#[must_use]
pub fn html_page(page: &Page) -> String {
    let head = "<link rel=\"stylesheet\" href=\"page.css\">";
    let body = [NAVIGATION, &page.to_html(Links::Pages)].concat();
    html_document(&page.title, head, &body)
}

/// One document that holds its stylesheet. Several pages link to each other in it; a single one to
/// what is published beside it.
#[must_use]
pub fn html_of_all(pages: &[Page]) -> String {
    let title = pages.first().map_or("Problems", |page| &page.title);
    let body = match pages {
        [page] => [NAVIGATION, &page.to_html(Links::Pages)].concat(),
        pages => pages.iter().map(|page| page.to_html(Links::Anchors)).collect(),
    };
    html_document(title, &format!("<style>\n{STYLESHEET}</style>"), &body)
}

fn html_document(title: &str, head: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} – Evenkeel</title>\n{head}\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A value of facts; the `type` is code.
fn marked(name: &str, value: &str) -> String {
    if name == "type" { format!("`{value}`") } else { value.to_owned() }
}

/// Escaped, with `<code>` in place of pairs of backticks.
fn with_code(text: &str) -> String {
    let mut html = String::new();
    for (n, part) in escaped(text).split('`').enumerate() {
        if n > 0 {
            html += if n % 2 == 1 { "<code>" } else { "</code>" };
        }
        html += part;
    }
    html
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn wrap(into: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column == 0 {
            into.push_str("  ");
            column = 2;
        } else if column + 1 + length > COLUMNS {
            into.push_str("\n  ");
            column = 2;
        } else {
            into.push(' ');
            column += 1;
        }
        into.push_str(word);
        column += length;
    }
    into.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<Page> {
        std::iter::once(Page::overview()).chain(Code::ALL.map(Page::of)).collect()
    }

    #[test]
    fn a_page_says_what_a_code_means_and_what_to_do_in_every_format() {
        for code in Code::ALL {
            let page = Page::of(code);
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let bare = |text: &str| plain(text).replace('`', "");
            let html = page.to_html(Links::Pages).replace("<code>", "").replace("</code>", "");
            for said in [code.about(), code.advice(), code.title()] {
                assert!(plain(&page.to_text()).contains(&plain(said)), "{said}");
                assert!(page.to_markdown(1).contains(said), "{said}");
                assert!(html.contains(&bare(&escaped(said))), "{said}");
            }
            // Strings of the sample cannot be wrapped.
            let text = page.to_text();
            let mut prose = text.lines().filter(|line| !line.trim_start().starts_with('"'));
            assert!(prose.all(|line| line.chars().count() <= COLUMNS), "{text}");
        }
    }

    #[test]
    fn backticks_come_in_pairs() {
        for page in pages() {
            let count = page.to_markdown(1).replace("```", "").matches('`').count();
            assert_eq!(count % 2, 0, "{}", page.title);
        }
    }

    #[test]
    fn html_is_escaped_well_formed_and_without_scripts() {
        assert_eq!(with_code("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
        let single = html_of_all(&pages());
        let mut documents: Vec<String> = pages().iter().map(html_page).collect();
        documents.push(single.clone());
        for html in documents {
            assert!(!html.contains("<script") && !html.contains("style=\""));
            let tags = html.split('<').skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap());
            let void = ["!doctype", "meta", "link"];
            let mut open: Vec<&str> = Vec::new();
            for tag in tags.filter(|tag| !void.contains(tag)) {
                match tag.strip_prefix('/') {
                    Some(name) => assert_eq!(open.pop(), Some(name)),
                    None => open.push(tag),
                }
            }
            assert!(open.is_empty(), "{open:?}");
        }
        for code in Code::ALL {
            let name = code.as_str();
            assert!(single.contains(&format!("href=\"#{name}\"")));
            assert!(single.contains(&format!("id=\"{name}\"")));
        }
    }
}
