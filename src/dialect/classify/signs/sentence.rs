//! What sentences say: patterns over the vendor's words, English first, then the commonest words
//! of other languages.
//!
//! A pattern for throttling, a quota or a lock demands the whole statement ("the limit was
//! exceeded"), because a mere mention stops every call of the allowance.

use std::sync::LazyLock;

use regex::Regex;

use crate::dialect::hint::pattern;

/// Sentences that say that there were too many calls.
pub(super) static THROTTLED: LazyLock<Regex> = LazyLock::new(|| {
    let many = concat!(
        r"(?:too many|too much) (?:(?:api|http|concurrent|simultaneous|parallel|recent|consecutive|repeated|write|read|search) ){0,2}",
        r"(?:requests|calls|queries|hits|visits|invocations|request weight|traffic from|connections from",
        r"|(?:concurrent|simultaneous|parallel) connections)",
    );
    let limit = concat!(
        r"(?:(?:rate|requests?|calls?|quer(?:y|ies)|usage|api|qps|tps|rps|throughput|ingestion rate|pull rate|frequency|traffic|error",
        r"|per[- ](?:second|minute|hour)|hourly|minutely|minute|concurrency|concurrent (?:requests?|calls?|quer(?:y|ies)|connections?|api))",
        r"[ _-]?(?:limits?|quotas?|thresholds?|allowance)",
        r"|throttle|throttling (?:limit|threshold)|request rate|(?:access |call |request )frequency|(?:call|api|request|query) (?:count|rate|volume))",
        r"(?:(?: for| of| on| per) [^.\n]{1,80}?)?",
        r"[ _]?(?:has been |have been |had been |has |have |was |were |is |are |already )*",
        r"(?:exceed(?:s|ed|ing)?(?: the (?:limit|maximum))?|reached|hit|surpassed|used up|spent|violated|violation|violations)",
    );
    let exceeded = r"(?:request|rate|call|api|usage|query|error|hourly)s? (?:limits?|rate|quotas?|count|threshold)";
    let verbs =
        r"(?:exceed(?:s|ed|ing)?|surpass(?:es|ed)?|violat(?:es|ed|ing)|(?:reach|hit)(?:ed|ing)?)";
    let past = r"(?:been|being|was|were|is|are) (?:throttled|rate[ -]limited)\b";
    let claims = format!(
        concat!(
            r"(?:\b{many}|{BEFORE}{limit}|^\W*rate (?:was |is )?exceeded",
            r"|\b{verbs} (?:{QUALIFIER} ){{0,4}}{exceeded}){CLAIM_ENDS}",
        ),
        many = many,
        limit = limit,
        verbs = verbs,
        exceeded = exceeded,
        BEFORE = format_args!(r"(?:^\W*|[^\w\s'-] ?|\b{QUALIFIER}(?:'s)?[ _-])"),
        QUALIFIER = QUALIFIER,
        CLAIM_ENDS = CLAIM_ENDS,
    );
    pattern(&format!(r"(?im)(?:{claims}|\b{past}|{COUNTED}|{SHORT}|{FLAT}|{FOREIGN_THROTTLE})"))
});

/// Words before a limit of calls. Any other word makes it a limit of a thing: `phone call limit`.
const QUALIFIER: &str = concat!(
    r"(?:an?|any|open|qps|tps|invocation|the|this|that|your|our|its|their|my|of|on|per|for|by|and|or|api|http|rest|web|service|server|requests?|calls?|quer(?:y|ies)",
    r"|rate|usage|access|traffic|user|client|account|app|application|page|tenant|project|org|organi[sz]ation|team|workspace|developer|consumer",
    r"|subscription|key|tokens?|ip|address|method|endpoint|resource|route|global|overall|total|daily|hourly|minutely|minute|second|hour",
    r"|maximum|max|allowed|permitted|configured|default|current|concurrent|simultaneous|secondary|primary|burst|sustained|short|long|term|free",
    r"|exceed(?:ed|ing|s)?|reach(?:ed|ing)?|hit|over|read|write|search|upload|download|graphql|message|sms|email|pull|individual|combined|shared",
    r"|anonymous|unauthenticated|authenticated|public|too|image|\d[\d,.]*)",
);

