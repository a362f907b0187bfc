//! Words and codes with which vendors say that a call succeeded.

/// Whether a word or code says only that all is well.
pub(super) fn is_success_word(text: &str) -> bool {
    let words = ["ok", "success", "succeeded", "successful", "approved", "accepted", "completed"];
    let text = text.trim().trim_end_matches(['.', '!']);
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text says so wherever it stands, which a round thousand does not.
pub(super) fn is_plain_success(text: &str) -> bool {
    is_success_word(text) || ["true", "200", "10000", "20000"].contains(&text)
}

/// Whether a code is one of a success: such a word, only zeros, 2xx, or a round thousand.
pub(super) fn is_success_code(text: &str) -> bool {
    let digits = || text.bytes().filter(u8::is_ascii_digit);
    let count = digits().count();
    let leads = usize::from(digits().next().is_some_and(|first| matches!(first, b'1' | b'2')));
    let round =
        count > 0 && digits().skip(leads).all(|byte| byte == b'0') && (leads == 0 || count > 3);
    let statuses = ["200", "201", "202", "203", "204", "205", "206", "207", "208", "226"];
    let status = statuses.contains(&text);
    let none = ["", "none", "null", "true", "false"];
    is_success_word(text)
        || none.iter().any(|none| text.eq_ignore_ascii_case(none))
        || round
        || status
}

/// Whether a sentence reports a success, or that the work goes on.
pub(super) fn says_success(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let starts = [
        "ok",
        "success",
        "successful",
        "approved",
        "accepted",
        "complete",
        "completed",
        "done",
        "normal",
        "no error",
        "transaction approved",
        "command completed",
    ];
    let first = |start: &&str| {
        let rest = text.strip_prefix(*start);
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    let anywhere = [
        "successfully",
        "in progress",
        "being processed",
        "成功",
        "正常",
        "处理中",
        "완료",
        "정상",
        "성공",
        "успешно",
        "com sucesso",
        "con éxito",
        "exitosa",
        "erfolgreich",
        "avec succès",
        "con successo",
        "thành công",
        "berhasil",
        "başarıyla",
        "pomyślnie",
    ];
    let denied =
        ["not ", "un", "不", "未", "não ", "no se ", "không ", "실패", "error", "maintenance"];
    let denied = denied.iter().any(|no| text.contains(no));
    starts.iter().any(first) || !denied && anywhere.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_sentences_of_successes_are_told_from_others() {
        let good = ["OK", "Success", "0", "00000", "200", "201", "1000", "20000", "INFO-000", ""];
        assert_eq!(good.map(is_success_code), [true; 10]);
        let bad = ["1", "10", "100", "2001", "-1", "404", "ERR", "INFO-100", "invalid"];
        assert_eq!(bad.map(is_success_code), [false; 9]);
        let good = ["Success: saved", "취소 성공", "Transaction in progress", "No error."];
        assert_eq!(good.map(says_success), [true; 4]);
        let bad = ["Okay is no word", "Giao dịch không thành công", "Maintenance in progress"];
        assert_eq!(bad.map(says_success), [false; 3]);
    }
}
