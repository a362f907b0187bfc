//! A scan of bytes that spares most texts the regular expressions of `clean` and `leak`.
//!
//! Nearly every sentence of a vendor is clean, and this scan costs a tenth of the patterns. It may
//! miss a clean text, in which case the patterns run; it never passes a text that they would
//! change.

/// Whether none of the patterns of `clean` and `leak` can match: each requires one of the marks
/// below, next to certain neighbours.
pub(super) fn is_surely_clean(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(place, byte)| {
        !MARKS[usize::from(*byte)] || is_ordinary(*byte, &bytes[..place], &bytes[place + 1..])
    })
}

/// Whether the neighbours show that a mark is ordinary punctuation, or an ordinary letter.
fn is_ordinary(mark: u8, before: &[u8], behind: &[u8]) -> bool {
    let next = behind.first().copied().unwrap_or(b' ');
    match mark {
        // Part of an address, a host name or a token.
        b'.' => {
            let address = next.is_ascii_digit() && before.last().is_some_and(u8::is_ascii_digit);
            let token = before.ends_with(b"SG") || before.ends_with(b"ya29");
            !address && !token && !INTERNAL_DOMAINS.iter().any(|domain| starts(behind, domain))
        }
        // Part of an address, of a position in a file or of a URL; `Stack trace:`, `Caused by:`;
        // behind the name of a secret.
        b':' => {
            let address = next.is_ascii_hexdigit() || matches!(next, b':' | b'/' | b'\\');
            !address
                && !before.ends_with(b"ce")
                && !before.ends_with(b"by")
                && !names_secret(before)
        }
        b'=' => !names_secret(before),
        // `File "a.py"`, `goroutine 1 [`, `#0 f(1)`.
        b'"' => !before.ends_with(b"File "),
        b'[' => !before.ends_with(b" "),
        b'#' => !next.is_ascii_digit(),
        // The first of a path in a file system; the place in any other file has a colon.
        b'/' => !FILE_ROOTS.iter().any(|root| behind.starts_with(root)),
        // `--- End of`, `-----BEGIN`, `sk-…`, `glpat-…`, `xoxb-…`, `xapp-…`, `GOCSPX-…`, `ip-10-…`.
        b'-' => next != b'-' && !begins_token_with_dash(before),
        // `sk_live_…`, `ghp_…`, `EAI_AGAIN`.
        b'_' => !begins_token(before),
        b'A' => !(before.ends_with(b"AKI") || before.ends_with(b"ASI")),
        b'z' => !before.ends_with(b"AI"),
        b'J' => !before.ends_with(b"ey"),
        // `localhost`, `no such host`.
        b'h' | b'H' => {
            !before.ends_with(b"l") && !before.ends_with(b"L") && !before.ends_with(b"such ")
        }
        // `Bearer …`, `Basic …`.
        b'b' | b'B' => !(starts(behind, b"earer") || starts(behind, b"asic")),
        // `SELECT … FROM`, `DELETE FROM`; `ENOTFOUND`, `ECONNREFUSED`.
        b'f' | b'F' => {
            let statement =
                starts(behind, b"rom") && (holds(before, b"elect") || holds(before, b"elete"));
            !statement && !behind.starts_with(b"OUND ") && !behind.starts_with(b"USED ")
        }
        // `UPDATE … SET`.
        b'p' | b'P' => !starts(behind, b"date"),
        // Behind as many digits as the shortest number of a card has.
        b'0'..=b'9' => {
            let Some(digits) = before.len().checked_sub(13) else { return true };
            !before[digits..].iter().rev().all(|it| it.is_ascii_digit() || b" -".contains(it))
        }
        _ => false,
    }
}

const INTERNAL_DOMAINS: [&[u8]; 8] =
    [b"internal", b"intranet", b"local", b"lan", b"corp", b"svc", b"consul", b"home.arpa"];

/// The first folders of paths that are taken for files without a line number.
const FILE_ROOTS: [&[u8]; 21] = [
    b"var/",
    b"etc/",
    b"proc/",
    b"tmp/",
    b"private/",
    b"nix/",
    b"usr/",
    b"opt/",
    b"srv/",
    b"home/",
    b"mnt/",
    b"Users/",
    b"app/",
    b"code/",
    b"workspace/",
    b"build/",
    b"go/",
    b"rustc/",
    b"src/",
    b"www/",
    b"root/",
];

/// Whether the text ends with what the name of a secret ends with: `password`, `"api_key"`.
fn names_secret(before: &[u8]) -> bool {
    const ENDS: [&[u8]; 9] =
        [b"word", b"wd", b"phrase", b"secret", b"key", b"token", b"auth", b"sig", b"signature"];
    let without = |text: &'static [u8], from: &[u8]| -> usize {
        from.len() - usize::from(from.last().is_some_and(|it| text.contains(it)))
    };
    let name = &before[..without(b" \t\n", before)];
    let name = &name[..without(b"\"'", name)];
    let name = &name[..without(b"\\", name)];
    ENDS.iter().any(|end| ends(name, end))
}

fn begins_token(before: &[u8]) -> bool {
    const STARTS: [&[u8]; 17] = [
        b"sk",
        b"rk",
        b"ghp",
        b"gho",
        b"ghu",
        b"ghs",
        b"ghr",
        b"github_pat",
        b"shpat",
        b"shpca",
        b"shppa",
        b"shpss",
        b"npm",
        b"hf",
        b"whsec",
        b"dop",
        b"EAI",
    ];
    STARTS.iter().any(|start| before.ends_with(start))
}

fn begins_token_with_dash(before: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [b"sk", b"glpat", b"xapp", b"GOCSPX"];
    STARTS.iter().any(|start| before.ends_with(start))
        || ends(before, b"ip")
        || before.split_last().is_some_and(|(_, before)| before.ends_with(b"xox"))
}

/// Without regard to letter case.
fn starts(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn ends(text: &[u8], with: &[u8]) -> bool {
    text.len().checked_sub(with.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(with))
}

fn holds(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what))
}

/// The bytes without which nothing that the patterns find can be written. Everything beyond plain
/// ASCII is a mark too: the patterns match more letters and blanks than are listed here.
const MARKS: [bool; 256] = {
    let mut marks = [true; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        marks[byte as usize] = matches!(
            byte,
            b'<' | b'('
                | b'.'
                | b':'
                | b'='
                | b'"'
                | b'['
                | b'#'
                | b'/'
                | b'\\'
                | b'-'
                | b'_'
                | b'A'
                | b'z'
                | b'J'
                | b'h'
                | b'H'
                | b'b'
                | b'B'
                | b'f'
                | b'F'
                | b'p'
                | b'P'
                | b'0'..=b'9'
        );
        byte += 1;
    }
    marks[b'\n' as usize] = false;
    marks[b'\t' as usize] = false;
    marks
};