/// The number of calls was too high, in a sentence of its own shape.
const COUNTED: &str = concat!(
    r"\b(?:number|amount|count|volume|rate|frequency) of (?:(?:the|your|our|this|api|http|allowed|permitted|hourly|concurrent|total|\w+ly) ){0,3}",
    r"(?:requests|accesses|calls|queries|invocations|hits|api (?:requests|calls|invocations))\b[^.\n]{0,90}?\b",
    r"(?:exceed(?:s|ed|ing)?|surpassed|used up|exhausted|was reached|been reached|too high|over the limit)\b",
    r"|\bexceed(?:s|ed|ing)? (?:\w+ ){0,3}number of (?:\w+ ){0,2}(?:requests|calls|queries|invocations|times [^.\n]{0,60}\bcall(?:ed)?)\b",
    r"|\b(?:maximum|max\.?) (?:(?:number|of|the|allowed|permitted|concurrent|simultaneous|parallel|api|http|hourly|your|\d[\d,.]*) ){0,4}(?:requests|calls|queries)\b[^.\n]{0,60}\b(?:reached|exceeded)\b",
    r"|\blimit of \d[\d,.]* (?:(?:api|http|concurrent|free) )?(?:requests|calls|queries)(?: (?:per|an?|each|every|in) [^.\n]{1,30}?)? (?:was |has been |is )?(?:reached|exceeded|hit)\b",
    r"|\b(?:hourly|minutely|per[- ]minute|per[- ]second) limit (?:of [^.\n]{1,60} )?(?:was |has been |is )?(?:reached|exceeded|hit|used up)\b",
    r"|\bmore (?:\w+ )?than (?:is |are )?allowed (?:requests |calls )?per (?:second|minute|hour)\b",
    r"|\b(?:requests|calls|queries) are (?:too many|too frequent|more than allowed)\b|\btoo (?:many actions|frequent (?:requests|calls|access))\b|^\W*(?:app|api|user|request)(?: calls?)? limited\W*$",
    r"|\byou (?:have )?(?:made|sent) \d[\d,.]* (?:requests|calls|queries) [^.\n]{1,40}\b(?:allowed|permitted)\b",
);

/// The calls of a second, a minute or an hour are used up, or their permitted number is told.
const SHORT: &str = concat!(
    r"\b(?:this|the|per|an?|each|every|current) (?:second|minute|hour)(?:'?s)? (?:(?:api|request|call|query|rate|usage) )?(?:requests|calls|queries|quota|allowance|limit)(?: (?:is|are|was|were|has been|have been))? (?:used up|exhausted|spent|exceeded)\b",
    r"|\bhourly (?:request |call |api )?(?:requests|calls|quota|allowance) (?:(?:is|are|was|were|has been|have been) )?(?:used up|exhausted|spent|exceeded)\b",
    r"|\b(?:requests|calls|queries)(?: (?:allowed|permitted|available))? (?:for|of|in|per) (?:this |the |an? )?(?:second|minute|hour)(?: (?:is|are|was|were|has been|have been))? (?:used up|exhausted|spent|exceeded|reached)\b",
    r"|\b(?:used up|used|exhausted|consumed|spent) (?:all )?(?:of )?(?:your |the )?(?:api )?(?:requests|calls|queries) (?:for|of|in|per) (?:this|the|an?|your) (?:current )?(?:second|minute|hour)\b",
    r"|\b(?:used up|exhausted|consumed) (?:all )?(?:of )?(?:your|this|the) (?:hour|minute|second)(?:'?s|ly)? (?:\w+ )?(?:calls|requests|quota|allowance|limit)\b",
    r"|\bno (?:more |further )?(?:api )?(?:requests|calls|queries) (?:(?:are )?(?:left|remaining|available|allowed) )?(?:(?:in|for|during) )?(?:this|the current) (?:second|minute|hour)\b",
    r"|\bexceed(?:s|ed|ing)? (?:(?:the|your|our|maximum|limit|of|\d[\d,.]*) ){0,4}(?:requests|calls|queries) (?:per|an?|each|every) (?:second|minute|hour)\b",
    r"|\b(?:only|at most|no more than) \d[\d,.]* (?:api )?(?:requests|calls|queries) (?:per|an?|each|every) (?:second|minute|hour) (?:is|are) (?:allowed|permitted)\b",
);

