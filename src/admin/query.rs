//! The query of a request, as forms and `URLSearchParams` write it.

/// More parameters than any request of the API has.
const PARAMETERS_MAX: usize = 16;

/// The parameters by name.
///
/// # Errors
/// What is wrong, in a sentence.
pub(super) fn parameters(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (spaced(name)?, spaced(value)?);
        if found.iter().any(|(known, _)| *known == name) {
            return Err("A parameter is given twice.".to_owned());
        }
        if found.len() == PARAMETERS_MAX {
            return Err("There are too many parameters.".to_owned());
        }
        found.push((name, value));
    }
    Ok(found)
}

fn spaced(text: &str) -> Result<String, String> {
    decoded(&text.replace('+', " "))
}

/// The text without percent-encoding.
///
/// # Errors
/// What is wrong, in a sentence.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte =
            byte.ok_or_else(|| "A percent sign is not followed by two digits.".to_owned())?;
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).map_err(|_| "A parameter is not UTF-8.".to_owned())
}
