//! Compressed error bodies: the first byte of an input chooses the codings, the rest is the body.

use bytes::Bytes;
use evenkeel::cli::capture::Capture;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Target, error_body};

pub(crate) const TARGET: Target = Target { name: "decompression", bytes_max: 4096, run, seeds };

const CODINGS: [&str; 8] =
    ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "deflate, zstd", "gzip, br, zstd"];

/// Two JSON errors, in every coding: a place in `CODINGS`, and the bytes in hexadecimal.
const BODIES: [(u8, &str); 5] = [
    (
        0,
        "1f8b0800000000000203adcc310a80300c00c0af84cc4504b7bec35d421ba4601b4c2222a57f17ff \
         e07c701d59551463c7249931a292f376945a9c3306ac6c46fb07ab08546a0f289f179b5b809b8ac3 \
         32837192966dc231fadfe10b9ac04d79a2000000",
    ),
    (
        1,
        "78daadcc310a80300c00c0af84cc4504b7bec35d421ba4601b4c2222a57f17ffe07c701d59551463 \
         c7249931a292f376945a9c3306ac6c46fb07ab08546a0f289f179b5b809b8ac332837192966dc231 \
         fadfe10be78c383f",
    ),
    (
        1,
        "adcc310a80300c00c0af84cc4504b7bec35d421ba4601b4c2222a57f17ffe07c701d59551463c724 \
         9931a292f376945a9c3306ac6c46fb07ab08546a0f289f179b5b809b8ac332837192966dc231fadf \
         e10b",
    ),
    (
        2,
        "1ba100802c0eec66d66f54180cb3d1c5af8a112abd45f6ca66669f1c55b1e8e45b184c8a7cd139e5 \
         803d08a4854980f949fc8931ad5ac309c9284c0d1cfdcf1990a3481506c741e5b57ece2f0801",
    ),
    (
        3,
        "28b52ffd04685d020012451011a06f385835fb9bd015531dffc549a8e21af776f8e41ef2673158ae \
         4319bc7c9fd02357771abf579ab4abf3efad412797ab2d665c9ed8a43d3dd496747c317adb010091 \
         536888020bfb52de",
    ),
];

fn run(input: &[u8]) {
    let [choice, body @ ..] = input else { return };
    let codings = CODINGS[usize::from(*choice) % CODINGS.len()];
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(codings));
    let status = StatusCode::TOO_MANY_REQUESTS;
    error_body::check(&Capture { status, headers, body: Bytes::copy_from_slice(body) });
}

/// Every body whole, cut at several places, and under codings that are not its own.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, hex) in BODIES {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| {
            u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hexadecimal")
        };
        let body: Vec<u8> = digits.chunks(2).map(byte).collect();
        let seed = |choice: u8, body: &[u8]| [&[choice][..], body].concat();
        seeds.extend([1, 3, 9, 40].map(|cut| seed(choice, &body[..body.len() - cut])));
        seeds.extend([choice, choice + 4, 7].map(|choice| seed(choice, &body)));
    }
    seeds
}