/// Idioms that state a throttle by themselves.
const FLAT: &str = concat!(
    r"\benhance your calm\b|\bover (?:your|the|its) (?:api |request )?(?:rate|request|query|call) limit\b|\bover (?:qps|queries per second|query|rate|request) ?(?:limits?)?(?:\W*$)",
    r"|\bover queries per second limit\b|\bspike arrest violation\b|\bflood (?:control exceeded|wait of \d)|\btraffic limit exceeded\b",
    r"|\bplease (?:reduce|decrease|lower|slow) (?:down )?(?:the |your )(?:\w+ )?(?:request|call|query|api|upload)s? ?(?:rate|frequency|volume)\b",
    r"|\bplease slow down(?:\W*$|[.!,;:])|^\W*slow down[.!,;:]|^\W*(?:throttled|throttling|rate[ -]limited)(?:\W*$|[.!,;:])",
    r"|^\W*(?:(?:the|your|this|api) )?(?:requests?|calls?) (?:(?:was|were|is|are|has been|have been) )?(?:throttled|rate[ -]limited)\b",
    r"|(?:^\W*|\b(?:your|the|this|api) )(?:request|call|query|access) (?:rate|frequency|volume) (?:(?:is|was|has been) )?(?:too (?:high|large|fast)|large|limited|exceeded)\b",
    r"|\breduce the (?:number|frequency|rate) of (?:\w+ )?(?:calls|requests)\b",
    r"|\b(?:requests?|calls?|quer(?:y|ies)|uploads?|uploading|requesting|calling|querying|polling|sending requests)\b[^.\n]{0,40}\btoo (?:quickly|fast|often|frequent(?:ly)?|rapidly)\b",
    r"|\b(?:denied|blocked|rejected|refused|limited) (?:due to|because of|by) (?:\w+ ){0,2}(?:flow control|rate limit(?:ing|s)?|throttling)\b",
    r"|\bflow control of this service\b|\b(?:request|call|access|trigger) frequency limit\b",
    r"|\b(?:violat\w+|exceed\w*|breach\w*) (?:of )?(?:the |our )?fair[- ]use\b",
);

const FOREIGN_THROTTLE: &str = concat!(
    r"\bzu viele (?:\w+ )?(?:anfragen|aufrufe|anforderungen|zugriffe|requests)\b",
    r"|\b(?:anfragen?|abruf|aufruf|zugriffs|raten|minuten|stunden)-?(?:limit|kontingent|grenze|begrenzung)\w* (?:\w+ ){0,3}(?:überschritten|erreicht|erschöpft)\b",
    r"|\btrop de (?:requêtes|demandes|appels)\b|\b(?:limite|quota) (?:de|d') ?(?:requêtes|débit|appels)\b[^.\n]{0,40}\b(?:dépassée?|atteinte?)\b",
    r"|\bdemasiadas (?:solicitudes|peticiones|llamadas|consultas)\b",
    r"|\bl[ií]mite de (?:solicitudes|peticiones|llamadas|consultas|requisições|chamadas|solicitações|requests)\b[^.\n]{0,40}\b(?:excedid[oa]|superad[oa]|alcanzad[oa]|atingid[oa])\b",
    r"|\b(?:muitas|excesso de) (?:requisições|solicitações|chamadas|consultas)\b",
    r"|\btroppe (?:richieste|chiamate)\b|\blimite (?:di (?:richieste|chiamate)|breve|orario|al minuto) (?:\w+ )?(?:raggiunto|superato)\b",
    r"|\bte veel (?:verzoeken|aanvragen|aanroepen|requests)\b|\bzbyt wiele (?:żądań|zapytań)\b|слишком много запросов|요청이 너무 많|çok fazla istek",
    r"|(?:请求|访问|操作|调用|發送|发送|提交|查询|请求频率)(?:过于|太|過於|过)?(?:频繁|頻繁|过快|快)|流控|(?:超过|超出|超)(?:最大)?(?:请求|访问|调用)?(?:频率|次数)|(?:초당|분당|호출)[^.\n]{0,12}초과|アクセスが(?:集中|多)|请求过多|(?:QPS|qps|频率|并发|流量)[^。，\n]{0,8}(?:超|上限|限制)|限流|触发流控",
    r"|リクエスト(?:数)?(?:が|は)?(?:多すぎ|上限|制限)|요청[^.\n]{0,8}(?:제한|한도|횟수)[^.\n]{0,4}초과|每秒[^。\n]{0,8}(?:上限|超)",
    r"|\bexcedido o n[uú]mero de (?:acessos|requisições|chamadas)|\bconsumo redundante\b|превышен\w* (?:лимит|число|количество) (?:запросов|обращений)",
);

