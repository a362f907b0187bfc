//! XML → a tree that the readers of facts use like JSON.
//!
//! | XML | tree |
//! | --- | --- |
//! | the root | an object with one member, the root's name |
//! | names | without their prefix; declarations of namespaces are left out |
//! | an element with text only | the text; `null` where there is none |
//! | an element with attributes or elements | an object; its own text is the member `#text` |
//! | an attribute | a member, under `@name` where an element has the same name |
//! | elements of one name | an array |
//! | `<errors><error/></errors>` | an array under `errors`, also of one; see `element` |
//! | `<entry key="a">b</entry>` | the member `a` of the element around it; see `element` |
//! | `<Envelope><Body>…</Body></Envelope>` of SOAP | the body's content alone |
//!
//! Only predefined and numeric entities are resolved, so nothing expands. A document that breaks
//! off or is malformed is read up to that point.

mod element;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use super::entities;
use element::{Element, short};

/// Deeper elements are left out; `serde_json` has a similar limit, and recursion needs one.
const DEPTH_MAX: usize = 64;
/// Elements and attributes; reading stops at the next element. One takes up to 500 bytes, so that
/// the tree of a hostile body stays near 1 MiB.
const NODES_MAX: usize = 2_000;
/// Further attributes of an element are left out.
const ATTRIBUTES_MAX: usize = 32;

/// A document and the text between its tags.
#[derive(Debug, PartialEq)]
pub(super) struct Xml {
    pub(super) tree: Value,
    pub(super) text: String,
}

/// The document that a text begins with; `None` where no element can be read.
pub(super) fn parse(text: &str) -> Option<Xml> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.allow_dangling_amp = true;
    config.allow_unmatched_ends = true;
    config.check_end_names = false;
    let mut builder = Builder { nodes_left: NODES_MAX, ..Builder::default() };
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) => {
                if !builder.open(&tag) {
                    break;
                }
            }
            Event::Empty(tag) => {
                if !builder.open(&tag) {
                    break;
                }
                builder.close(tag.local_name().as_ref());
            }
            Event::End(tag) => builder.close(tag.local_name().as_ref()),
            Event::Text(text) => builder.add_text(&text),
            Event::CData(text) => builder.add_text(&text),
            Event::GeneralRef(entity) => match entities::predefined(&entity) {
                Some(character) => builder.add_text(character.encode_utf8(&mut [0; 4])),
                None => builder.add_text(&format!("&{};", &*entity)),
            },
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
        if builder.root.is_some() {
            break;
        }
    }
    builder.finished()
}

#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    /// Open elements beyond the limit of depth.
    too_deep: usize,
    nodes_left: usize,
    root: Option<Value>,
    text: String,
}

impl Builder {
    /// Whether it is an element, and there was room for one more.
    fn open(&mut self, tag: &BytesStart<'_>) -> bool {
        let name = short(tag.local_name().as_ref());
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if self.nodes_left == 0 || !is_name {
            return false;
        }
        self.nodes_left -= 1;
        if self.open.len() == DEPTH_MAX {
            self.too_deep += 1;
            return true;
        }
        let mut attributes = Map::new();
        let mut written = tag.attributes();
        for attribute in written.with_checks(false).take(ATTRIBUTES_MAX).filter_map(Result::ok) {
            let (name, prefix) = attribute.key.decompose();
            let prefix = prefix.as_ref().map(AsRef::as_ref);
            let foreign = matches!(prefix, Some("xmlns" | "xml" | "xsi"));
            if !foreign && name.as_ref() != "xmlns" && self.nodes_left > 0 {
                self.nodes_left -= 1;
                let value = entities::resolved(&attribute.value, entities::predefined);
                attributes.insert(short(name.as_ref()), Value::String(value.trim().to_owned()));
            }
        }
        self.open.push(Element::new(name, attributes));
        true
    }

    /// Closes the innermost open element of a name, and those inside it that were never closed.
    fn close(&mut self, name: &str) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let name = short(name);
        let Some(place) = self.open.iter().rposition(|element| element.name == name) else {
            return;
        };
        self.close_to(place);
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth
            && let Some(element) = self.open.pop()
        {
            self.text.push(' ');
            match self.open.last_mut() {
                Some(parent) => parent.add(element),
                None => {
                    let mut document = Element::default();
                    document.add(element);
                    self.root = Some(without_envelope(document.into_value()));
                    return;
                }
            }
        }
    }

    /// Text in several pieces, as around an entity, is one text.
    fn add_text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            if self.too_deep == 0 {
                element.text.push_str(text);
            }
            self.text.push_str(text);
        }
    }

    fn finished(mut self) -> Option<Xml> {
        self.close_to(0);
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Xml { tree: self.root?, text })
    }
}

