//! Strings as PromQL writes them: Go's literals in double, single and back quotes.

/// Why a string literal is refused; the offset counts bytes from its opening quote.
pub(super) struct Flaw {
    pub offset: usize,
    pub message: String,
}

/// What a string literal stands for. Go's strings are bytes; ours are not, so a literal whose
/// escapes spell no UTF-8 has no text.
pub(super) enum Unquoted {
    Text(String),
    NotUtf8(Vec<u8>),
}

/// Reads a literal whose quotes are included.
pub(super) fn unquote(literal: &str) -> Result<Unquoted, Flaw> {
    let quote = literal.as_bytes().first().copied().unwrap_or_default();
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    if quote == b'`' || !inner.contains('\\') {
        return Ok(Unquoted::Text(inner.to_owned()));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(character) = rest.chars().next() {
        let offset = 1 + inner.len() - rest.len();
        rest = &rest[character.len_utf8()..];
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let taken = escape(rest, quote, &mut bytes)
            .map_err(|message| Flaw { offset, message: message.to_owned() })?;
        rest = &rest[taken..];
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Unquoted::Text(text),
        Err(error) => Unquoted::NotUtf8(error.into_bytes()),
    })
}

/// The text of a string literal, its quotes included; nothing where it is none, or no UTF-8.
pub fn unquoted(literal: &str) -> Option<String> {
    match unquote(literal) {
        Ok(Unquoted::Text(text)) => Some(text),
        Ok(Unquoted::NotUtf8(_)) | Err(_) => None,
    }
}

/// Takes one escape, after its backslash, and returns its length in bytes.
fn escape(rest: &str, quote: u8, bytes: &mut Vec<u8>) -> Result<usize, &'static str> {
    let first = rest.as_bytes().first().copied().ok_or("a lone `\\` ends the string")?;
    let simple = match first {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'x' | b'u' | b'U' => {
            let digits = match first {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let value = digits_value(rest.get(1..=digits), 16)
                .ok_or("`\\x`, `\\u` and `\\U` need 2, 4 and 8 hexadecimal digits")?;
            match (first, u8::try_from(value), char::from_u32(value)) {
                (b'x', Ok(byte), _) => bytes.push(byte),
                (_, _, Some(character)) => {
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err("the escape is no Unicode character"),
            }
            return Ok(1 + digits);
        }
        b'0'..=b'7' => {
            let value = digits_value(rest.get(..3), 8).and_then(|value| u8::try_from(value).ok());
            bytes.push(value.ok_or("an octal escape has three digits, at most `\\377`")?);
            return Ok(3);
        }
        b'"' | b'\'' if first == quote => first,
        _ => return Err("unknown escape sequence"),
    };
    bytes.push(simple);
    Ok(1)
}

fn digits_value(digits: Option<&str>, radix: u32) -> Option<u32> {
    let digits = digits.filter(|digits| digits.chars().all(|c| c.is_digit(radix)))?;
    u32::from_str_radix(digits, radix).ok()
}

/// Bytes that are no UTF-8, as Go quotes them.
pub(super) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        quoted.extend(chunk.valid().escape_debug());
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        for (literal, text) in [
            (r#""a\tb""#, "a\tb"),
            (r#""\x41\101\u00e4\U0001F600""#, "AA\u{e4}\u{1f600}"),
            (r#""\xe4\xbd\xa0""#, "\u{4f60}"),
            (r#"'it\'s "so"'"#, "it's \"so\""),
            (r"`\n`", r"\n"),
            (r#""\\""#, "\\"),
        ] {
            assert!(
                matches!(unquote(literal), Ok(Unquoted::Text(read)) if read == text),
                "{literal}"
            );
        }
        for literal in [r#""\'""#, r#""\q""#, r#""\x4""#, r#""\8""#, r#""\400""#, r#""\ud800""#] {
            assert!(unquote(literal).is_err(), "{literal}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_quoted_as_go_does() {
        let Ok(Unquoted::NotUtf8(bytes)) = unquote(r#""a\xc5z""#) else {
            panic!("this is no text")
        };
        assert_eq!(quote_bytes(&bytes), r#""a\xc5z""#);
    }
}