/// What may follow such words: the end, a number, or a word that begins another part of the
/// sentence. A noun turns them into a name: "a rate limit bug", "the call limits exceeded flag".
const CLAIM_ENDS: &str = concat!(
    r"(?: (?:window|threshold|policy|allowance|limit))?(?:\W*$| ?[^\w\s%]| \d+(?:[^\d%]|$)",
    r"| (?:a|after|again|against|allowed|already|an|and|any|are|as|at|be|because|been|before|being|but|by|can",
    r"|currently|do|due|during|error|every|exception|for|from|has|have|if|in|is|it|its|made|may|more|must|no|not|now",
    r"|of|on|only|or|over|per|please|received|recently|retry|sent|set|since|slow|so|that|the|then|there|these|they",
    r"|this|through|today|too|try|under|until|used|using|via|wait|was|we|were|when|while|will|with|within|you|your",
    // "To this account" or "to the API", not "to function f".
    r"|to (?:(?:this|the|our|your|that|an?) )?(?:[\w-]*(?:api|account|server|service|endpoint|resource|url|method|page|app|application|host|site|system|backend|gateway|platform|model|operation|route|path|upstream)|us))\b)",
);

/// Words that a sentence quotes or uses as a name, and the word before or behind them.
pub(super) static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#"(?:"[^"]{1,80}"|`[^`]{1,80}`|'[^']{1,80}'|“[^”]{1,80}”|‘[^’]{1,80}’)"#;
    let called = r"\b(?:named|called|titled)\s+[^.,;:]{1,60}";
    pattern(&format!(r"(?i)(\w\s+){quoted}|^\W*{quoted}(\s+\w)|{called}"))
});

/// Rates, calls, limits and requests of something else than an API.
pub(super) static OTHER_RATES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:interest|exchange|currency|fx|swap|tax|vat|loan|mortgage|commission|discount|wage|pay|room|shipping",
        r"|conversion|growth|inflation|birth|heart|pulse|infusion|flow|frame|bit|baud|sampl(?:e|ing)|refresh|margin)",
        r"[ -](?:rate|call)s?\b",
        r"|\b(?:storage|disk|memory|cpu|mailbox|space|seat|card|credit|spending|loan|overdraft|withdrawal|friend|leave|time[ -]off|feature|pull|merge|join)",
        r"[ -](?:usage|limit|quota|request)s?\b|\baccess requests?\b",
    ))
});

/// Sentences that mention a limit of a rate.
pub(super) static LIMIT_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:\b(?:rate[ -]?limit(?:s|ed|ing)?|(?:request|api call|call) (?:limit|rate)s?",
        r"|throttl(?:ed|ing)|abuse detection|slow down)\b|^\s*retry later\s*$)",
    ))
});

/// Sentences that say what a value must be, even if they mention limits.
pub(super) static REQUIRES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:must|should|cannot|can.?t|may|shall|can)(?: not)? (?:be (?:\w+ ){0,2}(?:between|than|at|less|greater|positive|an?|of|set|one|integer)|exceed|contain|have)",
        r"|exceed(?:s|ed|ing)? (?:the |its )?(?:maximum|max|allowed|permitted|range|value)",
        r"|is not (?:a valid|valid|allowed)|invalid value|is required|unknown (?:field|parameter)|in (?:\w+ ){0,2}(?:batch|array|list|payload|body|bulk|document|file))\b",
    ))
});

/// A wait without a number.
pub(super) static WAIT_A_LITTLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:wait (?:a |for a )?(?:few|couple of|some|while|moment|little|bit)|try again (?:shortly|soon|in a (?:moment|few)))\b",
    )
});