/// The content of a SOAP body, or the fault of an XML-RPC response.
fn without_envelope(mut tree: Value) -> Value {
    for layer in ["Envelope", "Body", "methodResponse"] {
        match tree.get_mut(layer).map(Value::take) {
            Some(inner @ Value::Object(_)) => tree = inner,
            Some(outer) => return outer,
            None => {}
        }
    }
    match tree.pointer_mut("/fault/value").map(Value::take) {
        Some(fault) => serde_json::json!({ "fault": element::rpc_value(fault) }),
        None => tree,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        parse(text).unwrap().tree
    }

    #[test]
    fn names_attributes_text_and_repetition_come_out_as_in_json() {
        let rows = [
            (
                "<Error><Code>A</Code><Message>b c</Message></Error>",
                json!({ "Error": { "Code": "A", "Message": "b c" } }),
            ),
            (
                "<?xml version='1.0' encoding='utf-16'?>\n<!-- x --><a:b xmlns:a='u' xmlns='v'>c</a:b>",
                json!({ "b": "c" }),
            ),
            (
                "<rsp stat='fail'><err code='1' msg='a &amp; b'/></rsp>",
                json!({ "rsp": { "stat": "fail", "err": { "code": "1", "msg": "a & b" } } }),
            ),
            ("<e code='1'>text</e>", json!({ "e": { "code": "1", "#text": "text" } })),
            ("<e code='1'><code>2</code></e>", json!({ "e": { "@code": "1", "code": "2" } })),
            ("<m xml:lang='en' xsi:type='s'>text</m>", json!({ "m": "text" })),
            ("<m><![CDATA[<b> &amp; ]]>x&#x20AC;&lt;</m>", json!({ "m": "<b> &amp; x€<" })),
            ("<r><a/><b></b></r>", json!({ "r": { "a": null, "b": null } })),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn entities_of_the_document_are_not_expanded() {
        let text = "<!DOCTYPE r [<!ENTITY a 'xxx'><!ENTITY b SYSTEM 'file:///etc/passwd'>]>\
            <r><m>&a;&b;</m><n o='&a;'/></r>";
        assert_eq!(read(text), json!({ "r": { "m": "&a;&b;", "n": { "o": "&a;" } } }));
    }

    #[test]
    fn soap_loses_its_envelope() {
        let fault = "<s:Envelope xmlns:s='u'><s:Header><a>b</a></s:Header><s:Body><s:Fault>\
            <faultcode>s:Server</faultcode><detail><d:entry Key='Pause'>5</d:entry></detail>\
            </s:Fault></s:Body></s:Envelope>";
        let expected = json!({ "Fault": { "faultcode": "s:Server", "detail": { "Pause": "5" } } });
        assert_eq!(read(fault), expected);
    }

    #[test]
    fn what_breaks_off_or_is_malformed_is_read_as_far_as_it_goes() {
        let rows = [
            ("<a><b>c</b><d>e", json!({ "a": { "b": "c", "d": "e" } })),
            ("<a><b>c</b><d", json!({ "a": { "b": "c" } })),
            ("<a><b>c</b><d e='f", json!({ "a": { "b": "c" } })),
            ("<a><b>c</x></a>", json!({ "a": { "b": "c" } })),
            ("<a><b>c<d>e</d></a>", json!({ "a": { "b": { "d": "e", "#text": "c" } } })),
            ("<a>b & c &d</a>", json!({ "a": "b & c &d" })),
            ("<a b=c d e='f'>g</a>", json!({ "a": { "e": "f", "#text": "g" } })),
            ("<a>b</a><c>d</c>", json!({ "a": "b" })),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["<", "< a>", "<?xml", "<!-- a", "<!DOCTYPE", "<a"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn depth_elements_and_attributes_are_bounded() {
        let deep = "<a>".repeat(10_000) + "x" + &"</a>".repeat(10_000);
        let mut value = &read(&deep);
        let mut depth = 0;
        while let Some(inner) = value.get("a") {
            (value, depth) = (inner, depth + 1);
        }
        assert_eq!((depth, value), (DEPTH_MAX, &Value::Null));

        let wide = format!("<r>{}</r>", "<a/>".repeat(10_000));
        assert_eq!(read(&wide)["r"]["a"].as_array().unwrap().len(), NODES_MAX - 1);

        let attributes: String = (0..1_000).map(|n| format!(" a{n}='1'")).collect();
        let tagged = read(&format!("<r{attributes}/>"));
        assert_eq!(tagged["r"].as_object().unwrap().len(), ATTRIBUTES_MAX);

        let named = read(&format!("<{0}>a</{0}>", "ü".repeat(1_000)));
        assert_eq!(named.as_object().unwrap().keys().next().unwrap().len(), 100);
    }

    #[test]
    fn a_list_is_an_array_under_its_own_name() {
        let rows = [
            ("<errors><error>a</error></errors>", json!({ "errors": ["a"] })),
            (
                "<r><Errors><Error><Code>A</Code></Error></Errors><RequestID>1</RequestID></r>",
                json!({ "r": { "Errors": [{ "Code": "A" }], "RequestID": "1" } }),
            ),
            (
                "<errors type='array'><error>a</error><error>b</error></errors>",
                json!({ "errors": ["a", "b"] }),
            ),
            (
                "<problems code='3'><problem field='a' reason='b'>c</problem></problems>",
                json!({ "problems": [{ "field": "a", "reason": "b", "#text": "c" }],
                        "code": "3" }),
            ),
            (
                "<ValidationErrors><Error/><Error/></ValidationErrors>",
                json!({ "ValidationErrors": [null, null] }),
            ),
            ("<errors><message>a</message></errors>", json!({ "errors": ["a"] })),
            ("<queries><query>a</query></queries>", json!({ "queries": ["a"] })),
            ("<errors><email>a</email></errors>", json!({ "errors": { "email": "a" } })),
            ("<r><error>a</error><error>b</error></r>", json!({ "r": { "error": ["a", "b"] } })),
            ("<class><name>a</name></class>", json!({ "class": { "name": "a" } })),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_entry_is_the_member_it_names() {
        let rows = [
            ("<d><e:entry Key='a'>1</e:entry><entry Key='b'/></d>", json!({ "a": "1", "b": null })),
            ("<d><item name='a'>1</item><item name='a'>2</item></d>", json!({ "a": ["1", "2"] })),
            ("<d><param value='1' name='a'/></d>", json!({ "a": "1" })),
            ("<d><entry><key>a</key><value>1</value></entry></d>", json!({ "a": "1" })),
            (
                "<d><lst name='error'><str name='msg'>a</str></lst></d>",
                json!({ "error": { "msg": "a" } }),
            ),
            (
                "<d><message key='a'>b</message></d>",
                json!({ "message": { "key": "a", "#text": "b" } }),
            ),
            (
                "<d><Service name='a'><b>c</b></Service></d>",
                json!({ "Service": { "name": "a", "b": "c" } }),
            ),
            (
                "<d><x><name><b>c</b></name><value>1</value></x></d>",
                json!({ "x": { "name": { "b": "c" }, "value": "1" } }),
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text)["d"], expected, "{text}");
        }
    }

    #[test]
    fn a_fault_of_xml_rpc_is_an_object() {
        let text = "<methodResponse><fault><value><struct>\
            <member><name>faultCode</name><value><int>4</int></value></member>\
            <member><name>faultString</name><value><string>Too many.</string></value></member>\
            </struct></value></fault></methodResponse>";
        let expected = json!({ "fault": { "faultCode": "4", "faultString": "Too many." } });
        assert_eq!(read(text), expected);
    }

    #[test]
    fn markup_inside_a_sentence_is_no_element() {
        let text = "<message>Wait <b>five</b> minutes.<br/>Then <i>retry</i></message>";
        assert_eq!(read(text), json!({ "message": "Wait five minutes. Then retry" }));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            text in "[<>/a-c!\\-?\\[\\]= ß&;#x'\"]{0,80}",
            any in "(?s:.{0,80})",
        ) {
            let _ = (parse(&text), parse(&any));
        }
    }
}
