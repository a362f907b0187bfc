//! The fuzz targets: one function for each parser that reads what others wrote.
//!
//! `tests/fuzz/run` drives them with libFuzzer, guided by coverage; the suite runs the same
//! functions over the seeds and over random changes of them. A target panics when a property does
//! not hold.

pub(crate) mod chunks;
pub(crate) mod configuration;
pub(crate) mod decompression;
pub(crate) mod documents;
pub(crate) mod error_body;
pub(crate) mod hints;
pub(crate) mod peers;
pub(crate) mod request_head;
pub(crate) mod response_head;
pub(crate) mod vectors;
pub(crate) mod waits;

use std::path::Path;

/// One parser under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Longer inputs reach nothing new.
    pub(crate) bytes_max: usize,
    pub(crate) run: fn(&[u8]),
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

pub(crate) const TARGETS: [Target; 9] = [
    request_head::TARGET,
    response_head::TARGET,
    chunks::TARGET,
    error_body::TARGET,
    configuration::TARGET,
    hints::TARGET,
    documents::TARGET,
    waits::TARGET,
    decompression::TARGET,
];

/// What a parser made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    Accepted(T),
    /// Rejected, and the name of the reason.
    Rejected(String),
    /// More bytes are needed.
    Incomplete,
}

impl<T> Verdict<T> {
    pub(crate) fn accepted(&self) -> Option<&T> {
        match self {
            Self::Accepted(read) => Some(read),
            Self::Rejected(_) | Self::Incomplete => None,
        }
    }

    /// `accepted`, `incomplete`, or the reason for which it was rejected.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Rejected(reason) => reason,
            Self::Incomplete => "incomplete",
        }
    }
}

/// Header lines in a form that can be compared: names in lower case, sorted by name.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

pub(crate) fn fields(headers: &http::HeaderMap) -> Fields {
    let owned = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let mut fields: Fields = headers.iter().map(owned).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Ways to cut an input into pieces: all at once, single bytes, and lengths that depend on the
/// input, so that libFuzzer can vary them.
pub(crate) fn cuts(input: &[u8]) -> [Vec<&[u8]>; 3] {
    let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let mut state = input.iter().fold(0x811c_9dc5, hash);
    let (mut varied, mut rest) = (Vec::new(), input);
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = rest.len().min(1 + (state >> 24) as usize % 40);
        let (piece, behind) = rest.split_at(length);
        varied.push(piece);
        rest = behind;
    }
    [vec![input], input.chunks(1).collect(), varied]
}

/// A body of which only the length matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyOf(pub(crate) Option<u64>);

impl http_body::Body for BodyOf {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.0 == Some(0)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}

/// Every file of `tests/data/FOLDER` whose name ends like this.
pub(crate) fn data_files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = data().join(folder);
    let entries = std::fs::read_dir(&folder).expect("the data files of the tests");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a data file")).collect()
}

/// `tests/data`, from the main package as from `tests/fuzz`.
pub(crate) fn data() -> std::path::PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = if package.ends_with("tests/fuzz") { "../data" } else { "tests/data" };
    package.join(folder)
}