/// A day, a week, a month or longer, as the period of an allowance.
pub(super) static LONG_PERIOD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:daily|weekly|monthly|yearly|annual(?:ly)?|today|this (?:day|week|month|year)|24[- ]?h(?:ou)?rs?",
        r"|(?:per|in|an?|each|every|for the|for one) (?:\d+ |one |calendar )?(?:days?|weeks?|months?|years?)|(?:day|week|month)(?:'s|s)? (?:limit|quota|cap|allowance)",
        r"|billing (?:period|cycle)",
        r"|tages\w*|täglich\w*|wochen(?:limit|kontingent)|monats\w*|monatlich\w*|quotidien\w*|journali[eè]r\w*|mensuel\w*|diari[oa]s?|diári[oa]s?|mensual|mensal",
        r"|giornalier[oa]|mensile|dagelijks\w*|daglimiet|maandelijks\w*|maandlimiet)\b",
        r"|/ ?(?:days?|months?|weeks?|mo)\b|(?:每日|当日|今日|每天|当天|天|日|每月|月)(?:配额|限额|额度|调用|次数|上限|请求)|1日|当月",
    ))
});

/// Whether a statement about an allowance is about calls, and not about a thing: "the daily dose
/// limit". Other languages than English have no such test.
pub(super) fn is_of_calls(statement: &str) -> bool {
    !ENGLISH_ALLOWANCE.is_match(statement) || ALLOWANCE_OF_CALLS.is_match(statement)
}

static ENGLISH_ALLOWANCE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:limit|quota|cap|allowance|threshold)s?\b"));

static ALLOWANCE_OF_CALLS: LazyLock<Regex> = LazyLock::new(|| {
    let period = r"weekly|monthly|yearly|annual|day'?s|week'?s|month'?s|plan|trial|credits?|24[- ]?h(?:ou)?rs?";
    pattern(&format!(
        concat!(
            r"(?i)(?:^\W*|[^\w\s'-] ?|\b(?:{}|{})(?:'s)?[ _-])(?:limit|quota|cap|allowance|threshold)s?\b",
            r"|\b(?:api|requests|calls|queries|credits)\b",
        ),
        QUALIFIER, period
    ))
});

/// A period of an hour at most.
pub(super) static SHORT_PERIOD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:hourly|minutely|per (?:second|minute|hour)|(?:second|minute|hour)(?:'s|s)? (?:limit|quota|window)|(?:in|within|every) (?:an?|one|\d+) (?:second|minute|hour)s?|an? (?:second|minute|hour)|short period)\b",
        r"|/ ?(?:s|sec|second|m|min|minute|h|hr|hour)\b|\b[rt]p[sm]\b",
    ))
});

/// What an allowance is called.
pub(super) static ALLOWANCE_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:\w*limit(?:s|ed)?|quotas?|caps?|allowances?|credits?|thresholds?|usage|requests|calls|queries",
        r"|\w*kontingent\w*|limite?|l[ií]mite|cuota|cota|contingent|\w*limiet)\b|配额|限额|额度|次数|调用量|上限|制限",
    ))
});

/// That an allowance is used up.
pub(super) static USED_UP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:exceed(?:s|ed|ing)?|reach(?:es|ed)?|exhausted|used up|used all|hit|over|surpassed|depleted|consumed|spent|run out|ran out|out of|no more|none left|0 (?:left|remaining)",
        r"|überschritten|erreicht|aufgebraucht|erschöpft|verbraucht|dépassée?|atteinte?|épuisée?|excedid[oa]|superad[oa]|alcanzad[oa]|agotad[oa]|atingid[oa]|esgotad[oa]|raggiunt[oa]|superat[oa]|esaurit[oa]|overschreden|bereikt)\b",
        r"|超|用完|耗尽|已满|不足|達し|超過",
    ))
});

