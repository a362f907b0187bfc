//! Reads the framing vectors of `tests/data/framing`; the README there describes the format.

/// One line of a vector file.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    /// What has to come of it, in the words of the file.
    pub(crate) expected: String,
    pub(crate) input: Vec<u8>,
    /// Where it stands, for messages.
    pub(crate) place: String,
}

/// The vectors of one file of `tests/data/framing`, in order.
pub(crate) fn read(file: &str) -> Vec<Vector> {
    let path = super::data().join("framing").join(file);
    let text = std::fs::read_to_string(&path).expect("a file of vectors");
    let lines = text.lines().zip(1..).filter(|(line, _)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    let vector = |(line, number): (&str, u32)| {
        let place = format!("tests/data/framing/{file}:{number}");
        let columns = line.split_once(char::is_whitespace);
        let (expected, input) = columns.unwrap_or_else(|| panic!("{place}: two columns"));
        let input = unescape(input.trim_start()).unwrap_or_else(|fault| panic!("{place}: {fault}"));
        Vector { expected: expected.to_owned(), input, place }
    };
    lines.map(vector).collect()
}

/// The bytes of an escaped input: `\r \n \t \\ \xNN`, and `{text*N}` for N times `text`.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'\\' => {
                let (byte, length) = escape(rest)?;
                bytes.push(byte);
                rest = &rest[length..];
            }
            b'{' if repetition(rest).is_some() => {
                let (unit, times, length) = repetition(rest).unwrap_or_default();
                bytes.extend(unescape(unit)?.repeat(times));
                rest = &rest[length..];
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(bytes)
}

fn escape(rest: &[u8]) -> Result<(u8, usize), String> {
    let digits = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
    Ok(match rest.first() {
        Some(b'r') => (b'\r', 1),
        Some(b'n') => (b'\n', 1),
        Some(b't') => (b'\t', 1),
        Some(b'\\') => (b'\\', 1),
        Some(b'x') => {
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (byte.ok_or("\\x needs two hexadecimal digits")?, 3)
        }
        other => return Err(format!("unknown escape {other:?}")),
    })
}

/// The unit, the count and the length of `unit*COUNT}`.
fn repetition(rest: &[u8]) -> Option<(&str, usize, usize)> {
    let end = rest.iter().position(|byte| *byte == b'}')?;
    let (unit, count) = std::str::from_utf8(&rest[..end]).ok()?.rsplit_once('*')?;
    Some((unit, count.parse().ok()?, end + 1))
}
