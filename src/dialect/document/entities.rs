//! Character entities of XML and HTML.

use std::borrow::Cow;

use super::cut::prefix;

/// Bytes between `&` and `;`; the longest known name and every number are shorter.
const ENTITY_BYTES_MAX: usize = 12;

/// A text with its entities resolved by one of the functions below; unknown ones stay as written.
pub(super) fn resolved<'a>(text: &'a str, entity: impl Fn(&str) -> Option<char>) -> Cow<'a, str> {
    let Some(first) = text.find('&') else { return Cow::Borrowed(text) };
    let mut resolved = String::with_capacity(text.len());
    resolved.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(tail) = rest.strip_prefix('&') {
        let head = prefix(tail, ENTITY_BYTES_MAX);
        let name = head.find(';').map(|end| &head[..end]);
        if let Some((name, character)) = name.and_then(|name| Some((name, entity(name)?))) {
            resolved.push(character);
            rest = &tail[name.len() + 1..];
        } else {
            resolved.push('&');
            rest = tail;
        }
        let next = rest.find('&').unwrap_or(rest.len());
        resolved.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(resolved)
}

/// One of the five entities that XML predefines, or a number.
pub(super) fn predefined(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            match number.strip_prefix(['x', 'X']) {
                Some(digits) => char::from_u32(u32::from_str_radix(digits, 16).ok()?),
                None => char::from_u32(number.parse().ok()?),
            }
        }
    }
}

/// The entities of HTML that sentences use.
pub(super) fn named(name: &str) -> Option<char> {
    let known = || NAMED.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
    predefined(name).or_else(known)
}

const NAMED: [(&str, char); 58] = [
    ("nbsp", '\u{a0}'),
    ("shy", '\u{ad}'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("hellip", '…'),
    ("mdash", '—'),
    ("ndash", '–'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("bull", '•'),
    ("middot", '·'),
    ("times", '×'),
    ("euro", '€'),
    ("pound", '£'),
    ("sect", '§'),
    ("deg", '°'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("rarr", '→'),
    ("larr", '←'),
    ("szlig", 'ß'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("Eacute", 'É'),
    ("Agrave", 'À'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predefined_and_numeric_entities_are_resolved_once() {
        let rows = [
            ("a &lt;b&gt; &amp;amp; &quot;&apos;", "a <b> &amp; \"'"),
            ("&#39;&#x2014;&#X41;", "'—A"),
            (
                "&unknown; &;&& &#xD800; &#99999999999; &",
                "&unknown; &;&& &#xD800; &#99999999999; &",
            ),
            ("&üüüüüüü;", "&üüüüüüü;"),
        ];
        for (text, expected) in rows {
            assert_eq!(resolved(text, predefined), expected, "{text}");
        }
    }
}