/// Credits or a quota that only a purchase or the next period restores.
pub(super) static CREDITS_GONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?im)\bout of call volume quota\b|^\W*limit (?:exceed(?:ed)?|reach(?:ed)?)\b[^\n]{0,20}\bupgrade\b|\bapi (?:\w+ )?balance is zero\b",
        r"|\binsufficient (?:\w+ ){0,2}(?:credits?|quota)\b|\b(?:not (?:have )?enough|no (?:more|remaining|further)|(?:run|ran|are|is|be) out of|lacks?) (?:\w+ ){0,2}(?:credits|quota)\b|\bno credits? (?:left|remaining|available)\b|^\W*(?:no|out of) (?:\w+ )?credits?\W*$",
        r"|\b(?:exhausted|depleted|spent|used(?: up)?|consumed) (?:all (?:of )?)?(?:your |the |its )?(?:\w+ ){0,2}credits?\b",
        r"|\bcredits?(?: \w+){0,3}? (?:exhausted|used up|depleted|insufficient|consumed|spent|have run out|ran out|too low)\b",
        r"|\b(?:needs?|requires?) \d+ credits?\b|\b\d+ credits? (?:are |is )?(?:required|needed)\b|\bexceeds? your (?:\w+ )?(?:quota|credits)\b",
        r"|\b(?:reached|exceeded|hit) (?:your|the) (?:(?:current|free|monthly|api|account|subscription|pricing) )?(?:plan|free[- ]tier|trial)(?:'s)? (?:\w+ )?(?:limit|quota|allowance)\b|(?:^\W*|[^\w\s] ?|\b(?:an?|the|your|this|current|free|basic|starter|pro|paid|account|billing|pricing|subscription|monthly) )(?:plan|free[- ]tier|trial|subscription)(?:'s)? (?:(?:usage|request|call|api|rate) )?(?:limit|quota) (?:has been |was |is )?(?:reached|exceeded|exhausted|used up)\b|\b(?:trial|free|prepaid) (?:calls|requests|queries) (?:are |were |have been )?(?:used up|exhausted)\b",
        r"|\bexceeded your current quota\b[^\n]{0,40}\b(?:plan|billing)\b|(?:余额|额度|配额)不足",
    ))
});

/// A used-up quota of unknown period, as a whole statement.
pub(super) static QUOTA_EXCEEDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?im)^\W*(?:(?:your|the|api|request|usage) ){0,2}quota (?:limit )?(?:has been |was |is )?(?:exceeded|reached|exhausted|used up)\W*$",
    )
});

/// Funds of an account at the vendor; the same words may be about a customer's card.
pub(super) static FUNDS_GONE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:insufficient|not enough|no|low|negative) (?:\w+ ){0,2}(?:balance|funds|money)\b|\b(?:balance|funds)(?: \w+){0,2} (?:is |are )?(?:insufficient|too low|exhausted|depleted|used up)\b",
        r"|\bbilling hard limit\b",
    ))
});

/// That such funds pay for the API.
pub(super) static PAYS_FOR_API: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:api|top[ -]?up|recharge|add (?:more )?(?:funds|credits)|prepaid|billing|subscription|plan|your account(?:'s)? balance|account balance|balance (?:on|in|of) (?:the|your) account|please pay)\b",
    )
});

/// Things of a customer whose limits and funds are not those of the API.
pub(super) static CUSTOMERS_MONEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:cards?|cardholder|transfer|withdraw(?:al)?|payout|refund|order|wallet|position|margin|seller|buyer|transaction|payment method|credit (?:limit|line|score|history))\b",
    )
});

pub(super) static MAINTENANCE_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:maintenance|wartung(?:sarbeiten|sfenster|smodus)?|mantenimiento|manuten[cç][aã]o|manutenzione|onderhoud|техническ\w+ работ\w*)\b",
        r"|维护|維護|メンテナンス|점검",
    ))
});

/// Maintenance as the present state, not as a subject.
pub(super) static IN_MAINTENANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?im)\b(?:we.?ll be (?:right )?back (?:soon|shortly)|(?:under(?:going)?|performing|down for|in|for|due to|because of|during) (?:\w+ ){0,3}maintenance(?: mode| work)?(?:\W|$))|\b(?:scheduled|planned|routine|system|emergency|server|site) maintenance (?:is )?(?:in progress|underway|mode|ongoing|until|from)\b",
        r"|^\W*(?:\w+ ){0,3}maintenance(?: mode| in progress| break)?\W*$|\bwartungsarbeiten\b|\b(?:en|in|em) (?:\w+ )?(?:maintenance|mantenimiento|manutenção|manutenzione|onderhoud)\b",
        r"|(?:系统|服务|正在|停机)[^。\n]{0,6}维护|メンテナンス中",
    ))
});

