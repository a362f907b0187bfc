//! Errors of the gateway's own in a vendor's shape, by the template `own` of its dialect: an SDK
//! then raises for them what it raises for the vendor's.
//!
//! The body is a tree whose texts hold placeholders, written out as JSON or as XML. A template can
//! therefore not produce a malformed body.

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

use crate::outcome::Code;

/// The placeholders; a text that is nothing but one takes the value's own type.
pub(super) const PLACEHOLDERS: [(&str, Placeholder); 8] = [
    ("message", Placeholder::Message),
    ("code", Placeholder::Code),
    ("type", Placeholder::Type),
    ("status", Placeholder::Status),
    ("status_text", Placeholder::StatusText),
    ("request_id", Placeholder::RequestId),
    ("retry_after", Placeholder::RetryAfter),
    ("problem", Placeholder::Problem),
];

/// The attributes of an XML element begin like this, as members of its map.
pub(super) const ATTRIBUTE: char = '@';
/// The text of an XML element that has attributes too.
pub(super) const TEXT: &str = "$";

/// The template of a dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnTemplate {
    pub(super) format: OwnFormat,
    pub(super) media_type: HeaderValue,
    pub(super) body: Node,
    pub(super) headers: Vec<(HeaderName, Text)>,
    /// In order of precedence; the first that covers an error names it.
    pub(super) names: Vec<(Covered, VendorName)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnFormat {
    Json,
    Xml,
}

/// A tree of the body.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Not a text: as written.
    Fixed(Value),
    Text(Text),
    List(Vec<Self>),
    Map(Vec<(Box<str>, Self)>),
}

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    Placeholder(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Message,
    /// The vendor's name for the error.
    Code,
    /// The vendor's name for its kind.
    Type,
    Status,
    /// The status where the vendor writes it as a text.
    StatusText,
    RequestId,
    /// Seconds; null where no wait is known.
    RetryAfter,
    /// Our own code.
    Problem,
}

/// Which errors an entry of `names` is for, the most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Covered {
    Code(Code),
    Status(u16),
    /// The first digit of the status.
    Class(u16),
    Every,
}

/// What the vendor calls an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct VendorName {
    pub(super) code: Option<Value>,
    /// Absent: the code.
    pub(super) kind: Option<Value>,
    /// Absent: the problem's own.
    pub(super) status: Option<StatusCode>,
}

/// An error of the gateway's own.
#[derive(Clone, Copy, Debug)]
pub struct OwnError<'a> {
    pub code: Code,
    pub status: StatusCode,
    pub message: &'a str,
    pub request_id: Option<&'a str>,
    /// In seconds.
    pub retry_after: Option<u64>,
}

/// The error in the vendor's shape.
#[derive(Clone, Debug)]
pub struct RenderedError {
    pub status: StatusCode,
    pub media_type: HeaderValue,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

impl OwnTemplate {
    #[must_use]
    pub fn render(&self, error: &OwnError<'_>) -> RenderedError {
        let covers = |covered: &Covered| match *covered {
            Covered::Code(code) => code == error.code,
            Covered::Status(status) => status == error.status.as_u16(),
            Covered::Class(class) => class == error.status.as_u16() / 100,
            Covered::Every => true,
        };
        let named = self.names.iter().find(|(covered, _)| covers(covered)).map(|(_, name)| name);
        let status = named.and_then(|name| name.status).unwrap_or(error.status);
        let values = Values { error: OwnError { status, ..*error }, named };
        let header = |(name, text): &(HeaderName, Text)| {
            let text = text.fill(values);
            let visible = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
            let value = HeaderValue::try_from(visible.collect::<String>()).ok()?;
            (!value.is_empty()).then(|| (name.clone(), value))
        };
        let body = match self.format {
            OwnFormat::Json => self.body.json(values).to_string().into_bytes(),
            OwnFormat::Xml => {
                let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
                self.body.push_xml(values, &mut xml);
                xml.into_bytes()
            }
        };
        let headers = self.headers.iter().filter_map(header).collect();
        RenderedError { status, media_type: self.media_type.clone(), headers, body }
    }
}

/// What the placeholders stand for.
#[derive(Clone, Copy)]
struct Values<'a> {
    error: OwnError<'a>,
    named: Option<&'a VendorName>,
}

impl Values<'_> {
    fn of(self, placeholder: Placeholder) -> Value {
        let Self { error, named } = self;
        let code = || named.and_then(|name| name.code.clone());
        let kind = || named.and_then(|name| name.kind.clone());
        let problem = || Value::from(error.code.as_str());
        match placeholder {
            Placeholder::Message => error.message.into(),
            Placeholder::Code => code().or_else(kind).unwrap_or_else(problem),
            Placeholder::Type => kind().or_else(code).unwrap_or_else(problem),
            Placeholder::Status => error.status.as_u16().into(),
            Placeholder::StatusText => error.status.as_str().into(),
            Placeholder::RequestId => error.request_id.into(),
            Placeholder::RetryAfter => error.retry_after.into(),
            Placeholder::Problem => problem(),
        }
    }
}

impl Text {
    fn fill(&self, values: Values<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.to_string(),
            Part::Placeholder(placeholder) => match values.of(*placeholder) {
                Value::Null => String::new(),
                Value::String(text) => text,
                other
                @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    other.to_string()
                }
            },
        };
        self.0.iter().map(part).collect()
    }
}

impl Node {
    fn json(&self, values: Values<'_>) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(Text(parts)) => match parts.as_slice() {
                [Part::Placeholder(placeholder)] => values.of(*placeholder),
                _ => Value::String(Text(parts.clone()).fill(values)),
            },
            Self::List(items) => items.iter().map(|item| item.json(values)).collect(),
            Self::Map(members) => {
                let member =
                    |(name, node): &(Box<str>, Self)| (name.to_string(), node.json(values));
                Value::Object(members.iter().map(member).collect::<Map<_, _>>())
            }
        }
    }

    /// Appends the content of an element.
    fn push_xml(&self, values: Values<'_>, xml: &mut String) {
        match self {
            Self::Fixed(Value::Null) => {}
            Self::Fixed(value) => push_escaped(xml, &value.to_string()),
            Self::Text(text) => push_escaped(xml, &text.fill(values)),
            Self::List(items) => items.iter().for_each(|item| item.push_xml(values, xml)),
            Self::Map(members) => {
                for (name, node) in members {
                    if **name == *TEXT {
                        node.push_xml(values, xml);
                    } else if !name.starts_with(ATTRIBUTE) {
                        node.push_elements(name, values, xml);
                    }
                }
            }
        }
    }

    /// Appends an element of this name, or one for each entry of a list.
    fn push_elements(&self, name: &str, values: Values<'_>, xml: &mut String) {
        if let Self::List(items) = self {
            return items.iter().for_each(|item| item.push_elements(name, values, xml));
        }
        xml.push('<');
        xml.push_str(name);
        if let Self::Map(members) = self {
            for (name, node) in members {
                if let Some(name) = name.strip_prefix(ATTRIBUTE) {
                    xml.extend([" ", name, "=\""]);
                    node.push_xml(values, xml);
                    xml.push('"');
                }
            }
        }
        xml.push('>');
        self.push_xml(values, xml);
        xml.extend(["</", name, ">"]);
    }
}

/// Appends a text of XML, without the characters that XML cannot hold.
fn push_escaped(xml: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\n' | '\t' => xml.push(c),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => xml.push(c),
        }
    }
}
