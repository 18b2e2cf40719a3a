//! Go's `printf`, `print` and `println`.
//!
//! A verb that does not fit its argument is not an error: as in Go, the output says what is wrong
//! (`%!d(float64=1.5)`).

use super::number;
use super::value::Value;

/// Widths and precisions beyond this are refused in the output, as Go refuses beyond a million.
const WIDTH_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf`: the format and its arguments.
pub(super) fn printf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut reader = Reader { rest: format, arguments, used: 0, is_reordered: false };
    while let Some(percent) = reader.rest.find('%') {
        out.push_str(&reader.rest[..percent]);
        reader.rest = &reader.rest[percent + 1..];
        let (flags, has_argument) = reader.flags(&mut out);
        let Some(verb) = reader.rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        reader.rest = &reader.rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        if !has_argument {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
            continue;
        }
        let Some(argument) = reader.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        out.push_str(&one(verb, flags, argument));
    }
    out.push_str(reader.rest);
    if !reader.is_reordered && reader.used < arguments.len() {
        let extra: Vec<String> = arguments[reader.used..]
            .iter()
            .map(|value| match value {
                Value::Absent => "<nil>".to_owned(),
                value => format!("{}={}", value.kind(), value.shown()),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

struct Reader<'a> {
    rest: &'a str,
    arguments: &'a [Value],
    used: usize,
    /// Whether `[n]` chose an argument, after which none is one too many.
    is_reordered: bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Value> {
        let argument = self.arguments.get(self.used);
        self.used += usize::from(argument.is_some());
        argument
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Reads what stands between `%` and the verb; false where the argument is not well chosen.
    fn flags(&mut self, out: &mut String) -> (Flags, bool) {
        let mut flags = Flags::default();
        let mut is_good = true;
        while let Some(flag @ ('-' | '+' | '#' | ' ' | '0')) = self.rest.chars().next() {
            match flag {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                _ => flags.space = true,
            }
            self.rest = &self.rest[1..];
        }
        let mut after_index = self.index(&mut is_good);
        if self.next_is('*') {
            match self.count() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = Some(bounded(width));
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.digits();
            // `%[3]2d`
            is_good &= !(after_index && flags.width.is_some());
        }
        if self.next_is('.') {
            // `%[3].2d`
            is_good &= !after_index;
            after_index = self.index(&mut is_good);
            if self.next_is('*') {
                match self.count() {
                    // A negative precision is none.
                    Some(precision) if precision < 0 => {}
                    Some(precision) => flags.precision = Some(bounded(precision)),
                    None => out.push_str("%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !after_index {
            self.index(&mut is_good);
        }
        (flags, is_good)
    }

    /// `[n]`: the next argument is the one of that number, from 1.
    fn index(&mut self, is_good: &mut bool) -> bool {
        let Some(inner) = self.rest.strip_prefix('[') else { return false };
        self.is_reordered = true;
        let Some((number, after)) = inner.split_once(']') else {
            *is_good = false;
            self.rest = inner;
            return false;
        };
        self.rest = after;
        let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match number.filter(|number| *number < self.arguments.len()) {
            Some(number) => self.used = number,
            None => *is_good = false,
        }
        number.is_some()
    }

    /// `*`: a width or precision that is an argument.
    fn count(&mut self) -> Option<i64> {
        match self.next() {
            Some(Value::Int(number)) if number.unsigned_abs() <= 1_000_000 => Some(*number),
            _ => None,
        }
    }

    fn digits(&mut self) -> Option<usize> {
        let text = self.rest;
        let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
        self.rest = &text[end..];
        let number = text[..end].parse::<usize>().ok();
        number.map(|number| number.min(WIDTH_MAX))
    }
}

fn bounded(number: i64) -> usize {
    usize::try_from(number.unsigned_abs()).unwrap_or(WIDTH_MAX).min(WIDTH_MAX)
}

fn one(verb: char, flags: Flags, value: &Value) -> String {
    let body = match (verb, value) {
        ('v', Value::Float(number)) => signed(number::float(*number, 'g', flags.precision), flags),
        ('v', Value::Int(number)) => signed(number.to_string(), flags),
        ('v' | 's', Value::Text(text)) => cut(text, flags),
        ('v', value) => value.shown(),
        ('t', Value::Bool(is_true)) => is_true.to_string(),
        ('q', Value::Text(text)) => quoted(&cut(text, flags)),
        ('x' | 'X', Value::Text(text)) => {
            cased(text.bytes().map(|byte| format!("{byte:02x}")).collect(), verb)
        }
        ('s', Value::Labels(_) | Value::List(_) | Value::Map(_) | Value::Time(..))
        | ('s', Value::Span(_) | Value::Array(_) | Value::Record(_)) => value.shown(),
        ('d', Value::Int(number) | Value::Span(number)) => signed(number.to_string(), flags),
        ('c', Value::Int(number)) => {
            let code = u32::try_from(*number).ok().and_then(char::from_u32);
            code.unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
        }
        ('x' | 'X', Value::Int(number)) => integer(*number, flags, verb, "0x", 16),
        ('U', Value::Int(number)) => format!("U+{number:04X}"),
        ('o', Value::Int(number)) => integer(*number, flags, verb, "0", 8),
        ('b', Value::Int(number)) => integer(*number, flags, verb, "0b", 2),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(number)) => {
            signed(number::float(*number, verb, flags.precision), flags)
        }
        (_, Value::Absent) => format!("%!{verb}(<nil>)"),
        (_, value) => format!("%!{verb}({}={})", value.kind(), value.shown()),
    };
    let is_number = match value {
        Value::Int(_) => true,
        Value::Float(number) => number.is_finite(),
        _ => false,
    };
    pad(body, flags, is_number)
}

fn integer(number: i64, flags: Flags, verb: char, prefix: &str, radix: u64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(rest % radix).unwrap_or_default();
        digits.push(char::from_digit(digit, 16).unwrap_or('0'));
        rest /= radix;
        if rest == 0 {
            break;
        }
    }
    let sign = if number < 0 { "-" } else { "" };
    let prefix = if flags.sharp { prefix } else { "" };
    let digits: String = digits.into_iter().rev().collect();
    signed(format!("{sign}{}", cased(format!("{prefix}{digits}"), verb)), flags)
}

fn cased(text: String, verb: char) -> String {
    if verb == 'X' { text.to_uppercase() } else { text }
}

/// For text, the precision is the number of characters kept.
fn cut(text: &str, flags: Flags) -> String {
    match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    }
}

fn signed(number: String, flags: Flags) -> String {
    match number.chars().next() {
        Some('-' | '+') => number,
        _ if flags.plus => format!("+{number}"),
        _ if flags.space => format!(" {number}"),
        _ => number,
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                let code = u32::from(control);
                let escaped =
                    if code < 0x80 { format!("\\x{code:02x}") } else { format!("\\u{code:04x}") };
                out.push_str(&escaped);
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
    out
}

fn pad(body: String, flags: Flags, is_number: bool) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(body.chars().count());
    if missing == 0 {
        return body;
    }
    if flags.minus {
        return body + &" ".repeat(missing);
    }
    if flags.zero && is_number {
        let digits = body.trim_start_matches(['-', '+', ' ']);
        let sign = &body[..body.len() - digits.len()];
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    " ".repeat(missing) + &body
}

/// `print`: a space between two operands when neither is a text.
pub(super) fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut was_text = true;
    for argument in arguments {
        let is_text = matches!(argument, Value::Text(_));
        if !is_text && !was_text {
            out.push(' ');
        }
        out.push_str(&argument.shown());
        was_text = is_text;
    }
    out
}

/// `println`: a space between all operands, and a line break.
pub(super) fn println(arguments: &[Value]) -> String {
    let shown: Vec<String> = arguments.iter().map(Value::shown).collect();
    format!("{}\n", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: Go's documentation of fmt and its tests (fmt_test.go), restated by hand.
    #[test]
    fn formats_are_filled_as_go_fills_them() {
        let text = Value::text("ab\"c");
        let float = Value::Float(1.5);
        let int = Value::Int(42);
        for (format, arguments, expected) in [
            ("%s|%v", vec![text.clone(), text.clone()], "ab\"c|ab\"c"),
            ("%q", vec![text.clone()], r#""ab\"c""#),
            ("%x", vec![Value::text("hi")], "6869"),
            (
                "%.2s|%6s|%-6s|",
                vec![text.clone(), Value::text("x"), Value::text("y")],
                "ab|     x|y     |",
            ),
            ("%d %5d %-5d| %05d %+d", vec![int.clone(); 5], "42    42 42   | 00042 +42"),
            ("%x %X %#x %o %b", vec![int.clone(); 5], "2a 2A 0x2a 52 101010"),
            (
                "%f %.2f %8.3f %e %g",
                vec![float.clone(); 5],
                "1.500000 1.50    1.500 1.500000e+00 1.5",
            ),
            ("%06.2f", vec![Value::Float(-1.5)], "-01.50"),
            ("%t %v", vec![Value::Bool(true), Value::Bool(false)], "true false"),
            ("100%%", vec![], "100%"),
            ("%d", vec![float.clone()], "%!d(float64=1.5)"),
            ("%s", vec![int.clone()], "%!s(int=42)"),
            ("%d", vec![], "%!d(MISSING)"),
            ("x", vec![int.clone()], "x%!(EXTRA int=42)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%6.1f%%", vec![Value::Float(99.95)], " 100.0%"),
            ("%.1f", vec![Value::Float(f64::INFINITY)], "+Inf"),
        ] {
            assert_eq!(printf(format, &arguments), expected, "{format}");
        }
    }

    #[test]
    fn print_puts_spaces_between_operands_that_are_no_text() {
        let arguments = [Value::Int(1), Value::Int(2), Value::text("x"), Value::Float(0.5)];
        assert_eq!(print(&arguments), "1 2x0.5");
        assert_eq!(println(&arguments), "1 2 x 0.5\n");
    }
}