pub(super) static LOCKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\bdeadlock|\b(?:could not|unable to|failed to|cannot|timed? ?out (?:while )?(?:waiting|trying)(?: for| to)?) (?:acquire |obtain |get |take )?(?:an? |the )?(?:\w+ ){0,2}locks?\b",
        r"|\block(?:ing)? (?:wait )?(?:timeout|timed out|conflict|contention)|\bconcurrent (?:modification|update)s?\b|\bcontended transaction\b|\bcould not serialize access\b",
        r"|ロックに失敗|锁(?:等待)?超时",
    ))
});

/// An optimistic lock that a repetition may win; where a version must be sent, it cannot.
pub(super) static OPTIMISTIC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\boptimistic lock[^\n]{0,80}\b(?:try|retry) ?(?:again|later)?\b")
});

/// The service is too busy to serve anyone.
pub(super) static OVERLOADED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:service|server|servers|system|api|endpoint|backend|engine|model|cluster|node|we|resources?)(?: [\w/.]+){0,4}? (?:temporarily unavailable|currently unavailable|unavailable|overloaded|too busy|busy|(?:at|over) capacity|under heavy load|loading|not ready)\b",
        r"|\b(?:temporarily overloaded|heavy (?:traffic|load)|over capacity|work queue depth exceeded)\b|^\W*(?:overloaded|server busy|system busy|busy)\W*$|系统繁忙|服务器繁忙",
    ))
});

/// A heading that says that the site behind a page failed.
pub(super) static PAGE_FAULT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^\W*(?:database error|error establishing a database connection|internal server error|bad gateway|gateway time-?out",
        r"|service (?:temporarily )?unavailable|(?:server|application|fatal|runtime) error|(?:error )?50[0-4]\b)\W*",
        r"(?:in .{0,40}application\.?)?$",
    ))
});

/// The call is not allowed to this caller.
pub(super) static FORBIDDEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:access (?:is |was )?(?:denied|forbidden)|permission denied|(?:do(?:es)? not|don.?t|doesn.?t) have (?:the )?(?:\w+ ){0,2}permissions?",
        r"|insufficient (?:permissions?|privileges?|scopes?)|not (?:permitted|authori[sz]ed) to|acceso denegado|acesso negado|accès refusé|zugriff verweigert)\b",
        r"|доступ запрещ|权限不足|无权限|没有权限|권한이 없",
    ))
});

/// The vendor itself failed.
pub(super) static VENDOR_FAULT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:internal (?:server )?error|server error|unexpected error|unknown error|something went wrong|out of memory|database connection|database error|unavailable|timed? ?out|fatal[ _]error|internal[ _]error)\b",
    )
});

pub(super) static CREDENTIAL_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:invalid|expired|revoked|incorrect|bad|wrong|malformed|unknown) (?:or (?:expired|missing|revoked) )?(?:(?:user|username|api|access|auth|authentication|authorization|refresh|bearer|login|security|oauth|client|name|and|or|jwt|merchant|your|the)[ _]){0,4}(?:token|keys?|licen[cs]e(?: number| key)?|credentials?|session|signature|passwords?|login|ks|checksum|client id|client secret|api[- ]?key)",
        r"|(?:token|key|credentials?|session|signature|password|secret)(?: [\w-]+){0,6}? (?:is |are |has |was |been )*(?:not valid|invalid|expired|revoked|incorrect|malformed|wrong)",
        r"|(?:user|username|user-id|login|merchant login)(?: [\w-]+){0,4} (?:password|id) (?:is |are )(?:incorrect|wrong|invalid)",
        r"|auth(?:entication|orisation|orization)? (?:has )?(?:fail(?:ed|ure)?|err(?:or)?|expired)|(?:could not|cannot|can't|unable to) authenticate|must (?:be (?:logged|signed) in|log ?in|be authenticated)|(?:log|sign) ?in again|(?:wrong|bad|incorrect) (?:user ?name|password)|failed to authenticate|not authenticated|unauthori[sz]ed user|login failed|invalid auth\w*|(?:token|key) (?:was |is )?not (?:found|recogni[sz]ed)|checksum security check",
        r"|authori[sz]e error|authori[sz]ation failing|required authentication|not logged in|falsches passwort|ungültige[rs]? (?:token|schlüssel|zugangsdaten)|identifiants invalides|credenciales (?:inválidas|no válidas)|credenciais inválidas|credenziali non valide)\b",
        r"|(?:不合法|无效|非法|过期|错误)的?\s?(?:access_?token|app_?key|app_?id|key|密钥|签名|token|凭证|api_?key)|(?:token|密钥|签名|凭证|access_?token)\s?(?:无效|已?过期|错误|不合法|失效)",
        r"|[认認][证證]失败|鉴权失败|未登[录陆]|未授权|签名(?:不正确|校验失败|验证失败)|인증 ?(?:오류|실패)|승인되지 않은|認証エラー|şifre(?:si)? hatalı|неправильн\w+ (?:пароль|логин|токен|ключ)|验签失败|認証に失敗|(?:인증키|키값?|토큰)[이가은는]? ?(?:유효하지|만료)|(?:등록되지|유효하지) ?않은 (?:인증)?키|неверн\w+ (?:токен|пароль|логин|ключ|api)",
    ))
});

