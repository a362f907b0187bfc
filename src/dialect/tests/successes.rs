//! Bodies under a success: which are errors, by kind, and which only look like one.

use super::*;

fn inside(body: &str) -> Option<crate::outcome::Code> {
    understood("auto", 200, &[], body).map(|it| it.code)
}

fn assert_errors(rows: &[(&str, crate::outcome::Code)]) {
    let wrong = rows.iter().filter(|(body, code)| inside(body) != Some(*code));
    let wrong: Vec<_> = wrong.map(|(body, _)| (inside(body), body)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn assert_successes(rows: &[&str]) {
    let wrong: Vec<_> = rows.iter().filter_map(|body| Some((inside(body)?, body))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_success_that_declares_an_error_is_one() {
    let rows = [
        // A flag.
        (r#"{"success":false,"message":"The box is locked"}"#, InvalidRequest),
        (r#"{"isok":false,"errors":{"box":"Request limit reached!"}}"#, RateLimited),
        (r#"{"success":0,"error":"nonce not incremented"}"#, InvalidRequest),
        (r#"{"erro": true}"#, InvalidRequest),
        ("boxApproved=0&boxId=17&messageText=The+box+is+locked&amount=12", InvalidRequest),
        // A state.
        (r#"{"status":"ERROR","results":[],"message":"No box given"}"#, InvalidRequest),
        (r#"{"retorno":{"status":"Erro","mensagem":"Caixa inexistente"}}"#, InvalidRequest),
        ("ACK=Failure&VERSION=204&L_ERRORCODE0=7&L_LONGMESSAGE0=The%20box", InvalidRequest),
        ("version=3\r\nstatus=INVALID\r\nstatusdetail=The box is missing.", InvalidRequest),
        (
            "<rsp><reply status='failed'><text>The box is locked</text></reply></rsp>",
            InvalidRequest,
        ),
        // An error in place of a result.
        (r#"{"error_response":{"code":7,"msg":"App Call Limited"}}"#, RateLimited),
        (
            r#"{"Status":0,"ErrorDetails":[{"ErrorCode":"17","ErrorMessage":"No box"}]}"#,
            InvalidRequest,
        ),
        (r#"{"errors":[{"message":"No box"}],"data":{"box":null}}"#, InvalidRequest),
        (r#"{"error":"Access denied."}"#, Forbidden),
        (r#"{"faultstring":"Aguarde 28 segundos.","faultcode":"Client-6"}"#, RateLimited),
        (
            "<depot><version>1</version><body><lineerror>No such box</lineerror></body></depot>",
            NotFound,
        ),
        // A code beside a sentence.
        (r#"{"code":40100,"message":"The box is locked","data":{}}"#, InvalidRequest),
        (r#"{"code":-412,"message":"The box is locked","data":{"voucher":"v"}}"#, InvalidRequest),
        (r#"{"resultCode":11,"message":"Access denied.","requestId":"1"}"#, Forbidden),
        (r#"{"responseCode":"05","responseText":"Do not honour"}"#, InvalidRequest),
        (r#"{"code":110,"detail":"The box is required"}"#, InvalidRequest),
        (
            r#"{"box_query_response":{"code":"40004","sub_msg":"No box"},"sign":"x"}"#,
            InvalidRequest,
        ),
        (r#"{"status":120,"message":"Too many requests"}"#, RateLimited),
        (r#"{"code":"INFO-100","message":"인증키가 유효하지 않습니다."}"#, Unauthenticated),
        (
            "respCode=34&respMsg=The box is locked&encoding=UTF-8&version=5&type=2&x=y",
            InvalidRequest,
        ),
        // Every item failed, as the count says.
        (
            r#"{"code":20000,"message":"Ok.","tasks_error":1,
                "tasks":[{"id":"1","code":40501,"message":"No box","path":["v3"]}]}"#,
            InvalidRequest,
        ),
        (r#"{"code":-412,"message":"拦截","ttl":1,"data":{"voucher":"x"}}"#, InvalidRequest),
    ];
    assert_errors(&rows);
}

#[test]
fn a_success_that_only_looks_like_an_error_stays_one() {
    let rows = [
        // Things that were asked for, and failed long ago.
        r#"{"id":"job_8","object":"job","status":"failed","error":{"code":"x","message":"Bad file"}}"#,
        r#"{"id":"p1","amount":5,"currency":"INR","method":"card","status":"failed",
            "error_code":"BAD_CARD","error_description":"The card was declined"}"#,
        r#"{"sid":"1","to":"+1","from":"+2","price":"1","error_code":30003,"error_message":"Gone"}"#,
        r#"{"id":5,"status":"failure","message":"Fix rate limit","number":12}"#,
        r#"{"orderId":"5","status":"rejected","reason":"No stock"}"#,
        r#"{"pump":"1","faultCode":17,"faultMessage":"Too hot","lastSeen":17}"#,
        r#"{"id":"pi","amount":2,"status":"new","last_error":{"type":"card_error","message":"No"}}"#,
        r#"{"name":"Falcon","success":false,"rocket":"f1","flight":1,"site":"x","crew":0,"core":1}"#,
        r#"{"id":"e","severity":"ERROR","message":"Rate limit exceeded","service":"billing"}"#,
        r#"{"deployment":{"id":"1","state":"failed","error":{"message":"Out of memory"}}}"#,
        r#"{"data":{"id":"j1","status":"failed","errorMessage":"Bad","progress":20,"tool":"x"}}"#,
        r#"{"check":{"status":"fail","output":"HTTP 503: service unavailable"}}"#,
        r#"{"url":"https://a.example","status":500,"ok":false,"region":"eu","id":"c","every":60}"#,
        // Reports that were asked for.
        r#"[{"code":404,"message":"Not Found"}]"#,
        r#"{"code":404,"description":"The server cannot find it","name":"Not Found"}"#,
        r#"{"valid":false,"errors":[{"line":12,"message":"The box is missing"}]}"#,
        r#"{"imported":20,"rejected":3,"errors":[{"row":4,"message":"Invalid date"}]}"#,
        r#"{"stdout":"","stderr":"Error: x","exit_code":1,"status":"error"}"#,
        r#"{"status":"DOWN","parts":{"db":{"details":{"error":"refused"}},"disk":{"up":true}}}"#,
        r#"{"url":"https://a.example","messages":[{"type":"error","message":"No title","code":7}]}"#,
        // Items that failed among others.
        r#"{"jobs":[{"status":"failed","error":"timeout"}],"failed":1,"total":1}"#,
        r#"{"success":3,"failure":1,"results":[{"id":"1"},{"error":"Unavailable"}]}"#,
        r#"{"success":0,"failed":0,"total":0,"message":"Nothing to do"}"#,
        r#"{"code":0,"items":[{"code":404,"message":"Gone"},{"code":0,"message":"OK"}]}"#,
        r#"{"number":"1Z","status":{"code":"exception","description":"Closed"},"events":[{"x":1}]}"#,
        r#"{"data":{"viewer":{"login":"a"},"box":null},"errors":[{"message":"No box"}]}"#,
        r#"{"data":[{"code":"SUCCESS","status":"success","message":"added"},
            {"code":"DUPLICATE_BOX","status":"error","message":"The box is there"}]}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":"0x1"},
            {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"No box"}}]"#,
        r#"{"status":"success","result":"invalid","flags":["bad_syntax"]}"#,
        r#"{"valid":false,"number":"1","error_code":"bad-input","details":"It is not valid"}"#,
        r#"{"message":{"header":{"status_code":200},"body":{"lyrics":"access denied"}}}"#,
        r#"{"delivery":{"status":"failed","error":{"code":30006,"message":"Gone"}},"id":"m"}"#,
        r#"{"job":{"status":"error"}}"#,
        "<box><id>5</id><status>error</status><error>Full</error><created>2024</created></box>",
        "<r><Ack>Warning</Ack><Errors><ShortMessage>Late</ShortMessage></Errors></r>",
    ];
    assert_successes(&rows);
}

#[test]
fn names_behind_a_vendors_own_are_read() {
    let rows = [
        // Names with the vendor's own before them, in short, or of another language.
        (
            r#"{"box_ResponseId":"9","box_ResponseCode":"91","box_Message":"No box"}"#,
            InvalidRequest,
        ),
        (r#"{"rt_cd":"7","msg_cd":"BOX00201","msg1":"The box is locked"}"#, InvalidRequest),
        ("CODEREPONSE=00004&COMMENTAIRE=Boîte fermée&SITE=7&RANG=32", InvalidRequest),
    ];
    assert_errors(&rows);
}

#[test]
fn a_failure_inside_wrappers_lists_and_numbers_is_one() {
    let rows = [
        // Inside wrappers that hold nothing else.
        (
            r#"{"results":{"common":{"errorCode":"E1","errorMessage":"The box is locked",
            "page":"1","perPage":"10"},"boxes":null}}"#,
            InvalidRequest,
        ),
        (r#"{"ok":0,"data":{"code":20001}}"#, InvalidRequest),
        (
            "<box><response><result code='2303'><msg>The box is locked</msg></result>
                <trID><clTRID>1</clTRID></trID></response></box>",
            InvalidRequest,
        ),
        (
            r#"{"data":{"open":{"box":null,"userErrors":[{"field":["a"],"message":"Taken"}]}}}"#,
            InvalidRequest,
        ),
        // Lists of which every item failed.
        (
            r#"{"data":[{"code":"DUPLICATE_BOX","message":"The box is there","status":"error"}]}"#,
            InvalidRequest,
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"No box"}},
            {"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"No box"}}]"#,
            InvalidRequest,
        ),
        (
            r#"{"count":"1","messages":[{"status":"4","error-text":"Bad Credentials"}]}"#,
            Unauthenticated,
        ),
        // Numbers and words that are nothing else than errors.
        (r#"{"result":904,"resultExplanation":"The currency is unknown"}"#, InvalidRequest),
        (r#"{"box":12,"error":-1,"error_note":"The box is locked"}"#, InvalidRequest),
        ("<CGI><result>-2</result></CGI>", InvalidRequest),
        (r#"{"status":0,"request":"ERROR_NO_BOX"}"#, InvalidRequest),
        (r#"{"result_code":0,"result_message":"Failed: the box is locked"}"#, InvalidRequest),
        (r#"{"statuscode":"027","status":"The box is locked"}"#, InvalidRequest),
        // Words without a status beside them.
        (r#"{"code":103,"msg":"提交过快"}"#, RateLimited),
        (r#"{"code":18,"msg":"Open api qps request limit reached"}"#, RateLimited),
        (r#"{"error":{"code":12,"message":"Too many actions: try again later"}}"#, RateLimited),
        (
            r#"{"success":false,"message":"Insufficient credits","code":"NO_CREDITS"}"#,
            QuotaExhausted,
        ),
        (r#"{"error":-10,"msg":"auth failed"}"#, Unauthenticated),
        (r#"{"success":false,"code":"LOGIN_REQUIRED"}"#, Unauthenticated),
    ];
    assert_errors(&rows);
}

#[test]
fn texts_and_pages_that_are_errors_are_told_by_their_start() {
    let rows = [
        // Text and pages.
        ("ERR|105|The sender is locked", InvalidRequest),
        ("-3: The box is required", InvalidRequest),
        ("105: Invalid API key", Unauthenticated),
        ("Response: Error\r\nMessage: Authentication failed", Unauthenticated),
        ("-ERR Invalid Command", InvalidRequest),
        ("ERROR 132 :: THE BOX IS LOCKED", InvalidRequest),
        ("NO_BOXES", InvalidRequest),
        ("KO", InvalidRequest),
        ("<html><title>Depot</title><h1>Database Error</h1>", UpstreamError),
        ("<html><title>Site Maintenance</title><h1>Back soon</h1>", UpstreamMaintenance),
    ];
    assert_errors(&rows);
}

#[test]
fn codes_measures_and_texts_of_successes_are_none() {
    let rows = [
        // Codes and words of a success.
        r#"{"box_ResponseCode":"00","box_Message":"Confirmed","box_State":"02"}"#,
        r#"{"rt_cd":"0","msg_cd":"BOX00000","msg1":"정상처리 되었습니다."}"#,
        r#"{"resultCode":"3001","resultMsg":"카드 결제 성공","box":"U"}"#,
        r#"{"respCode":"2001","respDesc":"Transaction in progress"}"#,
        r#"{"code":1000,"message":"Saved","data":{"id":7}}"#,
        r#"{"code":1000,"message":"成功"}"#,
        r#"{"code":2000,"message":"처리 완료"}"#,
        r#"{"code":"INFO-000","message":"정상 처리되었습니다"}"#,
        r#"{"code":300,"detail":"success"}"#,
        r#"{"RESULT":{"STATUS":0,"ERROR_MSG":"正常に終了しました。"}}"#,
        r#"{"responseCode":"00","responseMessage":"Approved"}"#,
        r#"{"resultCode":1,"resultMsg":"Your box was booked"}"#,
        r#"{"status":5,"message":"Your parcel was delivered"}"#,
        r#"{"code":"SAVE20","message":"20% off until Sunday"}"#,
        r#"{"code":49,"message":"Germany","name":"Germany"}"#,
        r#"{"status":"0","message":"No boxes found","result":[]}"#,
        "<r><code>1301</code><msg>Command completed successfully; ack to dequeue</msg></r>",
        "<r><status>1</status><text>Success</text><error><code>9</code><text>Late</text></error></r>",
        r#"{"count":0,"message":"No records found"}"#,
        r#"{"condition":{"text":"Overcast","code":1009},"temp":3}"#,
        // Measures, flags and settings.
        r#"{"errors":{"4xx":12,"5xx":3},"window":"1h"}"#,
        r#"["error","warning","info"]"#,
        "tests=5\nerrors=2\nfailures=1",
        r#"{"error":0.034,"value":2.2}"#,
        r#"{"mean":10.2,"error":1.5,"code":"GDP"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"errors":3,"failed":true}}"#,
        r#"{"errors":0,"failed":0,"processed":14}"#,
        r#"{"ride":"Fail Whale","wait":45,"status":"closed","message":"Closed for maintenance"}"#,
        "[server]\nerrors = on\nretry = 5\nstatus = 1",
        "error=0&text=Saved&details=",
        // Text and pages.
        "time,level,message\n1,ERROR,Invalid API key",
        "2024-01-01 00:00:00 ERROR Too many requests",
        "0: Accepted for delivery",
        "-5: the lowest temperature today",
        "Error handling in Rust: a guide",
        "Failure is not an option",
        "fail2ban",
        "404|Page not found|en",
        "STATUS_WAIT_CODE",
        "+OK Job-UUID: 7f4db78a",
        "Response: Success\r\nMessage: Authentication accepted",
        "0|IN_PROGRESS|12345",
        "1701|919812345678|bc5f7425",
        "12|Rate limits explained|https://a.example/12",
        "<html><title>Error codes | Depot</title><h1>Error codes</h1><p>The rate limit exceeded.",
        "<html><title>How we fixed the database error</title><p>Service unavailable.",
    ];
    assert_successes(&rows);
}
