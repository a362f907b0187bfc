//! References to variables such as `${NAME}`, which other programs replace inside a file.
//!
//! Evenkeel does not; it recognises them to say what to write instead.

/// The variable that a whole text refers to.
pub(crate) fn variable(text: &str) -> Option<&str> {
    const FORMS: [(&str, &str); 8] = [
        ("${", "}"),
        ("$(", ")"),
        ("{{", "}}"),
        ("<%=", "%>"),
        ("%", "%"),
        ("$", ""),
        ("env:", ""),
        ("env.", ""),
    ];
    let text = text.trim();
    FORMS.iter().find_map(|(before, behind)| {
        let name = text.strip_prefix(before)?.strip_suffix(behind)?.trim();
        let name = [".Env.", "env.", "env:", "ENV:", "env "]
            .iter()
            .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
        let name = name.split(":-").next()?.split(":?").next()?.trim();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (starts && name.chars().all(letters)).then_some(name)
    })
}

/// The first variable in braces anywhere in a text.
pub(crate) fn variable_inside(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = start + text[start..].find('}')?;
    variable(&text[start..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_recognised() {
        let named = ["${KEY}", "$KEY", "$(KEY)", "${KEY:-x}", "{{ KEY }}", "%KEY%", "env:KEY"];
        for text in named {
            assert_eq!(variable(text), Some("KEY"), "{text}");
        }
        assert_eq!(variable("{{ .Env.KEY }}"), Some("KEY"));
        for text in ["$", "${}", "50%", "env", "$1", "a$KEY", "/a$b"] {
            assert_eq!(variable(text), None, "{text}");
        }
        assert_eq!(variable_inside("Bearer ${TOKEN}"), Some("TOKEN"));
    }
}