/// That a thing was not found, in a statement of its own.
pub(super) static NOT_FOUND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^\W*(?:[\w-]+ ){0,8}?(?:was |were |is |could |can )?not (?:be )?(?:found|exist)\W*(?:[\w-]+\W*)?$|\bno such \w+|\bdoes(?: not|n't) exist\b|\bdid not return any results\b|\bcan ?not find\b|\bno (?:\w+ ){0,2}found\W*$|не найден|\bno (?:fue )?encontrad[oa]\b|\bnão (?:foi )?encontrad[oa]\b|\bnicht gefunden\b|\bintrouvable\b|\bnon trovat[oa]\b|未找到|查无|見つかりません|찾을 수 없|^\W*no (?:\w+ ){0,3}(?:results?|records?|data|matches) (?:were |was )?found|\bcould not find\b|^\W*no records?\W*$|不存在",
    )
});

/// Parts of the vendor's own program that may be missing.
pub(super) static OWN_PARTS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:class|module|method|function|driver|template|view|bean|host|server|service|backend|route|handler|table|column|relation|library|file|directory|file or directory|path|upstream|partition|key)\b",
    )
});

/// That a value of the request is wrong.
pub(super) static INVALID_INPUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:is (?:a )?(?:required|mandatory|missing)|(?:missing|required|mandatory) (?:\w+ ){0,2}(?:field|parameter|value|argument|attribute|header|method)|invalid (?:\w+ ){0,2}(?:field|parameter|value|argument|format|request|input|query|date|amount)|validation (?:error|failed|failure)|(?:failed|unable) to parse|must (?:not )?be\b|is (?:not a valid|not valid|invalid)|cannot be (?:blank|empty|null)|can't be blank|bad request)",
        r"|^\W*\w+: invalid\W*$",
    ))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_is_stated_in_many_ways() {
        let rows = [
            "The permitted number of calls per minute was surpassed.",
            "The maximum number of hourly API invocations has been exceeded.",
            "Service call has exceeded the number of times the operation is allowed to be called",
            "The allowed number of requests has been exceeded.",
            "usage limit exceeded for key abc",
            "You used up this hour's calls.",
            "Developer Over Qps",
            "Please reduce your request rate.",
            "limit of 3600 requests per hour reached",
            "Your uploads come too quickly.",
            "Request was denied due to user flow control.",
            "Api access frequency exceeds the limit",
            "Zu viele Aufrufe.",
            "Trop de requêtes",
            "Demasiadas solicitudes",
            "Limite breve raggiunto.",
            "请求过于频繁",
        ];
        for row in rows {
            assert!(THROTTLED.is_match(row), "{row}");
        }
        let silent = [
            "The exchange rate exceeded the tolerance.",
            "Too many characters in the name.",
            "The page size limit was exceeded.",
            "Number of items exceeds 100.",
            "Heart beats too quickly.",
            "The order was limited by stock.",
        ];
        for row in silent {
            assert!(!THROTTLED.is_match(row), "{row}");
        }
    }
}
